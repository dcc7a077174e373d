//! A single-node cluster: the list of its roles, and how they start and stop together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use apiserver::{Handle, User};
use host::{Host, Role};
use informer::Informers;
use ipnet::IpNet;
use network::Network;
use pki::{Pki, Profile};

use crate::Failure;
use crate::control_plane::{self, Exposure, component};
use crate::failure::chain;
use crate::grammar::Up;
use crate::instance::Instance;
use crate::kubeconfigs;
use crate::mounts;
use crate::node::{self, Node};
use crate::ranges::Ranges;
use crate::sandboxes;
use crate::stop::Stop;
use crate::supervisor::Supervisor;

/// Where the API server listens on the node's address, for pods.
const POD_FACING_PORT: u16 = 6443;

/// A cluster of one node in this process.
pub(crate) struct Cluster {
    instance: Instance,
    /// The runtime ends last: pods are stopped through it.
    runtime: Supervisor,
    roles: Supervisor,
    /// Clients of the API, to be started once it serves.
    waiting: Vec<Box<dyn Role>>,
    cri_socket: PathBuf,
    /// The node's name, when its runtime serves others too.
    shared_by: Option<String>,
    kubeconfig: PathBuf,
    context: String,
}

impl Cluster {
    /// Starts runtime and API server; [`Cluster::ready`] waits for them and starts the rest.
    pub(crate) async fn start(instance: &Instance, options: &Up) -> Result<Self, Failure> {
        let host = Host::system();
        let ranges = Ranges::of(instance)?;
        let node = local_node(instance, options, &ranges)?;
        let pki = control_plane::open_pki(instance, &host)?;
        // The network's tasks end with the runtime's, before what they made is taken back.
        let below = group(&host);
        let network = node.start_network(&below).await?;
        let store = control_plane::embedded_store(instance, &host).await?;
        let members = group(&host);
        let (server, handle) = control_plane::api_server(store, &pki, &exposure(options, &node, &ranges), &members)?;
        let cri_socket = options.container_runtime_endpoint.clone().unwrap_or_else(|| node.cri_socket());
        let waiting = clients(&handle, &members, &node, &pki, &cri_socket)?;
        let shared_by = options.container_runtime_endpoint.is_some().then(|| node.name.clone());
        let runtime = if shared_by.is_some() { Vec::new() } else { vec![node.runtime(network)] };
        let (kubeconfig, context) = write_kubeconfig(instance, options, &pki)?;
        Ok(Self {
            instance: instance.clone(),
            runtime: Supervisor::start(below, runtime),
            roles: Supervisor::start(members, vec![Box::new(server)]),
            waiting,
            cri_socket,
            shared_by,
            kubeconfig,
            context,
        })
    }

    /// Shows progress until every role serves.
    pub(crate) async fn ready(&mut self) -> Result<(), Failure> {
        self.roles.ready().await?;
        self.roles.add(std::mem::take(&mut self.waiting));
        self.runtime.ready().await?;
        self.roles.ready().await
    }

    /// Resolves when a role ends though nobody asked it to.
    pub(crate) async fn failed(&mut self) -> Failure {
        tokio::select! {
            biased;
            failure = self.roles.failed() => failure,
            failure = self.runtime.failed() => failure,
        }
    }

    /// Stops after a failure: pods go on, but where there are none nothing half-made stays either.
    pub(crate) async fn give_up(self) -> Result<(), Failure> {
        let stop = if sandboxes::are_none(&self.cri_socket).await { Stop::WithPods } else { Stop::LeavePods };
        self.stop(stop).await
    }

    /// Stops every role, and the pods if so told.
    pub(crate) async fn stop(self, stop: Stop) -> Result<(), Failure> {
        self.roles.stop().await;
        let stopped = match stop {
            Stop::WithPods => sandboxes::stop_all(&self.cri_socket, self.shared_by.as_deref()).await,
            Stop::LeavePods => Ok(()),
        };
        self.runtime.stop().await;
        if stop == Stop::WithPods {
            leave_nothing(&self.instance).await;
        }
        stopped
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub(crate) fn context(&self) -> &str {
        &self.context
    }
}

/// Stops the pods of an instance whose process is gone: through a runtime that lives just for that.
pub(crate) async fn stop_orphaned_pods(instance: &Instance) -> Result<(), Failure> {
    let host = Host::system();
    let ranges = Ranges::of(instance)?;
    let node = Node { name: node::default_name()?, ..node_of(instance, &ranges, String::new()) };
    let network = node.start_network(&host).await?;
    let mut runtime = Supervisor::start(host, vec![node.runtime(network)]);
    runtime.ready().await?;
    let stopped = sandboxes::stop_all(&node.cri_socket(), None).await;
    runtime.stop().await;
    leave_nothing(instance).await;
    stopped
}

/// Takes back what the node has made in the kernel; nothing of it is of use without pods. What cannot be removed is
/// found again and used by the next start.
async fn leave_nothing(instance: &Instance) {
    let id = instance.id.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || proxy::cleanup(&id)).await {
        tracing::warn!(error = chain(&error), "removing the rules of Services");
    }
    if let Err(error) = Network::cleanup(&instance.id, &instance.path("network")).await {
        tracing::warn!(error = chain(&error), "removing the pod network");
    }
    mounts::detach_below(&instance.path("kubelet"));
    kubelet::cgroup::remove(&node::cgroup_root(instance));
}

/// A host whose tasks can be stopped apart from the others'.
fn group(host: &Host) -> Host {
    Host { tasks: host.tasks.child(), ..host.clone() }
}

fn local_node(instance: &Instance, options: &Up, ranges: &Ranges) -> Result<Node, Failure> {
    let name = options.node_name.clone().map_or_else(node::default_name, Ok)?;
    Ok(node_of(instance, ranges, name))
}

pub(crate) fn node_of(instance: &Instance, ranges: &Ranges, name: String) -> Node {
    Node {
        instance: instance.clone(),
        name,
        address: ranges.gateway(),
        pods: IpNet::V4(ranges.pods),
        services: IpNet::V4(ranges.services),
        dns: ranges.dns(),
    }
}

fn exposure(options: &Up, node: &Node, ranges: &Ranges) -> Exposure {
    let advertise = SocketAddr::new(node.address, POD_FACING_PORT);
    Exposure {
        listen: vec![options.listen, advertise],
        advertise,
        service_cidr: ranges.services.to_string(),
        service_address: ranges.kubernetes(),
    }
}

/// The roles that are clients of the API, each with its own identity over shared caches.
fn clients(
    handle: &Handle,
    host: &Host,
    node: &Node,
    pki: &Pki,
    cri_socket: &Path,
) -> Result<Vec<Box<dyn Role>>, Failure> {
    // What everybody reads is read once, by the process itself.
    let informers = Informers::new(handle.client(User::new("system:coracle").group("system:masters")), host.clone());
    let acting_as = |user: User| informers.acting_as(handle.client(user));
    let kubelet_user = component(&format!("node:{}", node.name)).group("system:nodes");
    Ok(vec![
        control_plane::controller_manager(
            acting_as(component("kube-controller-manager")),
            pki.authority().pem(),
            &node.instance.id,
        ),
        control_plane::scheduler(acting_as(component("kube-scheduler")), &node.instance.id),
        node.kubelet(acting_as(kubelet_user), pki, cri_socket.to_owned())?,
        node.proxy(acting_as(component("kube-proxy"))),
        node.dns(acting_as(component("kube-dns"))),
    ])
}

/// Merges this cluster's context into the user's kubeconfig; returns the file and the context.
fn write_kubeconfig(instance: &Instance, options: &Up, pki: &Pki) -> Result<(PathBuf, String), Failure> {
    let path = options.kubeconfig.clone().or_else(kubeconfigs::default);
    let path = path.ok_or_else(|| {
        Failure::new("finding your kubeconfig", "neither KUBECONFIG nor HOME is set")
            .next("name a file with --kubeconfig")
    })?;
    let what = || format!("merging the cluster's context into {}", path.display());
    let admin = pki.certificate("admin", &Profile::admin()).map_err(|e| Failure::new(what(), chain(&e)))?;
    let context = instance.context();
    let entry = pki::kubeconfig::Entry {
        name: &context,
        server: &format!("https://{}", options.listen),
        authority_pem: pki.authority().pem(),
        credentials: pki::kubeconfig::Credentials::Certificate(&admin),
        namespace: None,
    };
    kubeconfigs::remember(instance, &path)?;
    pki::kubeconfig::merge(&path, &entry).map_err(|e| Failure::new(what(), chain(&e)))?;
    Ok((path, context))
}
