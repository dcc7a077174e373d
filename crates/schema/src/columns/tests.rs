//! Objects in, cells out.

use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

#[track_caller]
fn check(resource: &str, mut object: Value, expected: &[&str]) {
    object["metadata"]["name"] = json!("x");
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cells = built_in(resource).cells(&object, now());
    let cells: Vec<_> = cells
        .iter()
        .map(|cell| match cell {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        })
        .collect();
    assert_eq!(cells[..expected.len()], *expected, "{resource}");
}

fn pod(status: Value) -> Value {
    json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}, "status": status})
}

#[test]
fn pods() {
    let running = json!({"name": "a", "ready": true, "restartCount": 0, "state": {"running": {}}});
    let crashed = json!({"name": "b", "ready": false, "restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T00:59:30Z"}}});
    let completed = json!({"name": "b", "state": {"terminated": {"reason": "Completed", "exitCode": 0}}});
    let signalled = json!({"name": "b", "state": {"terminated": {"signal": 9, "exitCode": 137}}});
    check("pods", pod(json!({"phase": "Pending"})), &["x", "0/2", "Pending", "0", "60m"]);
    check(
        "pods",
        pod(json!({"phase": "Running", "containerStatuses": [running, running]})),
        &["x", "2/2", "Running", "0"],
    );
    check(
        "pods",
        pod(json!({"phase": "Running", "containerStatuses": [running, crashed]})),
        &["x", "1/2", "CrashLoopBackOff", "3 (30s ago)"],
    );
    check(
        "pods",
        pod(json!({"phase": "Running", "containerStatuses": [running, completed]})),
        &["x", "1/2", "NotReady"],
    );
    check("pods", pod(json!({"phase": "Failed", "containerStatuses": [signalled]})), &["x", "0/2", "Signal:9"]);
    check("pods", pod(json!({"phase": "Failed", "reason": "Evicted"})), &["x", "0/2", "Evicted"]);
    let gated = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]});
    check("pods", pod(gated), &["x", "0/2", "SchedulingGated"]);
}

#[test]
fn pods_that_end_or_initialize() {
    let mut deleted = pod(json!({"phase": "Running"}));
    deleted["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    check("pods", deleted, &["x", "0/2", "Terminating"]);
    let init = |state: Value| {
        json!({"spec": {"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]},
        "status": {"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": state}],
            "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]}})
    };
    check("pods", init(json!({"running": {}})), &["x", "0/1", "Init:0/2"]);
    check("pods", init(json!({"waiting": {"reason": "ErrImagePull"}})), &["x", "0/1", "Init:ErrImagePull"]);
    check("pods", init(json!({"terminated": {"exitCode": 2}})), &["x", "0/1", "Init:ExitCode:2"]);
}

#[test]
fn workloads() {
    let template = json!({"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}});
    let deployment = json!({"spec": {"replicas": 3, "template": template, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"readyReplicas": 1, "updatedReplicas": 2}});
    check("deployments.apps", deployment, &["x", "1/3", "2", "0", "60m", "a,b", "i,j", "app=web"]);
    let set = json!({"spec": {"replicas": 3, "selector": {"matchExpressions": [{"key": "k", "operator": "In", "values": ["b", "a"]}]}}, "status": {"replicas": 2}});
    check("replicasets.apps", set, &["x", "3", "2", "0", "60m", "", "", "k in (a,b)"]);
    let job = json!({"spec": {"completions": 2}, "status": {"succeeded": 1, "startTime": "2026-01-01T00:58:00Z"}});
    check("jobs.batch", job, &["x", "Running", "1/2", "2m"]);
}

#[test]
fn networks() {
    let service = json!({"spec": {"type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "selector": {"a": "b"},
        "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}});
    check("services", service, &["x", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "60m", "a=b"]);
    check(
        "services",
        json!({"spec": {"type": "LoadBalancer", "clusterIP": "None"}}),
        &["x", "LoadBalancer", "None", "<pending>", "<none>"],
    );
    let slice = json!({"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": [{"addresses": ["1"]}, {"addresses": ["2"]}, {"addresses": ["3"]}, {"addresses": ["4"]}]});
    check("endpointslices.discovery.k8s.io", slice, &["x", "IPv4", "80", "1,2,3 + 1 more..."]);
    let endpoints = json!({"subsets": [{"addresses": [{"ip": "1"}, {"ip": "2"}], "ports": [{"port": 80}]}]});
    check("endpoints", endpoints, &["x", "1:80,2:80"]);
}

#[test]
fn nodes_and_events() {
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "x"}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "nodeInfo": {"kubeletVersion": "v1"}, "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}});
    check("nodes", node, &["x", "Ready,SchedulingDisabled", "control-plane,x", "60m", "v1", "1.2.3.4", "<none>"]);
    let event = json!({"involvedObject": {"kind": "Pod", "name": "p"}, "type": "Normal", "reason": "Started", "message": " said \n",
        "lastTimestamp": "2026-01-01T00:59:00Z", "count": 4, "source": {"component": "kubelet", "host": "n"}});
    check("events", event, &["60s", "Normal", "Started", "pod/p", "", "kubelet, n", "said", "<unknown>", "4", "x"]);
}

#[test]
fn custom_columns_follow_paths() {
    let column = |name: &str, kind: &str, path: &str| PathColumn {
        name: name.into(),
        kind: kind.into(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        path: path.into(),
    };
    let columns = Columns::custom(vec![
        column("Size", "integer", "spec.size"),
        column("Born", "date", "metadata.creationTimestamp"),
        column("No", "string", "spec.no"),
    ]);
    let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"size": 3}});
    assert_eq!(columns.cells(&object, now()), [json!("x"), json!(3), json!("60m"), Value::Null]);
    assert_eq!(columns.definitions().as_array().unwrap().len(), 4);
}

#[test]
fn every_table_has_one_owner_and_hostile_objects_do_no_harm() {
    let mut names: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    for name in names {
        for object in [
            json!(null),
            json!([]),
            json!({"metadata": [], "spec": 3, "status": "x"}),
            json!({"spec": {"ports": [1], "metrics": [null]}, "subsets": [[]]}),
        ] {
            let columns = built_in(name);
            assert_eq!(columns.cells(&object, now()).len(), columns.definitions().as_array().unwrap().len());
        }
    }
}
