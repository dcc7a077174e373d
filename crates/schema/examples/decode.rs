//! Measures decoding and encoding: `cargo run --release -p schema --example decode`. Prints microseconds for a Pod of
//! about 4 KB: the fastest batch and the median one. `decode WHAT ROUNDS` runs one of them that many times and prints
//! nothing, for tools that count instructions.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]
#![expect(clippy::cast_precision_loss, reason = "figures are printed with two digits")]

use std::{hint::black_box, time::Instant};

use schema::codec::{Format, protobuf};
use schema::{Type, decode, decode_protobuf, default, encode, normalise};
use serde_json::{Value, json};

/// The machine does other things as well: the fastest of several batches says most about the code.
const BATCHES: u32 = 20;
const ROUNDS: u32 = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next().zip(arguments.next().and_then(|rounds| rounds.parse().ok()));
    let measure = |what: &str, run: &mut dyn FnMut()| match &only {
        Some((wanted, rounds)) if wanted == what => (0..*rounds).for_each(|_: u32| run()),
        Some(_) => {}
        None => measure(what, run),
    };
    let load = Instant::now();
    let ty = Type::builtin("core.v1.Pod").expect("pods are built in");
    let loaded = load.elapsed().as_nanos() as f64 / 1e3;
    let pod = normalise(&ty, pod()).expect("a sound pod").value;
    let text = encode(&pod, Format::Json);
    let write = |source| protobuf::encode(&ty, "v1", "Pod", source).expect("a pod");
    let message = write(protobuf::Source::Value(&pod));
    if only.is_none() {
        println!("facts loaded          {loaded:8.2} µs");
        println!("pod                   {:8} bytes, in protobuf {}", text.len(), message.len());
    }
    measure("parse only", &mut || drop(black_box(serde_json::from_slice::<Value>(&text).expect("JSON"))));
    measure("decode + normalise", &mut || drop(black_box(decode(&ty, &text, Format::Json).expect("a pod"))));
    measure("normalise (moved)", &mut || drop(black_box(normalise(&ty, pod.clone()).expect("a pod"))));
    measure("clone", &mut || drop(black_box(pod.clone())));
    measure("default (a clone)", &mut || {
        let mut pod = pod.clone();
        default(&ty, &mut pod);
        drop(black_box(pod));
    });
    measure("encode", &mut || drop(black_box(encode(&pod, Format::Json))));
    measure("text to protobuf", &mut || drop(black_box(write(protobuf::Source::Json(&text)))));
    measure("value to protobuf", &mut || drop(black_box(write(protobuf::Source::Value(&pod)))));
    measure("read protobuf", &mut || drop(black_box(decode_protobuf(&ty, &message).expect("a pod"))));
}

fn measure(what: &str, run: &mut dyn FnMut()) {
    let mut batch = || {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            run();
        }
        start.elapsed().as_nanos() as f64 / 1e3 / f64::from(ROUNDS)
    };
    let mut times: Vec<f64> = (0..BATCHES).map(|_| batch()).collect();
    times.sort_by(f64::total_cmp);
    println!("{what:21} {:8.2} µs, median {:.2}", times[0], times[times.len() / 2]);
}

/// A pod as a busy cluster has them: two containers, probes, volumes, a status.
fn pod() -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:v1.2.3"), "args": ["--port=8080", "--log=info"],
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                {"name": "MODE", "value": "production"}],
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config"},
                {"name": "token", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1,
                "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent", "securityContext": {"runAsNonRoot": true, "allowPrivilegeEscalation": false},
        })
    };
    let status = |name: &str| {
        json!({"name": name, "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}, "lastState": {}, "ready": true,
            "restartCount": 0, "image": "registry.example.com/team/web:v1.2.3", "imageID": "sha256:0123456789abcdef0123456789abcdef",
            "containerID": "containerd://0123456789abcdef0123456789abcdef", "started": true})
    };
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-01T00:00:06Z"});
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": "web-5d4f8c7b9-x2x4z", "generateName": "web-5d4f8c7b9-", "namespace": "production",
            "uid": "0f3b6f5e-8c1d-4a57-9d0c-3f2b1a0e9d8c", "resourceVersion": "123456", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9", "tier": "frontend"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9",
                "uid": "1a2b3c4d-0000-1111-2222-333344445555", "controller": true, "blockOwnerDeletion": true}]},
        "spec": {"volumes": [{"name": "config", "configMap": {"name": "web", "defaultMode": 420}},
                {"name": "token", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}],
            "containers": [container("web"), container("sidecar")], "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst", "serviceAccountName": "web", "serviceAccount": "web", "nodeName": "node-1",
            "securityContext": {}, "schedulerName": "default-scheduler", "priority": 0, "enableServiceLinks": true,
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "conditions": [condition("Initialized"), condition("Ready"), condition("PodScheduled")],
            "hostIP": "10.0.0.4", "podIP": "10.42.0.17", "podIPs": [{"ip": "10.42.0.17"}], "startTime": "2026-01-01T00:00:01Z",
            "containerStatuses": [status("web"), status("sidecar")], "qosClass": "Burstable"},
    })
}
