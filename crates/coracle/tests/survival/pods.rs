//! Pods for these tests, and what is seen of them: in the API, and on the machine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testing::image::BUSYBOX;
use testing::{Cluster, Printed, Traces};
use tokio::time::Instant;

use crate::SOON;

/// Ends a container's shell at once.
const SHELL: &str = "trap 'exit 0' TERM; sleep 1000000 & wait";

/// A pod that does nothing, with volumes of every kind that leaves something behind.
pub(crate) fn plain(name: &str) -> Value {
    let volumes = json!([
        {"name": "scratch", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "config", "configMap": {"name": "kube-root-ca.crt"}},
    ]);
    let mounts = json!([
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "memory", "mountPath": "/memory"},
        {"name": "config", "mountPath": "/config"},
    ]);
    let mut pod = running(name, SHELL);
    pod["spec"]["volumes"] = volumes;
    pod["spec"]["containers"][0]["volumeMounts"] = mounts;
    pod
}

/// A pod that runs a shell script.
pub(crate) fn running(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main", "image": BUSYBOX, "command": ["/bin/sh", "-c", script]}],
        },
    })
}

/// A Service for the pod of the same name.
pub(crate) fn service(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": port}]},
    })
}

/// Objects as one stream of documents.
pub(crate) fn list(items: &[Value]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A pod as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) node: String,
    pub(crate) address: String,
    /// Ids of containers, with their numbers of restarts.
    pub(crate) containers: Vec<(String, u64)>,
    /// Since when it is ready; empty while it is not.
    pub(crate) ready: String,
    pub(crate) leaves: bool,
}

/// All pods.
pub(crate) fn seen(printed: Printed) -> Result<Vec<Seen>, String> {
    if !printed.ok {
        return Err(printed.stderr);
    }
    let parsed: Value = serde_json::from_str(&printed.stdout).map_err(|e| e.to_string())?;
    let mut pods: Vec<Seen> = parsed["items"].as_array().into_iter().flatten().map(Seen::of).collect();
    pods.sort();
    Ok(pods)
}

pub(crate) const GET: &[&str] = &["get", "pods", "-A", "-o", "json"];

impl Seen {
    fn of(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = &pod["status"];
        let container = |status: &Value| {
            let id = text(&status["containerID"]).trim_start_matches("coracle://").to_owned();
            (id, status["restartCount"].as_u64().unwrap_or_default())
        };
        let ready = |condition: &&Value| condition["type"] == "Ready" && condition["status"] == "True";
        let since = status["conditions"].as_array().into_iter().flatten().find(ready);
        Self {
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            address: text(&status["podIP"]),
            containers: status["containerStatuses"].as_array().into_iter().flatten().map(container).collect(),
            ready: since.map(|condition| text(&condition["lastTransitionTime"])).unwrap_or_default(),
            leaves: !pod["metadata"]["deletionTimestamp"].is_null(),
        }
    }
}

/// Waits until every pod is ready, and there is nothing else on the machine.
pub(crate) fn settled(cluster: &Cluster) -> Vec<Seen> {
    let patience = Instant::now() + SOON.mul_f64(crate::load_factor());
    loop {
        let faults = match faults(cluster) {
            Ok(pods) => return pods,
            Err(faults) => faults,
        };
        assert!(Instant::now() < patience, "{}\n{}", faults.join("\n"), cluster.log());
    }
}

fn faults(cluster: &Cluster) -> Result<Vec<Seen>, Vec<String>> {
    let pods = seen(cluster.kubectl(GET)).map_err(|error| vec![error])?;
    let unready = pods.iter().filter(|pod| pod.ready.is_empty() || pod.leaves);
    let mut faults: Vec<String> = unready.map(|pod| format!("not ready: {pod:?}")).collect();
    let uids: BTreeSet<String> = pods.iter().map(|pod| pod.uid.clone()).collect();
    let containers = pods.iter().flat_map(|pod| pod.containers.iter().map(|(id, _)| id.clone())).collect();
    let traces = Traces::of(&cluster.data_dir(), cluster.machine());
    faults.extend(traces.faults(&uids, &containers));
    if faults.is_empty() { Ok(pods) } else { Err(faults) }
}

/// The first process of each container, which is the same as long as nothing happens to the container.
pub(crate) fn processes(cluster: &Cluster) -> BTreeMap<String, (i32, u64)> {
    firsts(&Traces::of(&cluster.data_dir(), cluster.machine()))
}

pub(crate) fn firsts(traces: &Traces) -> BTreeMap<String, (i32, u64)> {
    let mut firsts: BTreeMap<String, (i32, u64)> = BTreeMap::new();
    for ((pid, start), container) in &traces.processes {
        let first = firsts.entry(container.clone()).or_insert((*pid, *start));
        if (*start, *pid) < (first.1, first.0) {
            *first = (*pid, *start);
        }
    }
    firsts
}

/// Nothing but files stays of a cluster that is down: its pods will run again.
pub(crate) fn nothing_runs(cluster: &Cluster) {
    let left = Traces::of(&cluster.data_dir(), cluster.machine());
    assert_eq!(left, Traces { pods: left.pods.clone(), logs: left.logs.clone(), ..Traces::default() });
}
