//! A kubelet with a real container runtime and an API in memory.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests beside real processes, in real time"
)]

mod support {
    pub(crate) mod api;
    pub(crate) mod caller;
    pub(crate) mod containerd;
    pub(crate) mod embedded;
}

use std::path::Path;
use std::time::Duration;

use host::{Host, Ready, Role};
use informer::Informers;
use kubelet::{Kubelet, Options};
use serde_json::{Value, json};
use streaming::client::Carrier;
use support::api::Api;
use support::caller::{Caller, pair};
use support::containerd::Containerd;
use support::embedded::Embedded;

const IMAGE: &str = testing::image::BUSYBOX;
/// An image of a registry that does not answer.
const NOWHERE: &str = "127.0.0.1:1/none:1";

/// A kubelet that can be stopped and started again.
struct Node {
    host: Host,
    caller: Caller,
}

impl Node {
    fn start(api: &Api, dir: &Path, socket: &Path) -> Self {
        let host = Host::system();
        let informers = Informers::new(api.client(), host.clone());
        let mut options = Options::new("node", dir.join("kubelet"), socket.to_owned(), informers);
        options.node_ips = vec!["127.0.0.1".parse().unwrap()];
        options.log_dir = dir.join("logs");
        options.cgroup_root = cgroup_root(dir);
        let (serving, caller) = pair();
        options.serving = Some(serving);
        let role = Box::new(Kubelet::new(options));
        let (ready, _state) = Ready::new();
        let run = host.clone();
        host.tasks.spawn("kubelet", host::OnEnd::Expected, async move {
            role.run(run, ready).await.unwrap();
        });
        Self { host, caller }
    }

    async fn stop(self) {
        assert!(self.host.tasks.drain(Duration::from_secs(10)).await, "{} tasks go on", self.host.tasks.alive());
    }
}

fn pod(name: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["nodeName"] = json!("node");
    spec["hostNetwork"] = json!(true);
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            container["image"] = container.get("image").cloned().unwrap_or_else(|| json!(IMAGE));
            container["imagePullPolicy"] =
                container.get("imagePullPolicy").cloned().unwrap_or_else(|| json!("IfNotPresent"));
        }
    }
    json!({"metadata": {"name": name, "namespace": "ns", "labels": {"app": name}}, "spec": spec})
}

fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", script]})
}

fn condition<'a>(pod: &'a Value, kind: &str) -> &'a str {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|c| c["type"] == kind).and_then(|c| c["status"].as_str()).unwrap_or_default()
}

fn ready(pod: Option<&Value>) -> bool {
    pod.is_some_and(|pod| condition(pod, "Ready") == "True")
}

fn phase<'a>(wanted: &'a str) -> impl Fn(Option<&Value>) -> bool + 'a {
    move |pod| pod.is_some_and(|pod| pod["status"]["phase"] == wanted)
}

fn waiting<'a>(reason: &'a str) -> impl Fn(Option<&Value>) -> bool + 'a {
    move |pod| pod.is_some_and(|pod| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason)
}

fn reasons(api: &Api, pod: &str) -> Vec<String> {
    let events = api.list("events");
    let own = events.iter().filter(|event| event["involvedObject"]["name"] == pod);
    own.map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A cgroup of this test's own, named by the directory of its runtime.
fn cgroup_root(dir: &Path) -> String {
    let name = dir.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    format!("/kubepods-{}", name.to_lowercase())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_live_and_die_on_containerd() {
    let Some(containerd) = Containerd::start() else { return };
    let dir = containerd.dir().join("node");
    let _clean = CleanCgroup(cgroup_root(&dir));
    live_and_die(&dir, &containerd.socket(), "containerd://1.6").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_live_and_die_on_the_embedded_runtime() {
    let Some(embedded) = Embedded::start().await else { return };
    let dir = embedded.dir().join("node");
    let _clean = CleanCgroup(cgroup_root(&dir));
    live_and_die(&dir, &embedded.socket(), "").await;
    embedded.stop().await;
}

/// Ends what a failed test left, and removes its cgroups.
struct CleanCgroup(String);

impl Drop for CleanCgroup {
    fn drop(&mut self) {
        let root = Path::new("/sys/fs/cgroup/pids").join(self.0.trim_start_matches('/'));
        kill_below(&root);
        for _ in 0..20 {
            kubelet::cgroup::remove(&self.0);
            if !root.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn kill_below(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        kill_below(&entry.path());
    }
    for pid in std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines() {
        let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// Everything that a node does with pods, on the runtime at `socket`.
async fn live_and_die(dir: &Path, socket: &Path, runtime: &str) {
    let api = Api::new();
    let node = Node::start(&api, dir, socket);
    let reported = |node: Option<&Value>| node.is_some_and(|node| node["status"]["nodeInfo"].is_object());
    let registered = api.wait("nodes", "/node", reported).await;
    let version = registered.unwrap()["status"]["nodeInfo"]["containerRuntimeVersion"].clone();
    assert!(version.as_str().unwrap().starts_with(runtime), "{version}");
    api.wait("leases", "kube-node-lease/node", |lease| lease.is_some()).await;
    tokio::join!(
        runs_with_everything(&api),
        ends_by_itself(&api),
        fails_and_is_restarted(&api),
        goes_through_init_containers(&api),
        cannot_be_pulled(&api),
        waits_for_its_config(&api),
        is_replaced_when_not_alive(&api),
        takes_too_long(&api),
        says_last_words(&api),
        goes_while_it_waits(&api),
        is_seen_and_entered(&api, &node.caller),
    );
    survives_the_kubelet(&api, node, dir, socket).await;
}

/// Logs and exec through the kubelet's server, and who may use it.
async fn is_seen_and_entered(api: &Api, caller: &Caller) {
    let script = "echo one; echo two; trap 'exit 0' TERM; while true; do sleep 0.1; done";
    api.put("pods", pod("seen", json!({"containers": [shell("c", script)]})));
    api.wait("pods", "ns/seen", ready).await;
    assert_eq!(caller.get("/healthz", "admin").await, (200, "ok".to_owned()));
    let (status, body) = caller.get("/containerLogs/ns/seen/c", "nobody").await;
    assert_eq!(
        (status, body.as_str()),
        (403, "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[nodes/proxy])\n")
    );
    assert_eq!(caller.get("/pods", "").await.0, 401);
    let line = |text: &str| text.to_owned();
    tokio::time::timeout(Duration::from_secs(10), async {
        while caller.get("/containerLogs/ns/seen/c", "admin").await != (200, line("one\ntwo\n")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(caller.get("/containerLogs/ns/seen/c?tailLines=1", "admin").await, (200, line("two\n")));
    assert_eq!(caller.get("/containerLogs/ns/seen/none", "admin").await.0, 404);
    assert_eq!(caller.get("/containerLogs/ns/seen/c?previous=true", "admin").await.0, 400);
    let (status, pods) = caller.get("/pods", "admin").await;
    assert!(status == 200 && pods.contains("\"seen\""), "{pods}");
    for carrier in [Carrier::Spdy, Carrier::WebSocket] {
        let path = "/exec/ns/seen/c?command=sh&command=-c&command=echo+$((6*7))&output=1";
        let (output, ended) = caller.exec(carrier, path, "admin").await;
        assert_eq!(output, "42\n");
        assert!(ended.contains("Success"), "{ended}");
    }
    let follow = caller.get("/containerLogs/ns/seen/c?follow=true", "admin");
    let end = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        api.delete_pod("ns/seen", 2);
    };
    let ((status, log), ()) = tokio::join!(follow, end);
    assert_eq!((status, log.as_str()), (200, "one\ntwo\n"));
    api.wait("pods", "ns/seen", |pod| pod.is_none()).await;
}

/// A pod that waits for something that never comes can be deleted all the same.
async fn goes_while_it_waits(api: &Api) {
    let volumes = json!([{"name": "lost", "configMap": {"name": "lost"}}]);
    api.put("pods", pod("lost", json!({"containers": [shell("c", "true")], "volumes": volumes})));
    api.wait("pods", "ns/lost", waiting("ContainerCreating")).await;
    api.delete_pod("ns/lost", 30);
    api.wait("pods", "ns/lost", |pod| pod.is_none()).await;
}

/// Volumes, environment, hooks, readiness, live updates, deletion.
async fn runs_with_everything(api: &Api) {
    api.put("configmaps", json!({"metadata": {"name": "conf", "namespace": "ns"}, "data": {"colour": "red"}}));
    api.put("secrets", json!({"metadata": {"name": "pass", "namespace": "ns"}, "data": {"word": "aHVzaA=="}}));
    let script = "trap 'exit 0' TERM; echo \"$COLOUR $NAME $WORD\" > /scratch/env; while true; do sleep 0.1; done";
    let mut container = shell("c", script);
    container["env"] = json!([
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "pass", "key": "word"}}}
    ]);
    container["volumeMounts"] = json!([
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "conf", "mountPath": "/conf"},
        {"name": "token", "mountPath": "/token"},
        {"name": "scratch", "mountPath": "/part", "subPath": "a/b"}
    ]);
    container["lifecycle"] = json!({"postStart": {"exec": {"command": ["sh", "-c", "echo started > /scratch/hook"]}}});
    let check = "grep -qx 'red everything hush' /scratch/env && grep -qx started /scratch/hook && \
                 grep -q a-token /token/token && grep -qx red /conf/colour && test -d /scratch/a/b && \
                 grep -q '^# Kubernetes-managed hosts file' /etc/hosts";
    container["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", check]}, "periodSeconds": 1});
    container["resources"] = json!({"limits": {"cpu": "500m", "memory": "64Mi"}});
    api.put(
        "pods",
        pod(
            "everything",
            json!({
                "containers": [container],
                "volumes": [
                    {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                    {"name": "conf", "configMap": {"name": "conf"}},
                    {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
                ]
            }),
        ),
    );
    let running = api.wait("pods", "ns/everything", ready).await.unwrap();
    assert_eq!(running["status"]["qosClass"], "Guaranteed");
    assert_eq!(running["status"]["podIP"], "127.0.0.1");
    assert_eq!(running["status"]["phase"], "Running");
    // the probe sees the new content and takes the readiness back
    api.put("configmaps", json!({"metadata": {"name": "conf", "namespace": "ns"}, "data": {"colour": "blue"}}));
    api.wait("pods", "ns/everything", |pod| condition(pod.unwrap(), "Ready") == "False").await;
    api.delete_pod("ns/everything", 5);
    api.wait("pods", "ns/everything", |pod| pod.is_none()).await;
    let seen = reasons(api, "everything");
    for reason in ["Pulled", "Created", "Started", "Unhealthy", "Killing"] {
        assert!(seen.iter().any(|known| known == reason), "{reason} is not among {seen:?}");
    }
}

async fn ends_by_itself(api: &Api) {
    api.put("pods", pod("ends", json!({"restartPolicy": "Never", "containers": [shell("c", "exit 0")]})));
    let ended = api.wait("pods", "ns/ends", phase("Succeeded")).await.unwrap();
    let state = &ended["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!((state["exitCode"].as_i64(), state["reason"].as_str()), (Some(0), Some("Completed")));
    api.delete_pod("ns/ends", 0);
    api.wait("pods", "ns/ends", |pod| pod.is_none()).await;
}

async fn fails_and_is_restarted(api: &Api) {
    api.put("pods", pod("fails", json!({"restartPolicy": "Always", "containers": [shell("c", "echo oh; exit 3")]})));
    let held = api.wait("pods", "ns/fails", waiting("CrashLoopBackOff")).await.unwrap();
    let status = &held["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    assert_eq!(held["status"]["phase"], "Running");
    let message = status["state"]["waiting"]["message"].as_str().unwrap();
    assert_eq!(message, "back-off 10s restarting failed container=c pod=fails_ns(uid-ns-fails)");
    api.delete_pod("ns/fails", 0);
    api.wait("pods", "ns/fails", |pod| pod.is_none()).await;
}

async fn goes_through_init_containers(api: &Api) {
    let mut sidecar = shell("side", "echo up > /scratch/side; trap 'exit 0' TERM; while true; do sleep 0.1; done");
    sidecar["restartPolicy"] = json!("Always");
    sidecar["startupProbe"] = json!({"exec": {"command": ["test", "-f", "/scratch/side"]}, "periodSeconds": 1});
    let mut containers =
        [shell("first", "echo 1 > /scratch/first"), sidecar, shell("app", "cat /scratch/first /scratch/side")];
    for container in &mut containers {
        container["volumeMounts"] = json!([{"name": "scratch", "mountPath": "/scratch"}]);
    }
    let [first, sidecar, app] = containers;
    api.put(
        "pods",
        pod(
            "init",
            json!({
                "restartPolicy": "Never", "initContainers": [first, sidecar], "containers": [app],
                "volumes": [{"name": "scratch", "emptyDir": {}}]
            }),
        ),
    );
    let ended = api.wait("pods", "ns/init", phase("Succeeded")).await.unwrap();
    assert_eq!(ended["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(condition(&ended, "Initialized"), "True");
    api.delete_pod("ns/init", 0);
    api.wait("pods", "ns/init", |pod| pod.is_none()).await;
}

async fn cannot_be_pulled(api: &Api) {
    let container = json!({"name": "c", "image": NOWHERE});
    api.put("pods", pod("pull", json!({"containers": [container]})));
    api.wait("pods", "ns/pull", waiting("ErrImagePull")).await;
    api.wait("pods", "ns/pull", waiting("ImagePullBackOff")).await;
    api.delete_pod("ns/pull", 0);
    api.wait("pods", "ns/pull", |pod| pod.is_none()).await;
    let container = json!({"name": "c", "image": NOWHERE, "imagePullPolicy": "Never"});
    api.put("pods", pod("never", json!({"containers": [container]})));
    api.wait("pods", "ns/never", waiting("ErrImageNeverPull")).await;
    api.delete_pod("ns/never", 0);
    api.wait("pods", "ns/never", |pod| pod.is_none()).await;
}

async fn waits_for_its_config(api: &Api) {
    let mut container = shell("c", "sleep 1000");
    container["volumeMounts"] = json!([{"name": "late", "mountPath": "/late"}]);
    container["env"] = json!([{"name": "X", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}]);
    api.put(
        "pods",
        pod(
            "waits",
            json!({
                "containers": [container], "volumes": [{"name": "late", "configMap": {"name": "late"}}]
            }),
        ),
    );
    let told = |words: &'static str| move |event: Option<&Value>| event.is_some_and(|e| e["message"] == words);
    let words = "MountVolume.SetUp failed for volume \"late\" : configmap \"late\" not found";
    tokio::time::timeout(Duration::from_secs(30), async {
        while !api.list("events").iter().any(|event| told(words)(Some(event))) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    api.put("configmaps", json!({"metadata": {"name": "late", "namespace": "ns"}, "data": {"a": "b"}}));
    let held = api.wait("pods", "ns/waits", waiting("CreateContainerConfigError")).await.unwrap();
    let message = held["status"]["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "secret \"late\" not found");
    api.put("secrets", json!({"metadata": {"name": "late", "namespace": "ns"}, "data": {"k": "eA=="}}));
    api.wait("pods", "ns/waits", ready).await;
    api.delete_pod("ns/waits", 0);
    api.wait("pods", "ns/waits", |pod| pod.is_none()).await;
}

async fn is_replaced_when_not_alive(api: &Api) {
    let mut container = shell("c", "trap 'exit 0' TERM; while true; do sleep 0.1; done");
    container["livenessProbe"] = json!({"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1});
    api.put("pods", pod("alive", json!({"containers": [container], "terminationGracePeriodSeconds": 3})));
    let restarted =
        |pod: Option<&Value>| pod.unwrap()["status"]["containerStatuses"][0]["restartCount"].as_i64() >= Some(1);
    api.wait("pods", "ns/alive", restarted).await;
    let killing =
        api.list("events").into_iter().find(|e| e["involvedObject"]["name"] == "alive" && e["reason"] == "Killing");
    assert_eq!(killing.unwrap()["message"], "Container c failed liveness probe, will be restarted");
    api.delete_pod("ns/alive", 1);
    api.wait("pods", "ns/alive", |pod| pod.is_none()).await;
}

async fn takes_too_long(api: &Api) {
    api.put(
        "pods",
        pod(
            "long",
            json!({
                "activeDeadlineSeconds": 2, "terminationGracePeriodSeconds": 1, "containers": [shell("c", "sleep 1000")]
            }),
        ),
    );
    let failed = api.wait("pods", "ns/long", phase("Failed")).await.unwrap();
    assert_eq!(failed["status"]["reason"], "DeadlineExceeded");
    api.delete_pod("ns/long", 0);
    api.wait("pods", "ns/long", |pod| pod.is_none()).await;
}

async fn says_last_words(api: &Api) {
    let mut logs = shell("logs", "echo from the log; exit 1");
    logs["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    let file = shell("file", "echo -n from the file > /dev/termination-log; exit 1");
    api.put("pods", pod("words", json!({"restartPolicy": "Never", "containers": [logs, file]})));
    let ended = api.wait("pods", "ns/words", phase("Failed")).await.unwrap();
    let message = |index: usize| ended["status"]["containerStatuses"][index]["state"]["terminated"]["message"].clone();
    assert_eq!((message(0), message(1)), (json!("from the log\n"), json!("from the file")));
    api.delete_pod("ns/words", 0);
    api.wait("pods", "ns/words", |pod| pod.is_none()).await;
}

/// A restarted kubelet finds containers running, leaves them alone, and clears away what went meanwhile.
async fn survives_the_kubelet(api: &Api, node: Node, dir: &Path, socket: &Path) {
    let keeps = json!({"containers": [shell("c", "sleep 1000")], "terminationGracePeriodSeconds": 1});
    api.put("pods", pod("stays", keeps.clone()));
    api.put("pods", pod("goes", keeps));
    let before = api.wait("pods", "ns/stays", ready).await.unwrap();
    api.wait("pods", "ns/goes", ready).await;
    node.stop().await;
    // force-deleted while the kubelet is away
    let client = api.client();
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client, "ns");
    pods.delete("goes", &kube::api::DeleteParams::default()).await.unwrap();
    let node = Node::start(api, dir, socket);
    tokio::time::timeout(Duration::from_secs(30), async {
        while dir.join("kubelet/pods/uid-ns-goes").exists() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let after = api.get("pods", "ns/stays").unwrap();
    let id = |pod: &Value| pod["status"]["containerStatuses"][0]["containerID"].clone();
    assert_eq!(id(&before), id(&after));
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
    assert!(ready(Some(&after)));
    api.delete_pod("ns/stays", 0);
    api.wait("pods", "ns/stays", |pod| pod.is_none()).await;
    tokio::time::timeout(Duration::from_secs(30), async {
        while std::fs::read_dir(dir.join("kubelet/pods")).unwrap().next().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    node.stop().await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&dir.join("kubelet").display().to_string()));
}
