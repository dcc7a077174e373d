//! Listeners: TLS, both versions of HTTP, client certificates.

use std::sync::{Arc, Mutex};

use apiserver::options::Listen;
use apiserver::{Authenticator, Credentials, Options, Peer, Security, User};
use async_trait::async_trait;
use bytes::Bytes;
use host::Host;
use http::{Request, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use store::Embedded;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::server::{Api, open};

/// Remembers how many certificates its callers have shown.
struct Witness(Arc<Mutex<Vec<usize>>>);

#[async_trait]
impl Authenticator for Witness {
    async fn authenticate(&self, credentials: Credentials<'_>) -> apiserver::Result<Option<User>> {
        let Peer::Tls { certificates, .. } = credentials.peer else {
            panic!("a connection in memory has its identity")
        };
        self.0.lock().expect("no panic").push(certificates.len());
        Ok((!certificates.is_empty()).then(|| User::new("certified")))
    }
}

struct Pair {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn pair(name: &str) -> Pair {
    let key = KeyPair::generate().expect("a key");
    let certificate =
        CertificateParams::new([name.to_owned()]).expect("a name").self_signed(&key).expect("a certificate");
    let der = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    Pair { certificate: certificate.der().clone(), key: der }
}

fn roots(certificate: &CertificateDer<'static>) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    Arc::new(roots)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_config(server: &Pair, client: &Pair) -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&client.certificate), provider())
        .allow_unauthenticated()
        .build()
        .expect("a verifier");
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.certificate.clone()], server.key.clone_key())
        .expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

fn client_config(server: &Pair, client: Option<&Pair>, protocol: &[u8]) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots(&server.certificate));
    let mut config = match client {
        Some(pair) => {
            builder.with_client_auth_cert(vec![pair.certificate.clone()], pair.key.clone_key()).expect("a certificate")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

#[tokio::test]
async fn both_versions_of_http_over_tls() {
    let (server, client) = (pair("localhost"), pair("client"));
    let host = Host::system();
    let store = Arc::new(Embedded::memory(&host).expect("a store"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let witness = Arc::new(Witness(seen.clone()));
    let mut options = Options::new(store, move |_| Ok(Security { authenticator: witness, ..open() }));
    let listen =
        Listen { address: "127.0.0.1:0".parse().expect("an address"), tls: Arc::new(server_config(&server, &client)) };
    options.listen = vec![listen.clone(), listen];
    let api = Api::run(options, host.clone()).await;
    let addresses = api.handle.addresses();
    assert_eq!(addresses.len(), 2);
    for (address, (protocol, certified)) in
        addresses.iter().cycle().zip([("h2", true), ("http/1.1", true), ("h2", false), ("http/1.1", false)])
    {
        let config = client_config(&server, certified.then_some(&client), protocol.as_bytes());
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
        let body = get(TokioIo::new(stream), protocol == "h2", &host).await;
        assert!(body.starts_with(b"{\"major\":\"1\""), "{body:?}");
        assert_eq!(seen.lock().expect("no panic").pop(), Some(usize::from(certified)));
    }
    assert!(host.tasks.drain(std::time::Duration::from_secs(10)).await, "the server ends when it is told to");
}

/// `GET /version` on a fresh connection.
async fn get<S>(stream: S, h2: bool, host: &Host) -> Bytes
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let version = if h2 { Version::HTTP_2 } else { Version::HTTP_11 };
    let request = Request::builder().uri("https://localhost/version").version(version).header("host", "localhost");
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let spawn = |future: futures::future::BoxFuture<'static, ()>| {
        host.tasks.spawn("client", host::OnEnd::Expected, future);
    };
    let response = if h2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("a handshake");
        spawn(Box::pin(async move { drop(connection.await) }));
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.expect("a handshake");
        spawn(Box::pin(async move { drop(connection.await) }));
        sender.send_request(request).await
    };
    response.expect("an answer").into_body().collect().await.expect("a body").to_bytes()
}
