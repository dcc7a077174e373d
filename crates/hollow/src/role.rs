//! The role: registers its nodes, keeps their Leases, follows their pods.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use host::{Host, Ready, Role, RoleError};
use informer::{Cache, Informers, Key};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::node::{LEASE_NAMESPACE, lease, registration, status};
use crate::pod::{Action, step};

/// How often a node renews its Lease.
const RENEW: Duration = Duration::from_secs(10);
/// Requests that are under way at once.
const IN_FLIGHT: usize = 32;
/// Pause before pods that could not be reported are looked at again.
const RETRY: Duration = Duration::from_secs(1);
const MANAGER: &str = "hollow";

/// Which nodes, and how large each is.
#[derive(Debug, Clone)]
pub struct Options {
    pub names: Vec<String>,
    /// Quantities.
    pub cpu: String,
    pub memory: String,
    pub pods: u32,
}

impl Options {
    /// Nodes of a usual size: 4 CPUs, 16 GiB, 110 pods.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self { names, cpu: "4".into(), memory: "16Gi".into(), pods: 110 }
    }
}

/// Any number of nodes without containers.
#[derive(Debug)]
pub struct Hollow {
    options: Options,
    informers: Informers,
}

impl Hollow {
    #[must_use]
    pub fn new(options: Options, informers: Informers) -> Self {
        Self { options, informers }
    }
}

#[async_trait]
impl Role for Hollow {
    fn name(&self) -> &'static str {
        "hollow"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        let shutdown = host.shutdown();
        let work =
            Work { names: self.options.names.iter().cloned().collect(), pods: self.informers.of(), host, role: *self };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            result = work.run(&ready) => result,
        }
    }
}

struct Work {
    role: Hollow,
    host: Host,
    names: BTreeSet<String>,
    pods: Cache<Pod>,
}

impl Work {
    async fn run(&self, ready: &Ready) -> Result<(), RoleError> {
        ready.report(format!("registering {} nodes", self.names.len()));
        self.register_all().await.map_err(|e| RoleError::new("registering hollow nodes", e))?;
        ready.done();
        tokio::join!(self.keep_leases(), self.follow_pods());
        Ok(())
    }

    async fn register_all(&self) -> Result<(), kube::Error> {
        let names = stream::iter(self.names.clone());
        names
            .map(|name| self.register(name))
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect()
    }

    async fn renew_all(&self) -> Result<(), kube::Error> {
        let names = stream::iter(self.names.clone());
        names.map(|name| self.renew(name)).buffer_unordered(IN_FLIGHT).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn register(&self, name: String) -> Result<(), kube::Error> {
        let options = &self.role.options;
        let nodes = Api::<Node>::all(self.client());
        exists_is_fine(nodes.create(&PostParams::default(), &typed(registration(&name))?).await)?;
        let status = status(&options.cpu, &options.memory, options.pods, self.host.now());
        nodes.patch_status(&name, &parameters(), &Patch::Merge(status)).await?;
        self.renew(name).await
    }

    async fn renew(&self, name: String) -> Result<(), kube::Error> {
        let leases = Api::<Lease>::namespaced(self.client(), LEASE_NAMESPACE);
        let lease = lease(&name, self.host.now());
        match leases.patch(&name, &parameters(), &Patch::Merge(&lease)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                leases.create(&PostParams::default(), &typed(lease)?).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn keep_leases(&self) {
        let mut next = Instant::now() + RENEW;
        loop {
            sleep_until(next).await;
            next += RENEW;
            if let Err(error) = self.renew_all().await {
                tracing::warn!(%error, "renewing the Leases of hollow nodes");
            }
        }
    }

    async fn follow_pods(&self) {
        let mut changed = self.pods.keys();
        while let Some(keys) = changed.next().await {
            let mut left = keys;
            while !left.is_empty() {
                left = self.settle(left).await;
                if !left.is_empty() {
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Acts on every pod in `keys` that is ours; returns those that must be looked at again.
    async fn settle(&self, keys: Vec<Key>) -> Vec<Key> {
        let acted = stream::iter(keys).map(async |key| {
            let pod = self.pods.get(key.namespace(), key.name()).filter(|pod| self.ours(pod))?;
            let result = self.act(&pod).await;
            result.inspect_err(|error| tracing::warn!(%key, %error, "reporting a hollow pod")).err().map(|_| key)
        });
        acted.buffer_unordered(IN_FLIGHT).filter_map(|key| async { key }).collect().await
    }

    fn ours(&self, pod: &Pod) -> bool {
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()).is_some_and(|name| self.names.contains(name))
    }

    async fn act(&self, pod: &Arc<Pod>) -> Result<(), kube::Error> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let pods = Api::<Pod>::namespaced(self.client(), pod.metadata.namespace.as_deref().unwrap_or_default());
        match step(pod, self.host.now()) {
            Action::None => Ok(()),
            Action::Report(patch) => {
                gone_is_fine(pods.patch_status(name, &parameters(), &Patch::Strategic(patch)).await)
            }
            Action::Remove => {
                let uid = pod.metadata.uid.clone();
                let preconditions = Some(Preconditions { uid, resource_version: None });
                gone_is_fine(
                    pods.delete(name, &DeleteParams { preconditions, ..DeleteParams::default().grace_period(0) }).await,
                )
            }
        }
    }

    fn client(&self) -> kube::Client {
        self.role.informers.client().clone()
    }
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, kube::Error> {
    serde_json::from_value(value).map_err(kube::Error::SerdeError)
}

fn exists_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    accept(result, 409)
}

/// A pod that was deleted or replaced meanwhile needs no report.
fn gone_is_fine<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    accept(accept(result, 404), 409)
}

fn accept<T>(result: Result<T, kube::Error>, code: u16) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == code => Ok(()),
        other => other.map(drop),
    }
}
