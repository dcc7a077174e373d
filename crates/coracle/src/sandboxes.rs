//! Stopping all pods of a node, through CRI.

use std::path::Path;

use cri::{
    Client, ListContainersRequest, ListPodSandboxRequest, PodSandbox, PodSandboxFilter, RemovePodSandboxRequest,
    StopContainerRequest, StopPodSandboxRequest,
};
use futures::future::join_all;
use kubelet::container::labels::NODE;

use crate::Failure;

/// Seconds that containers get to end by themselves.
const GRACE: i64 = 2;

/// Stops and removes every sandbox that the runtime at `socket` knows; on a runtime that others use too, those of `node`.
pub(crate) async fn stop_all(socket: &Path, node: Option<&str>) -> Result<(), Failure> {
    let what = || format!("stopping the pods of the runtime at {}", socket.display());
    let mut client = cri::connect(socket).await.map_err(|e| Failure::caused(what(), &e))?;
    let label_selector = node.map(|node| (NODE.to_owned(), node.to_owned())).into_iter().collect();
    let filter = Some(PodSandboxFilter { label_selector, ..PodSandboxFilter::default() });
    let listed = client.runtime.list_pod_sandbox(ListPodSandboxRequest { filter }).await;
    let sandboxes = listed.map_err(|e| Failure::new(what(), e.message()))?.into_inner().items;
    let ends = join_all(sandboxes.iter().map(|sandbox| stop_one(client.clone(), sandbox))).await;
    let failed: Vec<_> = ends.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(what(), failed.join("; ")).next("run `coracle down` again"))
}

/// Whether the runtime at `socket` surely holds no pods.
pub(crate) async fn are_none(socket: &Path) -> bool {
    let Ok(mut client) = cri::connect(socket).await else { return false };
    let listed = client.runtime.list_pod_sandbox(ListPodSandboxRequest::default()).await;
    listed.is_ok_and(|answer| answer.into_inner().items.is_empty())
}

async fn stop_one(mut client: Client, sandbox: &PodSandbox) -> Result<(), String> {
    let id = sandbox.id.clone();
    let words = |e: tonic::Status| format!("pod sandbox {id}: {}", e.message());
    let filter = cri::ContainerFilter { pod_sandbox_id: id.clone(), ..cri::ContainerFilter::default() };
    let request = ListContainersRequest { filter: Some(filter) };
    let containers = client.runtime.list_containers(request).await.map_err(words)?.into_inner().containers;
    let stops = containers.into_iter().map(|container| {
        let mut client = client.clone();
        async move {
            client.runtime.stop_container(StopContainerRequest { container_id: container.id, timeout: GRACE }).await
        }
    });
    // A container that will not stop goes down with its sandbox.
    drop(join_all(stops).await);
    client.runtime.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.clone() }).await.map_err(words)?;
    client.runtime.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id.clone() }).await.map_err(words)?;
    Ok(())
}
