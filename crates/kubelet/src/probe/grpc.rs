//! Probes by gRPC's health protocol.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use super::Outcome;

const SERVING: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Asks the health service for `service`.
pub async fn check(address: IpAddr, port: u16, service: &str, limit: Duration) -> Outcome {
    let target = SocketAddr::new(address, port);
    match tokio::time::timeout(limit, ask(target, service)).await {
        Ok(Ok(SERVING)) => Outcome::Success,
        Ok(Ok(_)) => Outcome::Failure(format!("service unhealthy (responded with \"NOT_SERVING\") at {target}")),
        Ok(Err(words)) => Outcome::Failure(words),
        Err(_) => Outcome::Failure(format!("timeout: failed to connect service \"{target}\" within {limit:?}")),
    }
}

async fn ask(target: SocketAddr, service: &str) -> Result<i32, String> {
    let endpoint = Endpoint::from_shared(format!("http://{target}")).map_err(|error| error.to_string())?;
    let channel =
        endpoint.connect().await.map_err(|error| format!("failed to connect service \"{target}\": {error}"))?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    let request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    let answer = client.unary(request, path, codec).await.map_err(|status| status.message().to_owned())?;
    Ok(answer.into_inner().status)
}
