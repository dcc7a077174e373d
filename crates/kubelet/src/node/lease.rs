//! The node's heartbeat: a Lease renewed every ten seconds.

use std::time::Duration;

use host::Host;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;

const NAMESPACE: &str = "kube-node-lease";
const SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
/// The wait after a failed renewal: doubling up to this.
const MAX_RETRY: Duration = Duration::from_secs(7);

/// Renews the Lease of `node` until shutdown.
pub async fn run(client: kube::Client, node: Node, host: Host) {
    let shutdown = host.shutdown();
    let api: Api<Lease> = Api::namespaced(client, NAMESPACE);
    let mut retry = Duration::from_millis(200);
    loop {
        let wait = match renew(&api, &node, host.now()).await {
            Ok(()) => {
                retry = Duration::from_millis(200);
                RENEW
            }
            Err(error) => {
                tracing::warn!(%error, "renewing the node's lease");
                retry = (retry * 2).min(MAX_RETRY);
                retry
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn renew(api: &Api<Lease>, node: &Node, now: Timestamp) -> Result<(), kube::Error> {
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let patch = Patch::Merge(json!({"spec": {"renewTime": MicroTime(now), "holderIdentity": name}}));
    match api.patch(name, &PatchParams::default(), &patch).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {
            api.create(&PostParams::default(), &lease(node, name, now)).await.map(drop)
        }
        result => result.map(drop),
    }
}

fn lease(node: &Node, name: &str, now: Timestamp) -> Lease {
    let owner = OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: name.to_owned(),
        uid: node.metadata.uid.clone().unwrap_or_default(),
        ..Default::default()
    };
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.into()),
            owner_references: Some(vec![owner]),
            ..Default::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(SECONDS),
            renew_time: Some(MicroTime(now)),
            ..Default::default()
        }),
    }
}
