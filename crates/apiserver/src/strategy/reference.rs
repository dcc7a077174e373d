//! References to things by name, and names that belong to a domain.

use object::field::ErrorList;
use object::names;

use super::field::{At, optional_name, required_name};

/// `example.com/path`: a domain and a path below it. The domain and the path are what messages show.
pub(super) fn domain_prefixed_path(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
        return;
    }
    match at.text().split_once('/').filter(|(host, path)| !host.is_empty() && !path.is_empty()) {
        None => errors.push(at.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")")),
        Some((host, path)) => {
            errors.extend_invalid(&at.path, host, names::dns1123_subdomain(host));
            errors.extend_invalid(&at.path, path, names::http_path(path));
        }
    }
}

/// Fields that name a kind or resource and an object of it.
pub(super) fn named(at: &At<'_>, fields: &[&str], errors: &mut ErrorList) {
    fields.iter().for_each(|field| required_name(&at.at(field), names::path_segment, errors));
}

/// An API group, which may be left out.
pub(super) fn optional_group(at: &At<'_>, errors: &mut ErrorList) {
    optional_name(at, names::dns1123_subdomain, errors);
}

/// The name of a CSI driver, in any case.
pub(super) fn csi_driver(at: &At<'_>, errors: &mut ErrorList) {
    const MAX: usize = 63;
    if at.is_empty() {
        errors.push(at.required(""));
        return;
    }
    if at.text().len() > MAX {
        errors.push(object::field::Error::too_long(&at.path, MAX));
    }
    errors.extend_invalid(&at.path, at.text(), names::dns1123_subdomain(&at.text().to_lowercase()));
}
