//! Tells the API what was decided: a binding, or why there is none.

use std::sync::Arc;
use std::time::Duration;

use control::events::Recorder;
use http::Request;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use serde_json::{Value, json};

use super::report;
use crate::pod::PodInfo;

/// How long one request may take before its outcome counts as unknown.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

pub(super) struct Binder {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
}

/// What became of a decision.
pub(super) enum Bound {
    Done,
    /// The pod is gone.
    Gone(Arc<PodInfo>),
    /// To be tried again.
    Failed(Arc<PodInfo>),
}

impl Binder {
    /// Binds `pod` to `node`.
    pub(super) async fn bind(&self, pod: Arc<PodInfo>, node: Arc<str>) -> Bound {
        let error = match self.post(&pod, &node).await {
            Ok(()) => return self.bound(&pod, &node),
            Err(error) => error,
        };
        // Lost answers and refusals alike: what the server has now decides.
        match self.live(&pod).await {
            Ok(Some(live)) if live["spec"]["nodeName"].as_str() == Some(&node) => self.bound(&pod, &node),
            Ok(Some(live)) if live["spec"]["nodeName"].as_str().is_none_or(str::is_empty) => {
                let message = format!("binding rejected: {error}");
                self.recorder.record(report(&pod, true, "FailedScheduling", message));
                Bound::Failed(pod)
            }
            // Bound elsewhere: the watch will show where.
            Ok(Some(_)) => Bound::Done,
            Ok(None) => Bound::Gone(pod),
            Err(_) => Bound::Failed(pod),
        }
    }

    fn bound(&self, pod: &PodInfo, node: &str) -> Bound {
        let message = format!("Successfully assigned {}/{} to {node}", pod.namespace, pod.name);
        self.recorder.record(report(pod, false, "Scheduled", message));
        Bound::Done
    }

    async fn post(&self, pod: &PodInfo, node: &str) -> Result<(), String> {
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let request = Request::post(format!("{}/binding", path(pod)))
            .header(CONTENT_TYPE, "application/json")
            .body(binding.to_string().into_bytes())
            .map_err(|error| error.to_string())?;
        match tokio::time::timeout(REQUEST_LIMIT, self.client.request::<Value>(request)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(elapsed) => Err(elapsed.to_string()),
        }
    }

    /// The live pod; `None` when it is gone or another has its name.
    async fn live(&self, pod: &PodInfo) -> Result<Option<Value>, kube::Error> {
        let request = Request::get(path(pod)).body(Vec::new()).map_err(kube::Error::HttpError)?;
        match self.client.request::<Value>(request).await {
            Ok(live) if live["metadata"]["uid"].as_str() == Some(&pod.uid) => Ok(Some(live)),
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says in an event why the pod has no place.
    pub(super) fn warn(&self, pod: &PodInfo, message: &str) {
        self.recorder.record(report(pod, true, "FailedScheduling", message.to_owned()));
    }

    /// Says in the pod's status why it has no place.
    pub(super) async fn tell(&self, pod: Arc<PodInfo>, now: Timestamp, message: String) -> Bound {
        let condition = json!({
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": Time(now),
        });
        let patch = json!({"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}});
        let request = Request::patch(format!("{}/status", path(&pod)))
            .header(CONTENT_TYPE, "application/strategic-merge-patch+json")
            .body(patch.to_string().into_bytes());
        if let Ok(request) = request
            && let Ok(Err(error)) = tokio::time::timeout(REQUEST_LIMIT, self.client.request::<Value>(request)).await
        {
            tracing::debug!(pod = %pod.name, %error, "cannot say why the pod has no place");
        }
        Bound::Done
    }
}

fn path(pod: &PodInfo) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", pod.namespace, pod.name)
}
