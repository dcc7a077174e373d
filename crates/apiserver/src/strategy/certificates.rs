//! Certificates: requests for them, bundles of trusted ones, requests of pods.

mod bundle;
mod pem;
mod pod;
mod request;

use object::field::{Error, ErrorList};
use object::names;

pub(super) use bundle::ClusterTrustBundle;
pub(super) use pod::PodCertificateRequest;
pub(super) use request::SigningRequest;

use super::field::At;

/// A subdomain and a path of names below it.
const MAX_SIGNER: usize = MAX_DOMAIN + 1 + MAX_DOMAIN + names::DNS1123_LABEL_MAX + 1;
const MAX_DOMAIN: usize = names::DNS1123_SUBDOMAIN_MAX;

/// A signer's name: `example.com/signer-name`.
fn signer_name(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
        return;
    }
    let Some((domain, path)) = at.text().split_once('/').filter(|(_, path)| !path.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(at.invalid(detail));
        return;
    };
    if domain.len() > MAX_DOMAIN {
        errors.push(Error::too_long(&at.path, MAX_DOMAIN));
    }
    first_wrong(at, domain, names::dns1123_label, errors);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(&at.path, domain, detail));
    }
    first_wrong(at, path, names::dns1123_subdomain, errors);
    if at.text().len() > MAX_SIGNER {
        errors.push(Error::too_long(&at.path, MAX_SIGNER));
    }
}

/// What is wrong with the first segment that is wrong.
fn first_wrong(at: &At<'_>, segments: &str, check: super::field::Check, errors: &mut ErrorList) {
    let wrong = segments.split('.').map(|label| (label, check(label))).find(|(_, wrong)| !wrong.is_empty());
    let Some((label, wrong)) = wrong else { return };
    let detail = |why| format!("validating label {}: {why}", object::field::quote(label));
    errors.extend(wrong.into_iter().map(|why| Error::invalid(&at.path, segments, detail(why))));
}
