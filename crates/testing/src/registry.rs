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
    answers: BTreeMap<String, Answer>,
}

/// An answer as no honest registry gives it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: &'static str,
    /// Lines of headers, each with its end.
    pub headers: String,
    pub body: Vec<u8>,
    pub length: Length,
}

/// How long a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    True,
    /// The connection ends before or after as many bytes.
    Told(usize),
    /// After the body come zeros without an end.
    Endless,
}

impl Answer {
    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: "200 OK", headers: String::new(), body: body.into(), length: Length::True }
    }

    #[must_use]
    pub fn length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    /// With another status and, unless it is empty, a header.
    #[must_use]
    pub fn status(mut self, status: &'static str, header: &str) -> Self {
        self.status = status;
        if !header.is_empty() {
            self.headers = format!("{}{header}\r\n", self.headers);
        }
        self
    }

    fn write(&self, mut stream: &TcpStream, head: bool) -> io::Result<()> {
        let length = match self.length {
            Length::True => format!("Content-Length: {}\r\n", self.body.len()),
            Length::Told(length) => format!("Content-Length: {length}\r\n"),
            Length::Endless => String::new(),
        };
        write!(stream, "HTTP/1.1 {}\r\n{length}Connection: close\r\n{}\r\n", self.status, self.headers)?;
        if head {
            return stream.flush();
        }
        stream.write_all(&self.body)?;
        if self.length != Length::Endless {
            return stream.flush();
        }
        loop {
            // Ends when whoever asked has had enough.
            stream.write_all(&[0; 1 << 16])?;
        }
    }
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

    /// Answers a path (below `/v2/`, or another one with its slash) in this way from now on.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.lock().answers.insert(path.to_owned(), answer);
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
fn serve_connection(stream: &TcpStream, content: &Mutex<Content>) -> io::Result<()> {
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
    let answer = strange(path, content).unwrap_or_else(|| {
        let (status, headers, body) = answer(path, authorization, content);
        Answer { status, headers, body, length: Length::True }
    });
    answer.write(stream, method == "HEAD")
}

fn strange(path: &str, content: &Mutex<Content>) -> Option<Answer> {
    let path = path.split('?').next()?.trim_start_matches("/v2/");
    content.lock().unwrap_or_else(PoisonError::into_inner).answers.get(path).cloned()
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
