//! Measures decoding: `cargo run --release -p schema --example decode`. Prints microseconds for a Pod of about
//! 4 KB: the fastest batch and the median one.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]
#![expect(clippy::cast_precision_loss, reason = "figures are printed with two digits")]

use std::{hint::black_box, time::Instant};

use schema::{Type, codec::Format, decode, default, encode, normalise};
use serde_json::{Value, json};

/// The machine does other things as well: the fastest of several batches says most about the code.
const BATCHES: u32 = 20;
const ROUNDS: u32 = 1_000;

fn main() {
    let load = Instant::now();
    let ty = Type::builtin("core.v1.Pod").expect("pods are built in");
    println!("facts loaded          {:8.2} µs", load.elapsed().as_nanos() as f64 / 1e3);
    let pod = normalise(&ty, pod()).expect("a sound pod").value;
    let text = encode(&pod, Format::Json);
    println!("pod                   {:8} bytes", text.len());
    measure("parse only", || black_box(serde_json::from_slice::<Value>(&text).expect("JSON")));
    measure("decode + normalise", || black_box(decode(&ty, &text, Format::Json).expect("a pod").value));
    measure("normalise (moved)", || black_box(normalise(&ty, pod.clone()).expect("a pod").value));
    measure("clone", || black_box(pod.clone()));
    measure("default (a clone)", || {
        let mut pod = pod.clone();
        default(&ty, &mut pod);
        black_box(pod)
    });
    measure("encode", || black_box(encode(&pod, Format::Json)));
}

fn measure<T>(what: &str, mut run: impl FnMut() -> T) {
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
