//! Binding pods to nodes.

use async_trait::async_trait;
use object::field::{Error as FieldError, ErrorList, Path};
use serde_json::{Value, json};

use super::current::{Change, Current, Edit};
use super::metadata::{is_deleting, metadata, text};
use super::{Admitting, Registry, Scope};
use crate::admit::Operation;
use crate::error::{About, Error, Result};
use crate::parameters::WriteOptions;

/// Gives a pod its node.
struct Binding<'a> {
    registry: &'a Registry,
    scope: &'a Scope<'a>,
    admitting: &'a Admitting,
    binding: &'a Value,
}

#[async_trait]
impl Edit for Binding<'_> {
    async fn edit(&mut self, current: &Current) -> Result<Change> {
        let (registry, scope) = (self.registry, self.scope);
        let admitted = self.admitting.admitted(scope, &registry.objects, &scope.target.name, None);
        let mut binding = self.binding.clone();
        registry.mutate(&admitted, &mut binding).await?;
        registry.judge(&admitted, &binding).await?;
        self.check(&current.object)?;
        let mut pod = current.object.clone();
        pod["spec"]["nodeName"] = binding["target"]["name"].clone();
        for field in ["annotations", "labels"] {
            merge(&mut pod, &binding, field);
        }
        scheduled(&mut pod, &object::time::seconds(registry.host.now()));
        Ok(Change::Put { object: pod, reservation: None })
    }
}

impl Binding<'_> {
    fn check(&self, pod: &Value) -> Result<()> {
        let name = &self.scope.target.name;
        let refuse = |why: String| Err(Error::conflict(About { group: "", resource: "pods/binding" }, name, why));
        let wanted = text(self.binding, "uid");
        if !wanted.is_empty() && wanted != text(pod, "uid") {
            let found = text(pod, "uid");
            return refuse(format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"));
        }
        if is_deleting(pod) {
            return refuse(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        match pod["spec"]["nodeName"].as_str() {
            None | Some("") => {}
            Some(node) => return refuse(format!("pod {name} is already assigned to node {node:?}")),
        }
        if pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
            return refuse(format!("pod {name} has non-empty .spec.schedulingGates"));
        }
        Ok(())
    }
}

impl Registry {
    /// Binds the pod that `scope` names.
    pub(crate) async fn bind(&self, scope: &Scope<'_>, binding: &Value, options: &WriteOptions) -> Result<()> {
        validate(scope, binding)?;
        let mut admitting =
            Admitting::new(scope, Operation::Create, options.to_value("CreateOptions"), options.dry_run);
        admitting.kind = object::Gvk::new("", "v1", "Binding");
        let mut edit = Binding { registry: self, scope, admitting: &admitting, binding };
        let written = self.change(scope, &scope.key(), &mut edit, options.dry_run).await?;
        written.map(drop).ok_or_else(|| scope.not_found())
    }
}

fn validate(scope: &Scope<'_>, binding: &Value) -> Result<()> {
    let mut errors = ErrorList::new();
    let path = Path::new("target");
    let kind = binding["target"]["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        errors.push(FieldError::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    if binding["target"]["name"].as_str().unwrap_or_default().is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid("", "Binding", &scope.target.name, &errors)) }
}

/// Adds the binding's annotations or labels to the pod's.
fn merge(pod: &mut Value, binding: &Value, field: &str) {
    let Some(added) = binding["metadata"][field].as_object().filter(|added| !added.is_empty()) else { return };
    let place = metadata(pod).entry(field).or_insert_with(|| json!({}));
    if let Some(present) = place.as_object_mut() {
        present.extend(added.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
}

/// The condition `PodScheduled` becomes true.
fn scheduled(pod: &mut Value, now: &str) {
    let generation = pod["metadata"]["generation"].clone();
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    if !pod["status"]["conditions"].is_array() {
        pod["status"]["conditions"] = json!([]);
    }
    let Some(conditions) = pod["status"]["conditions"].as_array_mut() else { return };
    let mut condition =
        json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    if generation.is_number() {
        condition["observedGeneration"] = generation;
    }
    match conditions.iter_mut().find(|condition| condition["type"] == "PodScheduled") {
        Some(present) if present["status"] == "True" => {}
        Some(present) => *present = condition,
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_learn_that_they_are_scheduled() {
        let mut pod = json!({"metadata": {}, "spec": {}});
        scheduled(&mut pod, "t");
        assert_eq!(pod["status"]["conditions"][0]["status"], "True");
        pod["status"]["conditions"][0]["status"] = "False".into();
        scheduled(&mut pod, "u");
        assert_eq!(
            pod["status"]["conditions"],
            json!([
                {"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": "u"}
            ])
        );
    }

    #[test]
    fn annotations_are_added() {
        let mut pod = json!({"metadata": {"annotations": {"a": "1"}}});
        merge(&mut pod, &json!({"metadata": {"annotations": {"b": "2"}}}), "annotations");
        assert_eq!(pod["metadata"]["annotations"], json!({"a": "1", "b": "2"}));
    }
}
