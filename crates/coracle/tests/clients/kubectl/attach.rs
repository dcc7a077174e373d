//! `attach -i` and `run -i`: talking to a container's own process.

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

const SCRIPT: &str = "while read line; do echo heard $line; done; echo over; exit 5";

pub(super) fn attaches(kubectl: &Kubectl<'_>) {
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "listener"},
        "spec": {"restartPolicy": "Never", "containers": [{
            "name": "main", "image": BUSYBOX, "command": ["sh", "-c", SCRIPT], "stdin": true, "stdinOnce": true,
        }]},
    });
    // The oldest kubectl asks for documents that validate, which not every server has.
    kubectl.with("create --validate=false -f -", &manifest.to_string());
    kubectl.ready("listener");
    has(&kubectl.with("attach -i listener", "one\ntwo\n"), &["heard one\nheard two\nover\n"]);
    let ended =
        "wait --for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}=5 pod/listener --timeout=60s";
    kubectl.cluster.kubectl(&[&["-n", kubectl.namespace], &words(ended)[..]].concat()).expect("it ended");
    kubectl.ok("delete pod listener --now");
    let run = format!("run asked -i --rm --quiet --restart=Never --image={BUSYBOX} -- cat");
    has(&kubectl.with(&run, "to be repeated\n"), &["to be repeated\n"]);
    has(&kubectl.fails("attach -i nobody"), &["pods \"nobody\" not found"]);
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}
