//! Wires the control plane: store, API server, controllers, scheduler.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use apiserver::security::{SecurityOptions, security};
use apiserver::{Handle, Listen, Options, Server, User};
use host::{Host, Role};
use informer::Informers;
use pki::{Certified, Pki, Profile};
use store::{Embedded, Store};

use crate::Failure;
use crate::failure::chain;
use crate::instance::Instance;

/// The issuer of service-account tokens, and their audience when none is asked for.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Names under which pods know the API server.
const NAMES: &[&str] = &[
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

/// Where and as what an API server shows itself.
pub(crate) struct Exposure {
    pub listen: Vec<SocketAddr>,
    /// Where pods and other nodes reach it.
    pub advertise: SocketAddr,
    pub service_cidr: String,
    /// The address of the `kubernetes` Service.
    pub service_address: IpAddr,
}

/// Opens the embedded store below the data directory.
pub(crate) async fn embedded_store(instance: &Instance, host: &Host) -> Result<Arc<dyn Store>, Failure> {
    let directory = instance.path("store");
    let opened = Embedded::open(&directory, store::Options::default(), host).await;
    Ok(Arc::new(opened.map_err(|e| Failure::caused(format!("opening the store in {}", directory.display()), &e))?))
}

/// Connects to etcd.
pub(crate) async fn etcd_store(endpoints: &[String]) -> Result<Arc<dyn Store>, Failure> {
    let options = store::etcd::Options::new(endpoints.to_vec());
    let connected = store::etcd::Etcd::connect(options).await;
    Ok(Arc::new(connected.map_err(|e| Failure::caused(format!("connecting to etcd at {}", endpoints.join(", ")), &e))?))
}

/// Opens the keys and certificates below the data directory.
pub(crate) fn open_pki(instance: &Instance, host: &Host) -> Result<Pki, Failure> {
    let directory = instance.path("pki");
    Pki::open(&directory, host)
        .map_err(|e| Failure::caused(format!("opening the certificates in {}", directory.display()), &e))
}

/// The API server and the way to it for roles of this process.
pub(crate) fn api_server(
    store: Arc<dyn Store>,
    pki: &Pki,
    exposure: &Exposure,
    host: &Host,
) -> Result<(Server, Handle), Failure> {
    let certificate = serving_certificate(pki, exposure)?;
    let tls = pki::server_config(&certificate, Some(&pki.authority().roots())).map_err(tls_failed)?;
    let kubelet_client =
        pki.certificate("apiserver-kubelet-client", &Profile::apiserver_kubelet_client()).map_err(tls_failed)?;
    let security = security(SecurityOptions {
        signing_key: pki.signing_key().clone(),
        issuer: ISSUER.to_owned(),
        authority: pki.authority().roots(),
        server: format!("https://{}", exposure.advertise),
        kubelet_client,
    });
    let mut options = Options::new(store, security);
    options.listen = exposure.listen.iter().map(|address| Listen { address: *address, tls: tls.clone() }).collect();
    options.advertise = Some(exposure.advertise);
    options.service_cidrs = vec![exposure.service_cidr.clone()];
    options.bootstrap.push(apiserver::authorization::bootstrap());
    Ok(Server::new(options, host))
}

fn serving_certificate(pki: &Pki, exposure: &Exposure) -> Result<Certified, Failure> {
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    let addresses = exposure
        .listen
        .iter()
        .map(SocketAddr::ip)
        .chain([exposure.advertise.ip(), exposure.service_address])
        .chain(loopback);
    let addresses = addresses.filter(|address| !address.is_unspecified()).map(|address| address.to_string());
    let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).chain(addresses).collect();
    pki.certificate("apiserver", &Profile::server("kube-apiserver", names)).map_err(tls_failed)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn tls_failed(error: pki::Error) -> Failure {
    Failure::new("preparing the API server's certificates", chain(&error))
}

/// The controllers, acting as `system:kube-controller-manager` over the process's caches.
pub(crate) fn controller_manager(informers: Informers, authority: &str, identity: &str) -> Box<dyn Role> {
    let mut options = control::Options::default();
    options.settings.root_ca = Some(authority.to_owned());
    options.candidate =
        Some(control::Candidate { lease: control::ControllerManager::LEASE, identity: identity.to_owned() });
    Box::new(control::ControllerManager::new(informers, options))
}

/// The scheduler, acting as `system:kube-scheduler` over the process's caches.
pub(crate) fn scheduler(informers: Informers, identity: &str) -> Box<dyn Role> {
    let candidate = Some(control::Candidate { lease: scheduler::Scheduler::LEASE, identity: identity.to_owned() });
    Box::new(scheduler::Scheduler::new(informers, scheduler::Options { candidate, ..scheduler::Options::default() }))
}

/// Writes a kubeconfig for the administrator and for each role that runs alone into `kubeconfig/` below the data
/// directory: `admin.conf`, `scheduler.conf`, `kubelet.conf`, …
pub(crate) fn write_kubeconfigs(instance: &Instance, pki: &Pki, server: SocketAddr, node: &str) -> Result<(), Failure> {
    let directory = instance.path("kubeconfig");
    let what = || format!("writing the roles' kubeconfigs into {}", directory.display());
    std::fs::create_dir_all(&directory).map_err(|e| Failure::new(what(), e))?;
    for (file, profile) in profiles(node) {
        let certificate =
            pki.certificate(&format!("client-{file}"), &profile).map_err(|e| Failure::new(what(), chain(&e)))?;
        let entry = pki::kubeconfig::Entry {
            name: "coracle",
            server: &format!("https://{server}"),
            authority_pem: pki.authority().pem(),
            credentials: pki::kubeconfig::Credentials::Certificate(&certificate),
            namespace: None,
        };
        let path = directory.join(format!("{file}.conf"));
        pki::kubeconfig::write(&path, &entry).map_err(|e| Failure::new(what(), chain(&e)))?;
    }
    Ok(())
}

/// Who the clients of an API server are: file name and certificate.
fn profiles(node: &str) -> [(&'static str, Profile); 6] {
    [
        ("admin", Profile::admin()),
        ("controller-manager", Profile::component("system:kube-controller-manager")),
        ("scheduler", Profile::component("system:kube-scheduler")),
        ("kubelet", Profile::kubelet_client(node)),
        ("proxy", Profile::component("system:kube-proxy")),
        ("dns", Profile::component("system:kube-dns")),
    ]
}

/// A component's user.
pub(crate) fn component(name: &str) -> User {
    User::new(format!("system:{name}"))
}
