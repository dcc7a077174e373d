//! The API server as a role: what is started in which order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use host::{Host, OnEnd, Ready, Role, RoleError};
use schema::{Resource, Table};
use tokio::sync::{mpsc, watch};

use crate::allocator::{Allocators, NODE_PORTS};
use crate::bootstrap::{self, Bootstrap, KubernetesService};
use crate::cache::{Cache, Definition, Selectable};
use crate::dispatch::Dispatch;
use crate::documents::Documents;
use crate::handle::{Handle, Incoming};
use crate::health::Health;
use crate::lease::Leases;
use crate::listen::{self, Front};
use crate::metrics::Metrics;
use crate::objects::Objects;
use crate::options::{Options, Parts, Security};
use crate::pipeline::{
    Audit, AuditInit, Authentication, Authorization, CacheControl, Deadline, Impersonation, Layer, MaxInFlight,
    PanicRecovery, Pipeline, Tracking, WarningRecorder,
};
use crate::registry::Registry;
use crate::storage::Storage;
use crate::user::User;

/// Attempts to make the objects that every cluster has, and the wait between them.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// An API server, ready to run.
pub struct Server {
    options: Options,
    cache: Arc<Cache>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    addresses: watch::Sender<Vec<SocketAddr>>,
    handle: Handle,
}

impl Server {
    /// A server and the way in. Clients of the handle may be made at once; their requests wait until the server runs.
    /// `host` runs the client's side of connections in memory.
    #[must_use]
    pub fn new(options: Options, host: &Host) -> (Self, Handle) {
        let storage = Storage { store: options.store.clone(), transform: options.transform.clone() };
        let cache = Cache::new(storage);
        cache.define(definitions(&options.table));
        let (sender, incoming) = mpsc::unbounded_channel();
        let (addresses, bound) = watch::channel(Vec::new());
        let objects = Objects::new(cache.clone(), options.table.clone());
        let handle = Handle { incoming: sender, tasks: host.tasks.clone(), addresses: bound, objects };
        (Self { options, cache, incoming, addresses, handle: handle.clone() }, handle)
    }

    async fn start(self, host: &Host, ready: &Ready) -> Result<(), RoleError> {
        let Self { options, cache, incoming, addresses, handle } = self;
        let objects = handle.objects.clone();
        let parts = Parts { objects: objects.clone(), table: options.table.clone(), host: host.clone() };
        host.tasks.spawn("watch-cache", OnEnd::Fatal, cache.clone().run());
        let security = (options.security)(parts)?;
        ready.report("loading objects from the store");
        load(&cache, host).await?;
        let started = Arc::new(AtomicBool::new(false));
        let registry = Registry {
            host: host.clone(),
            table: options.table.clone(),
            storage: Storage { store: options.store.clone(), transform: options.transform },
            cache: cache.clone(),
            objects: objects.clone(),
            allocators: Allocators::new(&options.service_cidrs, NODE_PORTS)
                .map_err(|e| RoleError::new("reading the address ranges of Services", e))?,
            admission: security.admission.clone(),
            limits: options.limits,
            leases: Leases::default(),
        };
        let metrics = Arc::new(Metrics::default());
        let reach = options.advertise.or_else(|| options.listen.first().map(|listen| listen.address));
        let dispatch = Dispatch {
            registry: Arc::new(registry),
            endpoints: security.endpoints.clone(),
            documents: Documents::new(options.table, reach.map_or_else(String::new, |address| address.to_string())),
            health: Health { cache, shutdown: host.shutdown(), started: started.clone() },
            metrics: metrics.clone(),
        };
        let pipeline = Pipeline::new(layers(&security, &options.limits, host, metrics), Arc::new(dispatch));
        let front = Front::new(pipeline, host.clone(), options.limits.connections);
        let mut bound = Vec::new();
        for (listener, acceptor) in listen::bind(&options.listen).await? {
            bound.extend(listener.local_addr());
            host.tasks.spawn("listener", OnEnd::Fatal, listen::accept(front.clone(), listener, acceptor));
        }
        addresses.send_replace(bound);
        host.tasks.spawn("memory-listener", OnEnd::Fatal, listen::accept_memory(front, incoming));
        let client = handle.client(User::loopback());
        let steps = bootstrap::all(options.bootstrap, &options.service_cidrs, options.advertise);
        for step in &steps {
            ready.report(format!("creating the {}", step.name()));
            make(&**step, &client).await?;
        }
        started.store(true, Ordering::Release);
        let service = options.advertise.and_then(|address| KubernetesService::new(address, &options.service_cidrs));
        if let Some(service) = service {
            let keeper = bootstrap::keep(service, objects, client, host.shutdown());
            host.tasks.spawn("kubernetes-service", OnEnd::Fatal, keeper);
        }
        Ok(())
    }
}

#[async_trait]
impl Role for Server {
    fn name(&self) -> &'static str {
        "apiserver"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        let limit = self.options.limits.drain;
        let own = Host { tasks: host.tasks.child(), ..host };
        store::keep_compacting(self.options.store.clone(), &own, store::KEEP_HISTORY);
        let outcome = self.start(&own, &ready).await;
        if outcome.is_ok() {
            ready.done();
            own.shutdown().cancelled().await;
        }
        if !own.tasks.drain(limit).await {
            tracing::warn!(left = own.tasks.alive(), "requests were still being served when the server ended");
        }
        outcome
    }
}

/// The layers, outermost first: the order in which upstream has them.
fn layers(
    security: &Security,
    limits: &crate::options::Limits,
    host: &Host,
    metrics: Arc<Metrics>,
) -> Vec<Box<dyn Layer>> {
    vec![
        Box::new(AuditInit { entropy: host.entropy.clone() }),
        Box::new(PanicRecovery),
        Box::new(Tracking { metrics }),
        Box::new(CacheControl),
        Box::new(Deadline { limit: limits.request }),
        Box::new(WarningRecorder),
        Box::new(Authentication { authenticator: security.authenticator.clone(), anonymous: security.anonymous }),
        Box::new(Audit),
        Box::new(Impersonation),
        Box::new(MaxInFlight::new(limits.reading, limits.mutating)),
        Box::new(Authorization { authorizer: security.authorizer.clone() }),
    ]
}

async fn load(cache: &Cache, host: &Host) -> Result<(), RoleError> {
    let shutdown = host.shutdown();
    tokio::select! {
        biased;
        () = cache.loaded() => Ok(()),
        () = shutdown.cancelled() => Err(RoleError::new("loading objects from the store", "the store has closed")),
    }
}

/// Another server may be making the same objects, and the cache may be a moment behind: both pass.
async fn make(step: &dyn Bootstrap, client: &kube::Client) -> Result<(), RoleError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match step.run(client).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, step = step.name(), "trying again");
                last = Some(error);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    let why = last.map_or_else(String::new, |error| format!("{error}: {}", error.source));
    Err(RoleError::new(format!("creating the {}", step.name()), why))
}

/// What the cache must know about the rows of a table. Rows that share their objects share the cache.
fn definitions(table: &Table) -> Vec<Definition> {
    let snapshot = table.snapshot();
    snapshot.rows().filter(|row| row.is_stored() && row.stored_as.is_none()).map(|row| definition(row)).collect()
}

/// What the cache must know about one row.
pub(crate) fn definition(row: &Resource) -> Definition {
    let selectable: Vec<Selectable> = row
        .selectable_fields
        .iter()
        .map(|field| Selectable {
            label: field.name.as_ref().into(),
            path: field.path.split('.').map(Into::into).collect(),
            default: field.absent.as_ref().into(),
        })
        .collect();
    // Every kubelet watches its own pods.
    let is_pods = row.group.is_empty() && row.plural == "pods";
    let trigger = selectable.iter().position(|field| is_pods && &*field.label == "spec.nodeName");
    Definition { prefix: row.key_prefix(None).into(), selectable, trigger }
}
