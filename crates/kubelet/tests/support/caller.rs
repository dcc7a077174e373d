//! A caller of the kubelet's HTTPS server.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use host::Tasks;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use kubelet::Serving;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use streaming::client::{Carrier, exec_request, exec_spdy, exec_websocket};
use streaming::{Streams, Upgrade};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The version of the exec protocol that every runtime speaks.
const V4: &str = "v4.channel.k8s.io";

/// Knows the server by its certificate and itself by a token.
pub(crate) struct Caller {
    pub(crate) address: SocketAddr,
    certificate: CertificateDer<'static>,
    tasks: Tasks,
}

/// A server's identity on a free port, and a caller for it.
pub(crate) fn pair() -> (Serving, Caller) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let serving = Serving {
        address,
        certificates: vec![certificate.clone()],
        key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
        client_authorities: Vec::new(),
    };
    (serving, Caller { address, certificate, tasks: Tasks::new() })
}

impl Caller {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Status and body of a GET.
    pub(crate) async fn get(&self, path: &str, token: &str) -> (u16, String) {
        let io = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let request = Request::get(path)
            .header(header::HOST, "node")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let exchange = async {
            let response = sender.send_request(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            drop(sender);
            (status, String::from_utf8_lossy(&body).into_owned())
        };
        let (answer, _) = tokio::join!(exchange, connection);
        answer
    }

    /// What a command in a container prints, and the status of its end.
    pub(crate) async fn exec(&self, carrier: Carrier, path: &str, token: &str) -> (String, String) {
        let mut request = exec_request(path, carrier, V4).unwrap();
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let upgrade = streaming::upgrade(self.connect().await, request, &self.tasks).await.unwrap();
        let Upgrade::Switched { io, .. } = upgrade else { panic!("refused: {upgrade:?}") };
        let streams = Streams { stdin: false, stdout: true, stderr: false, tty: false };
        let mut session = match carrier {
            Carrier::Spdy => exec_spdy(io, streams, &self.tasks).await.unwrap(),
            Carrier::WebSocket => exec_websocket(io, V4, streams, &self.tasks).await.unwrap(),
        };
        let mut stdout = String::new();
        session.stdout.take().unwrap().read_to_string(&mut stdout).await.unwrap();
        (stdout, String::from_utf8_lossy(&session.status().await.unwrap()).into_owned())
    }
}
