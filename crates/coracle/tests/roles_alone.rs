//! Every role in a process of its own, over TLS and RBAC, makes the same cluster.

use testing::cluster::kubectl_program;
use testing::image::{BUSYBOX, WEB_V1, busybox_archive};
use testing::{Machine, Roles};

/// Longest wait for anything.
const SOON: &str = "--timeout=60s";

#[test]
fn roles_alone_make_a_cluster() {
    let Ok(machine) = Machine::new() else {
        println!("skipped: a cluster needs root and network namespaces");
        return;
    };
    if kubectl_program().is_none() {
        println!("skipped: no kubectl 1.32 or newer; `make test` builds one");
        return;
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_coracle"));
    let mut roles = Roles::new(program, machine).expect("a folder");
    let archive = busybox_archive().expect("the test image is made");
    roles.start_all(archive.path());
    let image = format!("--image={WEB_V1}");
    roles.until(&["wait", "--for=condition=Ready", "node", "--all", SOON]);
    roles.kubectl(&["create", "deployment", "web", &image, "--replicas=2"]).expect("create deployment");
    roles.kubectl(&["expose", "deployment", "web", "--port=80"]).expect("expose");
    let rolled = roles.kubectl(&["rollout", "status", "deployment", "web", SOON]);
    assert!(rolled.ok, "{rolled:?} {}", roles.logs());
    let (image, page) = (format!("--image={BUSYBOX}"), ["wget", "-q", "-O-", "http://web.default.svc.cluster.local"]);
    roles.kubectl(&[&["run", "shell", "--restart=Never", &image, "--"], &page[..]].concat()).expect("run");
    roles
        .kubectl(&["wait", "--for=jsonpath={.status.containerStatuses[0].state.terminated}", "pod/shell", SOON])
        .expect("it ends");
    let said = roles.until(&["logs", "shell"]);
    let state = roles.kubectl(&["get", "pod", "shell", "-o", "jsonpath={.status}"]).stdout;
    assert!(said.contains("web v1"), "{said} {state}");
    roles.kubectl(&["delete", "deployment,service", "web"]).expect("delete");
    roles.kubectl(&["delete", "pod", "shell"]).expect("delete");
    roles.kubectl(&["wait", "--for=delete", "pods", "--all", SOON]).expect("the pods go");
}
