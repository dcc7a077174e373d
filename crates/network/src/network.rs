//! The pod network of a node: start, attach, detach, clean up.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host::{Host, OnEnd};
use tokio::sync::{Notify, mpsc};
use tokio::task::spawn_blocking;

use crate::host_ports::HostPort;
use crate::ipam::Ipam;
use crate::lease::{Lease, Leases};
use crate::namespace::Namespaces;
use crate::pool::{Pool, Slot, delete_slot};
use crate::setup::{cleanup, put_gateways, remains};
use crate::{Error, Options, firewall, names, settings};

/// How long the pool rests after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// What a sandbox holds on the pod network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// A file that holds the sandbox's network namespace open: for `setns` and OCI configurations.
    pub netns: PathBuf,
    /// The pod's addresses, in the order of the pod ranges: the first is the pod's `podIP`.
    pub addresses: Vec<IpAddr>,
    /// The name of the host's end of `eth0`.
    pub host_link: String,
}

/// The pod network of a node; cheap to clone.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    options: Options,
    gateways: Vec<IpAddr>,
    host: Host,
    namespaces: Namespaces,
    leases: Leases,
    pool: Pool,
    taken: Notify,
    state: Mutex<State>,
    reaper: mpsc::UnboundedSender<Doomed>,
}

struct State {
    ipam: Ipam,
    held: BTreeMap<String, Held>,
}

struct Held {
    lease: Lease,
    offset: Option<u32>,
}

/// A slot to delete; its addresses are free only when it is gone.
struct Doomed {
    slot: String,
    offset: Option<u32>,
}

impl Network {
    /// Prepares this host (forwarding, gateway addresses, firewall), finds the leases of an earlier run, and starts to
    /// fill the pool and to delete what an earlier run left without a lease. Two tasks run until `host.shutdown()`.
    ///
    /// # Errors
    /// Says what could not be set up: without root, without nftables, or with a read-only /proc/sys.
    pub async fn start(options: Options, host: &Host) -> Result<Self, Error> {
        options.validate()?;
        let (reaper, doomed) = mpsc::unbounded_channel();
        let (network_host, options) = (host.clone(), options);
        let network = blocking(move || Inner::open(options, network_host, reaper)).await?;
        let network = Self(Arc::new(network));
        host.tasks.spawn("network-pool", OnEnd::Expected, fill(network.0.clone()));
        host.tasks.spawn("network-reaper", OnEnd::Expected, reap(network.0.clone(), doomed));
        Ok(network)
    }

    /// Gives `sandbox_id` a network namespace with an address. Asked again, it answers with what the sandbox holds.
    ///
    /// # Errors
    /// When every address is held, or the kernel refuses; nothing is then held.
    pub async fn attach(&self, sandbox_id: &str) -> Result<Attachment, Error> {
        self.attach_with_ports(sandbox_id, Vec::new()).await
    }

    /// Like [`Network::attach`], and leads ports of the node to the pod. A sandbox that is attached keeps its ports.
    ///
    /// # Errors
    /// Also when another pod holds one of the ports.
    pub async fn attach_with_ports(&self, sandbox_id: &str, ports: Vec<HostPort>) -> Result<Attachment, Error> {
        let (inner, sandbox) = (self.0.clone(), sandbox_id.to_owned());
        blocking(move || inner.attach(&sandbox, ports)).await
    }

    /// What `sandbox_id` holds, found again after a restart too.
    #[must_use]
    pub fn attachment(&self, sandbox_id: &str) -> Option<Attachment> {
        let state = self.0.state();
        state.held.get(sandbox_id).map(|held| self.0.attachment(&held.lease))
    }

    /// The sandboxes that hold something, in order.
    #[must_use]
    pub fn sandboxes(&self) -> Vec<String> {
        self.0.state().held.keys().cloned().collect()
    }

    /// Takes everything from `sandbox_id`; one that holds nothing is fine. The namespace is deleted in the background
    /// and ends with its last process; the addresses are not used again before the link is gone.
    ///
    /// # Errors
    /// When ports of the node cannot be taken back; everything else is.
    pub async fn detach(&self, sandbox_id: &str) -> Result<(), Error> {
        let (inner, sandbox) = (self.0.clone(), sandbox_id.to_owned());
        blocking(move || inner.detach(&sandbox)).await
    }

    /// The node's own addresses towards its pods.
    #[must_use]
    pub fn gateways(&self) -> &[IpAddr] {
        &self.0.gateways
    }

    /// Removes everything that `instance` left on this machine (links, namespaces, routes, addresses, firewall, files)
    /// and nothing else. Its processes must be gone. Safe to repeat.
    ///
    /// # Errors
    /// The first failure, after trying the rest.
    pub async fn cleanup(instance: &str, state_dir: &Path) -> Result<(), Error> {
        let (instance, state_dir) = (instance.to_owned(), state_dir.to_owned());
        blocking(move || cleanup(&instance, &state_dir)).await
    }

    /// What `instance` has in the kernel (links, addresses, tables), in words. Needs none of its files.
    ///
    /// # Errors
    /// When the kernel refuses to tell.
    pub async fn remains(instance: &str) -> Result<Vec<String>, Error> {
        let instance = instance.to_owned();
        blocking(move || remains(&instance)).await
    }
}

impl Inner {
    fn open(options: Options, host: Host, reaper: mpsc::UnboundedSender<Doomed>) -> Result<Self, Error> {
        let namespaces = Namespaces::open(&options.state_dir)?;
        let leases = Leases::open(&options.state_dir)?;
        let gateways = options.gateways();
        settings::enable(&options.pod_cidrs)?;
        put_gateways(&gateways, &options)?;
        let state = recover(&options, &namespaces, &leases, &reaper)?;
        firewall::install(&options, &gateways, state.held.values().map(|held| &held.lease))?;
        let (pool, taken, state) = (Pool::default(), Notify::new(), Mutex::new(state));
        Ok(Self { options, gateways, host, namespaces, leases, pool, taken, state, reaper })
    }

    fn attach(&self, sandbox: &str, host_ports: Vec<HostPort>) -> Result<Attachment, Error> {
        if let Some(held) = self.state().held.get(sandbox) {
            return Ok(self.attachment(&held.lease));
        }
        let slot = self.pool.take();
        self.taken.notify_one();
        let mut slot = slot.map_or_else(|| self.create_slot(), Ok)?;
        let (offset, addresses) = self.take_addresses(&slot.id)?;
        let lease = Lease { sandbox: sandbox.to_owned(), slot: slot.id.clone(), addresses, host_ports };
        let assigned = self.leases.write(&lease).and_then(|()| slot.assign(&lease.addresses, &self.gateways));
        if let Err(error) = assigned.and_then(|()| firewall::open_ports(&self.options.instance, &lease)) {
            self.give_up(&lease.slot, Some(offset));
            return Err(error);
        }
        let attachment = self.attachment(&lease);
        let held = Held { lease, offset: Some(offset) };
        let raced = self.state().held.insert(sandbox.to_owned(), held);
        if let Some(raced) = raced {
            firewall::close_ports(&self.options.instance, &raced.lease)?;
            self.give_up(&raced.lease.slot, raced.offset);
        }
        Ok(attachment)
    }

    fn take_addresses(&self, slot: &str) -> Result<(u32, Vec<IpAddr>), Error> {
        let mut state = self.state();
        match state.ipam.take() {
            Ok(offset) => Ok((offset, state.ipam.addresses(offset))),
            Err(error) => {
                drop(state);
                self.give_up(slot, None);
                Err(error)
            }
        }
    }

    fn detach(&self, sandbox: &str) -> Result<(), Error> {
        let Some(held) = self.state().held.remove(sandbox) else { return Ok(()) };
        let freed = firewall::close_ports(&self.options.instance, &held.lease);
        self.give_up(&held.lease.slot, held.offset);
        freed
    }

    /// Hands a slot to the reaper; the next start finds it when there is no reaper any more.
    fn give_up(&self, slot: &str, offset: Option<u32>) {
        if let Err(error) = self.leases.remove(slot) {
            tracing::warn!(slot, error = &error as &dyn std::error::Error, "a lease was not removed");
        }
        drop(self.reaper.send(Doomed { slot: slot.to_owned(), offset }));
    }

    fn attachment(&self, lease: &Lease) -> Attachment {
        Attachment {
            netns: self.namespaces.path(&lease.slot),
            addresses: lease.addresses.clone(),
            host_link: names::link_name(&self.options.instance, &lease.slot),
        }
    }

    fn create_slot(&self) -> Result<Slot, Error> {
        let mut random = [0; names::SLOT_CHARS];
        self.host.entropy.fill(&mut random);
        let id = names::slot(random);
        Slot::create(&id, &self.options, &self.namespaces).inspect_err(|_| self.give_up(&id, None))
    }

    fn delete(&self, doomed: &Doomed) -> Result<(), Error> {
        delete_slot(&self.options.instance, &doomed.slot, &self.namespaces)?;
        if let Some(offset) = doomed.offset {
            self.state().ipam.release(offset);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the leases that still have their namespace, and dooms everything else that an earlier run left.
fn recover(
    options: &Options,
    namespaces: &Namespaces,
    leases: &Leases,
    reaper: &mpsc::UnboundedSender<Doomed>,
) -> Result<State, Error> {
    let mut state = State { ipam: Ipam::new(&options.pod_cidrs), held: BTreeMap::new() };
    for (sandbox, lease) in leases.load()? {
        if namespaces.is_alive(&lease.slot) {
            let offset = state.ipam.claim(&lease.addresses);
            state.held.insert(sandbox, Held { lease, offset });
        } else {
            leases.remove(&lease.slot)?;
        }
    }
    for slot in namespaces.list()? {
        if !state.held.values().any(|held| held.lease.slot == slot) {
            drop(reaper.send(Doomed { slot, offset: None }));
        }
    }
    Ok(state)
}

/// Keeps the pool full; one namespace at a time, since the kernel makes them one at a time. What has been begun is
/// finished: whoever cleans up after the end would not find what is made later.
async fn fill(inner: Arc<Inner>) {
    let shutdown = inner.host.shutdown();
    while !shutdown.is_cancelled() {
        let mut failed = false;
        if inner.pool.len() < inner.options.pool {
            let maker = inner.clone();
            match blocking(move || maker.create_slot().map(|slot| maker.pool.put(slot))).await {
                Ok(_) => continue,
                Err(error) => {
                    failed = true;
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a network namespace could not be made ready");
                }
            }
        }
        let rest = async {
            match failed {
                true => tokio::time::sleep(RETRY).await,
                false => inner.taken.notified().await,
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = rest => {}
        }
    }
}

/// Deletes what is doomed. A failure leaves the rest to the next start, and its addresses unused until then.
async fn reap(inner: Arc<Inner>, mut doomed: mpsc::UnboundedReceiver<Doomed>) {
    let shutdown = inner.host.shutdown();
    loop {
        let next = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            next = doomed.recv() => next,
        };
        let Some(next) = next else { return };
        let worker = inner.clone();
        if let Err(error) = blocking(move || worker.delete(&next)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a network namespace could not be deleted");
        }
    }
}

async fn blocking<T, F>(work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    spawn_blocking(work).await.map_err(|_| Error::Worker("a network operation"))?
}
