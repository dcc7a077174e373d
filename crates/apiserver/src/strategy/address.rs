//! Addresses and blocks in objects: what to say about those that are accepted only for old times' sake.

use std::net::IpAddr;

use object::field::{ErrorList, Path, quote};
use object::names;

use super::field::{At, Check};

/// Must be an address that a new object may have; `old` are those that were there before.
pub(super) fn ip(at: &At<'_>, old: &[&str], errors: &mut ErrorList) {
    legacy(at, old, names::strict_ip, errors);
}

/// Must be a block that a new object may have; `old` are those that were there before.
pub(super) fn cidr(at: &At<'_>, old: &[&str], errors: &mut ErrorList) {
    legacy(at, old, names::strict_cidr, errors);
}

fn legacy(at: &At<'_>, old: &[&str], check: Check, errors: &mut ErrorList) {
    if !old.contains(&at.text()) {
        errors.extend_invalid(&at.path, at.text(), check(at.text()));
    }
}

/// Must be an address that traffic can be sent to.
pub(super) fn endpoint(at: &At<'_>, errors: &mut ErrorList) {
    let Some(address) = names::parse_ip(at.text()) else { return };
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => [v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]],
        IpAddr::V6(v6) => [v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02],
    };
    for (is, text) in [
        (address.is_unspecified(), format!("may not be unspecified ({})", at.text())),
        (address.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned()),
        (local[0], "may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned()),
        (local[1], "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()),
    ] {
        if is {
            errors.push(at.invalid(text));
        }
    }
}

/// What to say about an address that has a better form.
pub(super) fn ip_warning(path: &Path, value: &str) -> Option<String> {
    let address = names::parse_ip(value)?;
    let (best, value_text) = (quote(&address.to_canonical().to_string()), quote(value));
    if !names::strict_ip(value).is_empty() {
        return Some(format!("{path}: non-standard IP address {value_text} is invalid: use {best}"));
    }
    (address.is_ipv6() && address.to_string() != value)
        .then(|| format!("{path}: IPv6 address {value_text} should be in RFC 5952 canonical format ({best})"))
}

/// What to say about a block that has a better form.
pub(super) fn cidr_warnings(path: &Path, value: &str) -> Vec<String> {
    let Some((address, bits)) = names::parse_cidr(value) else { return Vec::new() };
    let (address, bits) = canonical(address, bits);
    let best = quote(&format!("{}/{bits}", names::network(address, bits)));
    let shown = quote(value);
    let mut warnings = Vec::new();
    if names::network(address, bits) != address {
        let full = if address.is_ipv4() { 32 } else { 128 };
        let single = quote(&format!("{address}/{full}"));
        warnings
            .push(format!("{path}: CIDR value {shown} is ambiguous in this context (should be {best} or {single}?)"));
    }
    if !is_standard(value) {
        warnings.push(format!("{path}: non-standard CIDR value {shown} is invalid: use {best}"));
    }
    if warnings.is_empty() && address.is_ipv6() && best != shown {
        warnings.push(format!("{path}: IPv6 CIDR value {shown} should be in RFC 5952 canonical format ({best})"));
    }
    warnings
}

/// Neither leading zeros nor a mapped address.
fn is_standard(cidr: &str) -> bool {
    let (address, bits) = cidr.split_once('/').unwrap_or_default();
    names::strict_ip(address).is_empty() && (bits == "0" || !bits.starts_with('0'))
}

/// A mapped block is one of IPv4.
fn canonical(address: IpAddr, bits: u8) -> (IpAddr, u8) {
    let plain = address.to_canonical();
    if plain.is_ipv4() && address.is_ipv6() { (plain, bits.saturating_sub(96)) } else { (plain, bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings() {
        let path = Path::new("a");
        for (value, expected) in [
            ("10.0.0.1", None),
            ("010.0.0.1", Some("a: non-standard IP address \"010.0.0.1\" is invalid: use \"10.0.0.1\"")),
            ("::ffff:1.2.3.4", Some("a: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\"")),
            ("FE::1", Some("a: IPv6 address \"FE::1\" should be in RFC 5952 canonical format (\"fe::1\")")),
        ] {
            assert_eq!(ip_warning(&path, value).as_deref(), expected);
        }
        assert_eq!(cidr_warnings(&path, "10.0.0.0/8"), [""; 0]);
        assert_eq!(
            cidr_warnings(&path, "10.0.0.1/8"),
            [
                "a: CIDR value \"10.0.0.1/8\" is ambiguous in this context (should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?)"
            ]
        );
    }
}
