//! Certificate signing requests: who asks, who approves, who signs.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer, X509Certificate, X509CertificationRequest};

use super::{pem, signer_name};
use crate::strategy::field::{At, object_at, supported};
use crate::strategy::{Context, Strategy};

const USAGES: &[&str] = &[
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
/// Conditions that are true or absent, and stay.
const LASTING: &[&str] = &["Approved", "Denied", "Failed"];
/// What only `/approval` writes.
const APPROVAL: &[&str] = &["Approved", "Denied"];
/// In seconds.
const SHORTEST: i64 = 600;
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";

pub(in crate::strategy) struct SigningRequest;

impl Strategy for SigningRequest {
    /// The request says who has made it.
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        let spec = object_at(object, "spec");
        for field in ["username", "uid", "groups", "extra"] {
            spec.shift_remove(field);
        }
        let texts = |texts: &[String]| Value::from(texts.to_vec());
        spec.insert("username".to_owned(), cx.user.name.as_str().into());
        spec.insert("uid".to_owned(), cx.user.uid.as_str().into());
        spec.insert("groups".to_owned(), texts(&cx.user.groups));
        let extra: Map<String, Value> =
            cx.user.extra.iter().map(|(key, values)| (key.clone(), texts(values))).collect();
        spec.insert("extra".to_owned(), extra.into());
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        let mut status = object["status"].take();
        match cx.subresource {
            "status" => {
                APPROVAL.iter().for_each(|kind| keep_conditions(&mut status, &old["status"], kind));
                stamp(cx, &mut status, &old["status"]);
            }
            "approval" => {
                stamp(cx, &mut status, &old["status"]);
                let mut kept = old["status"].as_object().cloned().unwrap_or_default();
                match status.get_mut("conditions").map(Value::take) {
                    Some(conditions) => kept.insert("conditions".to_owned(), conditions),
                    None => kept.shift_remove("conditions"),
                };
                status = kept.into();
            }
            _ => status = old["status"].clone(),
        }
        object["status"] = status;
        object["spec"] = old["spec"].clone();
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        whole(&At::root(object), true, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        let certificate = root.at("status").at("certificate");
        let before = old["status"]["certificate"].as_str().unwrap_or_default();
        let changed = certificate.text() != before;
        whole(&root, changed, &mut errors);
        kept_conditions(&root.at("status").at("conditions"), old, cx.subresource == "approval", &mut errors);
        if changed && cx.subresource != "status" {
            errors.push(certificate.forbidden("updates may not set certificate content"));
        } else if changed && !before.is_empty() {
            errors.push(certificate.forbidden("updates may not modify existing certificate content"));
        }
        errors
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        if prefix { names::path_segment_prefix(name) } else { names::path_segment(name) }
    }

    fn writes_status(&self, subresource: &str) -> bool {
        subresource == "approval"
    }
}

fn of_kind<'a>(status: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    status["conditions"].as_array().into_iter().flatten().filter(move |condition| condition["type"] == kind)
}

fn conditions_mut(status: &mut Value) -> impl Iterator<Item = &mut Value> {
    status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten()
}

/// Takes conditions that this endpoint does not write from the old status.
fn keep_conditions(status: &mut Value, old: &Value, kind: &str) {
    if of_kind(status, kind).count() != of_kind(old, kind).count() {
        return;
    }
    let mut kept = of_kind(old, kind);
    for condition in conditions_mut(status) {
        if condition["type"] == kind
            && let Some(old) = kept.next()
        {
            *condition = old.clone();
        }
    }
}

/// Says when conditions were written and when they came about.
fn stamp(cx: &Context<'_>, status: &mut Value, old: &Value) {
    let now = Value::from(object::time::seconds(cx.now));
    for condition in conditions_mut(status) {
        if condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = now.clone();
        }
        if condition["lastTransitionTime"].is_null() {
            let kind = condition["type"].as_str().unwrap_or_default();
            let before = of_kind(old, kind)
                .find(|old| old["status"] == condition["status"] && !old["lastTransitionTime"].is_null())
                .map(|old| old["lastTransitionTime"].clone());
            condition["lastTransitionTime"] = before.unwrap_or_else(|| now.clone());
        }
    }
}

fn whole(root: &At<'_>, check_certificate: bool, errors: &mut ErrorList) {
    let spec = root.at("spec");
    let request = spec.at("request");
    if let Err(why) = signing_request(&pem::bytes(request.text())) {
        errors.push(request.invalid(why));
    }
    usages(&spec.at("usages"), errors);
    let signer = spec.at("signerName");
    if signer.text() == LEGACY_SIGNER {
        errors.push(signer.invalid("the legacy signerName is not allowed via this API version"));
    } else {
        signer_name(&signer, errors);
    }
    let expiration = spec.at("expirationSeconds");
    if expiration.number().is_some_and(|seconds| seconds < SHORTEST) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(expiration.invalid(detail));
    }
    let status = root.at("status");
    conditions(&status.at("conditions"), errors);
    let certificate = status.at("certificate");
    if check_certificate && let Err(why) = certificates(&pem::bytes(certificate.text())) {
        errors.push(Error::invalid(&certificate.path, "<certificate data>", why));
    }
}

/// The request must parse and be signed with the key that it names.
fn signing_request(text: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(text);
    let block = pem::blocks(&text).into_iter().next().filter(|block| block.kind == "CERTIFICATE REQUEST");
    let block = block.ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    let (_, request) =
        X509CertificationRequest::from_der(&block.der).map_err(|error| format!("asn1: structure error: {error}"))?;
    request.verify_signature().map_err(|_| "x509: the signature of the request could not be verified".to_owned())
}

/// Any number of certificates, and nothing else.
fn certificates(text: &[u8]) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(text);
    let blocks = pem::blocks(&text);
    for block in &blocks {
        if block.kind != "CERTIFICATE" {
            let kind = object::field::quote(block.kind);
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {kind}"));
        }
        if block.has_headers {
            return Err("no PEM block headers are permitted".to_owned());
        }
        if block.der.is_empty() {
            return Err("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        X509Certificate::from_der(&block.der).map_err(|_| "x509: malformed certificate".to_owned())?;
    }
    if blocks.is_empty() { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}

fn usages(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
    }
    at.items().for_each(|usage| supported(&usage, USAGES, errors));
    let mut seen = BTreeSet::new();
    errors.extend(at.items().filter(|usage| !seen.insert(usage.text())).map(|usage| usage.duplicate()));
}

fn conditions(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = BTreeSet::new();
    for condition in at.items() {
        let (kind, status) = (condition.at("type"), condition.at("status"));
        if kind.is_empty() {
            errors.push(kind.required(""));
        }
        let allowed: &[&str] = if LASTING.contains(&kind.text()) { &["True"] } else { &["False", "True", "Unknown"] };
        if status.is_empty() {
            errors.push(status.required(""))
        } else {
            supported(&status, allowed, errors)
        }
        let other = match kind.text() {
            "Approved" => Some("Denied"),
            "Denied" => Some("Approved"),
            _ => None,
        };
        if other.is_some_and(|other| seen.contains(other)) {
            let detail = "Approved and Denied conditions are mutually exclusive";
            errors.push(Error::invalid(&at.path, kind.text(), detail));
        }
        if !seen.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
    }
}

/// What is decided stays decided, and only `/approval` decides.
fn kept_conditions(at: &At<'_>, old: &Value, approving: bool, errors: &mut ErrorList) {
    let old_status = &old["status"];
    let counts = |kind: &str| {
        let new = at.items().filter(|condition| condition.at("type").text() == kind).count();
        (of_kind(old_status, kind).count(), new)
    };
    for kind in LASTING {
        let (before, after) = counts(kind);
        if after < before {
            errors.push(at.forbidden(format!("updates may not remove a condition of type \"{kind}\"")));
        }
    }
    if approving {
        return;
    }
    for kind in APPROVAL {
        let (before, after) = counts(kind);
        if after > before {
            errors.push(at.forbidden(format!("updates may not add a condition of type \"{kind}\"")));
        }
    }
}
