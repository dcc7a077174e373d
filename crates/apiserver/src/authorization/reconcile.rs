//! Keeping the policy that every cluster starts with.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use http::{Method, Request};
use serde_json::Value;

use super::{Rule, policy, rule::not_covered};
use crate::bootstrap::{Bootstrap, BootstrapError};

/// An operator sets this to `false` on an object to keep it as it is.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is to be done with an object of the policy.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// It has what it should have, or is not to be touched.
    Unchanged,
    /// It is to be replaced by this: what operators added stays.
    Updated(Value),
    /// It refers to another role, which cannot be changed: it is to be deleted and made again.
    Replaced(Value),
}

/// Writes in flight at a time: enough to share commits of the store.
const CONCURRENCY: usize = 16;

/// Makes and repairs the policy when a server starts.
#[derive(Debug, Clone, Copy)]
pub struct Policy;

#[async_trait]
impl Bootstrap for Policy {
    fn name(&self) -> &'static str {
        "RBAC policy"
    }

    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError> {
        let mut present = HashMap::new();
        for kind in ["clusterroles", "roles", "clusterrolebindings", "rolebindings"] {
            let list = send(client, Method::GET, &format!("{BASE}/{kind}"), None).await?;
            for object in list.get("items").and_then(Value::as_array).into_iter().flatten() {
                present.insert((kind, path_of(object)), object.clone());
            }
        }
        // Roles first: a binding without its role would grant nothing for a moment.
        let (bindings, roles): (Vec<_>, Vec<_>) =
            desired().into_iter().partition(|object| object.get("roleRef").is_some());
        for objects in [roles, bindings] {
            let writes = objects.into_iter().map(|object| {
                let known = present.get(&(plural(&object), path_of(&object)));
                ensure(client, object, known)
            });
            stream::iter(writes).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        Ok(())
    }
}

const BASE: &str = "/apis/rbac.authorization.k8s.io/v1";

async fn ensure(client: &kube::Client, desired: Value, present: Option<&Value>) -> Result<(), BootstrapError> {
    let object = path_of(&desired);
    let collection = collection_of(&desired);
    let Some(present) = present else { return create(client, &collection, &desired).await };
    match reconcile(present, &desired) {
        Reconciled::Unchanged => Ok(()),
        Reconciled::Updated(updated) => send(client, Method::PUT, &object, Some(&updated)).await.map(drop),
        Reconciled::Replaced(replacement) => {
            send(client, Method::DELETE, &object, None).await?;
            create(client, &collection, &replacement).await
        }
    }
}

/// Another server may have been faster.
async fn create(client: &kube::Client, collection: &str, object: &Value) -> Result<(), BootstrapError> {
    match send(client, Method::POST, collection, Some(object)).await {
        Err(error) if matches!(&*error.source, kube::Error::Api(status) if status.reason == "AlreadyExists") => Ok(()),
        created => created.map(drop),
    }
}

async fn send(
    client: &kube::Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, BootstrapError> {
    let failed = |source| BootstrapError { what: path.to_owned(), source: Box::new(source) };
    let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json").body(bytes);
    let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
    client.request(request).await.map_err(failed)
}

fn plural(object: &Value) -> &'static str {
    let namespaced = !object::meta::namespace(object).is_empty();
    match (object.get("roleRef").is_some(), namespaced) {
        (false, false) => "clusterroles",
        (false, true) => "roles",
        (true, false) => "clusterrolebindings",
        (true, true) => "rolebindings",
    }
}

fn collection_of(object: &Value) -> String {
    match object::meta::namespace(object) {
        "" => format!("{BASE}/{}", plural(object)),
        namespace => format!("{BASE}/namespaces/{namespace}/{}", plural(object)),
    }
}

fn path_of(object: &Value) -> String {
    format!("{}/{}", collection_of(object), object::meta::name(object))
}

/// The objects of the policy: roles before their bindings.
#[must_use]
pub fn desired() -> Vec<Value> {
    let mut objects = policy::objects().unwrap_or_else(|line| {
        tracing::error!(line, "the built-in policy cannot be read");
        Vec::new()
    });
    objects.sort_by_key(|object| object.get("roleRef").is_some());
    objects
}

/// Compares an object as it is with what it should be.
#[must_use]
pub fn reconcile(present: &Value, desired: &Value) -> Reconciled {
    if object::meta::annotation(present, AUTOUPDATE) == Some("false") {
        return Reconciled::Unchanged;
    }
    if present.get("roleRef") != desired.get("roleRef") {
        return Reconciled::Replaced(desired.clone());
    }
    let mut updated = present.clone();
    for field in ["labels", "annotations"] {
        add_missing(&mut updated["metadata"], &desired["metadata"], field);
    }
    if let Some(aggregation) = desired.get("aggregationRule") {
        if updated.get("aggregationRule").is_none_or(Value::is_null) {
            updated["aggregationRule"] = aggregation.clone();
        }
    } else {
        add_rules(&mut updated, desired);
    }
    add_subjects(&mut updated, desired);
    if updated == *present { Reconciled::Unchanged } else { Reconciled::Updated(updated) }
}

fn add_missing(present: &mut Value, desired: &Value, field: &str) {
    let Some(wanted) = desired.get(field).and_then(Value::as_object) else { return };
    for (key, value) in wanted {
        if present.get(field).and_then(|map| map.get(key)) != Some(value) {
            present[field][key] = value.clone();
        }
    }
}

/// Adds the rules that the present ones do not cover.
fn add_rules(present: &mut Value, desired: &Value) {
    let rules = |object: &Value| -> Vec<Rule> {
        object.get("rules").and_then(|rules| serde_json::from_value(rules.clone()).ok()).unwrap_or_default()
    };
    let held = rules(present);
    let missing = rules(desired)
        .into_iter()
        .filter(|rule| not_covered(&held, std::slice::from_ref(rule)).is_none_or(|uncovered| !uncovered.is_empty()));
    let missing: Vec<Value> = missing.filter_map(|rule| serde_json::to_value(rule).ok()).collect();
    append(present, "rules", missing);
}

fn add_subjects(present: &mut Value, desired: &Value) {
    let list = |object: &Value| object.get("subjects").and_then(Value::as_array).cloned().unwrap_or_default();
    let held = list(present);
    let missing = list(desired).into_iter().filter(|subject| !held.contains(subject)).collect();
    append(present, "subjects", missing);
}

fn append(object: &mut Value, field: &str, items: Vec<Value>) {
    if items.is_empty() {
        return;
    }
    match object.get_mut(field).and_then(Value::as_array_mut) {
        Some(list) => list.extend(items),
        None => object[field] = items.into(),
    }
}
