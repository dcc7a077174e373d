//! Bundles of trusted certificates.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{pem, signer_name};
use crate::strategy::field::{At, immutable};
use crate::strategy::{Context, Strategy, without_final_dash};

/// In bytes.
const MAX_SIZE: usize = 1 << 20;

pub(in crate::strategy) struct ClusterTrustBundle;

impl Strategy for ClusterTrustBundle {
    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        validate(&At::root(object).at("spec"), true)
    }

    fn validate_update(&self, _: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (spec, old) = (At::root(object).at("spec"), &old["spec"]);
        let mut errors = ErrorList::new();
        let name = object::meta::name(object);
        let path = object::field::Path::new("metadata").child("name");
        errors.extend_invalid(&path, name, self.check_name_of(object, name, false));
        errors.extend(validate(&spec, spec.at("trustBundle").value != &old["trustBundle"]));
        immutable(&spec.at("signerName"), &old["signerName"], &mut errors);
        errors
    }

    fn check_name_of(&self, object: &Value, name: &str, prefix: bool) -> Vec<String> {
        let signer = object["spec"]["signerName"].as_str().unwrap_or_default();
        let subdomain = |name| names::dns1123_subdomain(&without_final_dash(name, prefix));
        if signer.is_empty() {
            let text = "ClusterTrustBundle without signer name must not have \":\" in its name";
            return if name.contains(':') { vec![text.to_owned()] } else { subdomain(name) };
        }
        let start = format!("{}:", signer.replace('/', ":"));
        match name.strip_prefix(&start) {
            Some(name) => subdomain(name),
            None => vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {start}")],
        }
    }

    fn allows_unconditional_update(&self) -> bool {
        false
    }
}

fn validate(spec: &At<'_>, check_bundle: bool) -> ErrorList {
    let mut errors = ErrorList::new();
    let signer = spec.at("signerName");
    if !signer.is_empty() {
        signer_name(&signer, &mut errors);
    }
    if check_bundle {
        bundle(&spec.at("trustBundle"), &mut errors);
    }
    errors
}

fn bundle(at: &At<'_>, errors: &mut ErrorList) {
    if at.text().len() > MAX_SIZE {
        errors.push(Error::too_long(&at.path, MAX_SIZE));
        return;
    }
    let invalid = |detail: String| Error::invalid(&at.path, "<value omitted>", detail);
    let blocks = pem::blocks(at.text());
    let before = errors.len();
    for (index, block) in blocks.iter().enumerate() {
        errors.extend(anchor(block).err().map(|why| invalid(format!("entry {index} {why}"))));
    }
    if errors.len() > before {
        return;
    }
    if blocks.is_empty() {
        errors.push(invalid("at least one trust anchor must be provided".to_owned()));
    }
    for (first, block) in blocks.iter().enumerate() {
        if blocks[..first].contains(block) {
            continue;
        }
        let same: Vec<String> =
            blocks.iter().enumerate().filter(|(_, other)| *other == block).map(|(at, _)| at.to_string()).collect();
        if same.len() > 1 {
            errors.push(invalid(format!("duplicate trust anchor (indices [{}])", same.join(" "))));
        }
    }
}

/// A block must be the certificate of an authority.
fn anchor(block: &pem::Block<'_>) -> Result<(), String> {
    if block.kind != "CERTIFICATE" {
        return Err(format!("has bad block type: {}", block.kind));
    }
    if block.has_headers {
        return Err("has PEM block headers".to_owned());
    }
    let (_, certificate) = X509Certificate::from_der(&block.der).map_err(|_| "does not parse as X.509")?;
    let constraints = certificate.basic_constraints().map_err(|_| "has invalid basic constraints")?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        Ok(())
    } else {
        Err("does not have the CA bit set".to_owned())
    }
}
