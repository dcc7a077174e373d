//! HTTP GETs of probes and hooks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Outcome, port};

/// Most of an answer's body that is read.
const MAX_BODY: usize = 10 << 10;

/// Where to go.
#[derive(Debug, Clone)]
pub struct Target {
    host: String,
    port: u16,
    tls: bool,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Target {
    /// What `action` asks for; `address` is the pod's.
    pub fn new(action: &HTTPGetAction, container: &Container, address: IpAddr) -> Result<Self, String> {
        let mut headers = Vec::new();
        for header in action.http_headers.iter().flatten() {
            let name = header.name.parse().map_err(|_| format!("invalid header name {:?}", header.name))?;
            let value = header.value.parse().map_err(|_| format!("invalid value of header {:?}", header.name))?;
            headers.push((name, value));
        }
        let path = action.path.as_deref().unwrap_or_default();
        Ok(Self {
            host: action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| address.to_string()),
            port: port(&action.port, container)?,
            tls: action.scheme.as_deref() == Some("HTTPS"),
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
            headers,
        })
    }

    fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

/// Gets the target. Statuses from 200 to 399 are a success.
pub async fn get(target: &Target, limit: Duration) -> Outcome {
    let failed = |why: &dyn std::fmt::Display| Outcome::Failure(format!("Get \"{}\": {why}", target.url()));
    match tokio::time::timeout(limit, exchange(target)).await {
        Ok(Ok(status)) if (200..400).contains(&status) => Outcome::Success,
        Ok(Ok(status)) => Outcome::Failure(format!("HTTP probe failed with statuscode: {status}")),
        Ok(Err(error)) => failed(&error),
        Err(_) => failed(&"context deadline exceeded (Client.Timeout exceeded while awaiting headers)"),
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(target: &Target) -> Result<u16, Error> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    if !target.tls {
        return request(target, stream).await;
    }
    let config = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let name = ServerName::try_from(target.host.clone())?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    request(target, stream).await
}

async fn request<S>(target: &Target, stream: S) -> Result<u16, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = http::Request::get(&target.path)
        .header(HOST, target.authority())
        .header(USER_AGENT, "kube-probe/1.36")
        .header(ACCEPT, "*/*");
    for (name, value) in &target.headers {
        if let Some(headers) = request.headers_mut() {
            headers.insert(name, value.clone());
        }
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        // the body is read so that the server can finish; its content does not matter
        let _ = Limited::new(response.into_body(), MAX_BODY).collect().await;
        Ok::<_, hyper::Error>(status)
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        biased;
        status = &mut exchange => Ok(status?),
        closed = &mut connection => {
            closed?;
            Ok(exchange.await?)
        }
    }
}

pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Probes do not check certificates: they ask whether something answers, not who.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn check(answer: &'static str, expected: Outcome) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz?x=1 HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        };
        let action = HTTPGetAction {
            path: Some("healthz?x=1".into()),
            port: IntOrString::Int(i32::from(address.port())),
            ..Default::default()
        };
        let target = Target::new(&action, &Container::default(), address.ip()).unwrap();
        let (outcome, ()) = tokio::join!(get(&target, Duration::from_secs(5)), server);
        assert_eq!(outcome, expected);
    }

    #[tokio::test]
    async fn statuses() {
        check("HTTP/1.1 204 No Content\r\n\r\n", Outcome::Success).await;
        check("HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: /x\r\n\r\n", Outcome::Success).await;
        let failure = Outcome::Failure("HTTP probe failed with statuscode: 500".into());
        check("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno", failure).await;
    }
}
