//! Admission plugins that come with the server, in upstream's order.

mod lifecycle;
mod priority;
mod service_account;
mod signers;
mod taints;
mod tolerations;

use std::sync::Arc;

use host::Host;
use serde_json::Value;

use crate::admit::{Admission, Admitted, Operation};
use crate::authorization::{EscalationCheck, Rbac};
use crate::error::{About, Error};

pub use lifecycle::NamespaceLifecycle;
pub use priority::Priority;
pub use service_account::ServiceAccount;
pub use signers::{CertificateSubjectRestriction, SignerPermissions};
pub use taints::TaintNodesByCondition;
pub use tolerations::DefaultTolerationSeconds;

/// The plugins that are on by default.
#[must_use]
pub fn plugins(rbac: &Rbac, host: &Host) -> Vec<Arc<dyn Admission>> {
    vec![
        Arc::new(NamespaceLifecycle),
        Arc::new(ServiceAccount { entropy: Arc::clone(&host.entropy) }),
        Arc::new(TaintNodesByCondition),
        Arc::new(Priority),
        Arc::new(DefaultTolerationSeconds),
        Arc::new(SignerPermissions(rbac.clone())),
        Arc::new(CertificateSubjectRestriction),
        Arc::new(EscalationCheck(rbac.clone())),
    ]
}

/// Whether pods themselves, no subresource, are written by one of `operations`.
fn writes_pod(admitted: &Admitted<'_>, operations: &[Operation]) -> bool {
    admitted.is("", "pods") && admitted.subresource.is_empty() && operations.contains(&admitted.operation)
}

/// The refusal of a write. New objects without a name are called by the prefix of the one they will get.
fn forbidden(admitted: &Admitted<'_>, object: &Value, why: impl std::fmt::Display) -> Error {
    let about = About { group: &admitted.resource.group, resource: &admitted.resource.resource };
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let names = [admitted.name, text("/metadata/name"), text("/metadata/generateName")];
    let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or("Unknown");
    Error::forbidden(about, name, why)
}

/// The list at `field` of an object, which is made when there is none.
fn list<'a>(object: &'a mut Value, field: &str) -> &'a mut Vec<Value> {
    if !object.get(field).is_some_and(Value::is_array) {
        object[field] = Value::Array(Vec::new());
    }
    object[field].as_array_mut().expect("the field was just made a list")
}
