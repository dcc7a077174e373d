//! Looking at what the runtime has: for one pod, and for all in one sweep.

use std::collections::BTreeMap;
use std::path::Path;

use tonic::{Code, Status};

use super::{Runtime, convert, quick};
use crate::container::labels;
use crate::logs;
use crate::pod::observed::{Container, Observed, Sandbox};

/// Most bytes of a container's last words.
const MAX_MESSAGE: usize = 4096;
/// Most bytes and lines of its log that stand in for last words.
const MAX_LOG_MESSAGE: usize = 2048;
const MAX_LOG_LINES: usize = 80;

/// Whose a sandbox or container is, with every id and state: changes when something happened to the pod.
pub type Sweep = BTreeMap<Owner, Vec<(String, i32)>>;

/// A pod as labels name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub uid: String,
    pub namespace: String,
    pub name: String,
}

impl Owner {
    /// The pod whose logs are in a directory of this name, as [`crate::context::Context::log_directory`] makes it.
    #[must_use]
    pub fn of_log_directory(name: &str) -> Option<Self> {
        let mut parts = name.splitn(3, '_').map(str::to_owned);
        Some(Self { namespace: parts.next()?, name: parts.next()?, uid: parts.next()? })
    }
}

impl Runtime {
    /// Everything of `node`'s pods: ids and states.
    pub async fn sweep(&self, node: &str) -> Result<Sweep, Status> {
        let selector = BTreeMap::from([(labels::NODE.to_owned(), node.to_owned())]);
        let (sandboxes, containers) = self.list(selector).await?;
        let mut sweep = Sweep::new();
        for sandbox in sandboxes {
            sweep.entry(owner(&sandbox.labels)).or_default().push((sandbox.id, sandbox.state));
        }
        for container in containers {
            sweep.entry(owner(&container.labels)).or_default().push((container.id, container.state));
        }
        sweep.values_mut().for_each(|states| states.sort_unstable());
        Ok(sweep)
    }

    /// What there is of pod `uid`. What cannot have changed since `known` is not asked for again.
    pub async fn observe(&self, uid: &str, known: &Observed) -> Result<Observed, Status> {
        let selector = BTreeMap::from([(labels::POD_UID.to_owned(), uid.to_owned())]);
        let (sandboxes, containers) = self.list(selector).await?;
        let mut observed = Observed::default();
        for listed in sandboxes {
            observed.sandboxes.extend(self.sandbox(&listed, known).await?);
        }
        for listed in containers {
            observed.containers.extend(self.container(&listed, known).await?);
        }
        observed.sandboxes.sort_by(|a, b| (b.attempt, b.created_at, &b.id).cmp(&(a.attempt, a.created_at, &a.id)));
        observed.containers.sort_by(|a, b| (b.created_at, b.attempt, &b.id).cmp(&(a.created_at, a.attempt, &a.id)));
        Ok(observed)
    }

    async fn list(
        &self,
        selector: BTreeMap<String, String>,
    ) -> Result<(Vec<cri::PodSandbox>, Vec<cri::Container>), Status> {
        let (mut first, mut second) = (self.client(), self.client());
        let sandboxes = cri::PodSandboxFilter { label_selector: selector.clone(), ..Default::default() };
        let containers = cri::ContainerFilter { label_selector: selector, ..Default::default() };
        let (sandboxes, containers) = tokio::try_join!(
            first.list_pod_sandbox(quick(cri::ListPodSandboxRequest { filter: Some(sandboxes) })),
            second.list_containers(quick(cri::ListContainersRequest { filter: Some(containers) })),
        )?;
        Ok((sandboxes.into_inner().items, containers.into_inner().containers))
    }

    async fn sandbox(&self, listed: &cri::PodSandbox, known: &Observed) -> Result<Option<Sandbox>, Status> {
        let ready = listed.state == cri::PodSandboxState::Ready as i32;
        if let Some(known) = known.sandboxes.iter().find(|known| known.id == listed.id && known.ready == ready) {
            return Ok(Some(known.clone()));
        }
        let request = quick(cri::PodSandboxStatusRequest { pod_sandbox_id: listed.id.clone(), verbose: false });
        let status = gone_is_none(self.client().pod_sandbox_status(request).await)?;
        Ok(status.and_then(|response| response.into_inner().status).as_ref().map(convert::sandbox))
    }

    async fn container(&self, listed: &cri::Container, known: &Observed) -> Result<Option<Container>, Status> {
        let exited = listed.state == cri::ContainerState::Exited as i32;
        let running = listed.state == cri::ContainerState::Running as i32;
        let settled = |known: &&Container| {
            known.id == listed.id && ((exited && known.exit().is_some()) || (running && known.running()))
        };
        if let Some(known) = known.containers.iter().find(settled) {
            return Ok(Some(known.clone()));
        }
        let request = quick(cri::ContainerStatusRequest { container_id: listed.id.clone(), verbose: false });
        let status = gone_is_none(self.client().container_status(request).await)?;
        let Some(status) = status.and_then(|response| response.into_inner().status) else { return Ok(None) };
        let message = last_words(&status).await;
        Ok(Some(convert::container(&status, &listed.pod_sandbox_id, message)))
    }
}

fn owner(all: &BTreeMap<String, String>) -> Owner {
    let label = |key: &str| all.get(key).cloned().unwrap_or_default();
    Owner { uid: label(labels::POD_UID), namespace: label(labels::POD_NAMESPACE), name: label(labels::POD_NAME) }
}

fn gone_is_none<T>(result: Result<T, Status>) -> Result<Option<T>, Status> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

/// What the runtime says of a container's end and what the container wrote before it.
async fn last_words(status: &cri::ContainerStatus) -> String {
    if status.state != cri::ContainerState::Exited as i32 {
        return String::new();
    }
    let own = own_words(status).await;
    match (status.message.is_empty(), own.is_empty()) {
        (true, _) => own,
        (false, true) => status.message.clone(),
        (false, false) => format!("{}: {own}", status.message),
    }
}

async fn own_words(status: &cri::ContainerStatus) -> String {
    let annotation = |key: &str| status.annotations.get(key).map(String::as_str).unwrap_or_default();
    let path = annotation(labels::TERMINATION_PATH);
    let mount = status.mounts.iter().find(|mount| !path.is_empty() && mount.container_path == path);
    let written = match mount {
        Some(mount) => read_start(Path::new(&mount.host_path)).await,
        None => String::new(),
    };
    let fallback = annotation(labels::TERMINATION_POLICY) == "FallbackToLogsOnError";
    if written.is_empty() && fallback && status.exit_code != 0 {
        return logs::tail(Path::new(&status.log_path), MAX_LOG_LINES, MAX_LOG_MESSAGE).await.unwrap_or_default();
    }
    written
}

async fn read_start(path: &Path) -> String {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    if let Ok(file) = tokio::fs::File::open(path).await {
        let _ = file.take(MAX_MESSAGE as u64).read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
