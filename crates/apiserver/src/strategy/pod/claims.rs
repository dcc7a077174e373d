//! Claims of devices: those that a pod has, and which of them its containers use.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList, Path};
use object::names;
use serde_json::{Value, json};

use super::super::field::{At, required_name, well_formed};

/// The claims of a pod.
pub(super) fn of_pod(list: &At<'_>, metadata: Option<&Value>, errors: &mut ErrorList) {
    let mirrored = metadata.is_some_and(super::annotations::is_mirror);
    let mut seen = BTreeSet::new();
    for claim in list.items() {
        if mirrored {
            errors.push(Error::forbidden(&Path::unnamed(), "static pods do not support resource claims"));
            continue;
        }
        let name = claim.at("name");
        if seen.contains(name.text()) {
            errors.push(name.duplicate());
        } else {
            required_name(&name, names::dns1123_label, errors);
            if !name.is_empty() {
                seen.insert(name.text());
            }
        }
        source(&claim, errors);
    }
}

fn source(claim: &At<'_>, errors: &mut ErrorList) {
    let (direct, template) = (claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName"));
    let shown = json!({
        "Name": claim.at("name").text(),
        "ResourceClaimName": direct.value,
        "ResourceClaimTemplateName": template.value,
    });
    let detail = match (direct.is_set(), template.is_set()) {
        (true, true) => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        (false, false) => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
        _ => "",
    };
    if !detail.is_empty() {
        errors.push(Error::invalid(&claim.path, shown, detail));
    }
    for name in [direct, template].iter().filter(|name| name.is_set()) {
        well_formed(name, names::dns1123_subdomain, errors);
    }
}

/// The names of a pod's claims, sorted.
pub(super) fn names<'a>(list: &At<'a>) -> Vec<&'a str> {
    let names: BTreeSet<_> =
        list.items().map(|claim| claim.at("name").text()).filter(|name| !name.is_empty()).collect();
    names.into_iter().collect()
}

/// The claims that a container uses.
pub(super) fn used(list: &At<'_>, claims: &[&str], errors: &mut ErrorList) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for claim in list.items() {
        let name = claim.at("name").text();
        if name.is_empty() {
            errors.push(claim.required(""));
            continue;
        }
        once(&claim, name, &mut seen, errors);
        if !claims.contains(&name) {
            let among =
                if claims.is_empty() { " which is empty".to_owned() } else { format!(": {}", claims.join(", ")) };
            let mut error = Error::not_found(&claim.path, name);
            error.detail = format!("must be one of the names in pod.spec.resourceClaims{among}");
            errors.push(error);
        }
    }
}

/// A claim is used as a whole or by requests, and each of them once.
fn once(claim: &At<'_>, name: &str, seen: &mut BTreeSet<String>, errors: &mut ErrorList) {
    if seen.contains(name) {
        errors.push(Error::duplicate(&claim.path, name));
        return;
    }
    let request = claim.at("request");
    let key = if request.is_empty() { name.to_owned() } else { format!("{name}/{}", request.text()) };
    if !request.is_empty() {
        well_formed(&request, names::dns1123_label, errors);
    }
    if seen.contains(&key) {
        errors.push(Error::duplicate(&claim.path, key.clone()));
    } else if request.is_empty() {
        let parts = seen.iter().filter(|other| other.split_once('/').is_some_and(|(claim, _)| claim == name));
        errors.extend(parts.map(|_| Error::duplicate(&claim.path, name)));
    }
    seen.insert(key);
}
