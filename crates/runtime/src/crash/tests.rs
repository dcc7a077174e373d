//! A process of its own lives a pod's whole life and is killed at the first place, the second, the third, …; whatever
//! it leaves, the next runtime knows what runs, can remove it, and then nothing is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cri::{ContainerState, PodSandboxState};
use host::{Host, OnEnd, Ready, Role as _, RoleState};
use nix::sys::signal::{Signal, raise};
use testing::image::{BUSYBOX, busybox_archive};

use crate::{Attachment, NetworkError, NetworkRequest, Options, PodNetwork, Runtime};

/// Tell a process of this test what it is: where its data is, and at which place it ends.
const DATA: &str = "CORACLE_CRASH_DATA";
const PLACE: &str = "CORACLE_CRASH_AT";
/// What a process says that was not killed.
const SURVIVED: &str = "it was not killed";
/// More places than there are.
const MOST_PLACES: usize = 200;

static LEFT: LazyLock<AtomicUsize> = LazyLock::new(|| {
    let given = std::env::var_os(PLACE).and_then(|text| text.to_str()?.parse().ok());
    AtomicUsize::new(given.unwrap_or(usize::MAX))
});

/// Kills this process if this is the place.
pub(crate) fn point(place: &str) {
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        println!("killed when {place}");
        let _ = raise(Signal::SIGKILL);
    }
}

/// Sandboxes that hold a network, as files. Their network is the host's, which is the one that is surely there.
struct Files(PathBuf);

#[async_trait::async_trait]
impl PodNetwork for Files {
    async fn attach(&self, sandbox: &NetworkRequest) -> Result<Attachment, NetworkError> {
        fs::write(self.0.join(&sandbox.sandbox), "").unwrap();
        Ok(Attachment { netns: "/proc/self/ns/net".into(), addresses: vec!["10.9.9.9".parse().unwrap()] })
    }

    async fn detach(&self, sandbox: &str) -> Result<(), NetworkError> {
        let _ = fs::remove_file(self.0.join(sandbox));
        Ok(())
    }

    async fn retain(&self, holders: &BTreeSet<String>) -> Result<(), NetworkError> {
        names(&self.0).difference(holders).for_each(|left| fs::remove_file(self.0.join(left)).unwrap());
        Ok(())
    }
}

/// A runtime that serves.
struct Serving {
    host: Host,
    client: cri::Client,
}

impl Serving {
    async fn start(data: &Path) -> Self {
        let options = options(data);
        let (host, socket) = (Host::system(), options.socket());
        let (ready, mut state) = Ready::new();
        let (role, run) = (Box::new(Runtime::new(options)), host.clone());
        host.tasks.spawn("runtime", OnEnd::Fatal, async move { role.run(run, ready).await.unwrap() });
        let served = state.wait_for(|state| *state == RoleState::Ready);
        tokio::time::timeout(Duration::from_secs(20), served).await.unwrap().unwrap();
        Self { host, client: cri::connect(&socket).await.unwrap() }
    }

    async fn end(self) {
        assert!(self.host.tasks.drain(Duration::from_secs(10)).await);
    }

    /// All that a runtime does for a pod.
    async fn live(&self, data: &Path) {
        let mut runtime = self.client.runtime.clone();
        let config = Some(pod());
        let request = cri::RunPodSandboxRequest { config, runtime_handler: String::new() };
        let pod = runtime.run_pod_sandbox(request).await.unwrap().into_inner().pod_sandbox_id;
        let id = self.run(&pod, data).await;
        let cmd = vec!["true".to_owned()];
        runtime.exec_sync(cri::ExecSyncRequest { container_id: id.clone(), cmd, timeout: 5 }).await.unwrap();
        runtime.stop_container(cri::StopContainerRequest { container_id: id.clone(), timeout: 0 }).await.unwrap();
        runtime.remove_container(cri::RemoveContainerRequest { container_id: id }).await.unwrap();
        self.run(&pod, data).await;
        self.remove(&pod).await;
    }

    async fn run(&self, pod: &str, data: &Path) -> String {
        let mut runtime = self.client.runtime.clone();
        let config = Some(cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata { name: "main".into(), attempt: 0 }),
            image: Some(cri::ImageSpec { image: BUSYBOX.into(), ..Default::default() }),
            command: vec!["/bin/sh".into(), "-c".into(), format!("sleep 1000; : {}", data.display())],
            ..Default::default()
        });
        let request = cri::CreateContainerRequest { pod_sandbox_id: pod.into(), config, sandbox_config: None };
        let container_id = runtime.create_container(request).await.unwrap().into_inner().container_id;
        let request = cri::StartContainerRequest { container_id: container_id.clone() };
        runtime.start_container(request).await.unwrap();
        container_id
    }

    async fn remove(&self, pod: &str) {
        let mut runtime = self.client.runtime.clone();
        runtime.stop_pod_sandbox(cri::StopPodSandboxRequest { pod_sandbox_id: pod.into() }).await.unwrap();
        runtime.remove_pod_sandbox(cri::RemovePodSandboxRequest { pod_sandbox_id: pod.into() }).await.unwrap();
    }

    /// What is said to run does run, and nothing runs that is not known.
    async fn check(&self, data: &Path, place: &str) -> Vec<String> {
        let mut runtime = self.client.runtime.clone();
        let pods = runtime.list_pod_sandbox(cri::ListPodSandboxRequest::default()).await.unwrap().into_inner().items;
        let containers = runtime.list_containers(cri::ListContainersRequest::default()).await.unwrap().into_inner();
        let known: BTreeSet<String> = pods.iter().map(|pod| pod.id.clone()).collect();
        let ready = pods.iter().filter(|pod| pod.state == PodSandboxState::Ready as i32).count();
        // A start that was cut off may still be under way: until then its process is a copy of the shim.
        let shims = || processes("run", &data.join("runtime/sandboxes"));
        for _ in 0..500 {
            if shims().len() == ready {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(shims().len(), ready, "shims {:?}, {place}", shims());
        let holders = names(&data.join("network"));
        assert!(holders.is_subset(&known), "{holders:?} hold networks, {known:?} are known, {place}");
        for container in &containers.containers {
            assert!(known.contains(&container.pod_sandbox_id), "a container of an unknown sandbox, {place}");
        }
        let running = containers.containers.iter().filter(|c| c.state == ContainerState::Running as i32).count();
        assert!(running <= processes("sleep", data).len(), "{running} containers should run, {place}");
        pods.into_iter().map(|pod| pod.id).collect()
    }
}

#[test]
fn a_crash_at_any_place_loses_nothing_and_leaves_nothing() {
    if !nix::unistd::geteuid().is_root() || !shim_program().is_file() {
        println!("skipped: needs root and a shim program (make embedded)");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let data = data.path().canonicalize().unwrap();
    fs::create_dir(data.join("network")).unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let serving = Serving::start(&data).await;
        let archive = busybox_archive().unwrap();
        crate::client::load(&options(&data).socket(), archive.path()).await.unwrap();
        serving.end().await;
    });
    let survived = (1..MOST_PLACES).find(|place| tokio.block_on(crash(&data, *place)));
    let places = survived.expect("there are fewer places") - 1;
    assert!(places >= 20, "only {places} places");
}

/// Kills a process at a place, and at every fifth its successor at the next place that it comes to. Returns whether
/// there are fewer places.
async fn crash(data: &Path, number: usize) -> bool {
    let mut place = victim(data, number);
    let survived = place == SURVIVED;
    if number.is_multiple_of(5) {
        place = format!("{place}, then {}", victim(data, 1 + number / 5));
    }
    let serving = Serving::start(data).await;
    for pod in serving.check(data, &place).await {
        serving.remove(&pod).await;
    }
    for kind in ["runtime/sandboxes", "runtime/containers", "network"] {
        assert_eq!(names(&data.join(kind)), BTreeSet::new(), "{kind} are left, {place}");
    }
    serving.end().await;
    assert_eq!(processes("", data), Vec::<String>::new(), "processes are left, {place}");
    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let groups = hierarchies.chain(["/sys/fs/cgroup".into()]).map(|hierarchy| hierarchy.join(root(data)));
    let groups: Vec<_> = groups.filter(|group| group.is_dir()).collect();
    assert_eq!(groups, Vec::<PathBuf>::new(), "cgroups are left, {place}");
    survived
}

/// Runs [`lives_until_it_is_killed`] in a process of its own; returns what it says at last.
fn victim(data: &Path, place: usize) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::tests::lives_until_it_is_killed", "--nocapture"]);
    let output = command.env(DATA, data).env(PLACE, place.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = said.lines().find(|line| line.starts_with("killed when ") || *line == SURVIVED);
    last.unwrap_or_else(|| panic!("neither killed nor alive: {said}{}", String::from_utf8_lossy(&output.stderr))).into()
}

/// No test by itself: what the other one kills.
#[test]
fn lives_until_it_is_killed() {
    let Some(data) = std::env::var_os(DATA).map(PathBuf::from) else { return };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let serving = Serving::start(&data).await;
        serving.live(&data).await;
        serving.end().await;
    });
    println!("{SURVIVED}");
}

fn pod() -> cri::PodSandboxConfig {
    let metadata = cri::PodSandboxMetadata { name: "pod".into(), uid: "uid".into(), ..Default::default() };
    cri::PodSandboxConfig { metadata: Some(metadata), hostname: "pod".into(), ..Default::default() }
}

fn options(data: &Path) -> Options {
    let instance = root(data)["coracle-".len()..].to_owned();
    let network = std::sync::Arc::new(Files(data.join("network")));
    Options { shim: Some(shim_program()), network: Some(network), ..Options::new(instance, data) }
}

/// The instance's cgroup.
fn root(data: &Path) -> String {
    let name = data.file_name().unwrap().to_str().unwrap();
    format!("coracle-crash{}", name.trim_start_matches(".tmp").to_lowercase())
}

fn shim_program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/embedded/shim")
}

fn names(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The command lines that have a word, and a path or what is below it. Those that hold process numbers for a shim are
/// left out: they are copies of it.
fn processes(word: &str, path: &Path) -> Vec<String> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten().filter(|entry| *entry.file_name() != *own);
    let holds = |entry: &fs::DirEntry| fs::read(entry.path().join("comm")).is_ok_and(|name| name == b"pause\n");
    let entries = entries.filter(|entry| word.is_empty() || !holds(entry));
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(word) && line.contains(path.to_str().unwrap())).collect()
}
