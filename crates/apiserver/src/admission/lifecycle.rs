//! Objects need a namespace that is there and stays; some namespaces stay for ever.

use async_trait::async_trait;
use serde_json::Value;

use super::forbidden;
use crate::admit::{Admission, Admitted, Operation};
use crate::error::{About, Error, Result};

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

const NAMESPACES: About<'_> = About { group: "", resource: "namespaces" };

/// Upstream's `NamespaceLifecycle`.
#[derive(Debug, Clone, Copy)]
pub struct NamespaceLifecycle;

#[async_trait]
impl Admission for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        let namespaces = admitted.is("", "namespaces");
        match admitted.operation {
            Operation::Delete => namespaces,
            Operation::Create | Operation::Update => {
                !namespaces
                    && !admitted.namespace.is_empty()
                    && !admitted.is("authorization.k8s.io", "localsubjectaccessreviews")
            }
            Operation::Connect => false,
        }
    }

    async fn mutate(&self, admitted: &Admitted<'_>, object: &mut Value) -> Result<()> {
        if admitted.operation == Operation::Delete {
            let immortal = IMMORTAL.contains(&admitted.name);
            let refusal = || Err(Error::forbidden(NAMESPACES, admitted.name, "this namespace may not be deleted"));
            return if immortal { refusal() } else { Ok(()) };
        }
        let namespace = admitted.namespace;
        let find = || admitted.objects.get("", "namespaces", "", namespace);
        let found = match find() {
            Some(found) => found,
            // It may have been created a moment ago.
            None => {
                admitted.objects.fresh().await?;
                find().ok_or_else(|| Error::not_found(NAMESPACES, namespace))?
            }
        };
        let terminating = || found.value().pointer("/status/phase").is_some_and(|phase| phase == "Terminating");
        if admitted.operation == Operation::Create && terminating() {
            let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
            let message = format!("namespace {namespace} is being terminated");
            let refusal = forbidden(admitted, object, why);
            return Err(refusal.cause("NamespaceTerminating", message, "metadata.namespace"));
        }
        Ok(())
    }
}
