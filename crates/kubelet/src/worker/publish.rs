//! Telling the API how the pod is.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use super::{Done, Worker};
use crate::pod::desired::Desired;

const RETRY: SignedDuration = SignedDuration::from_secs(1);

/// What was last told, and whether something is being told.
#[derive(Default)]
pub(super) struct Publisher {
    busy: bool,
    /// The status that was sent last and the revision that came of it.
    sent: Option<(Value, u64)>,
    pub(super) retry_at: Option<Timestamp>,
}

impl Worker {
    /// Sends what the API does not show yet; one request at a time.
    pub(super) fn publish(&mut self, now: Timestamp) {
        if self.publisher.busy || self.memory.forgotten || self.publisher.retry_at.is_some_and(|at| at > now) {
            return;
        }
        let Some(status) = self.unpublished() else { return };
        let wanted = serde_json::to_value(&self.status).unwrap_or_default();
        self.publisher.busy = true;
        self.publisher.retry_at = None;
        self.publisher.sent = Some((wanted, 0));
        let patch = Patch::Strategic(json!({"metadata": {"uid": self.desired.uid()}, "status": status}));
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), self.desired.namespace());
        let name = self.desired.name().to_owned();
        self.run_operation(async move {
            Done::Published(api.patch_status(&name, &PatchParams::default(), &patch).await)
        });
    }

    /// The difference to what the API shows, unless just that has been sent already and left no trace.
    fn unpublished(&self) -> Option<Value> {
        let patch = difference(self.desired.pod.status.as_ref(), &self.status)?;
        let wanted = serde_json::to_value(&self.status).unwrap_or_default();
        let sent = self.publisher.sent.as_ref();
        let in_vain = sent.is_some_and(|(sent, at)| *sent == wanted && *at == revision(&self.desired.pod));
        (!in_vain).then_some(patch)
    }

    /// Whether the API shows the present status.
    pub(super) fn is_published(&self) -> bool {
        self.memory.forgotten || (!self.publisher.busy && self.unpublished().is_none())
    }

    pub(super) fn published(&mut self, result: Result<Pod, kube::Error>, now: Timestamp) {
        self.publisher.busy = false;
        match result {
            Ok(pod) => {
                if let Some((_, at)) = &mut self.publisher.sent {
                    *at = revision(&pod);
                }
                self.adopt(Arc::new(Desired::new(Arc::new(pod))));
            }
            Err(kube::Error::Api(status)) if status.code == 404 || (status.code == 409 && uid_changed(&status)) => {
                self.memory.forgotten = true;
            }
            Err(error) => {
                tracing::debug!(pod = self.desired.label(), %error, "publishing a pod's status");
                self.publisher.sent = None;
                self.publisher.retry_at = now.saturating_add(RETRY).ok();
            }
        }
    }
}

/// Whether a conflict means that the name belongs to another pod by now.
fn uid_changed(status: &kube::core::Status) -> bool {
    status.message.to_lowercase().contains("uid")
}

pub(super) fn revision(pod: &Pod) -> u64 {
    informer::parse_revision(pod.metadata.resource_version.as_deref())
}

/// A strategic merge patch that turns `old` into `new`; `None` where they are the same.
fn difference(old: Option<&PodStatus>, new: &PodStatus) -> Option<Value> {
    let object = |status: Option<&PodStatus>| match serde_json::to_value(status.cloned().unwrap_or_default()) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (old, new) = (object(old), object(Some(new)));
    let mut patch = Map::new();
    for (key, value) in &new {
        if old.get(key) == Some(value) {
            continue;
        }
        let value = match (key.as_str(), value, old.get(key)) {
            ("conditions", Value::Array(new), Some(Value::Array(old))) => {
                Value::Array(new.iter().filter(|condition| !old.contains(condition)).cloned().collect())
            }
            // lists that would be merged element by element
            ("podIPs" | "hostIPs", Value::Array(new), Some(_)) => {
                Value::Array(std::iter::once(json!({"$patch": "replace"})).chain(new.iter().cloned()).collect())
            }
            _ => value.clone(),
        };
        patch.insert(key.clone(), value);
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: Value, new: Value, expected: Value) {
        let (old, new): (PodStatus, PodStatus) =
            (serde_json::from_value(old).unwrap(), serde_json::from_value(new).unwrap());
        assert_eq!(difference(Some(&old), &new).unwrap_or_default(), expected);
    }

    #[test]
    fn differences() {
        check(json!({"phase": "Running"}), json!({"phase": "Running"}), Value::Null);
        check(json!({"phase": "Pending", "reason": "x"}), json!({"phase": "Running"}), json!({"phase": "Running", "reason": null}));
        let (a, b) = (json!({"type": "A", "status": "True"}), json!({"type": "B", "status": "False"}));
        let c = json!({"type": "B", "status": "True"});
        check(json!({"conditions": [a, b]}), json!({"conditions": [a, c]}), json!({"conditions": [c]}));
        check(
            json!({"podIPs": [{"ip": "1.1.1.1"}]}),
            json!({"podIPs": [{"ip": "2.2.2.2"}]}),
            json!({"podIPs": [{"$patch": "replace"}, {"ip": "2.2.2.2"}]}),
        );
        // sub-second times are not shown
        let at = |time: &str| json!({"startTime": time});
        check(at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:01.5Z"), Value::Null);
    }
}
