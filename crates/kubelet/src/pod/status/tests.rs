//! Tables of statuses.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::{Value, json};

use super::*;
use crate::pod::memory::{Doom, Probed, StartError};
use crate::pod::observed::{Container, Exit, Sandbox, State};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A pod with its runtime state; see [`Case::containers`].
struct Case {
    pod: Value,
    observed: Observed,
    memory: Memory,
}

fn case(spec: Value) -> Case {
    let sandbox = Sandbox {
        id: "s".into(),
        attempt: 0,
        ready: true,
        created_at: at(900),
        ips: vec!["10.42.0.5".parse().unwrap()],
    };
    Case {
        pod: json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u", "generation": 4}, "spec": spec}),
        observed: Observed { sandboxes: vec![sandbox], containers: Vec::new() },
        memory: Memory { started_at: Some(at(900)), ..Default::default() },
    }
}

impl Case {
    /// Newest first: `name:run` or `name:<exit code>`.
    fn containers(mut self, text: &str) -> Self {
        for (index, text) in text.split_whitespace().enumerate() {
            let (name, state) = text.split_once(':').unwrap();
            let exit = |code: &str| Exit {
                code: code.parse().unwrap(),
                reason: String::new(),
                message: String::new(),
                started_at: Some(at(950)),
                finished_at: at(995),
            };
            let later = text.split_whitespace().skip(1).count();
            let older = self.observed.containers.iter().filter(|container| container.name == name).count();
            self.observed.containers.push(Container {
                id: format!("{name}{index}"),
                sandbox_id: "s".into(),
                name: name.into(),
                attempt: u32::try_from(later + older).unwrap(),
                image: "image:1".into(),
                image_ref: "sha256:1".into(),
                hash: String::new(),
                created_at: at(940),
                state: match state {
                    "run" => State::Running { started_at: at(950) },
                    code => State::Exited(exit(code)),
                },
                log_path: String::new(),
            });
        }
        let names: Vec<String> = self.observed.containers.iter().map(|container| container.name.clone()).collect();
        for (index, container) in self.observed.containers.iter_mut().enumerate() {
            let before = names.iter().skip(index + 1).filter(|name| **name == container.name).count();
            container.attempt = u32::try_from(before).unwrap();
        }
        self
    }

    fn memory(mut self, change: impl FnOnce(&mut Memory)) -> Self {
        change(&mut self.memory);
        self
    }

    fn recorded(mut self, status: Value) -> Self {
        self.pod["status"] = status;
        self
    }

    fn deleted(mut self) -> Self {
        self.pod["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:16:40Z");
        self
    }

    fn status(&self) -> PodStatus {
        let desired = Desired::new(Arc::new(serde_json::from_value::<Pod>(self.pod.clone()).unwrap()));
        let node = NodeFacts { ips: vec!["192.0.2.1".parse().unwrap()], runtime_name: "test".into() };
        let sources =
            Sources { desired: &desired, observed: &self.observed, memory: &self.memory, node: &node, now: at(1000) };
        status(sources)
    }

    /// `phase; name=state …; conditions that do not hold`.
    #[track_caller]
    fn check(&self, expected: &str) {
        let status = self.status();
        let all = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        let containers: Vec<String> = all.map(shown).collect();
        let unmet = status.conditions.iter().flatten().filter(|condition| condition.status != "True");
        let unmet: Vec<String> = unmet
            .map(|condition| format!("{}:{}", condition.type_, condition.reason.clone().unwrap_or_default()))
            .collect();
        let phase = status.phase.unwrap_or_default();
        assert_eq!(format!("{phase}; {}; {}", containers.join(" "), unmet.join(" ")), expected);
    }
}

fn shown(status: &ContainerStatus) -> String {
    let state = |state: &k8s_openapi::api::core::v1::ContainerState| {
        if state.running.is_some() {
            "run".to_owned()
        } else if let Some(ended) = &state.terminated {
            format!("{}({})", ended.reason.clone().unwrap_or_default(), ended.exit_code)
        } else {
            state.waiting.as_ref().and_then(|waiting| waiting.reason.clone()).unwrap_or_else(|| "-".into())
        }
    };
    let last = status.last_state.as_ref().filter(|last| last.terminated.is_some());
    let last = last.map(|last| format!("<{}", state(last))).unwrap_or_default();
    let ready = if status.ready { "+" } else { "" };
    format!("{}{ready}={}{last}", status.name, state(status.state.as_ref().unwrap()))
}

fn one() -> Value {
    json!({"containers": [{"name": "a", "image": "image:1"}]})
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

const UNREADY: &str = "Ready:ContainersNotReady ContainersReady:ContainersNotReady";

#[test]
fn on_the_way_up() {
    let mut fresh = case(one());
    fresh.observed = Observed::default();
    fresh.check(&format!("Pending; a=ContainerCreating; PodReadyToStartContainers: {UNREADY}"));
    case(one()).check(&format!("Pending; a=ContainerCreating; {UNREADY}"));
    case(one()).containers("a:run").check("Running; a+=run; ");
    let pulling = |memory: &mut Memory| {
        let error = StartError { reason: "ErrImagePull", message: "no".into(), at: at(1000) };
        memory.of_mut("a").error = Some(error);
    };
    case(one()).memory(pulling).check(&format!("Pending; a=ErrImagePull; {UNREADY}"));
}

#[test]
fn restarts() {
    let held = |memory: &mut Memory| memory.of_mut("a").restarts.advance(at(990), at(990));
    let crash = case(one()).containers("a:1").memory(held);
    crash.check(&format!("Running; a=CrashLoopBackOff<Error(1); {UNREADY}"));
    let message = crash.status().container_statuses.unwrap()[0].state.clone().unwrap().waiting.unwrap().message;
    assert_eq!(message.as_deref(), Some("back-off 10s restarting failed container=a pod=p_ns(u)"));
    case(one()).containers("a:1").check(&format!("Running; a=Error(1); {UNREADY}"));
    case(one()).containers("a:run a:1").check("Running; a+=run<Error(1); ");
    assert_eq!(case(one()).containers("a:run a:1").status().container_statuses.unwrap()[0].restart_count, 1);
}

#[test]
fn ends() {
    let never = || with(one(), "restartPolicy", json!("Never"));
    let completed = "Ready:PodCompleted ContainersReady:PodCompleted";
    case(never()).containers("a:0").check(&format!("Succeeded; a=Completed(0); {completed}"));
    let failed = "Ready:PodFailed ContainersReady:PodFailed";
    case(never()).containers("a:2").check(&format!("Failed; a=Error(2); {failed}"));
    case(one()).containers("a:137").deleted().check(&format!("Failed; a=Error(137); {failed}"));
    case(one()).containers("a:0").deleted().check(&format!("Succeeded; a=Completed(0); {completed}"));
    case(one()).containers("a:run").deleted().check("Running; a+=run; ");
    let late = |memory: &mut Memory| {
        memory.doom = Some(Doom { reason: "DeadlineExceeded", message: "late".into() });
    };
    let doomed = case(one()).containers("a:137").memory(late);
    doomed.check(&format!("Failed; a=Error(137); {failed}"));
    assert_eq!(doomed.status().reason.as_deref(), Some("DeadlineExceeded"));
    // a recorded end stays, even when nothing is left to see
    let container = json!({"name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let mut gone = case(never()).recorded(json!({"phase": "Succeeded", "containerStatuses": [container]}));
    gone.observed = Observed::default();
    gone.check(&format!("Succeeded; a=Completed(0); PodReadyToStartContainers: {completed}"));
}

#[test]
fn initialization() {
    let spec = with(one(), "initContainers", json!([{"name": "x"}, {"name": "y", "restartPolicy": "Always"}]));
    let unready = "Ready:ContainersNotReady ContainersReady:ContainersNotReady";
    case(spec.clone()).containers("x:run").check(&format!(
        "Pending; x=run y=PodInitializing a=PodInitializing; Initialized:ContainersNotInitialized {unready}"
    ));
    case(spec.clone())
        .containers("y:run x:0")
        .check(&format!("Pending; x+=Completed(0) y+=run a=PodInitializing; {unready}"));
    case(spec.clone()).containers("a:run y:run x:0").check("Running; x+=Completed(0) y+=run a+=run; ");
    let never = with(spec, "restartPolicy", json!("Never"));
    let failed = "Initialized:ContainersNotInitialized Ready:PodFailed ContainersReady:PodFailed";
    case(never).containers("x:1").check(&format!("Failed; x=Error(1) y=PodInitializing a=PodInitializing; {failed}"));
}

#[test]
fn readiness() {
    let mut spec = one();
    spec["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["true"]}});
    case(spec.clone()).containers("a:run").check(&format!("Running; a=run; {UNREADY}"));
    let probed = |memory: &mut Memory| {
        memory.of_mut("a").probes = Some(Probed { id: "a0".into(), started: true, ready: true, failed: None });
    };
    case(spec.clone()).containers("a:run").memory(probed).check("Running; a+=run; ");
    let gated = with(spec, "readinessGates", json!([{"conditionType": "x/y"}]));
    let gated = case(gated).containers("a:run").memory(probed);
    gated.check("Running; a+=run; Ready:ReadinessGatesNotReady");
    let condition = json!({"type": "x/y", "status": "True"});
    gated.recorded(json!({"conditions": [condition]})).check("Running; a+=run; ");
}

#[test]
fn addresses_and_generations() {
    let status = case(one()).containers("a:run").status();
    assert_eq!(status.pod_ip.as_deref(), Some("10.42.0.5"));
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(status.observed_generation, Some(4));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    let host = case(with(one(), "hostNetwork", json!(true))).status();
    assert_eq!(host.pod_ip.as_deref(), Some("192.0.2.1"));
}

#[test]
fn conditions_keep_their_times_and_others_keep_theirs() {
    let old = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:01Z"},
        {"type": "Foreign", "status": "True"}]);
    let status = case(one()).containers("a:run").recorded(json!({"conditions": old})).status();
    let find =
        |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind).cloned().unwrap();
    assert_eq!(find("Ready").last_transition_time.unwrap().0, at(1));
    assert_eq!(find("ContainersReady").last_transition_time.unwrap().0, at(1000));
    assert_eq!(find("Foreign").status, "True");
}
