//! The spec of a definition outside of its schemas.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names as checks;
use serde_json::Value;

use super::{schema, shown_versions, version};
use crate::strategy::field::{At, one_of_listed, required, well_formed};
use crate::strategy::webhook;

/// The versions of `ConversionReview` that this server speaks.
const REVIEW_VERSIONS: &[&str] = &["v1", "v1beta1"];

/// `spec` is in the internal form, `original` as it was sent.
pub(super) fn spec(spec: &At<'_>, original: &Value, errors: &mut ErrorList) {
    group(&spec.at("group"), errors);
    one_of_listed(&spec.at("scope"), &["Cluster", "Namespaced"], errors);
    let (versions, validation) = (spec.at("versions"), spec.at("validation"));
    if !validation.at("openAPIV3Schema").is_set() {
        let schemas = versions.items().map(|version| version.at("schema").at("openAPIV3Schema"));
        errors.extend(schemas.filter(|schema| !schema.is_set()).map(|schema| schema.required("")));
    }
    if original["preserveUnknownFields"] == true && schema::has_defaults(original) {
        let detail = "must be false in order to use defaults in the schema";
        errors.push(Error::invalid(&spec.path.child("preserveUnknownFields"), true, detail));
    }
    all_versions(spec, &versions, errors);
    let label = |at: &At<'_>, errors: &mut ErrorList| joined(at, checks::dns1035_label(at.text()), "", errors);
    if !spec.at("version").is_empty() {
        label(&spec.at("version"), errors);
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        required(&spec.at("names").at(field), errors);
    }
    names(&spec.at("names"), errors);
    let with_status = version::has_status(&spec.at("subresources"))
        || versions.items().any(|version| version::has_status(&version.at("subresources")));
    schema::validation(&validation, with_status, errors);
    version::subresources(&spec.at("subresources"), errors);
    spec.at("additionalPrinterColumns").items().for_each(|column| version::column(&column, errors));
    let fields = spec.at("selectableFields");
    if !fields.is_empty() && !validation.is_set() {
        errors.push(Error::invalid(&fields.path, "", "may only be set when validations.schema is included"));
    } else if !fields.is_empty() {
        version::selectable_fields(&fields, validation.at("openAPIV3Schema").value, errors);
    }
    let conversion = spec.at("conversion");
    let strategy = conversion.at("strategy");
    if conversion.is_set() && strategy.text() != "None" && original["preserveUnknownFields"] == true {
        errors.push(strategy.invalid("must be None if spec.preserveUnknownFields is true"));
    }
    if conversion.is_set() {
        convert(&conversion, errors);
    }
}

/// What is wrong with a text, in one message.
pub(super) fn joined(at: &At<'_>, wrong: Vec<String>, before: &str, errors: &mut ErrorList) {
    if !wrong.is_empty() {
        errors.push(Error::invalid(&at.path, at.text(), format!("{before}{}", wrong.join(","))));
    }
}

fn group(at: &At<'_>, errors: &mut ErrorList) {
    if !required(at, errors) {
        return;
    }
    let wrong = checks::dns1123_subdomain(at.text());
    if wrong.is_empty() && !at.text().contains('.') {
        errors.push(at.invalid("should be a domain with at least one dot"));
    }
    joined(at, wrong, "", errors);
}

fn all_versions(spec: &At<'_>, versions: &At<'_>, errors: &mut ErrorList) {
    let own_subresources = versions.items().any(|version| version.at("subresources").is_set());
    let (mut seen, mut unique) = (BTreeSet::new(), true);
    for entry in versions.items() {
        let name = entry.at("name");
        unique &= seen.insert(name.text());
        joined(&name, checks::dns1035_label(name.text()), "", errors);
        let subresources = if own_subresources { entry.at("subresources") } else { spec.at("subresources") };
        version::version(&entry, version::has_status(&subresources), errors);
    }
    let stored = versions.items().filter(|version| version.at("storage").flag()).count();
    let mut invalid = |detail: &str| errors.push(Error::invalid(&versions.path, shown_versions(versions), detail));
    if !unique {
        invalid("must contain unique version names");
    }
    if stored != 1 {
        invalid("must have exactly one version marked as storage version");
    }
}

/// Names as they are asked for, and as they were accepted.
pub(super) fn names(names: &At<'_>, errors: &mut ErrorList) {
    const MIXED: &str = "may have mixed case, but should otherwise match: ";
    let label = |at: &At<'_>, errors: &mut ErrorList| {
        if !at.is_empty() {
            joined(at, checks::dns1035_label(at.text()), "", errors);
        }
    };
    let mixed = |at: &At<'_>, errors: &mut ErrorList| {
        if !at.is_empty() {
            joined(at, checks::dns1035_label(&at.text().to_lowercase()), MIXED, errors);
        }
    };
    label(&names.at("plural"), errors);
    label(&names.at("singular"), errors);
    mixed(&names.at("kind"), errors);
    mixed(&names.at("listKind"), errors);
    let each = |at: &At<'_>, errors: &mut ErrorList| joined(at, checks::dns1035_label(at.text()), "", errors);
    names.at("shortNames").items().for_each(|name| each(&name, errors));
    let (kind, list) = (names.at("kind"), names.at("listKind"));
    if !kind.is_empty() && kind.text() == list.text() {
        errors.push(list.invalid("kind and listKind may not be the same"));
    }
    names.at("categories").items().for_each(|name| each(&name, errors));
}

fn convert(at: &At<'_>, errors: &mut ErrorList) {
    one_of_listed(&at.at("strategy"), &["None", "Webhook"], errors);
    let (client, versions) = (at.at("webhookClientConfig"), at.at("conversionReviewVersions"));
    if at.at("strategy").text() != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        if client.is_set() {
            errors.push(client.forbidden(detail));
        }
        if !versions.is_empty() {
            errors.push(versions.forbidden(detail));
        }
        return;
    }
    if client.is_set() {
        webhook::client_config(&client, errors);
    } else {
        errors.push(client.required("required when strategy is set to Webhook"));
    }
    review_versions(&versions, errors);
}

fn review_versions(at: &At<'_>, errors: &mut ErrorList) {
    if !required(at, errors) {
        return;
    }
    let mut seen = BTreeSet::new();
    for version in at.items() {
        if seen.insert(version.text()) {
            well_formed(&version, checks::dns1035_label, errors);
        } else {
            errors.push(version.invalid("duplicate version"));
        }
    }
    if !at.texts().any(|version| REVIEW_VERSIONS.contains(&version)) {
        errors.push(at.invalid(format!("must include at least one of {}", REVIEW_VERSIONS.join(", "))));
    }
}
