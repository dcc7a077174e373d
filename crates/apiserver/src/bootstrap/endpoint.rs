//! The `kubernetes` Service: how pods find the API server.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use host::Shutdown;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServicePort, ServiceSpec,
};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort as SlicePort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Bootstrap, BootstrapError, ensure};
use crate::objects::Objects;

const NAME: &str = "kubernetes";
const NAMESPACE: &str = "default";
const KEY: &str = "default/kubernetes";
/// The wait before another attempt when the objects cannot be written.
const PAUSE: Duration = Duration::from_secs(5);

/// The Service `default/kubernetes` with its endpoints.
#[derive(Debug, Clone)]
pub(crate) struct KubernetesService {
    advertise: SocketAddr,
    cluster_ip: IpAddr,
}

impl KubernetesService {
    /// `None` when the first range is none.
    pub(crate) fn new(advertise: SocketAddr, service_cidrs: &[String]) -> Option<Self> {
        let (network, _) = object::names::parse_cidr(service_cidrs.first()?)?;
        Some(Self { advertise, cluster_ip: next(network) })
    }

    /// Whether no pod can reach the address, so that it is no endpoint: that of a server for this machine alone.
    fn is_private(&self) -> bool {
        let address = self.advertise.ip();
        address.is_loopback() || address.is_unspecified()
    }

    fn service(&self) -> Service {
        let port = ServicePort {
            name: Some("https".to_owned()),
            port: 443,
            protocol: Some("TCP".to_owned()),
            target_port: Some(IntOrString::Int(i32::from(self.advertise.port()))),
            ..ServicePort::default()
        };
        let spec = ServiceSpec {
            cluster_ip: Some(self.cluster_ip.to_string()),
            ports: Some(vec![port]),
            session_affinity: Some("None".to_owned()),
            type_: Some("ClusterIP".to_owned()),
            ..ServiceSpec::default()
        };
        let labels = [("component", "apiserver"), ("provider", NAME)];
        Service { metadata: meta(&labels), spec: Some(spec), ..Service::default() }
    }

    fn endpoints(&self) -> Endpoints {
        let address = EndpointAddress { ip: self.advertise.ip().to_string(), ..EndpointAddress::default() };
        let port = EndpointPort {
            name: Some("https".to_owned()),
            port: i32::from(self.advertise.port()),
            protocol: Some("TCP".to_owned()),
            ..EndpointPort::default()
        };
        let subset =
            EndpointSubset { addresses: Some(vec![address]), ports: Some(vec![port]), ..EndpointSubset::default() };
        let labels = [("endpointslice.kubernetes.io/skip-mirror", "true")];
        Endpoints { metadata: meta(&labels), subsets: Some(vec![subset]) }
    }

    fn slice(&self) -> EndpointSlice {
        let ready = EndpointConditions { ready: Some(true), ..EndpointConditions::default() };
        let endpoint = Endpoint {
            addresses: vec![self.advertise.ip().to_string()],
            conditions: Some(ready),
            ..Endpoint::default()
        };
        let port = SlicePort {
            name: Some("https".to_owned()),
            port: Some(i32::from(self.advertise.port())),
            protocol: Some("TCP".to_owned()),
            ..SlicePort::default()
        };
        let family = if self.advertise.is_ipv4() { "IPv4" } else { "IPv6" };
        EndpointSlice {
            metadata: meta(&[("kubernetes.io/service-name", NAME)]),
            address_type: family.to_owned(),
            endpoints: Some(vec![endpoint]),
            ports: Some(vec![port]),
        }
    }
}

#[async_trait]
impl Bootstrap for KubernetesService {
    fn name(&self) -> &'static str {
        "service of the API server"
    }

    async fn run(&self, client: &kube::Client) -> Result<(), BootstrapError> {
        ensure(&Api::namespaced(client.clone(), NAMESPACE), &self.service()).await?;
        if self.is_private() {
            return Ok(());
        }
        let (endpoints, slice) = (self.endpoints(), self.slice());
        settle(&Api::namespaced(client.clone(), NAMESPACE), endpoints, |a, b| a.subsets == b.subsets).await?;
        let same = |a: &EndpointSlice, b: &EndpointSlice| a.endpoints == b.endpoints && a.ports == b.ports;
        settle(&Api::namespaced(client.clone(), NAMESPACE), slice, same).await
    }
}

/// Keeps the Service and its endpoints as they should be, whoever changes or deletes them.
pub(crate) async fn keep(service: KubernetesService, objects: Objects, client: kube::Client, shutdown: Shutdown) {
    loop {
        let watches = ["services", "endpoints"].map(|resource| objects.watch("", resource));
        let [Some(mut services), Some(mut endpoints)] = watches else { return };
        let Some(mut slices) = objects.watch("discovery.k8s.io", "endpointslices") else { return };
        if let Err(error) = service.run(&client).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the kubernetes service cannot be kept");
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PAUSE) => continue,
            }
        }
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                event = services.events.recv() => event,
                event = endpoints.events.recv() => event,
                event = slices.events.recv() => event,
            };
            // Closed: the cache has started afresh, and so do we.
            if event.is_none_or(|event| event.key() == KEY) {
                break;
            }
        }
    }
}

/// Creates the object, or replaces one that says something else.
async fn settle<K>(api: &Api<K>, wanted: K, same: impl Fn(&K, &K) -> bool) -> Result<(), BootstrapError>
where
    K: kube::Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let failed = |source| BootstrapError { what: format!("{} {NAME}", K::kind(&())), source: Box::new(source) };
    let Some(present) = api.get_opt(NAME).await.map_err(failed)? else { return ensure(api, &wanted).await };
    if same(&present, &wanted) {
        return Ok(());
    }
    let mut wanted = wanted;
    wanted.meta_mut().resource_version = present.meta().resource_version.clone();
    api.replace(NAME, &PostParams::default(), &wanted).await.map(drop).map_err(failed)
}

fn meta(labels: &[(&str, &str)]) -> ObjectMeta {
    let labels: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// The first address after a network's own.
fn next(network: IpAddr) -> IpAddr {
    match network {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().wrapping_add(1)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_the_range_is_the_servers() {
        let advertise = "10.42.0.1:6443".parse().expect("an address");
        for (range, expected) in [("10.43.0.0/16", "10.43.0.1"), ("fd00::/112", "fd00::1")] {
            let service = KubernetesService::new(advertise, &[range.to_owned()]).expect("a range");
            assert_eq!(service.cluster_ip.to_string(), expected);
        }
        assert!(KubernetesService::new(advertise, &[]).is_none());
    }
}
