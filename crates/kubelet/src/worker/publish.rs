//! Telling the API how the pod is.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Done, Worker};
use crate::merge;
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
        if self.publisher.busy || (!self.memory.forgotten && self.publisher.retry_at.is_some_and(|at| at > now)) {
            return;
        }
        self.publisher.retry_at = None;
        if self.memory.forgotten {
            return;
        }
        let Some(status) = self.unpublished() else { return };
        let wanted = serde_json::to_value(&self.status).unwrap_or_default();
        self.publisher.busy = true;
        self.publisher.sent = Some((wanted, 0));
        let patch = Patch::Strategic(json!({"metadata": {"uid": self.desired.uid()}, "status": status}));
        let api: Api<Pod> = Api::namespaced(self.context.client.clone(), self.desired.namespace());
        let name = self.desired.name().to_owned();
        self.run_operation(async move {
            Done::Published(api.patch_status(&name, &PatchParams::default(), &patch).await.map(Box::new))
        });
    }

    /// The difference to what the API shows, unless just that has been sent already and left no trace.
    fn unpublished(&self) -> Option<Value> {
        let wanted = serde_json::to_value(&self.status).unwrap_or_default();
        let shown = self.desired.pod.status.as_ref().and_then(|status| serde_json::to_value(status).ok());
        let patch = merge::difference(&shown.unwrap_or_default(), &wanted, &["podIPs", "hostIPs"])?;
        let sent = self.publisher.sent.as_ref();
        let in_vain = sent.is_some_and(|(sent, at)| *sent == wanted && *at == revision(&self.desired.pod));
        (!in_vain).then_some(patch)
    }

    /// Whether the API shows the present status.
    pub(super) fn is_published(&self) -> bool {
        self.memory.forgotten || (!self.publisher.busy && self.unpublished().is_none())
    }

    pub(super) fn published(&mut self, result: Result<Box<Pod>, kube::Error>, now: Timestamp) {
        self.publisher.busy = false;
        match result {
            Ok(pod) => {
                if let Some((_, at)) = &mut self.publisher.sent {
                    *at = revision(&pod);
                }
                self.adopt(Arc::new(Desired::new(Arc::from(pod))));
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
