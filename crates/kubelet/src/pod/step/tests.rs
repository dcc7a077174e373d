//! Tables of decisions.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;
use crate::pod::memory::{Failed, Probed, StartError};
use crate::pod::observed::Exit;

const NOW: i64 = 1000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn desired(spec: Value) -> Desired {
    let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec});
    Desired::new(Arc::new(serde_json::from_value::<Pod>(pod).unwrap()))
}

fn deleted(spec: Value) -> Desired {
    let meta = json!({"name": "p", "namespace": "ns", "uid": "u",
        "deletionTimestamp": "1970-01-01T00:10:00Z", "deletionGracePeriodSeconds": 7});
    let pod = json!({"metadata": meta, "spec": spec});
    Desired::new(Arc::new(serde_json::from_value::<Pod>(pod).unwrap()))
}

fn up() -> Memory {
    Memory { volumes: Volumes::Mounted, started_at: Some(at(900)), ..Default::default() }
}

/// Containers, newest first: `name:state`, where state is `run`, `new`, `lost` or an exit code, `@s` another sandbox.
fn observed(desired: &Desired, ready: bool, containers: &str) -> Observed {
    let sandbox =
        |id: &str, attempt, ready| Sandbox { id: id.into(), attempt, ready, created_at: at(900), ips: Vec::new() };
    let container = |(index, text): (usize, &str)| {
        let (name, state) = text.split_once(':').unwrap();
        let (state, sandbox_id) = state.split_once('@').unwrap_or((state, "s"));
        let state = match state {
            "run" => State::Running { started_at: at(950) },
            "new" => State::Created,
            "lost" => State::Unknown,
            code => State::Exited(Exit {
                code: code.parse().unwrap(),
                reason: String::new(),
                message: String::new(),
                started_at: Some(at(950)),
                finished_at: at(NOW - 5),
            }),
        };
        let attempt =
            containers.split_whitespace().skip(index + 1).filter(|other| other.starts_with(&format!("{name}:")));
        Container {
            id: format!("{name}{index}"),
            sandbox_id: sandbox_id.into(),
            name: name.into(),
            attempt: u32::try_from(attempt.count()).unwrap(),
            image: "i".into(),
            image_ref: "r".into(),
            hash: desired.slot(name).map(|slot| slot.hash.clone()).unwrap_or_default(),
            created_at: at(940),
            state,
            log_path: String::new(),
        }
    };
    let mut sandboxes = vec![sandbox("s", 1, ready)];
    if containers.contains("@old") {
        sandboxes.push(sandbox("old", 0, false));
    }
    Observed { sandboxes, containers: containers.split_whitespace().enumerate().map(container).collect() }
}

fn shown(step: &Step) -> String {
    let show = |action: &Action| match action {
        Action::StartContainer { name, attempt } => format!("start {name}/{attempt}"),
        Action::StopContainer { name, grace, .. } => format!("stop {name} in {grace}"),
        Action::RemoveContainer { id, .. } => format!("remove {id}"),
        Action::StopSandbox { id } => format!("stop-sandbox {id}"),
        Action::RemoveSandbox { id } => format!("remove-sandbox {id}"),
        Action::CreateSandbox { attempt } => format!("sandbox/{attempt}"),
        Action::AnnounceRestart { name, .. } => format!("announce {name}"),
        Action::AnnouncePull { name } => format!("announce-pull {name}"),
        Action::Fail(doom) => format!("fail {}", doom.reason),
        Action::MountVolumes => "mount".into(),
        Action::UnmountVolumes => "unmount".into(),
        Action::Finish => "finish".into(),
    };
    let mut all: Vec<String> = step.actions.iter().map(show).collect();
    all.extend(step.again.map(|again| format!("again {}", again.as_second() - NOW)));
    all.join(", ")
}

#[track_caller]
fn check_with(desired: &Desired, ready: bool, containers: &str, memory: &Memory, expected: &str) {
    let observed = observed(desired, ready, containers);
    assert_eq!(shown(&step(desired, &observed, memory, at(NOW))), expected, "{containers}");
}

#[track_caller]
fn check(desired: &Desired, containers: &str, expected: &str) {
    check_with(desired, true, containers, &up(), expected);
}

fn two() -> Value {
    json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
}

fn with(mut spec: Value, field: &str, value: Value) -> Value {
    spec[field] = value;
    spec
}

#[test]
fn volumes_then_sandbox_then_containers() {
    let pod = desired(two());
    let nothing = Observed::default();
    assert_eq!(shown(&step(&pod, &nothing, &Memory::default(), at(NOW))), "mount");
    let busy = Memory { volumes: Volumes::Busy, ..Default::default() };
    assert_eq!(shown(&step(&pod, &nothing, &busy, at(NOW))), "");
    assert_eq!(shown(&step(&pod, &nothing, &up(), at(NOW))), "sandbox/0");
    let later = Memory { retry_at: Some(at(NOW + 3)), ..up() };
    assert_eq!(shown(&step(&pod, &nothing, &later, at(NOW))), "again 3");
    check(&pod, "", "start a/0");
    check(&pod, "a:run", "start b/0");
    check(&pod, "b:run a:run", "");
    check_with(&pod, true, "a:new", &Memory { starting: Some("a".into()), ..up() }, "");
}

#[test]
fn what_an_earlier_kubelet_has_made_in_vain_is_removed() {
    let pod = desired(json!({"containers": [{"name": "a", "image": "i"}]}));
    check(&pod, "a:new", "remove a0");
    check(&pod, "a:run a:new", "remove a1");
    check(&pod, "a:run a:1 a:new", "remove a2");
}

#[test]
fn restarts_follow_the_policy() {
    let policy = |policy: &str| desired(with(two(), "restartPolicy", json!(policy)));
    check(&policy("Always"), "b:run a:0", "start a/1");
    check(&policy("OnFailure"), "b:run a:0", "");
    check(&policy("OnFailure"), "b:run a:1", "start a/1");
    check(&policy("Never"), "b:run a:1", "");
    let rules = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    let mut spec = with(two(), "restartPolicy", json!("Never"));
    spec["containers"][0]["restartPolicy"] = json!("Never");
    spec["containers"][0]["restartPolicyRules"] = rules;
    check(&desired(spec.clone()), "b:run a:42", "start a/1");
    check(&desired(spec), "b:run a:1", "");
}

#[test]
fn failing_containers_wait() {
    let pod = desired(two());
    let mut memory = up();
    memory.of_mut("a").restarts.advance(at(NOW - 30), at(NOW - 30));
    check_with(&pod, true, "b:run a:1", &memory, "announce a, again 5");
    memory.of_mut("a").announced = Some("a1".into());
    check_with(&pod, true, "b:run a:1", &memory, "again 5");
    // the other container does not wait for the one that does
    check_with(&pod, true, "a:1", &memory, "announce a, start b/0, again 5");
}

#[test]
fn failed_pulls_wait_and_are_announced() {
    let pod = desired(json!({"containers": [{"name": "a", "image": "i"}]}));
    let failed = |reason, second| {
        let mut memory = up();
        let container = memory.of_mut("a");
        container.error = Some(StartError { reason, message: String::new(), at: at(second) });
        container.pulls.advance(at(second), at(second));
        memory
    };
    check_with(&pod, true, "", &failed("ErrImagePull", NOW), "again 2");
    check_with(&pod, true, "", &failed("ErrImagePull", NOW - 3), "announce-pull a, again 7");
    check_with(&pod, true, "", &failed("ImagePullBackOff", NOW - 3), "again 7");
    check_with(&pod, true, "", &failed("ImagePullBackOff", NOW - 10), "start a/0");
    check_with(&pod, true, "", &failed("CreateContainerConfigError", NOW - 1), "again 4");
}

#[test]
fn init_containers_run_in_order() {
    let spec = with(two(), "initContainers", json!([{"name": "x", "image": "i"}, {"name": "y", "image": "i"}]));
    let pod = desired(spec.clone());
    check(&pod, "", "start x/0");
    check(&pod, "x:run", "");
    check(&pod, "x:0", "start y/0");
    check(&pod, "y:1 x:0", "start y/1");
    check(&pod, "y:0 x:0", "start a/0");
    // an init container that went missing is not run again
    check(&pod, "a:run b:run", "");
    let never = desired(with(spec, "restartPolicy", json!("Never")));
    check_with(&never, true, "x:1", &up(), "stop-sandbox s");
}

#[test]
fn sidecars_stay_beside_the_rest() {
    let side = json!([{"name": "x", "image": "i", "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["true"]}}}]);
    let pod = desired(with(with(two(), "initContainers", side), "restartPolicy", json!("Never")));
    check(&pod, "x:run", "");
    let mut memory = up();
    memory.of_mut("x").probes = Some(Probed { id: "x0".into(), started: true, ready: true, failed: None });
    check_with(&pod, true, "x:run", &memory, "start a/0");
    check(&pod, "x:1 b:run a:run", "start x/1");
    // they end last
    check(&pod, "x:run b:0 a:0", "stop x in 30");
    check_with(&pod, true, "x:0 b:0 a:0", &up(), "stop-sandbox s");
    let ending = deleted(pod.pod.spec.as_ref().map(|spec| serde_json::to_value(spec).unwrap()).unwrap());
    check(&ending, "x:run b:run a:0", "stop b in 7");
}

#[test]
fn unfit_containers_are_replaced() {
    let pod = desired(two());
    let mut memory = up();
    let failed = Some(Failed { probe: "liveness", grace: Some(3) });
    memory.of_mut("a").probes = Some(Probed { id: "a1".into(), started: true, ready: true, failed });
    check_with(&pod, true, "b:run a:run", &memory, "stop a in 3");
    memory.stopping.insert("a1".into(), 3);
    check_with(&pod, true, "b:run a:run", &memory, "");
    check(&pod, "b:run a:lost", "stop a in 30");
    check(&pod, "b:run a:new", "remove a1");
    let observed = observed(&pod, true, "b:run a:run");
    let changed = desired(json!({"containers": [{"name": "a", "image": "other"}, {"name": "b", "image": "i"}]}));
    assert_eq!(shown(&step(&changed, &observed, &up(), at(NOW))), "stop a in 30");
}

#[test]
fn dead_sandboxes_are_replaced() {
    let pod = desired(two());
    check_with(&pod, false, "b:run a:137", &up(), "stop b in 30");
    check_with(&pod, false, "b:137 a:137", &up(), "sandbox/2");
    check_with(&pod, false, "b:137 a:137", &Memory { sandbox_busy: true, ..up() }, "");
    check(&pod, "b:137@old a:137@old", "start a/1");
    check(&pod, "b:run a:run", "");
    check(&pod, "b:run a:run b:1 a:1 b:1@old a:1@old", "remove a5, remove b4, remove-sandbox old");
}

#[test]
fn deleted_pods_go_down_step_by_step() {
    let pod = deleted(two());
    check(&pod, "b:run a:run", "stop b in 7, stop a in 7");
    let stopping = |grace| {
        let mut memory = up();
        memory.stopping.extend([("a1".to_owned(), grace), ("b0".to_owned(), grace)]);
        memory
    };
    check_with(&pod, true, "b:run a:run", &stopping(7), "");
    check_with(&pod, true, "b:run a:run", &stopping(30), "stop b in 7, stop a in 7");
    check(&pod, "b:0 a:0", "stop-sandbox s");
    check_with(&pod, false, "b:0 a:0", &up(), "unmount");
    check_with(&pod, false, "b:0 a:0", &Memory { volumes: Volumes::Busy, ..up() }, "");
    check_with(&pod, false, "b:0 a:0", &Memory { volumes: Volumes::Unmounted, ..up() }, "finish");
    check_with(&pod, false, "", &Memory { starting: Some("a".into()), ..up() }, "");
}

#[test]
fn ended_pods_let_go_but_stay() {
    let pod = desired(with(two(), "restartPolicy", json!("Never")));
    check(&pod, "b:0 a:1", "stop-sandbox s");
    check_with(&pod, false, "b:0 a:1", &Memory { volumes: Volumes::Unmounted, ..up() }, "");
}

#[test]
fn deadlines_end_pods() {
    let pod = |seconds| desired(with(two(), "activeDeadlineSeconds", json!(seconds)));
    check(&pod(100), "b:run a:run", "fail DeadlineExceeded");
    check(&pod(101), "b:run a:run", "again 1");
    let doom = Doom { reason: "DeadlineExceeded", message: String::new() };
    check_with(&pod(100), true, "b:run a:run", &Memory { doom: Some(doom), ..up() }, "stop b in 30, stop a in 30");
}

#[test]
fn forbidden_sysctls_end_pods_before_they_begin() {
    let sysctls = json!({"sysctls": [{"name": "kernel.msgmax", "value": "1"}]});
    let pod = desired(with(two(), "securityContext", sysctls.clone()));
    let decide = |memory: &Memory| shown(&step(&pod, &Observed::default(), memory, at(NOW)));
    assert_eq!(decide(&Memory::default()), "fail SysctlForbidden");
    let doom = Doom { reason: "SysctlForbidden", message: String::new() };
    assert_eq!(decide(&Memory { doom: Some(doom), ..Default::default() }), "unmount");
    let deleted = deleted(with(two(), "securityContext", sysctls));
    assert_eq!(shown(&step(&deleted, &Observed::default(), &Memory::default(), at(NOW))), "unmount");
}
