//! The embedded runtime, as a role of its own with test images in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use host::{Host, OnEnd, Ready, Role, RoleState};
use tempfile::TempDir;

pub(crate) struct Embedded {
    dir: TempDir,
    host: Host,
    options: runtime::Options,
}

impl Embedded {
    /// Starts it; `None`, with the reason printed, where that cannot be.
    pub(crate) async fn start() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: containers need root");
            return None;
        }
        let Some(shim) = shim_program() else {
            println!("skipped: no shim program (make embedded)");
            return None;
        };
        let dir = TempDir::with_prefix("kubelet-test-").unwrap();
        let instance = format!("k{}", std::process::id());
        let options = runtime::Options { shim: Some(shim), ..runtime::Options::new(instance, dir.path()) };
        let host = Host::system();
        let role = Box::new(runtime::Runtime::new(options.clone()));
        let (ready, mut state) = Ready::new();
        let run = host.clone();
        host.tasks.spawn("runtime", OnEnd::Fatal, async move { role.run(run, ready).await.unwrap() });
        let is_ready = state.wait_for(|state| *state == RoleState::Ready);
        tokio::time::timeout(Duration::from_secs(20), is_ready).await.unwrap().unwrap();
        let archive = testing::image::busybox_archive().unwrap();
        runtime::client::load(&options.socket(), archive.path()).await.unwrap();
        Some(Self { dir, host, options })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.options.socket()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn stop(self) {
        assert!(self.host.tasks.drain(Duration::from_secs(10)).await);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = kubelet::volume::mount::unmount_below(self.dir.path());
    }
}

fn shim_program() -> Option<PathBuf> {
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/embedded/shim");
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("shim");
    [embedded, beside].into_iter().find(|path| path.is_file())
}
