//! A container's life through CRI, beside Debian's containerd and plain runc.

mod peers;

use std::path::{Path, PathBuf};

use cri::NamespaceMode;
use tempfile::TempDir;
use testing::Machine;
use testing::cluster::run;
use testing::image::{BUSYBOX, busybox_archive};

use super::process::Running;
use super::{Figure, median, new_machine, now, on, since, wait};

/// How often a container lives; the median counts.
const LIVES: usize = 41;
/// Lives before that, which warm what can be warmed.
const WARM: usize = 5;
/// How often is looked whether a runtime serves, and how long is waited between.
const ATTEMPTS: usize = 400;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// Milliseconds of a container's life, by steps.
#[derive(Debug, Clone, Copy)]
struct Life {
    create: f64,
    start: f64,
    remove: f64,
}

impl Life {
    fn whole(&self) -> f64 {
        self.create + self.start + self.remove
    }
}

#[expect(clippy::print_stdout, reason = "where the time goes belongs to the report")]
pub(crate) fn section(program: &Path) -> Result<Vec<Figure>, String> {
    let ours = ours(program)?;
    let step = |of: fn(&Life) -> f64| median(ours.iter().map(of).collect());
    let (create, start, remove) = (step(|l| l.create), step(|l| l.start), step(|l| l.remove));
    println!("    a container's steps: create {create:.2} ms, start {start:.2} ms, delete {remove:.2} ms");
    let whole = median(ours.iter().map(Life::whole).collect());
    let containerd = peers::containerd()?.map(|lives| median(lives.iter().map(Life::whole).collect()));
    let figure = Figure::at_most("CRI create + start + delete of a container (p50)", "ms", whole, 60.0, 10.0);
    Ok(vec![figure.beside("containerd", containerd).beside("runc alone", peers::runc()?.map(median))])
}

/// The embedded runtime of the release build, alone in its process.
fn ours(program: &Path) -> Result<Vec<Life>, String> {
    let (machine, home) = (new_machine()?, TempDir::with_prefix("coracle-bench-").map_err(|e| e.to_string())?);
    let (data, archive) = (home.path().join("data"), busybox_archive().map_err(|e| e.to_string())?);
    let command = |words: &[&str]| {
        let mut command = machine.command(program);
        command.args(words).arg("--data-dir").arg(&data);
        command
    };
    let loaded = run(command(&["image", "load"]).arg(archive.path()));
    if !loaded.ok {
        return Err(loaded.stderr);
    }
    let runtime = Running::start(&mut command(&["runtime"]), &home.path().join("log"))?;
    let lives = lives(&machine, data.join("runtime/cri.sock"));
    drop(runtime);
    let reset = run(&mut command(&["reset", "--yes"]));
    if reset.ok { lives } else { Err(reset.stderr) }
}

/// Lives of containers in one pod, measured through a CRI socket once somebody serves there.
fn lives(machine: &Machine, socket: PathBuf) -> Result<Vec<Life>, String> {
    on(machine, || async move {
        let mut client = connect(&socket).await?;
        let config = pod();
        let request = cri::RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let made = client.runtime.run_pod_sandbox(request).await.map_err(words)?;
        let pod = made.into_inner().pod_sandbox_id;
        let mut lives = Vec::new();
        for attempt in 0..WARM + LIVES {
            lives.push(life(&mut client, &pod, &config, attempt).await?);
        }
        let stop = cri::StopPodSandboxRequest { pod_sandbox_id: pod.clone() };
        client.runtime.stop_pod_sandbox(stop).await.map_err(words)?;
        let remove = cri::RemovePodSandboxRequest { pod_sandbox_id: pod };
        client.runtime.remove_pod_sandbox(remove).await.map_err(words)?;
        Ok(lives.split_off(WARM))
    })
}

async fn connect(socket: &Path) -> Result<cri::Client, String> {
    for _ in 0..ATTEMPTS {
        if let Ok(mut client) = cri::connect(socket).await
            && client.runtime.list_pod_sandbox(cri::ListPodSandboxRequest::default()).await.is_ok()
        {
            return Ok(client);
        }
        wait(PAUSE);
    }
    Err(format!("nobody serves CRI at {}", socket.display()))
}

async fn life(
    client: &mut cri::Client,
    pod: &str,
    config: &cri::PodSandboxConfig,
    attempt: usize,
) -> Result<Life, String> {
    let request = cri::CreateContainerRequest {
        pod_sandbox_id: pod.to_owned(),
        config: Some(container(attempt)),
        sandbox_config: Some(config.clone()),
    };
    let began = now();
    let made = client.runtime.create_container(request).await.map_err(words)?;
    let container_id = made.into_inner().container_id;
    let create = since(began);
    let request = cri::StartContainerRequest { container_id: container_id.clone() };
    client.runtime.start_container(request).await.map_err(words)?;
    let start = since(began) - create;
    client.runtime.remove_container(cri::RemoveContainerRequest { container_id }).await.map_err(words)?;
    Ok(Life { create, start, remove: since(began) - create - start })
}

fn words<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

/// A pod on the network of its machine: what a pod network costs is measured elsewhere.
fn pod() -> cri::PodSandboxConfig {
    let metadata =
        cri::PodSandboxMetadata { name: "bench".into(), uid: "bench".into(), namespace: "bench".into(), attempt: 0 };
    let options = cri::NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..Default::default()
    };
    let context = cri::LinuxSandboxSecurityContext { namespace_options: Some(options), ..Default::default() };
    let linux = cri::LinuxPodSandboxConfig { security_context: Some(context), ..Default::default() };
    cri::PodSandboxConfig { metadata: Some(metadata), linux: Some(linux), ..Default::default() }
}

fn container(attempt: usize) -> cri::ContainerConfig {
    let options = cri::NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..Default::default()
    };
    let context = cri::LinuxContainerSecurityContext { namespace_options: Some(options), ..Default::default() };
    let linux = cri::LinuxContainerConfig { security_context: Some(context), ..Default::default() };
    cri::ContainerConfig {
        metadata: Some(cri::ContainerMetadata {
            name: "main".into(),
            attempt: u32::try_from(attempt).unwrap_or_default(),
        }),
        image: Some(cri::ImageSpec { image: BUSYBOX.into(), ..Default::default() }),
        command: vec!["sleep".into(), "100".into()],
        linux: Some(linux),
        ..Default::default()
    }
}
