//! The objects that a server keeps for every cluster.

mod endpoint;

use std::net::SocketAddr;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::{ServiceCIDR, ServiceCIDRSpec};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use endpoint::{KubernetesService, keep};

/// Objects that must exist before a server calls itself ready.
#[async_trait]
pub trait Bootstrap: Send + Sync {
    /// What is being made, for progress and errors: `RBAC policy`.
    fn name(&self) -> &'static str;

    /// Makes what is missing. `client` acts as the server itself.
    ///
    /// # Errors
    /// When an object can be neither found nor made.
    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError>;
}

/// Why an object could not be made.
#[derive(Debug, thiserror::Error)]
#[error("create {what}")]
pub struct BootstrapError {
    pub what: String,
    #[source]
    pub source: Box<kube::Error>,
}

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The namespaces that every cluster has.
pub(crate) struct Namespaces;

#[async_trait]
impl Bootstrap for Namespaces {
    fn name(&self) -> &'static str {
        "system namespaces"
    }

    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError> {
        for name in NAMESPACES {
            ensure(&Api::all(client.clone()), &Namespace { metadata: named(name), ..Namespace::default() }).await?;
        }
        Ok(())
    }
}

/// The classes of pods that the cluster itself needs.
pub(crate) struct PriorityClasses;

const PRIORITY_CLASSES: [(&str, i32, &str); 2] = [
    ("system-cluster-critical", 2_000_000_000, "For pods the cluster cannot do without, on whichever node they run."),
    ("system-node-critical", 2_000_001_000, "For pods their node cannot do without."),
];

#[async_trait]
impl Bootstrap for PriorityClasses {
    fn name(&self) -> &'static str {
        "system priority classes"
    }

    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError> {
        for (name, value, description) in PRIORITY_CLASSES {
            let class = PriorityClass {
                metadata: named(name),
                value: Some(value),
                description: Some(description.to_owned()),
                ..PriorityClass::default()
            };
            ensure(&Api::all(client.clone()), &class).await?;
        }
        Ok(())
    }
}

/// The range that Service addresses come from.
pub(crate) struct DefaultServiceCidr(pub(crate) Vec<String>);

#[async_trait]
impl Bootstrap for DefaultServiceCidr {
    fn name(&self) -> &'static str {
        "default service range"
    }

    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError> {
        let spec = ServiceCIDRSpec { cidrs: Some(self.0.clone()) };
        let cidr = ServiceCIDR { metadata: named("kubernetes"), spec: Some(spec), ..ServiceCIDR::default() };
        ensure(&Api::all(client.clone()), &cidr).await
    }
}

/// Everything that is made, in order: namespaces first, what the caller adds, then the rest.
pub(crate) fn all(
    added: Vec<Box<dyn Bootstrap>>,
    service_cidrs: &[String],
    advertise: Option<SocketAddr>,
) -> Vec<Box<dyn Bootstrap>> {
    let mut all: Vec<Box<dyn Bootstrap>> = vec![Box::new(Namespaces)];
    all.extend(added);
    all.push(Box::new(PriorityClasses));
    all.push(Box::new(DefaultServiceCidr(service_cidrs.to_vec())));
    if let Some(service) = advertise.and_then(|address| KubernetesService::new(address, service_cidrs)) {
        all.push(Box::new(service));
    }
    all
}

/// Creates an object unless one with its name is there.
///
/// # Errors
/// When it is neither there nor can be made.
pub async fn ensure<K>(api: &Api<K>, object: &K) -> Result<(), BootstrapError>
where
    K: kube::Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        Err(source) => {
            let name = object.meta().name.as_deref().unwrap_or_default();
            Err(BootstrapError { what: format!("{} {name}", K::kind(&())), source: Box::new(source) })
        }
    }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}
