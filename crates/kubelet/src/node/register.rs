//! Registering the node and keeping its status true.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use host::Host;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::pressure::Left;
use super::status::{self, Fixed, Observed};
use crate::merge;
use crate::runtime::Runtime;

/// How often the node is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// How often while it is not ready.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// How often the status is sent although nothing has changed.
const REPORT: SignedDuration = SignedDuration::from_mins(5);
const RETRY: Duration = Duration::from_millis(500);

/// Registers the node, or takes it over as it was left. Goes on until the API has it.
pub async fn register(client: &kube::Client, fixed: &Fixed, host: &Host, progress: impl Fn(String)) -> Option<Node> {
    let shutdown = host.shutdown();
    loop {
        let why = match try_register(client, fixed).await {
            Ok(node) => return Some(node),
            Err(error) => error,
        };
        progress(format!("registering node {}: {why}", fixed.name));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn try_register(client: &kube::Client, fixed: &Fixed) -> Result<Node, kube::Error> {
    let api: Api<Node> = Api::all(client.clone());
    let wanted = status::node(fixed);
    match api.create(&PostParams::default(), &wanted).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
        result => return result,
    }
    let known = api.get(&fixed.name).await?;
    let empty = BTreeMap::new();
    let labels = known.metadata.labels.as_ref().unwrap_or(&empty);
    let missing: BTreeMap<_, _> =
        wanted.metadata.labels.iter().flatten().filter(|(key, value)| labels.get(*key) != Some(*value)).collect();
    if missing.is_empty() {
        return Ok(known);
    }
    let patch = Patch::Merge(json!({"metadata": {"labels": missing}}));
    api.patch(&fixed.name, &PatchParams::default(), &patch).await
}

/// Keeps the status of a registered node true.
pub struct Reporter {
    pub client: kube::Client,
    pub runtime: Runtime,
    pub fixed: Fixed,
    pub host: Host,
    /// On the disk that counts.
    pub data: PathBuf,
    /// Told whether the API shows the node as ready.
    pub ready: watch::Sender<bool>,
}

impl Reporter {
    /// Reports until shutdown.
    pub async fn run(self, node: Node) {
        let shutdown = self.host.shutdown();
        let mut shown = node.status.unwrap_or_default();
        let mut reported: Option<Timestamp> = None;
        loop {
            let observed = self.observe().await;
            let now = self.host.now();
            let status = status::status(&self.fixed, &observed, &shown, now);
            let due = reported.is_none_or(|at| now.duration_since(at) >= REPORT);
            if let Some(patch) = difference(&shown, &status, due) {
                match self.send(patch).await {
                    Ok(node) => {
                        shown = node.status.unwrap_or_default();
                        reported = Some(now);
                    }
                    Err(error) => tracing::warn!(%error, node = self.fixed.name, "reporting the node's status"),
                }
            }
            let ready = status::is_ready(&shown);
            self.ready.send_replace(ready);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(if ready { LOOK } else { LOOK_SOON }) => {}
            }
        }
    }

    async fn observe(&self) -> Observed {
        let (runtime, images) = tokio::join!(self.runtime.status(), self.runtime.list_images());
        Observed {
            pressure: Left::measure(&self.data).pressure(),
            runtime: runtime.ok(),
            images: images.unwrap_or_default(),
        }
    }

    async fn send(&self, status: Value) -> Result<Node, kube::Error> {
        let api: Api<Node> = Api::all(self.client.clone());
        let patch = Patch::Strategic(json!({"status": status}));
        api.patch_status(&self.fixed.name, &PatchParams::default(), &patch).await
    }
}

/// What has to be sent. Heartbeats alone are no reason unless a report is due.
fn difference(shown: &NodeStatus, status: &NodeStatus, due: bool) -> Option<Value> {
    let value = |status: &NodeStatus| serde_json::to_value(status).unwrap_or_default();
    let quiet = |status: &NodeStatus| {
        let mut status = status.clone();
        status.conditions.iter_mut().flatten().for_each(|condition| condition.last_heartbeat_time = None);
        value(&status)
    };
    if !due && quiet(shown) == quiet(status) {
        return None;
    }
    merge::difference(&value(shown), &value(status), &["addresses"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::NodeCondition;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    #[test]
    fn heartbeats_alone_wait_until_a_report_is_due() {
        let at = |second, status: &str| NodeStatus {
            conditions: Some(vec![NodeCondition {
                type_: "Ready".into(),
                status: status.into(),
                last_heartbeat_time: Some(Time(Timestamp::from_second(second).unwrap())),
                ..Default::default()
            }]),
            ..Default::default()
        };
        assert_eq!(difference(&at(1, "True"), &at(2, "True"), false), None);
        assert!(difference(&at(1, "True"), &at(2, "True"), true).is_some());
        assert!(difference(&at(1, "True"), &at(2, "False"), false).is_some());
    }
}
