//! Requests of pods for certificates: the key that is asked for must be held, and the chain that is issued must fit.

mod chain;
mod key;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::{pem, signer_name};
use crate::strategy::field::{At, conditions, supported, well_formed};
use crate::strategy::{Context, Strategy, internal};

/// In bytes, of a key, a signature and a request.
const MAX_REQUEST: usize = 10 << 10;
const MAX_UID: usize = 128;
const MAX_ANNOTATIONS: usize = 256 << 10;
/// In seconds.
const SHORTEST: i64 = 3600;
const LONGEST: i64 = 91 * 24 * 3600;
const LONGEST_OF_KUBERNETES: i64 = 24 * 3600;
/// Conditions with which a request ends.
const ENDS: &[&str] = &["Issued", "Denied", "Failed"];

pub(in crate::strategy) struct PodCertificateRequest;

impl Strategy for PodCertificateRequest {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            status(&root, old, cx.now, &mut errors);
        } else if object["spec"] != old["spec"] {
            let value = internal::shown("certificates.v1beta1.PodCertificateRequestSpec", &object["spec"]);
            errors.push(Error::invalid(&root.at("spec").path, value, "field is immutable"));
        }
        errors
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    signer_name(&spec.at("signerName"), errors);
    user_annotations(&spec.at("unverifiedUserAnnotations"), errors);
    for (name, uid) in [("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")] {
        well_formed(&spec.at(name), names::dns1123_subdomain, errors);
        let uid = spec.at(uid);
        if uid.is_empty() {
            errors.push(Error::invalid(&uid.path, "", "must not be empty"));
        } else if uid.text().len() > MAX_UID {
            errors.push(Error::too_long(&uid.path, MAX_UID));
        }
    }
    if expiration(spec, errors) {
        key_or_request(spec, errors);
    }
}

fn user_annotations(at: &At<'_>, errors: &mut ErrorList) {
    let mut size = 0;
    for (key, value) in at.entries() {
        let lower = key.to_lowercase();
        errors.extend_invalid(&at.path, &lower, names::domain_prefixed_key(&lower));
        size += key.len() + value.text().len();
    }
    if size > MAX_ANNOTATIONS {
        errors.push(Error::too_long(&at.path, MAX_ANNOTATIONS));
    }
}

/// Whether a lifetime is asked for, whatever it is.
fn expiration(spec: &At<'_>, errors: &mut ErrorList) -> bool {
    let at = spec.at("maxExpirationSeconds");
    let Some(seconds) = at.number() else {
        errors.push(at.required("must be set"));
        return false;
    };
    let domain = spec.at("signerName").text().split('/').next().unwrap_or_default();
    let ours = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    let longest = if ours { LONGEST_OF_KUBERNETES } else { LONGEST };
    if !(SHORTEST..=longest).contains(&seconds) {
        errors.push(at.invalid(format!("must be in the range [{SHORTEST}, {longest}]")));
    }
    true
}

fn key_or_request(spec: &At<'_>, errors: &mut ErrorList) {
    let (request, public, proof) =
        (spec.at("stubPKCS10Request"), spec.at("pkixPublicKey"), spec.at("proofOfPossession"));
    let found = match (request.is_empty(), public.is_empty(), proof.is_empty()) {
        (false, true, true) => {
            let bytes = pem::bytes(request.text());
            if bytes.len() > MAX_REQUEST {
                Err(too_long(&request).into())
            } else {
                key::check_request(&request, &bytes)
            }
        }
        (true, false, false) => {
            let (key, signature) = (pem::bytes(public.text()), pem::bytes(proof.text()));
            let long = [(&public, &key), (&proof, &signature)].into_iter().find(|(_, bytes)| bytes.len() > MAX_REQUEST);
            match long {
                Some((at, _)) => Err(too_long(at).into()),
                None => key::check_proof((&public, &key), (&proof, &signature), spec.at("podUID").text()),
            }
        }
        _ => Err(Error::invalid_unshown(
            &spec.path,
            "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set",
        )
        .into()),
    };
    errors.extend(found.err().map(|error: Box<Error>| *error));
}

fn too_long(at: &At<'_>) -> Error {
    Error::too_long(&at.path, MAX_REQUEST)
}

/// Whether a request has come to the given end.
fn ended(object: &Value, end: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == end && condition["status"] == "True")
}

fn status(root: &At<'_>, old: &Value, now: jiff::Timestamp, errors: &mut ErrorList) {
    let (object, status) = (root.value, root.at("status"));
    end_conditions(&status.at("conditions"), errors);
    conditions(&status.at("conditions"), errors);
    if !errors.is_empty() {
        return;
    }
    let differs = |detail: &str| Error::invalid_unshown(&status.path, detail);
    let same = object["status"] == old["status"];
    if ENDS.iter().any(|end| ended(old, end)) {
        if !same {
            errors.push(differs("immutable after PodCertificateRequest is issued, denied, or failed"));
        }
    } else if ended(object, "Denied") || ended(object, "Failed") {
        if status.present(&["certificateChain", "notBefore", "beginRefreshAt", "notAfter"]).next().is_some() {
            let detail = "non-condition status fields must be empty when denying or failing the PodCertificateRequest";
            errors.push(differs(detail));
        }
    } else if ended(object, "Issued") {
        chain::check(root, old, now, errors);
    } else if !same {
        errors.push(differs("status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\""));
    }
}

/// A request has one end, and knows no other conditions.
fn end_conditions(at: &At<'_>, errors: &mut ErrorList) {
    let mut ends = 0;
    for (index, condition) in at.items().enumerate() {
        // Upstream puts a dot before the index.
        let place = At { value: condition.value, path: at.path.child(&format!("[{index}]")) };
        let kind = place.at("type");
        if !ENDS.contains(&kind.text()) {
            supported(&kind, ENDS, errors);
            continue;
        }
        ends += 1;
        if ends > 1 {
            let detail = r#"There may be at most one condition with type "Issued", "Denied", or "Failed""#;
            errors.push(kind.invalid(detail));
        }
        supported(&place.at("status"), &["True"], errors);
    }
}
