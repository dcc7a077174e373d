//! IP addresses and CIDR blocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::field::quote;

/// An address: the sloppy form that old fields accept (leading zeros in IPv4 are read as decimal).
#[must_use]
pub fn ip(value: &str) -> Vec<String> {
    if parse_ip(value).is_some() {
        return Vec::new();
    }
    vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
}

/// A block: the sloppy form that old fields accept.
#[must_use]
pub fn cidr(value: &str) -> Vec<String> {
    if parse_cidr(value).is_some() {
        return Vec::new();
    }
    vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()]
}

/// The rule that most fields have today: no leading zeros, no mapped addresses.
#[must_use]
pub fn strict_ip(value: &str) -> Vec<String> {
    match parse_ip(value) {
        None => ip(value),
        Some(_) if value.parse::<IpAddr>().is_err() => vec!["must not have leading 0s".to_owned()],
        Some(address) if is_mapped(address) => vec!["must not be an IPv4-mapped IPv6 address".to_owned()],
        Some(_) => Vec::new(),
    }
}

/// The rule of new fields: strict, and the canonical text.
#[must_use]
pub fn canonical_ip(value: &str) -> Vec<String> {
    let errors = strict_ip(value);
    match parse_ip(value) {
        Some(address) if errors.is_empty() && address.to_string() != value => {
            vec![format!("must be in canonical form (\"{address}\")")]
        }
        _ => errors,
    }
}

/// The rule that most fields have today for blocks: no leading zeros, no mapped addresses, no bits behind the prefix.
#[must_use]
pub fn strict_cidr(value: &str) -> Vec<String> {
    let Some((address, bits)) = parse_cidr(value) else { return cidr(value) };
    let message = if !is_plain_block(value) {
        "must not have leading 0s in IP or prefix length"
    } else if is_mapped(address) {
        "must not have an IPv4-mapped IPv6 address"
    } else if network(address, bits) != address {
        "must not have bits set beyond the prefix length"
    } else {
        return Vec::new();
    };
    vec![message.to_owned()]
}

/// The rule of new fields for blocks: strict, and the canonical text.
#[must_use]
pub fn canonical_cidr(value: &str) -> Vec<String> {
    let errors = strict_cidr(value);
    let Some((address, bits)) = parse_cidr(value).filter(|_| errors.is_empty()) else { return errors };
    let canonical = format!("{address}/{bits}");
    if canonical == value { errors } else { vec![format!("must be in canonical form (\"{canonical}\")")] }
}

/// What to say about an address that is accepted, but not written as it should be.
#[must_use]
pub fn ip_warning(value: &str) -> Option<String> {
    let address = unmapped(parse_ip(value)?);
    let quoted = quote(value);
    if value.parse::<IpAddr>().is_err() || value.parse().is_ok_and(is_mapped) {
        return Some(format!("non-standard IP address {quoted} is invalid: use \"{address}\""));
    }
    (address.is_ipv6() && address.to_string() != value)
        .then(|| format!("IPv6 address {quoted} should be in RFC 5952 canonical format (\"{address}\")"))
}

/// The same for blocks.
#[must_use]
pub fn cidr_warnings(value: &str) -> Vec<String> {
    let Some((address, bits)) = parse_cidr(value) else { return Vec::new() };
    let (first, quoted) = (network(address, bits), quote(value));
    let length = if address.is_ipv4() { 32 } else { 128 };
    let mut warnings = Vec::new();
    if first != address {
        warnings.push(format!(
            "CIDR value {quoted} is ambiguous in this context (should be \"{first}/{bits}\" or \"{address}/{length}\"?)"
        ));
    }
    if !is_plain_block(value) || is_mapped(address) {
        warnings.push(format!("non-standard CIDR value {quoted} is invalid: use \"{first}/{bits}\""));
    }
    if warnings.is_empty() && address.is_ipv6() && format!("{address}/{bits}") != value {
        warnings
            .push(format!("IPv6 CIDR value {quoted} should be in RFC 5952 canonical format (\"{address}/{bits}\")"));
    }
    warnings
}

/// Reads an address; leading zeros of IPv4 parts are ignored.
#[must_use]
pub fn parse_ip(value: &str) -> Option<IpAddr> {
    if value.contains(':') {
        return value.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let mut octets = [0_u8; 4];
    let mut parts = value.split('.');
    for octet in &mut octets {
        let part = parts.next()?;
        let digits = !part.is_empty() && part.len() <= 16 && part.bytes().all(|b| b.is_ascii_digit());
        *octet = digits.then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets).into())
}

/// Reads a block: its address as written (host bits kept) and its prefix length.
#[must_use]
pub fn parse_cidr(value: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = value.split_once('/')?;
    let address = parse_ip(address)?;
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

/// Whether neither part of a block has leading zeros.
fn is_plain_block(value: &str) -> bool {
    let (text, length) = value.split_once('/').unwrap_or_default();
    text.parse::<IpAddr>().is_ok() && (length.len() == 1 || !length.starts_with('0'))
}

/// Go prints a mapped address as the IPv4 address that it is.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The first address of a block.
#[must_use]
pub fn network(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for ok in ["10.0.0.1", "010.0.0.1", "::1", "2001:db8::ffff"] {
            assert!(ip(ok).is_empty(), "{ok}");
        }
        for bad in ["", "10.0.0", "10.0.0.256", "a", "1.2.3.4.5", "+1.2.3.4"] {
            assert!(!ip(bad).is_empty(), "{bad}");
        }
        assert_eq!(canonical_ip("010.0.0.1"), ["must not have leading 0s"]);
        assert_eq!(canonical_ip("2001:DB8::1"), ["must be in canonical form (\"2001:db8::1\")"]);
    }

    #[test]
    fn blocks() {
        assert!(cidr("10.0.0.1/8").is_empty());
        assert!(!cidr("10.0.0.1").is_empty());
        assert!(!cidr("10.0.0.1/33").is_empty());
        assert!(canonical_cidr("10.0.0.0/8").is_empty());
        assert!(canonical_cidr("0.0.0.0/0").is_empty());
        assert_eq!(canonical_cidr("10.0.0.1/8"), ["must not have bits set beyond the prefix length"]);
    }
}
