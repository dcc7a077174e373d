//! Chains that signers issue: of certificates, the first for the key that was asked for, with the times that the status
//! says.

use jiff::{SignedDuration, Timestamp};
use object::field::{Error, ErrorList, Path};
use serde_json::Value;
use x509_parser::prelude::{FromDer, GeneralName, SubjectPublicKeyInfo, X509Certificate, X509CertificationRequest};

use super::pem;
use crate::strategy::field::At;

/// In bytes.
const MAX_CHAIN: usize = 100 << 10;
const SKEW: SignedDuration = SignedDuration::from_mins(5);
const MARGIN: SignedDuration = SignedDuration::from_mins(10);
const SHORTEST: SignedDuration = SignedDuration::from_hours(1);

/// Adds the first thing that is wrong with an issued status.
pub(super) fn check(root: &At<'_>, old: &Value, now: Timestamp, errors: &mut ErrorList) {
    let status = root.at("status");
    let chain = status.at("certificateChain");
    if chain.text().len() > MAX_CHAIN {
        errors.push(Error::too_long(&chain.path, MAX_CHAIN));
        return;
    }
    let blocks = pem::blocks(chain.text());
    let leaf = match leaf(&chain, blocks.first()) {
        Ok(leaf) => leaf,
        Err(error) => return errors.push(*error),
    };
    names(&chain.path, &leaf, errors);
    let found = same_key(&chain, &leaf, &old["spec"]).and_then(|()| {
        let missing: Vec<Error> = missing_times(&status).collect();
        if errors.is_empty() && missing.is_empty() {
            times(&status, &leaf, root.at("spec").at("maxExpirationSeconds").number(), now)?;
            return blocks[1..].iter().try_for_each(|block| intermediate(&chain, block));
        }
        errors.extend(missing);
        Ok(())
    });
    errors.extend(found.err().map(|error| *error));
}

fn leaf<'a>(chain: &At<'_>, first: Option<&'a pem::Block<'_>>) -> Result<X509Certificate<'a>, Box<Error>> {
    let first = first.ok_or_else(|| chain.invalid("issued certificate chain must contain at least one certificate"))?;
    if first.kind != "CERTIFICATE" {
        return Err(chain.invalid("issued certificate chain must consist entirely of CERTIFICATE PEM blocks").into());
    }
    let parsed = X509Certificate::from_der(&first.der);
    parsed.map(|(_, leaf)| leaf).map_err(|_| chain.invalid("leaf certificate does not parse as valid X.509").into())
}

fn intermediate(chain: &At<'_>, block: &pem::Block<'_>) -> Result<(), Box<Error>> {
    if block.kind != "CERTIFICATE" {
        return Err(chain.invalid("issued certificate chain must consist entirely of CERTFICATE PEM blocks").into());
    }
    let parsed = X509Certificate::from_der(&block.der);
    parsed.map(drop).map_err(|_| chain.invalid("intermediate certificate does not parse as valid X.509").into())
}

/// Names that others would trip over.
fn names(path: &Path, leaf: &X509Certificate<'_>, errors: &mut ErrorList) {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => {
                let wrong = [
                    (name.is_empty(), "leaf certificate should not contain empty DNSName"),
                    (name.contains(".."), "leaf certificate's DNSName should not contain '..'"),
                    (
                        name.starts_with('.') || name.ends_with('.'),
                        "leaf certificate's DNSName should not start or end with '.'",
                    ),
                ];
                let wrong = wrong.into_iter().filter(|(wrong, _)| *wrong);
                errors.extend(wrong.map(|(_, detail)| Error::invalid(path, *name, detail)));
            }
            GeneralName::RFC822Name(address) if !is_address(address) => {
                let detail = "leaf certificate should not contain invalid EmailAddress";
                errors.push(Error::invalid(path, *address, detail));
            }
            _ => {}
        }
    }
}

fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !text.contains(char::is_whitespace))
}

/// The certificate must be for the key that was asked for.
fn same_key(chain: &At<'_>, leaf: &X509Certificate<'_>, spec: &Value) -> Result<(), Box<Error>> {
    let spec = At { value: spec, path: Path::new("spec") };
    let (request, public) = (spec.at("stubPKCS10Request"), spec.at("pkixPublicKey"));
    let (request_der, public_der) = (pem::bytes(request.text()), pem::bytes(public.text()));
    let issued = &leaf.public_key().subject_public_key.data;
    let same = if request_der.is_empty() {
        let key = SubjectPublicKeyInfo::from_der(&public_der);
        let (_, key) =
            key.map_err(|_| Error::invalid_unshown(&public.path, "must be a valid PKIX-serialized public key"))?;
        key.subject_public_key.data == *issued
    } else {
        let asked = X509CertificationRequest::from_der(&request_der);
        let (_, asked) = asked.map_err(|_| Error::invalid_unshown(&request.path, "must be a valid PKCS#10 CSR"))?;
        asked.certification_request_info.subject_pki.subject_public_key.data == *issued
    };
    if same { Ok(()) } else { Err(chain.invalid("leaf certificate was not issued to the requested public key").into()) }
}

fn missing_times<'a>(status: &'a At<'_>) -> impl Iterator<Item = Error> + use<'a> {
    const TIMES: &[(&str, &str)] = &[
        ("notBefore", "must be present and consistent with the issued certificate"),
        ("notAfter", "must be present and consistent with the issued certificate"),
        ("beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]"),
    ];
    TIMES
        .iter()
        .filter(|(field, _)| !status.at(field).is_set())
        .map(|(field, detail)| status.at(field).required(detail))
}

/// The first time that is not what it has to be.
fn times(status: &At<'_>, leaf: &X509Certificate<'_>, longest: Option<i64>, now: Timestamp) -> Result<(), Box<Error>> {
    let time = |field: &str| object::time::parse(status.at(field).text()).unwrap_or_default();
    let (before, after, refresh) = (time("notBefore"), time("notAfter"), time("beginRefreshAt"));
    let stamp = |seconds: i64| Timestamp::from_second(seconds).unwrap_or_default();
    let validity = leaf.validity();
    let (issued, ends) = (stamp(validity.not_before.timestamp()), stamp(validity.not_after.timestamp()));
    let lifetime = ends.duration_since(issued);
    let too_long = longest.filter(|seconds| lifetime > SignedDuration::from_secs(*seconds));
    let limit = format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({})", too_long.unwrap_or(0));
    let nanoseconds = || Value::from(i64::try_from(lifetime.as_nanos()).unwrap_or(i64::MAX));
    let checks: [(&str, bool, &str); 7] = [
        ("notBefore", before == issued, "must be set to the NotBefore time encoded in the leaf certificate"),
        (
            "notBefore",
            before.duration_since(now).abs() < SKEW,
            "must be set to within 5 minutes of kube-apiserver's current time",
        ),
        ("notAfter", after == ends, "must be set to the NotAfter time encoded in the leaf certificate"),
        ("certificateChain", lifetime >= SHORTEST, "leaf certificate lifetime must be >= 1 hour"),
        ("certificateChain", too_long.is_none(), &limit),
        (
            "beginRefreshAt",
            refresh.duration_since(before) >= MARGIN,
            "must be at least 10 minutes after status.notBefore",
        ),
        (
            "beginRefreshAt",
            after.duration_since(refresh) >= MARGIN,
            "must be at least 10 minutes before status.notAfter",
        ),
    ];
    let Some((field, _, detail)) = checks.iter().find(|(_, right, _)| !right) else { return Ok(()) };
    let at = status.at(field);
    let value = if *field == "certificateChain" { nanoseconds() } else { at.value.clone() };
    Err(Error::invalid(&at.path, value, *detail).into())
}
