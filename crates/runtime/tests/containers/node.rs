//! A runtime of a test's own, and the pods in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cri::{ContainerConfig, ContainerState, LinuxContainerConfig, PodSandboxConfig};
use host::{Host, OnEnd, Ready, Role as _, RoleState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testing::image::{BUSYBOX, busybox_archive};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A runtime. Dropping it leaves nothing on the machine, however the test ended.
pub(crate) struct Node {
    pub(crate) data: tempfile::TempDir,
    pub(crate) instance: String,
    pub(crate) client: cri::Client,
    pub(crate) host: Host,
}

impl Node {
    /// Starts a runtime with busybox loaded; none when this machine cannot.
    pub(crate) async fn start() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: not root");
            return None;
        }
        if shim_program().is_none() {
            println!("skipped: no shim program (make embedded, or cargo build -p shim)");
            return None;
        }
        let archive = match busybox_archive() {
            Ok(archive) => archive,
            Err(e) => {
                println!("skipped: {e}");
                return None;
            }
        };
        let data = tempfile::tempdir().unwrap();
        let instance = format!("t{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let (host, client) = serve(&instance, data.path()).await;
        let node = Self { data, instance, client, host };
        runtime::client::load(&node.options().socket(), archive.path()).await.unwrap();
        Some(node)
    }

    /// Ends the runtime and starts another one on the same data.
    pub(crate) async fn restart(&mut self) {
        assert!(self.host.tasks.drain(Duration::from_secs(10)).await);
        (self.host, self.client) = serve(&self.instance, self.data.path()).await;
    }

    pub(crate) fn options(&self) -> runtime::Options {
        options(&self.instance, self.data.path())
    }

    pub(crate) fn runtime(&self) -> cri::Runtime {
        self.client.runtime.clone()
    }

    pub(crate) fn images(&self) -> cri::Images {
        self.client.images.clone()
    }

    /// Runs a pod of this configuration.
    pub(crate) async fn pod(&self, config: PodSandboxConfig) -> String {
        let request = cri::RunPodSandboxRequest { config: Some(config), runtime_handler: String::new() };
        self.runtime().run_pod_sandbox(request).await.unwrap().into_inner().pod_sandbox_id
    }

    /// A plain pod.
    pub(crate) async fn plain_pod(&self) -> String {
        self.pod(self.pod_config()).await
    }

    pub(crate) fn pod_config(&self) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: "pod".into(),
                uid: "uid".into(),
                namespace: "test".into(),
                attempt: 0,
            }),
            hostname: "pod".into(),
            log_directory: self.logs().display().to_string(),
            linux: Some(cri::LinuxPodSandboxConfig {
                security_context: Some(cri::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces(cri::NamespaceMode::Container)),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Creates a container.
    pub(crate) async fn create(&self, pod: &str, config: ContainerConfig) -> String {
        let request =
            cri::CreateContainerRequest { pod_sandbox_id: pod.into(), config: Some(config), sandbox_config: None };
        self.runtime().create_container(request).await.unwrap().into_inner().container_id
    }

    pub(crate) async fn try_start(&self, container: &str) -> Result<(), tonic::Status> {
        let request = cri::StartContainerRequest { container_id: container.into() };
        self.runtime().start_container(request).await.map(drop)
    }

    /// Creates and starts a container.
    pub(crate) async fn run(&self, pod: &str, config: ContainerConfig) -> String {
        let container = self.create(pod, config).await;
        self.try_start(&container).await.unwrap();
        container
    }

    /// Runs a shell script in a container of its own to its end. Returns the exit code and what it printed.
    pub(crate) async fn script(
        &self,
        pod: &str,
        script: &str,
        change: impl FnOnce(&mut ContainerConfig),
    ) -> (i32, String) {
        let mut config = shell(script);
        change(&mut config);
        let container = Box::pin(self.run(pod, config)).await;
        let status = self.ended(&container).await;
        (status.exit_code, self.printed(&container).await)
    }

    /// Waits for the end of a container.
    pub(crate) async fn ended(&self, container: &str) -> cri::ContainerStatus {
        for _ in 0..1500 {
            let status = self.status(container).await;
            if status.state() == ContainerState::Exited {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("container {container} does not end");
    }

    pub(crate) async fn status(&self, container: &str) -> cri::ContainerStatus {
        let request = cri::ContainerStatusRequest { container_id: container.into(), verbose: false };
        self.runtime().container_status(request).await.unwrap().into_inner().status.unwrap()
    }

    /// What a container has printed, without times and tags.
    pub(crate) async fn printed(&self, container: &str) -> String {
        let status = self.status(container).await;
        let log = fs::read_to_string(&status.log_path).unwrap();
        let text = log.lines().map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default());
        text.collect::<Vec<_>>().join("\n")
    }

    /// Runs a command in a running container.
    pub(crate) async fn exec(
        &self,
        container: &str,
        args: &[&str],
        timeout: i64,
    ) -> Result<cri::ExecSyncResponse, tonic::Status> {
        let cmd = args.iter().map(|arg| (*arg).to_owned()).collect();
        let request = cri::ExecSyncRequest { container_id: container.into(), cmd, timeout };
        Ok(self.runtime().exec_sync(request).await?.into_inner())
    }

    pub(crate) async fn stop(&self, container: &str, timeout: i64) {
        let request = cri::StopContainerRequest { container_id: container.into(), timeout };
        self.runtime().stop_container(request).await.unwrap();
    }

    pub(crate) async fn remove_pod(&self, pod: &str) {
        let request = cri::StopPodSandboxRequest { pod_sandbox_id: pod.into() };
        self.runtime().stop_pod_sandbox(request).await.unwrap();
        let request = cri::RemovePodSandboxRequest { pod_sandbox_id: pod.into() };
        self.runtime().remove_pod_sandbox(request).await.unwrap();
    }

    /// Removes every pod and ends the runtime; then nothing may be left.
    pub(crate) async fn finish(self) {
        let pods = self.runtime().list_pod_sandbox(cri::ListPodSandboxRequest::default()).await.unwrap().into_inner();
        for pod in pods.items {
            self.remove_pod(&pod.id).await;
        }
        assert!(self.host.tasks.drain(Duration::from_secs(10)).await);
        let directory = self.options().directory();
        for kind in ["sandboxes", "containers"] {
            assert_eq!(fs::read_dir(directory.join(kind)).unwrap().count(), 0, "{kind} are left");
        }
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new(), "cgroups are left");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(self.data.path().to_str().unwrap()), "mounts are left");
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.data.path().join("logs")
    }

    /// The instance's cgroups, children first.
    pub(crate) fn cgroups(&self) -> Vec<PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let name = format!("coracle-{}", self.instance);
        let roots = hierarchies.map(|entry| entry.path().join(&name)).chain([Path::new("/sys/fs/cgroup").join(&name)]);
        let mut found = Vec::new();
        roots.filter(|root| root.is_dir()).for_each(|root| collect(&root, &mut found));
        found
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for _ in 0..500 {
            let groups = self.cgroups();
            if groups.is_empty() {
                return;
            }
            for group in groups {
                let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
                for pid in processes.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
                let _ = fs::remove_dir(group);
            }
            std::thread::yield_now();
        }
    }
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            collect(&entry.path(), found);
        }
    }
    found.push(directory.to_owned());
}

/// A container that runs a shell script.
pub(crate) fn shell(script: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(cri::ContainerMetadata { name: "main".into(), attempt: 0 }),
        image: Some(cri::ImageSpec { image: BUSYBOX.into(), ..Default::default() }),
        command: vec!["/bin/sh".into(), "-c".into()],
        args: vec![script.into()],
        log_path: format!("{}.log", NEXT.fetch_add(1, Ordering::SeqCst)),
        linux: Some(LinuxContainerConfig {
            security_context: Some(cri::LinuxContainerSecurityContext {
                namespace_options: Some(namespaces(cri::NamespaceMode::Container)),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The security context of a container made by [`shell`].
pub(crate) fn security(config: &mut ContainerConfig) -> &mut cri::LinuxContainerSecurityContext {
    config.linux.as_mut().unwrap().security_context.as_mut().unwrap()
}

pub(crate) fn namespaces(pid: cri::NamespaceMode) -> cri::NamespaceOption {
    cri::NamespaceOption { pid: pid.into(), ..Default::default() }
}

fn options(instance: &str, data: &Path) -> runtime::Options {
    runtime::Options { shim: shim_program(), ..runtime::Options::new(instance, data) }
}

/// What `make embedded` made, else what cargo made.
fn shim_program() -> Option<PathBuf> {
    let embedded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/embedded/shim");
    let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("shim");
    [embedded, beside].into_iter().find(|path| path.is_file())
}

async fn serve(instance: &str, data: &Path) -> (Host, cri::Client) {
    let host = Host::system();
    let options = options(instance, data);
    let socket = options.socket();
    let role = Box::new(runtime::Runtime::new(options));
    let (ready, mut state) = Ready::new();
    host.tasks.spawn("runtime", OnEnd::Fatal, {
        let host = host.clone();
        async move { role.run(host, ready).await.unwrap() }
    });
    tokio::time::timeout(Duration::from_secs(20), state.wait_for(|state| *state == RoleState::Ready))
        .await
        .unwrap()
        .unwrap();
    let client = cri::connect(&socket).await.unwrap();
    (host, client)
}
