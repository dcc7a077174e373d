//! Keys and fields as files in a volume.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};

use super::super::field::{At, local_path};
use super::super::rules::{self, Rule, Rules};
use super::super::source::file_path;
use super::env;
use super::options::Options;

const KINDS: &[&str] = &["secret", "configMap", "downwardAPI", "serviceAccountToken"];
const KEY: Rules = &[("key", Rule::Required), ("path", Rule::Holds(file_path)), ("mode", Rule::Mode)];

/// Keys of a ConfigMap or Secret.
pub(super) fn keys(list: &At<'_>, errors: &mut ErrorList) {
    list.items().for_each(|item| rules::check(&item, KEY, errors));
}

/// Fields of the pod. Upstream names the source where it means one of its files.
pub(super) fn downward_files(source: &At<'_>, errors: &mut ErrorList) {
    source.at("items").items().for_each(|item| downward_file(&item.shown(source.path.clone()), errors));
}

fn downward_file(file: &At<'_>, errors: &mut ErrorList) {
    let (field, resource) = (file.at("fieldRef"), file.at("resourceFieldRef"));
    file_path(&file.at("path"), errors);
    if field.is_set() {
        env::file_field(&field, errors);
        if resource.is_set() {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(Error::invalid(&file.path, "resource", detail));
        }
    } else if resource.is_set() {
        env::resource_ref(&resource, true, errors);
    } else {
        errors.push(file.required("one of fieldRef and resourceFieldRef is required"));
    }
    rules::check(file, &[("mode", Rule::Mode)], errors);
}

/// Several sources in one volume.
pub(super) fn sources(volume: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let mut paths = BTreeSet::new();
    for entry in volume.at("sources").items() {
        let present: Vec<_> = entry.present(KINDS).collect();
        for kind in &present {
            source(volume, &entry.at(kind), kind, &mut paths, options, errors);
        }
        if present.len() > 1 {
            errors.push(entry.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

fn source<'a>(
    volume: &At<'_>,
    source: &At<'a>,
    kind: &str,
    paths: &mut BTreeSet<&'a str>,
    options: &Options,
    errors: &mut ErrorList,
) {
    match kind {
        "serviceAccountToken" => {
            token(volume, source, options, errors);
            return;
        }
        "downwardAPI" => {}
        _ => rules::check(source, &[("name", Rule::Required)], errors),
    }
    for item in source.at("items").items() {
        let path = item.at("path").text();
        let owner = if kind == "downwardAPI" { path } else { source.at("name").text() };
        match kind {
            "downwardAPI" => downward_file(&item.shown(source.path.clone()), errors),
            _ => rules::check(&item, KEY, errors),
        }
        if !path.is_empty() && !paths.insert(path) {
            errors.push(Error::invalid(&volume.path, owner, "conflicting duplicate paths"));
        }
    }
}

/// Upstream names the path of a token as if it were the volume's.
fn token(volume: &At<'_>, source: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let (seconds, path) = (source.at("expirationSeconds"), source.at("path").shown(volume.path.child("path")));
    match seconds.number() {
        Some(..600) => errors.push(seconds.invalid("may not specify a duration less than 10 minutes")),
        Some(0x1_0000_0001..) => errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds")),
        _ => {}
    }
    if path.is_empty() {
        errors.push(path.required(""));
    } else if !options.token_paths {
        local_path(&path, errors);
    }
}
