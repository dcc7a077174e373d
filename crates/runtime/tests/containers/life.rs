//! Making, starting, stopping and removing.

use std::time::Instant;

use cri::{ContainerEventType, ContainerState};

use crate::node::{Node, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_to_its_end() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.create(&pod, shell("echo out; echo err >&2; exit 3")).await;
    assert_eq!(node.status(&container).await.state(), ContainerState::Created);
    node.try_start(&container).await.unwrap();
    let status = node.ended(&container).await;
    assert_eq!((status.exit_code, status.reason.as_str()), (3, "Error"));
    assert!(status.started_at >= status.created_at && status.finished_at >= status.started_at);
    assert_eq!(node.printed(&container).await, "out\nerr");
    let log = std::fs::read_to_string(&status.log_path).unwrap();
    assert!(log.contains(" stdout F out\n") && log.contains(" stderr F err\n"), "{log}");
    assert!(node.try_start(&container).await.is_err(), "a container starts once");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_a_start_error() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("");
    config.command = vec!["nosuch".into()];
    let container = node.create(&pod, config).await;
    let error = node.try_start(&container).await.unwrap_err();
    assert!(error.message().contains("exec: \"nosuch\": executable file not found in $PATH"), "{error}");
    let status = node.status(&container).await;
    assert_eq!((status.state(), status.exit_code, status.reason.as_str()), (ContainerState::Exited, 128, "StartError"));
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_asks_first_and_then_kills() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let polite = node.run(&pod, shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")).await;
    wait_for_output(&node, &polite).await;
    node.stop(&polite, 10).await;
    assert_eq!(node.status(&polite).await.exit_code, 7);
    let deaf = node.run(&pod, shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")).await;
    wait_for_output(&node, &deaf).await;
    node.stop(&deaf, 1).await;
    assert_eq!(node.status(&deaf).await.exit_code, 137);
    let other = cri::signal::from_name("SIGUSR1").unwrap();
    let mut config = shell("trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done");
    config.stop_signal = other;
    let container = node.run(&pod, config).await;
    wait_for_output(&node, &container).await;
    node.stop(&container, 10).await;
    assert_eq!(node.status(&container).await.exit_code, 9);
    node.stop(&container, 10).await;
    node.finish().await;
}

async fn wait_for_output(node: &Node, container: &str) {
    while node.printed(container).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_on_what_is_gone_may_be_repeated() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let remove = cri::RemoveContainerRequest { container_id: container.clone() };
    node.runtime().remove_container(remove.clone()).await.unwrap();
    node.runtime().remove_container(remove).await.unwrap();
    node.stop(&container, 0).await;
    let request = cri::ContainerStatusRequest { container_id: container, verbose: false };
    let error = node.runtime().container_status(request).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::NotFound);
    node.remove_pod(&pod).await;
    node.remove_pod(&pod).await;
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_a_containers_life() {
    let Some(node) = Node::start().await else { return };
    let mut events = node.runtime().get_container_events(cri::GetEventsRequest {}).await.unwrap().into_inner();
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("exit 4")).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&ContainerEventType::Stopped) {
        let event = events.message().await.unwrap().unwrap();
        assert_eq!(event.container_id, container);
        seen.push(event.container_event_type());
        if event.container_event_type() == ContainerEventType::Stopped {
            assert_eq!(event.containers_statuses[0].exit_code, 4);
            assert_eq!(event.pod_sandbox_status.unwrap().id, pod);
        }
    }
    assert_eq!(seen[0], ContainerEventType::Created);
    assert!(seen.contains(&ContainerEventType::Started), "{seen:?}");
    drop(events);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_takes_too_much_memory_is_killed_for_it() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let (code, _) = node
        .script(&pod, "exec dd if=/dev/zero of=/dev/null bs=200M count=1", |config| {
            let resources = cri::LinuxContainerResources { memory_limit_in_bytes: 32 << 20, ..Default::default() };
            config.linux.as_mut().unwrap().resources = Some(resources);
        })
        .await;
    assert_eq!(code, 137);
    let request = cri::ListContainersRequest::default();
    let containers = node.runtime().list_containers(request).await.unwrap().into_inner().containers;
    assert_eq!(node.status(&containers[0].id).await.reason, "OOMKilled");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "real containers take real time")]
async fn a_container_is_made_and_removed_within_the_budget() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        let container = node.run(&pod, shell("sleep 100")).await;
        let started = begin.elapsed();
        node.runtime().remove_container(cri::RemoveContainerRequest { container_id: container }).await.unwrap();
        times.push((begin.elapsed(), started));
    }
    times.sort();
    let (all, started) = times[times.len() / 2];
    let (fastest, _) = times[0];
    println!("create + start + delete: median {all:?} (create + start: {started:?}), fastest {fastest:?}");
    let shim = shim_memory(&node);
    println!("shim private memory: {shim} KiB");
    // Other work on the machine may slow down most of them, but hardly all.
    assert!(fastest.as_millis() <= 60, "{fastest:?}");
    assert!(shim < 1024, "{shim} KiB");
    node.finish().await;
}

/// KiB of the only shim that it shares with nobody and with no file.
fn shim_memory(node: &Node) -> u64 {
    let group = node.cgroups().into_iter().find(|group| group.ends_with("shims")).unwrap();
    let pid = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
    let pid = pid.lines().next().unwrap();
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    // Clean private pages are the program file's: the kernel has them anyway and shares them with the next shim.
    let private = text.lines().find(|line| line.starts_with("Private_Dirty")).unwrap();
    private.split_whitespace().nth(1).unwrap().parse().unwrap()
}
