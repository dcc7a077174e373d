//! The API server as a role: what is started in which order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use host::{Host, OnEnd, Ready, Role, RoleError, Tasks};
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
use crate::options::{Limits, Listen, Options, Parts, Security};
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

    /// Starts everything; what it starts ends with `host`, except for the feed of the cache.
    async fn start(self, host: &Host, ready: &Ready) -> Result<(), RoleError> {
        let Self { options, cache, incoming, addresses, handle } = self;
        let Options { store, transform, table, listen, advertise, service_cidrs, security, bootstrap, limits } =
            options;
        let objects = handle.objects.clone();
        let security = security(Parts { objects: objects.clone(), table: table.clone(), host: host.clone() })?;
        ready.report("loading objects from the store");
        load(&cache, host).await?;
        let storage = Storage { store: store.clone(), transform };
        let registry = Registry {
            host: host.clone(),
            table: table.clone(),
            storage: storage.clone(),
            cache: cache.clone(),
            objects: objects.clone(),
            allocators: Allocators::new(&service_cidrs, NODE_PORTS, storage, &table)
                .map_err(|e| RoleError::new("reading the address ranges of Services", e))?,
            authorizer: security.authorizer.clone(),
            admission: security.admission.clone(),
            limits,
            leases: Leases::default(),
        };
        let started = Arc::new(AtomicBool::new(false));
        let reach = advertise.or_else(|| listen.first().map(|listen| listen.address));
        let dispatch = Dispatch {
            registry: Arc::new(registry),
            endpoints: security.endpoints.clone(),
            documents: Documents::new(table, reach.map_or_else(String::new, |address| address.to_string())),
            health: Health { cache, store, shutdown: host.shutdown(), started: started.clone() },
            metrics: Arc::default(),
        };
        let front = front(dispatch, &security, &limits, host);
        addresses.send_replace(accept(&front, &listen, incoming).await?);
        let client = handle.client(User::loopback());
        for step in &bootstrap::all(bootstrap, &service_cidrs, advertise) {
            ready.report(format!("creating the {}", step.name()));
            make(&**step, &client).await?;
        }
        started.store(true, Ordering::Release);
        if let Some(service) = advertise.and_then(|address| KubernetesService::new(address, &service_cidrs)) {
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
        // The cache is fed until the last request has been served.
        let (feed, served) = (Tasks::new(), own.shutdown());
        let (cache, stop) = (self.cache.clone(), feed.shutdown());
        feed.spawn("watch-cache", OnEnd::Expected, async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = cache.run() => served.cancel(),
            }
        });
        let outcome = self.start(&own, &ready).await;
        if outcome.is_ok() {
            ready.done();
            own.shutdown().cancelled().await;
        }
        if !own.tasks.drain(limit).await {
            tracing::warn!(left = own.tasks.alive(), "requests were still being served when the server ended");
        }
        feed.drain(limit).await;
        outcome
    }
}

/// The pipeline around the endpoint, ready for connections.
fn front(dispatch: Dispatch, security: &Security, limits: &Limits, host: &Host) -> Arc<Front> {
    let metrics = dispatch.metrics.clone();
    let pipeline = Pipeline::new(layers(security, limits, host, metrics), Arc::new(dispatch));
    Front::new(pipeline, host.clone(), limits.connections)
}

/// Begins to accept connections; where.
async fn accept(
    front: &Arc<Front>,
    listen: &[Listen],
    incoming: mpsc::UnboundedReceiver<Incoming>,
) -> Result<Vec<SocketAddr>, RoleError> {
    let tasks = &front.host.tasks;
    let mut bound = Vec::new();
    for (listener, acceptor) in listen::bind(listen).await? {
        bound.extend(listener.local_addr());
        tasks.spawn("listener", OnEnd::Fatal, listen::accept(front.clone(), listener, acceptor));
    }
    tasks.spawn("memory-listener", OnEnd::Fatal, listen::accept_memory(front.clone(), incoming));
    Ok(bound)
}

/// The layers, outermost first: the order in which upstream has them.
fn layers(security: &Security, limits: &Limits, host: &Host, metrics: Arc<Metrics>) -> Vec<Box<dyn Layer>> {
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
