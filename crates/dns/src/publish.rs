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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response, StatusCode};
    use kube::client::Body;

    use super::*;

    /// What a server that has `existing` objects is asked.
    async fn requests(existing: bool) -> Vec<String> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = log.clone();
        let server = tower::service_fn(move |request: Request<Body>| {
            let line = format!("{} {}", request.method(), request.uri().path());
            seen.lock().unwrap().push(line);
            async move {
                let refused = existing && request.method() == Method::POST;
                let (code, body) = if refused {
                    let status = json!({"kind": "Status", "status": "Failure", "reason": "AlreadyExists", "code": 409});
                    (StatusCode::CONFLICT, status)
                } else {
                    let bytes = request.into_body().collect_bytes().await.unwrap();
                    (StatusCode::CREATED, serde_json::from_slice(&bytes).unwrap())
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        let client = Client::new(server, NAMESPACE);
        let listeners = ["10.42.0.1:53".parse().unwrap()];
        publish(&client, "10.43.0.10".parse().unwrap(), &listeners).await.unwrap();
        log.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn the_service_is_created_or_updated() {
        let services = "/api/v1/namespaces/kube-system/services";
        let slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices";
        assert_eq!(requests(false).await, [format!("POST {services}"), format!("POST {slices}")]);
        assert_eq!(
            requests(true).await,
            [
                format!("POST {services}"),
                format!("PATCH {services}/kube-dns"),
                format!("POST {slices}"),
                format!("PATCH {slices}/kube-dns"),
            ]
        );
    }
}
