//! The role: checks the machine, finds what an earlier run left, and serves CRI until shutdown.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use host::{Host, OnEnd, Ready, Role, RoleError};
use shim::cgroup::Hierarchies;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Attempt as _, Error, Result};
use crate::image::Images;
use crate::layout::Layout;
use crate::options::Options;
use crate::record::{self, Record};
use crate::sandbox::Sandbox;
use crate::server::{OwnServer, Server};
use crate::shim::{Program, Shim};
use crate::stream::{self, Streaming};

/// How long it takes an ended process to leave its cgroup, on a busy machine.
const LEAVE_ATTEMPTS: usize = 100;
const LEAVE_PAUSE: Duration = Duration::from_millis(10);

/// The embedded container runtime. Ending it leaves containers running; the next one finds them again.
pub struct Runtime(Options);

impl Runtime {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(options)
    }
}

#[async_trait]
impl Role for Runtime {
    fn name(&self) -> &'static str {
        "runtime"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> std::result::Result<(), RoleError> {
        let what = || format!("running the container runtime in {}", self.0.directory().display());
        check_machine().map_err(|e| RoleError::new(what(), e.words()))?;
        // Somebody else in the process may have chosen one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let socket = self.0.socket();
        let served = serve(self.0.clone(), host, ready).await;
        // A socket that nobody serves would make others wait.
        let _ = fs::remove_file(socket);
        served.map_err(|e| RoleError::new(what(), e.words()))
    }
}

async fn serve(options: Options, host: Host, ready: Ready) -> Result<()> {
    let layout = Layout::create(&options.directory()).attempt(|| "making the runtime's directories".into())?;
    let hierarchies = find_cgroups()?;
    let program = Program::find(options.shim.as_deref(), &layout)?;
    let images = Images::open(&layout, program.clone()).attempt(|| "reading the images".into())?;
    let (streaming, streams) = Streaming::bind().await?;
    let socket = options.socket();
    let engine = Engine::new(options, layout, hierarchies, program, images, host.clone(), streaming);
    let engine = Arc::new(engine);
    ready.report("finding running pods");
    recover(&engine).await?;
    host.tasks.spawn("stream server", OnEnd::Fatal, stream::serve(engine.clone(), streams));
    let listener = listen(&socket).attempt(|| format!("listening on {}", socket.display()))?;
    ready.done();
    let server = Server(engine.clone());
    let runtime = cri::RuntimeServiceServer::new(server.clone())
        .max_decoding_message_size(cri::MAX_MESSAGE)
        .max_encoding_message_size(usize::MAX);
    let images = cri::ImageServiceServer::new(server.clone()).max_decoding_message_size(cri::MAX_MESSAGE);
    tonic::transport::Server::builder()
        .add_service(runtime)
        .add_service(images)
        .add_service(OwnServer::new(server))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), host.shutdown().cancelled_owned())
        .await
        .attempt(|| format!("serving on {}", socket.display()))?;
    leave(&engine).await;
    Ok(())
}

/// Removes the cgroups of the instance, unless pods are left. A shim that has just ended may still be in its group.
async fn leave(engine: &Engine) {
    let pods = engine.sandboxes().iter().any(|sandbox| sandbox.is_ready());
    for _ in 0..if pods { 0 } else { LEAVE_ATTEMPTS } {
        let groups = [engine.shim_cgroup(), engine.cgroup_root()];
        if groups.iter().all(|group| engine.hierarchies.group(group).remove_if_empty()) {
            return;
        }
        tokio::time::sleep(LEAVE_PAUSE).await;
    }
}

/// Listens for root only.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another container runtime serves there"));
    }
    let _ = fs::remove_file(socket);
    // The directory is closed to others, so that nobody comes between.
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Names what this machine lacks.
fn check_machine() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::Precondition("containers can be run by root only".into()));
    }
    let filesystems = fs::read_to_string("/proc/filesystems").attempt(|| "reading /proc/filesystems".into())?;
    if !filesystems.lines().any(|line| line.ends_with("\toverlay")) {
        return Err(Error::Precondition("the kernel has no overlay file system (modprobe overlay)".into()));
    }
    let namespaces = ["net", "pid", "mnt", "ipc", "uts"];
    let missing: Vec<_> =
        namespaces.into_iter().filter(|name| !Path::new(&format!("/proc/self/ns/{name}")).exists()).collect();
    if !missing.is_empty() {
        return Err(Error::Precondition(format!("the kernel has no {} namespaces", missing.join(", "))));
    }
    Ok(())
}

fn find_cgroups() -> Result<Hierarchies> {
    let hierarchies = Hierarchies::find().attempt(|| "looking for cgroups".into())?;
    let missing = hierarchies.missing();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Error::Precondition(format!("the cgroup controllers {missing} are missing or not mounted")));
    }
    Ok(hierarchies)
}

/// Finds sandboxes and containers of earlier runs, and removes what nobody owns.
async fn recover(engine: &Arc<Engine>) -> Result<()> {
    for record in records::<record::Container>(&engine.layout.containers()).await? {
        engine.insert_container(Container::recover(engine, record)?);
    }
    let sandboxes = records::<record::Sandbox>(&engine.layout.sandboxes()).await?;
    try_join_all(sandboxes.into_iter().map(|record| Sandbox::recover(engine, record))).await?;
    for container in engine.containers() {
        if engine.sandbox(&container.sandbox).is_err() {
            container.lose(engine);
        }
    }
    let Some(network) = &engine.options.network else { return Ok(()) };
    let holders = engine.sandboxes().iter().map(|sandbox| sandbox.id.clone()).collect();
    network.retain(&holders).await.attempt(|| "freeing networks that no sandbox holds".into())
}

/// The records below a directory. What has no record, or a torn one, is what a crash has left: it is removed, with the
/// shim that may hold it. A record of another version is an error, before anything has been touched.
async fn records<R: Record>(directory: &Path) -> Result<Vec<R>> {
    let what = || format!("reading {}", directory.display());
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(directory).attempt(what)? {
        let path = entry.attempt(what)?.path();
        match R::load(&path) {
            Ok(record) => found.push(record),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => left.push((path, e)),
            Err(e) if e.kind() == io::ErrorKind::Unsupported => return Err(Error::Version(format!("{}: {e}", what()))),
            Err(e) => return Err(e).attempt(what),
        }
    }
    for (path, why) in left {
        tracing::info!(path = %path.display(), %why, "removing what a crash has left");
        Shim::at(path.clone()).end().await?;
        crate::layout::remove_directory(&path).attempt(|| format!("removing {}", path.display()))?;
    }
    Ok(found)
}
