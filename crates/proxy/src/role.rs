//! The role: follows Services and EndpointSlices and keeps the tables as they say.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use host::{Host, Ready, Role, RoleError};
use informer::{Cache, Change, Index, Informers, Key, Object};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use netfilter::Socket;
use tokio::task::spawn_blocking;

use crate::flows::forget_stale;
use crate::fragment::{Node, fragment};
use crate::state::State;
use crate::tables::Tables;

/// The label that names the Service of a slice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How long to wait after the kernel refused.
const RETRY: Duration = Duration::from_secs(1);

/// What the proxy of one node is made of.
#[derive(Clone)]
pub struct Options {
    pub informers: Informers,
    /// The name under which this node's endpoints are local.
    pub node_name: String,
    /// Short lowercase id that keeps several instances on one machine apart.
    pub instance: String,
    /// The pods of all nodes; other clients are masqueraded. None: nobody is.
    pub cluster_cidrs: Vec<IpNet>,
    /// Service addresses: what goes there and belongs to no Service is rejected.
    pub service_cidrs: Vec<IpNet>,
    /// Where node ports answer.
    pub node_ips: Vec<IpAddr>,
}

/// Services on this node. Leaves the tables in place when it ends, so that connections outlive an upgrade.
pub struct Proxy {
    options: Options,
}

impl Proxy {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }
}

/// Removes the tables of `instance`; fine when there are none. Blocks for the time of a transaction.
///
/// # Errors
/// When the kernel refuses.
pub fn cleanup(instance: &str) -> Result<(), netfilter::Error> {
    Socket::open()?.apply(&Tables::new(instance, Vec::new(), Vec::new()).removal())
}

/// The tables of `instance` that exist, by family and name.
///
/// # Errors
/// When the kernel refuses to tell.
pub fn remains(instance: &str) -> Result<Vec<String>, netfilter::Error> {
    Tables::new(instance, Vec::new(), Vec::new()).present(&mut Socket::open()?)
}

#[async_trait]
impl Role for Proxy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        let shutdown = host.shutdown();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            outcome = follow(Sources::new(&self.options), Program::new(&self.options), &ready) => outcome,
        }
    }
}

async fn follow(sources: Sources, mut program: Program, ready: &Ready) -> Result<(), RoleError> {
    ready.report("waiting for Services and EndpointSlices");
    sources.services.synced().await;
    sources.slices.synced().await;
    let mut services = sources.services.keys();
    let mut slices = sources.slices.subscribe();
    services.take();
    slices.take();
    sources.services.list().iter().for_each(|service| sources.refresh(&mut program.state, &service.key()));
    ready.report("programming the kernel");
    let (programmed, outcome) = program.commit().await?;
    program = programmed;
    outcome.map_err(|error| {
        RoleError::new("programming Services with nftables", words(&error))
            .next("run as root on a kernel with nftables")
    })?;
    ready.done();
    loop {
        let mut dirty = BTreeSet::new();
        let retry = program.rebuild;
        tokio::select! {
            biased;
            keys = services.next() => dirty.extend(keys.ok_or_else(ended)?),
            changes = slices.batch() => dirty.extend(changes.ok_or_else(ended)?.iter().flat_map(owners)),
            () = tokio::time::sleep(RETRY), if retry => {}
        }
        dirty.extend(services.take());
        dirty.extend(slices.take().iter().flat_map(owners));
        dirty.iter().for_each(|key| sources.refresh(&mut program.state, key));
        let (programmed, outcome) = program.commit().await?;
        program = programmed;
        if let Err(error) = outcome {
            tracing::warn!(error = words(&error), "the kernel refused a change of Services, building them anew");
        }
    }
}

/// What the rules follow from.
struct Sources {
    services: Cache<Service>,
    slices: Cache<EndpointSlice>,
    by_service: Index<EndpointSlice>,
    node: Node,
}

impl Sources {
    fn new(options: &Options) -> Self {
        let node = Node { name: options.node_name.clone(), addresses: options.node_ips.clone() };
        Self::from_caches(options.informers.of(), options.informers.of(), node)
    }

    fn from_caches(services: Cache<Service>, slices: Cache<EndpointSlice>, node: Node) -> Self {
        let by_service = slices.index("service", |slice| owner(slice).iter().map(ToString::to_string).collect());
        Self { services, slices, by_service, node }
    }

    fn refresh(&self, state: &mut State, key: &Key) {
        let Some(service) = self.services.get(key.namespace(), key.name()) else { return state.remove(key) };
        let slices = self.by_service.get(&key.to_string());
        let created = service.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        state.set(key, created, fragment(&service, &slices, &self.node));
    }
}

/// The Service that a slice belongs to.
fn owner(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.metadata.namespace.as_deref(), name))
}

/// The Services that a change of a slice concerns: before and after it.
fn owners(change: &Change<EndpointSlice>) -> Vec<Key> {
    let old = if let Change::Applied { old, .. } = change { old.as_deref() } else { None };
    [old, Some(change.object().as_ref())].into_iter().flatten().filter_map(owner).collect()
}

/// The wanted rules and their way into the kernel.
struct Program {
    tables: Tables,
    state: State,
    /// Whether what is in the kernel is unknown.
    rebuild: bool,
}

impl Program {
    fn new(options: &Options) -> Self {
        let (cluster, service) = (options.cluster_cidrs.clone(), options.service_cidrs.clone());
        Self::with(Tables::new(&options.instance, cluster, service))
    }

    fn with(tables: Tables) -> Self {
        Self { tables, state: State::new(), rebuild: true }
    }

    /// Applies what changed, on a thread that may block.
    async fn commit(mut self) -> Result<(Self, Result<(), netfilter::Error>), RoleError> {
        let work = move || {
            let outcome = self.apply();
            self.rebuild = outcome.is_err();
            (self, outcome)
        };
        spawn_blocking(work).await.map_err(|error| RoleError::new("programming Services", error))
    }

    fn apply(&mut self) -> Result<(), netfilter::Error> {
        let batch = if self.rebuild {
            self.tables.rebuild(&self.state.whole())
        } else {
            self.tables.update(&self.state.take())
        };
        Socket::open()?.apply(&batch)?;
        let touched = self.state.take_touched();
        match forget_stale(&self.state, &touched) {
            Ok(0) => {}
            Ok(flows) => tracing::debug!(flows, "forgot UDP flows to endpoints that are gone"),
            Err(error) => tracing::warn!(error = words(&error), "stale UDP flows may linger"),
        }
        Ok(())
    }
}

fn ended() -> RoleError {
    RoleError::new("watching Services and EndpointSlices", "the watch ended")
}

/// An error with its causes.
fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
