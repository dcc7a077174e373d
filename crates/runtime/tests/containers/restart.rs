//! What outlives a runtime, and what outlives a shim.

use cri::{ContainerState, PodSandboxState};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::node::{Node, shell};

#[tokio::test(flavor = "multi_thread")]
async fn running_containers_are_found_again() {
    let Some(mut node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let script = "echo before; while [ ! -e /go ]; do sleep 0.02; done; echo after; exit 6";
    let container = node.run(&pod, shell(script)).await;
    let created = node.create(&pod, shell("echo never started")).await;
    let short = node.run(&pod, shell("sleep 0.3; exit 5")).await;
    node.restart().await;
    assert_eq!(node.status(&container).await.state(), ContainerState::Running);
    assert_eq!(node.status(&created).await.state(), ContainerState::Created);
    node.exec(&container, &["touch", "/go"], 5).await.unwrap();
    assert_eq!(node.ended(&container).await.exit_code, 6);
    assert_eq!(node.printed(&container).await, "before\nafter");
    assert_eq!(node.ended(&short).await.exit_code, 5);
    node.try_start(&created).await.unwrap();
    node.restart().await;
    assert_eq!(node.status(&container).await.exit_code, 6);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shim_ends_its_containers() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let shims = node.cgroups().into_iter().find(|group| group.ends_with("shims")).unwrap();
    let pid = std::fs::read_to_string(shims.join("cgroup.procs")).unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    let status = node.ended(&container).await;
    assert_eq!(status.exit_code, 255);
    let request = cri::PodSandboxStatusRequest { pod_sandbox_id: pod.clone(), verbose: false };
    let sandbox = node.runtime().pod_sandbox_status(request).await.unwrap().into_inner().status.unwrap();
    assert_eq!(sandbox.state(), PodSandboxState::NotReady);
    node.remove_pod(&pod).await;
    node.finish().await;
}
