//! A tiny image registry on loopback: serves what it was given, to readers only.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Machine;
use crate::image::{Image, digest};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A registry that lives as long as this value.
pub struct Registry {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    stop: Arc<AtomicBool>,
    machine: Option<Machine>,
    thread: Option<JoinHandle<()>>,
}

/// Media types and bytes by path below `/v2/`, and what was asked for.
#[derive(Default)]
struct Content {
    documents: BTreeMap<String, (&'static str, Vec<u8>)>,
    /// The `Authorization` header that every request must have, if any.
    authorization: Option<String>,
    requests: Vec<String>,
}

impl Registry {
    /// Serves on a loopback port of this host, or of a machine.
    pub fn start(machine: Option<&Machine>) -> io::Result<Self> {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let listener = machine.map_or_else(bind, |machine| machine.inside(bind)?)?;
        let address = listener.local_addr()?;
        let (content, stop) = (Arc::<Mutex<Content>>::default(), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (content, stop) = (content.clone(), stop.clone());
            move || serve(&listener, &content, &stop)
        });
        Ok(Self { address, content, stop, machine: machine.cloned(), thread: Some(thread) })
    }

    /// `127.0.0.1:port`, as it begins image names.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers 401 to everybody without these credentials.
    pub fn require(&self, user: &str, password: &str) {
        let token = STANDARD.encode(format!("{user}:{password}"));
        self.lock().authorization = Some(format!("Basic {token}"));
    }

    /// Offers an image as `repository:tag`, behind an index that has a foreign platform too. Returns the digest of the
    /// image's own manifest.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> io::Result<String> {
        let blobs = image.compressed()?;
        let document = image.document();
        let layers: Vec<Value> = blobs.iter().map(|blob| descriptor(LAYER, blob)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &document),
            "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = digest(&manifest);
        let index = index(&manifest);
        let mut content = self.lock();
        let manifests = format!("{repository}/manifests");
        content.documents.insert(format!("{manifests}/{manifest_digest}"), (MANIFEST, manifest));
        content.documents.insert(format!("{manifests}/{}", digest(&index)), (INDEX, index.clone()));
        content.documents.insert(format!("{manifests}/{tag}"), (INDEX, index));
        for blob in blobs.into_iter().chain([document]) {
            let path = format!("{repository}/blobs/{}", digest(&blob));
            content.documents.insert(path, ("application/octet-stream", blob));
        }
        Ok(manifest_digest)
    }

    /// Replaces a blob's bytes, as a broken or hostile registry would.
    pub fn corrupt(&self, repository: &str, bytes: &[u8]) {
        let prefix = format!("{repository}/blobs/");
        for (path, (_, content)) in &mut self.lock().documents {
            if path.starts_with(&prefix) {
                *content = bytes.to_vec();
            }
        }
    }

    /// The paths asked for so far, below `/v2/`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let address = self.address;
        let wake = move || drop(TcpStream::connect(address));
        match &self.machine {
            Some(machine) => drop(machine.inside(wake)),
            None => wake(),
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

fn index(manifest: &[u8]) -> Vec<u8> {
    let mut foreign = descriptor(MANIFEST, b"foreign");
    foreign["platform"] = json!({ "os": "linux", "architecture": "s390x" });
    let mut own = descriptor(MANIFEST, manifest);
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    own["platform"] = json!({ "os": "linux", "architecture": architecture });
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [foreign, own] }).to_string().into_bytes()
}

fn serve(listener: &TcpListener, content: &Arc<Mutex<Content>>, stop: &Arc<AtomicBool>) {
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let (Ok(stream), content) = (stream, content.clone()) else { continue };
        std::thread::spawn(move || {
            let _ = serve_connection(&stream, &content);
        });
    }
}

/// Answers one request and closes.
fn serve_connection(mut stream: &TcpStream, content: &Mutex<Content>) -> io::Result<()> {
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut authorization = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.to_owned());
        }
    }
    let mut parts = request.split(' ');
    let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (status, headers, body) = answer(path, authorization, content);
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    stream.flush()
}

fn answer(path: &str, authorization: Option<String>, content: &Mutex<Content>) -> (&'static str, String, Vec<u8>) {
    let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
    if content.authorization.is_some() && content.authorization != authorization {
        return ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"\r\n".into(), Vec::new());
    }
    let path = path.trim_start_matches("/v2/");
    content.requests.push(path.to_owned());
    match content.documents.get(path) {
        _ if path.is_empty() => ("200 OK", String::new(), Vec::new()),
        Some((kind, body)) => {
            let digest =
                path.rsplit('/').next().filter(|last| last.starts_with("sha256:") && path.contains("/manifests/"));
            let digest = digest
                .map_or_else(|| digest_header(body, path), |digest| format!("Docker-Content-Digest: {digest}\r\n"));
            ("200 OK", format!("Content-Type: {kind}\r\n{digest}"), body.clone())
        }
        None => {
            let body = json!({ "errors": [{ "code": "MANIFEST_UNKNOWN", "message": "manifest unknown" }] });
            ("404 Not Found", "Content-Type: application/json\r\n".into(), body.to_string().into_bytes())
        }
    }
}

fn digest_header(body: &[u8], path: &str) -> String {
    if path.contains("/manifests/") { format!("Docker-Content-Digest: {}\r\n", digest(body)) } else { String::new() }
}
