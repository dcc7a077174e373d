//! A lean HTTPS load: many connections, one request at a time on each, no client library in the way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[derive(Deserialize)]
struct Kubeconfig {
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
struct Cluster {
    server: String,
    #[serde(rename = "certificate-authority-data")]
    authority: String,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
struct User {
    #[serde(rename = "client-certificate-data")]
    certificate: String,
    #[serde(rename = "client-key-data")]
    key: String,
}

/// Where requests go, and with which credentials.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// A bearer token, for those without a certificate.
    token: Option<&'static str>,
}

impl Target {
    /// From a kubeconfig with one cluster, one user, and embedded certificates.
    pub(crate) fn read(kubeconfig: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(kubeconfig).map_err(|e| format!("{}: {e}", kubeconfig.display()))?;
        let config: Kubeconfig = serde_saphyr::from_str(&text).map_err(|e| format!("{}: {e}", kubeconfig.display()))?;
        let cluster = &config.clusters.first().ok_or("kubeconfig has no cluster")?.cluster;
        let user = &config.users.first().ok_or("kubeconfig has no user")?.user;
        let address =
            cluster.server.trim_start_matches("https://").parse().map_err(|e| format!("{}: {e}", cluster.server))?;
        let (authority, certificate) = (decode(&cluster.authority)?, decode(&user.certificate)?);
        Ok(Self { address, tls: Arc::new(tls(&authority, &certificate, &decode(&user.key)?)?), token: None })
    }

    /// A server whose certificate is signed by one in `authority` (PEM), which knows the caller by `token`.
    pub(crate) fn with_token(address: SocketAddr, authority: &[u8], token: &'static str) -> Result<Self, String> {
        let config = builder()?.with_root_certificates(roots(authority)?).with_no_client_auth();
        Ok(Self { address, tls: Arc::new(config), token: Some(token) })
    }

    /// A new connection.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let stream = TcpStream::connect(self.address).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let name = ServerName::from(self.address.ip());
        let stream = tokio_rustls::TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
            .map_err(|e| e.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        drive(connection);
        Ok(sender)
    }

    pub(crate) fn request(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("user-agent", "coracle-bench");
        if let Some(token) = self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Full::new(body.into())).expect("the request is well formed")
    }
}

#[expect(clippy::disallowed_methods, reason = "the load ends with its process, no task outlives it")]
fn drive(connection: impl Future<Output = Result<(), hyper::Error>> + Send + 'static) {
    tokio::spawn(connection);
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| e.to_string())
}

fn tls(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<ClientConfig, String> {
    let chain =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>().map_err(|e| format!("{e:?}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("{e:?}"))?;
    let builder = builder()?.with_root_certificates(roots(authority)?);
    builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())
}

fn roots(authority: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(authority) {
        roots.add(ca.map_err(|e| format!("{e:?}"))?).map_err(|e| e.to_string())?;
    }
    Ok(roots)
}

/// Sends one request and reads the answer whole; an answer other than success is an error.
pub(crate) async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Bytes, String> {
    sender.ready().await.map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
    if status.is_success() { Ok(body) } else { Err(format!("{status}: {}", String::from_utf8_lossy(&body))) }
}

/// Requests a second that `clients` connections reach with `request(n)` in `time`.
pub(crate) async fn rate<F>(target: &Target, clients: usize, time: Duration, request: F) -> Result<f64, String>
where
    F: Fn(&Target, usize) -> Request<Full<Bytes>> + Clone + Send + 'static,
{
    let started = Instant::now();
    let done = share(target, clients, request, move |_| started.elapsed() < time).await?;
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// Requests a second that `clients` connections reach with `request(0)` to `request(count - 1)`.
pub(crate) async fn all<F>(target: &Target, clients: usize, count: usize, request: F) -> Result<f64, String>
where
    F: Fn(&Target, usize) -> Request<Full<Bytes>> + Clone + Send + 'static,
{
    let started = Instant::now();
    share(target, clients, request, move |n| n < count).await?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// Shares the requests out among connections as long as `more` wants the next one; how many were sent.
async fn share<F, M>(target: &Target, clients: usize, request: F, more: M) -> Result<usize, String>
where
    F: Fn(&Target, usize) -> Request<Full<Bytes>> + Clone + Send + 'static,
    M: Fn(usize) -> bool + Clone + Send + 'static,
{
    let mut work = JoinSet::new();
    for client in 0..clients {
        let mut sender = target.connect().await?;
        let (target, request, more) = (target.clone(), request.clone(), more.clone());
        work.spawn(async move {
            let mut done = 0;
            while more(done * clients + client) {
                send(&mut sender, request(&target, done * clients + client)).await?;
                done += 1;
            }
            Ok::<usize, String>(done)
        });
    }
    let mut total = 0;
    while let Some(joined) = work.join_next().await {
        total += joined.map_err(|e| e.to_string())??;
    }
    Ok(total)
}
