//! The Service under which pods find the name server: `kube-system/kube-dns`.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// Who looks after the slice: other controllers leave it alone.
const MANAGER: &str = "coracle-dns";

/// Creates or updates the Service with `address` and the slice that leads to `listeners`. A Service that exists keeps
/// what others set on it; without a selector, nobody else makes slices for it.
pub(crate) async fn publish(client: &Client, address: IpAddr, listeners: &[SocketAddr]) -> kube::Result<()> {
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    ensure(&services, NAME, service(address)).await?;
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    for ipv6 in [false, true] {
        let mine: Vec<SocketAddr> = listeners.iter().copied().filter(|listener| listener.is_ipv6() == ipv6).collect();
        if let Some(first) = mine.first() {
            let name = if ipv6 { "kube-dns-v6" } else { NAME };
            ensure(&slices, name, slice(name, &mine, first.port())).await?;
        }
    }
    Ok(())
}

async fn ensure<K>(api: &Api<K>, name: &str, wanted: Value) -> kube::Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    let object: K = serde_json::from_value(wanted.clone()).map_err(kube::Error::SerdeError)?;
    match api.create(&PostParams::default(), &object).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.patch(name, &PatchParams::default(), &Patch::Merge(wanted)).await.map(|_| ())
        }
        created => created.map(|_| ()),
    }
}

fn service(address: IpAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {"k8s-app": NAME, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "clusterIP": address,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    })
}

fn slice(name: &str, listeners: &[SocketAddr], port: u16) -> Value {
    let endpoints: Vec<Value> = listeners
        .iter()
        .map(|listener| json!({"addresses": [listener.ip()], "conditions": {"ready": true, "serving": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": NAME, "endpointslice.kubernetes.io/managed-by": MANAGER},
        },
        "addressType": if listeners.iter().all(SocketAddr::is_ipv6) { "IPv6" } else { "IPv4" },
        "endpoints": endpoints,
        "ports": [
            {"name": "dns", "port": port, "protocol": "UDP"},
            {"name": "dns-tcp", "port": port, "protocol": "TCP"},
        ],
    })
}
