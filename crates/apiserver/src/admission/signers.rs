//! What is done in the name of a signer: approving, signing and attesting, each a permission of its own.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use object::field::{self, Path};
use serde_json::Value;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::forbidden;
use crate::access::{Attributes, Decision};
use crate::admit::{Admission, Admitted, Operation};
use crate::authorization::Rbac;
use crate::error::{Error, Result};
use crate::user::MASTERS;

const GROUP: &str = "certificates.k8s.io";
/// The signer of the certificates with which clients come to this server.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// A write that is made in the name of a signer.
struct Deed {
    resource: &'static str,
    subresource: &'static str,
    verb: &'static str,
    /// What the writer is told that he may not do.
    what: &'static str,
    /// Whether a write leaves the deed undone.
    idle: fn(new: &Value, old: &Value) -> bool,
}

const DEEDS: &[Deed] = &[
    Deed {
        resource: "certificatesigningrequests",
        subresource: "approval",
        verb: "approve",
        what: "approve requests with",
        idle: |_, _| false,
    },
    Deed {
        resource: "certificatesigningrequests",
        subresource: "status",
        verb: "sign",
        what: "sign requests with",
        idle: |new, old| ["certificate", "conditions"].iter().all(|f| new["status"][*f] == old["status"][*f]),
    },
    Deed {
        resource: "clustertrustbundles",
        subresource: "",
        verb: "attest",
        what: "attest for",
        idle: |new, old| new["spec"] == old["spec"] && new["metadata"]["labels"] == old["metadata"]["labels"],
    },
    Deed {
        resource: "podcertificaterequests",
        subresource: "status",
        verb: "sign",
        what: "",
        idle: |new, old| new["status"] == old["status"],
    },
];

/// Upstream's `CertificateApproval`, `CertificateSigning` and `ClusterTrustBundleAttest`: who acts for a signer needs the
/// permission on `signers`, by name or for the whole domain.
#[derive(Debug)]
pub struct SignerPermissions(pub Rbac);

impl SignerPermissions {
    fn deed(admitted: &Admitted<'_>) -> Option<&'static Deed> {
        DEEDS.iter().find(|deed| admitted.is(GROUP, deed.resource) && admitted.subresource == deed.subresource)
    }

    fn allows(&self, admitted: &Admitted<'_>, verb: &str, name: &str) -> bool {
        let asked = Attributes {
            group: GROUP,
            version: "*",
            resource: "signers",
            name,
            path: None,
            ..Attributes::of_path(admitted.user, verb, "")
        };
        self.0.decide(&asked) == Decision::Allow
    }
}

#[async_trait]
impl Admission for SignerPermissions {
    fn name(&self) -> &'static str {
        "CertificateSigners"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        matches!(admitted.operation, Operation::Create | Operation::Update)
            && Self::deed(admitted).is_some()
            && !admitted.user.is_in(MASTERS)
    }

    async fn validate(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        let Some(deed) = Self::deed(admitted) else { return Ok(()) };
        let named = if deed.subresource.is_empty() { object } else { admitted.old.unwrap_or(object) };
        let signer = named["spec"]["signerName"].as_str().unwrap_or_default();
        let nothing = signer.is_empty() && deed.subresource.is_empty();
        if nothing || admitted.old.is_some_and(|old| (deed.idle)(object, old)) {
            return Ok(());
        }
        let domain = format!("{}/*", signer.split('/').next().unwrap_or_default());
        if [signer, &domain].iter().any(|name| self.allows(admitted, deed.verb, name)) {
            return Ok(());
        }
        if deed.what.is_empty() {
            return Err(not_permitted(admitted, deed.verb, signer));
        }
        Err(forbidden(admitted, object, format!("user not permitted to {} signerName {signer:?}", deed.what)))
    }
}

/// Requests of pods are refused as if they were wrong, as upstream does.
fn not_permitted(admitted: &Admitted<'_>, verb: &str, signer: &str) -> Error {
    let path = Path::new("spec").child("signerName");
    let why = format!("User {:?} is not permitted to {verb:?} for signer {signer:?}", admitted.user.name);
    Error::invalid(GROUP, &admitted.kind.kind, admitted.name, &field::Error::forbidden(&path, why).into())
}

/// Nobody asks for a certificate that may do everything.
#[derive(Debug)]
pub struct CertificateSubjectRestriction;

#[async_trait]
impl Admission for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        admitted.operation == Operation::Create
            && admitted.is(GROUP, "certificatesigningrequests")
            && admitted.subresource.is_empty()
    }

    async fn validate(&self, admitted: &Admitted<'_>, object: &Value) -> Result<()> {
        if object["spec"]["signerName"] != CLIENT_SIGNER || !asks_for_masters(object) {
            return Ok(());
        }
        let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed");
        Err(forbidden(admitted, object, why))
    }
}

/// Whether an organization of the request, which was checked before, is the group that may do everything.
fn asks_for_masters(object: &Value) -> bool {
    let text = STANDARD.decode(object["spec"]["request"].as_str().unwrap_or_default()).unwrap_or_default();
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(&text) else { return false };
    let Ok((_, request)) = X509CertificationRequest::from_der(&pem.contents) else { return false };
    let subject = &request.certification_request_info.subject;
    subject.iter_organization().any(|organization| organization.as_str().is_ok_and(|name| name == MASTERS))
}
