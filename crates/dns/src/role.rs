//! The role: follows Services, EndpointSlices and Namespaces, serves, and makes itself known.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::rr::Name;
use host::{Host, Ready, Role, RoleError};
use informer::{Cache, Change, Index, Informers, Key};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::answer::Responder;
use crate::publish::publish;
use crate::records::records;
use crate::serve::Server;
use crate::upstream::Upstream;
use crate::zone::{Source, Zone};

/// The label that names the Service of a slice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How long to wait before the Service is published again.
const RETRY: Duration = Duration::from_secs(1);

/// What the name server of a cluster is made of.
#[derive(Clone)]
pub struct Options {
    pub informers: Informers,
    /// `cluster.local`.
    pub domain: String,
    /// Where it listens, UDP and TCP; the addresses must exist.
    pub listen: Vec<SocketAddr>,
    /// Pod and service addresses: names of others are upstream's to know.
    pub cidrs: Vec<IpNet>,
    /// The resolvers for everything else: `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// How pods find it.
    pub publication: Option<Publication>,
}

/// The Service `kube-system/kube-dns`, which the role creates and keeps.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The tenth address of the service range.
    pub cluster_ip: IpAddr,
}

/// Cluster DNS.
pub struct Dns {
    options: Options,
}

impl Dns {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Role for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        let shutdown = host.shutdown();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            outcome = serve(self.options, &host, &ready) => outcome,
        }
    }
}

async fn serve(options: Options, host: &Host, ready: &Ready) -> Result<(), RoleError> {
    let domain = parse_domain(&options.domain)?;
    let servers: Vec<IpAddr> = match &options.publication {
        Some(publication) => vec![publication.cluster_ip],
        None => options.listen.iter().map(SocketAddr::ip).collect(),
    };
    let responder = Responder::new(Zone::new(&domain, options.cidrs.clone(), &servers));
    let sources = Sources::new(&options.informers, domain);
    ready.report("waiting for Services, EndpointSlices and Namespaces");
    sources.synced().await;
    let mut subscriptions = sources.subscribe();
    subscriptions.take(&sources, &responder);
    let upstream = Upstream::new(options.resolv_conf.clone(), options.listen.clone(), host.entropy.clone());
    let server =
        Server::bind(&options.listen, responder.clone(), upstream, host).await.map_err(|(address, error)| {
            RoleError::new(format!("listening for DNS on {address}"), error)
                .next("free the port, or choose another address for cluster DNS")
        })?;
    let listeners = server.addresses();
    server.start();
    let publish = async {
        if let Some(publication) = &options.publication {
            ready.report("publishing the Service of cluster DNS");
            keep_published(&options.informers, publication, &listeners).await;
        }
        ready.done();
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = subscriptions.follow(&sources, &responder) => {}
        () = publish => {}
    }
    Err(RoleError::new("watching Services, EndpointSlices and Namespaces", "the watch ended"))
}

fn parse_domain(text: &str) -> Result<Name, RoleError> {
    let mut domain = Name::from_ascii(text).map_err(|error| {
        RoleError::new(format!("reading the cluster domain {text:?}"), error)
            .next("give a DNS name such as cluster.local")
    })?;
    domain.set_fqdn(true);
    Ok(domain)
}

/// Publishes until it succeeds.
async fn keep_published(informers: &Informers, publication: &Publication, listeners: &[SocketAddr]) {
    while let Err(error) = publish(informers.client(), publication.cluster_ip, listeners).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "publishing the Service of cluster DNS failed, trying again"
        );
        tokio::time::sleep(RETRY).await;
    }
}

/// What the zone follows from.
struct Sources {
    domain: Name,
    services: Cache<Service>,
    slices: Cache<EndpointSlice>,
    by_service: Index<EndpointSlice>,
    namespaces: Cache<Namespace>,
}

impl Sources {
    fn new(informers: &Informers, domain: Name) -> Self {
        Self::from_caches(informers.of(), informers.of(), informers.of(), domain)
    }

    fn from_caches(
        services: Cache<Service>,
        slices: Cache<EndpointSlice>,
        namespaces: Cache<Namespace>,
        domain: Name,
    ) -> Self {
        let by_service = slices.index("service", |slice| owner(slice).iter().map(ToString::to_string).collect());
        Self { domain, services, slices, by_service, namespaces }
    }

    async fn synced(&self) {
        self.services.synced().await;
        self.slices.synced().await;
        self.namespaces.synced().await;
    }

    fn subscribe(&self) -> Subscriptions {
        Subscriptions {
            services: self.services.keys(),
            slices: self.slices.subscribe(),
            namespaces: self.namespaces.keys(),
        }
    }

    fn refresh(&self, responder: &Responder, services: BTreeSet<Key>, namespaces: Vec<Key>) {
        for key in services {
            let service = self.services.get(key.namespace(), key.name());
            let entries = service.map_or_else(Vec::new, |service| {
                records(&service, &self.by_service.get(&key.to_string()), &self.domain)
            });
            responder.change(|zone| zone.set(Source::Service(key), entries));
        }
        for key in namespaces {
            let exists = self.namespaces.get(None, key.name()).is_some();
            responder.change(|zone| {
                let entries = if exists { zone.namespace_entries(key.name()) } else { Vec::new() };
                zone.set(Source::Namespace(key.name().to_owned()), entries);
            });
        }
    }
}

struct Subscriptions {
    services: informer::ChangedKeys<Service>,
    slices: informer::Changes<EndpointSlice>,
    namespaces: informer::ChangedKeys<Namespace>,
}

impl Subscriptions {
    /// Brings the zone up to date with what changed.
    fn take(&mut self, sources: &Sources, responder: &Responder) {
        let mut services: BTreeSet<Key> = self.services.take().into_iter().collect();
        services.extend(self.slices.take().iter().flat_map(owners));
        sources.refresh(responder, services, self.namespaces.take());
    }

    /// Keeps the zone up to date until the watches end.
    async fn follow(mut self, sources: &Sources, responder: &Responder) {
        loop {
            let (mut services, mut namespaces) = (BTreeSet::new(), Vec::new());
            tokio::select! {
                biased;
                keys = self.services.next() => match keys {
                    Some(keys) => services.extend(keys),
                    None => return,
                },
                changes = self.slices.batch() => match changes {
                    Some(changes) => services.extend(changes.iter().flat_map(owners)),
                    None => return,
                },
                keys = self.namespaces.next() => match keys {
                    Some(keys) => namespaces.extend(keys),
                    None => return,
                },
            }
            sources.refresh(responder, services, namespaces);
            self.take(sources, responder);
        }
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

#[cfg(test)]
mod tests;
