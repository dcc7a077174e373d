//! One role alone, with its own process.

use std::net::IpAddr;

use host::{Host, Role};
use informer::Informers;
use ipnet::IpNet;

use crate::Failure;
use crate::control_plane::{self, Exposure};
use crate::failure::chain;
use crate::grammar::{Apiserver, Client, Dns, Kubelet, Proxy, Runtime, Verb};
use crate::instance::Instance;
use crate::node::{self, DOMAIN, Node};
use crate::stop::Signals;
use crate::supervisor::Supervisor;

/// Runs the role until a signal or its failure ends it. Pods go on.
pub(crate) async fn run(verb: Verb) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    let host = Host::system();
    let role = role(verb, &host).await?;
    let mut supervisor = Supervisor::start(host, vec![role]);
    let failure = tokio::select! {
        biased;
        _ = signals.next() => None,
        failure = until_failed(&mut supervisor) => Some(failure),
    };
    supervisor.stop().await;
    failure.map_or(Ok(()), Err)
}

async fn until_failed(supervisor: &mut Supervisor) -> Failure {
    match supervisor.ready().await {
        Ok(()) => supervisor.failed().await,
        Err(failure) => failure,
    }
}

async fn role(verb: Verb, host: &Host) -> Result<Box<dyn Role>, Failure> {
    match verb {
        Verb::Apiserver(options) => Box::pin(apiserver(options, host)).await,
        Verb::Scheduler(options) => {
            Ok(control_plane::scheduler(informers(&options, host).await?, &process_identity()?))
        }
        Verb::ControllerManager(options) => controller_manager(&options, host).await,
        Verb::Kubelet(options) => kubelet(options, host).await,
        Verb::Proxy(options) => proxy(options, host).await,
        Verb::Dns(options) => dns(options, host).await,
        Verb::Runtime(options) => runtime(options, host).await,
        other => Err(Failure::new(format!("running {other:?}"), "it is no role")),
    }
}

async fn apiserver(options: Apiserver, host: &Host) -> Result<Box<dyn Role>, Failure> {
    let instance = Instance::open(&options.data.data_dir)?;
    let pki = control_plane::open_pki(&instance, host)?;
    let store = if options.etcd_servers.is_empty() {
        control_plane::embedded_store(&instance, host).await?
    } else {
        control_plane::etcd_store(&options.etcd_servers).await?
    };
    let advertise = options.advertise.or_else(|| options.listen.first().copied());
    let advertise = advertise.ok_or_else(|| {
        Failure::new("starting the API server", "it has no address").next("give it one with --listen")
    })?;
    let services = range("--service-cidr", &options.service_cidr)?;
    let service_address = service_address(services, 1)?;
    let reached = options.listen.first().copied().unwrap_or(advertise);
    control_plane::write_kubeconfigs(&instance, &pki, reached, &node::default_name()?)?;
    let exposure = Exposure { listen: options.listen, advertise, service_cidr: options.service_cidr, service_address };
    Ok(Box::new(control_plane::api_server(store, &pki, &exposure, host)?.0))
}

async fn controller_manager(options: &Client, host: &Host) -> Result<Box<dyn Role>, Failure> {
    let authority = kubeconfig_authority(options)?;
    Ok(control_plane::controller_manager(informers(options, host).await?, &authority, &process_identity()?))
}

async fn kubelet(options: Kubelet, host: &Host) -> Result<Box<dyn Role>, Failure> {
    let instance = Instance::open(&options.data.data_dir)?;
    let pki = control_plane::open_pki(&instance, host)?;
    let name = options.node_name.map_or_else(node::default_name, Ok)?;
    let unused = IpNet::from(options.node_ip);
    let node =
        Node { instance, name, address: options.node_ip, pods: unused, services: unused, dns: options.cluster_dns };
    node.kubelet(informers(&options.client, host).await?, &pki, options.container_runtime_endpoint)
}

async fn proxy(options: Proxy, host: &Host) -> Result<Box<dyn Role>, Failure> {
    let instance = Instance::open(&options.data.data_dir)?;
    Ok(Box::new(::proxy::Proxy::new(::proxy::Options {
        informers: informers(&options.client, host).await?,
        node_name: options.node_name.map_or_else(node::default_name, Ok)?,
        instance: instance.id,
        cluster_cidrs: vec![range("--cluster-cidr", &options.cluster_cidr)?],
        service_cidrs: vec![range("--service-cidr", &options.service_cidr)?],
        node_ips: options.node_ip,
    })))
}

async fn dns(options: Dns, host: &Host) -> Result<Box<dyn Role>, Failure> {
    Ok(Box::new(::dns::Dns::new(::dns::Options {
        informers: informers(&options.client, host).await?,
        domain: DOMAIN.to_owned(),
        listen: vec![options.listen],
        cidrs: Vec::new(),
        resolv_conf: "/etc/resolv.conf".into(),
        publication: Some(::dns::Publication { cluster_ip: options.cluster_dns }),
    })))
}

async fn runtime(options: Runtime, host: &Host) -> Result<Box<dyn Role>, Failure> {
    let instance = Instance::open(&options.data.data_dir)?;
    let pods = range("--pod-cidr", &options.pod_cidr)?;
    let services = range("--service-cidr", &options.service_cidr)?;
    let address = network::first_address(&pods);
    let node = Node { instance, name: node::default_name()?, address, pods, services, dns: address };
    let network = node.start_network(host).await?;
    Ok(node.runtime(network))
}

fn range(flag: &str, text: &str) -> Result<IpNet, Failure> {
    text.parse()
        .map_err(|e| Failure::new(format!("reading {flag} {text}"), e).next("give an address range like 10.43.0.0/16"))
}

fn service_address(services: IpNet, number: usize) -> Result<IpAddr, Failure> {
    let address = services.hosts().nth(number - 1);
    address.ok_or_else(|| {
        Failure::new(format!("finding the API server's Service address in {services}"), "the range is too small")
    })
}

/// Caches and a client with the credentials of a kubeconfig.
async fn informers(options: &Client, host: &Host) -> Result<Informers, Failure> {
    let what = || format!("reading the kubeconfig {}", options.kubeconfig.display());
    let kubeconfig =
        kube::config::Kubeconfig::read_from(&options.kubeconfig).map_err(|e| Failure::caused(what(), &e))?;
    let chosen = kube::config::KubeConfigOptions::default();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &chosen).await.map_err(|e| Failure::caused(what(), &e))?;
    let client = kube::Client::try_from(config).map_err(|e| Failure::new(what(), chain(&e)))?;
    Ok(Informers::new(client, host.clone()))
}

/// The authority in the kubeconfig, which controllers publish to pods.
fn kubeconfig_authority(options: &Client) -> Result<String, Failure> {
    let what = || format!("reading the certificate authority in {}", options.kubeconfig.display());
    pki::kubeconfig::authority(&options.kubeconfig).map_err(|e| Failure::new(what(), chain(&e)))
}

/// Who we are among several processes of one role.
fn process_identity() -> Result<String, Failure> {
    Ok(format!("{}_{}", node::default_name()?, std::process::id()))
}
