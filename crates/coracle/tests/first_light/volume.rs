//! Configuration in a pod: environment, config maps, secrets, tokens.

use testing::Cluster;
use testing::image::BUSYBOX;

use crate::has;

pub(crate) fn uses_configuration(cluster: &Cluster) {
    cluster.kubectl(&["create", "secret", "generic", "password", "--from-literal=word=sesame"]).expect("create secret");
    cluster.kubectl_with(&["apply", "-f", "-"], &pod()).expect("apply pod");
    cluster
        .kubectl(&["wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", "--timeout=40s"])
        .expect("wait");
    let log = cluster.kubectl(&["logs", "reader"]).expect("logs");
    has(
        &log,
        &["name=reader", "word=sesame", "color=red", "ns=default", "token=yes", "ca=yes", "init=done", "svc=yes"],
    );
    cluster.kubectl(&["delete", "pod", "reader", "--now"]).expect("delete");
}

fn pod() -> String {
    let script = "echo name=$NAME; echo word=$WORD; echo color=$(cat /config/color); \
        echo ns=$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace); \
        test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token=yes; \
        grep -q BEGIN /var/run/secrets/kubernetes.io/serviceaccount/ca.crt && echo ca=yes; \
        echo init=$(cat /shared/init); test -n \"$KUBERNETES_SERVICE_HOST\" && echo svc=yes";
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reader"},
        "spec": {
            "restartPolicy": "Never",
            "volumes": [{"name": "config", "configMap": {"name": "settings"}}, {"name": "shared", "emptyDir": {}}],
            "initContainers": [{"name": "first", "image": BUSYBOX, "command": ["sh", "-c", "echo done > /shared/init"],
                "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}],
            "containers": [{"name": "main", "image": BUSYBOX, "command": ["sh", "-c", script],
                "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "word"}}}],
                "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "shared", "mountPath": "/shared"}]}]
        }
    });
    manifest.to_string()
}
