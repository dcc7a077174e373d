//! Every role in a process of its own, over TLS and RBAC, makes the same cluster.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testing::cluster::{kubectl_program, run};
use testing::image::{BUSYBOX, WEB_V1, busybox_archive};
use testing::{Machine, Printed};

/// Longest wait for anything.
const SOON: &str = "--timeout=60s";
const NODE: &str = "10.42.0.1";

/// The processes, and where they keep their state.
struct Roles {
    machine: Machine,
    home: TempDir,
    children: Vec<Child>,
}

impl Roles {
    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn conf(&self, role: &str) -> String {
        self.data().join(format!("kubeconfig/{role}.conf")).display().to_string()
    }

    fn start(&mut self, arguments: &[&str]) {
        let log = std::fs::File::create(self.home.path().join(arguments[0])).expect("a log file");
        let mut command = self.machine.command(env!("CARGO_BIN_EXE_coracle"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.children.push(command.spawn().expect("the role starts"));
    }

    fn kubectl(&self, arguments: &[&str]) -> Printed {
        let mut command = self.machine.command(kubectl_program().expect("kubectl was found"));
        run(command.env("KUBECONFIG", self.conf("admin")).args(arguments))
    }

    /// Runs kubectl until it succeeds, a bounded number of times.
    fn until(&self, arguments: &[&str]) -> String {
        let attempts = (0..600).map(|_| self.kubectl(arguments));
        let last = attempts.take_while(|printed| !printed.ok).last();
        let printed = self.kubectl(arguments);
        assert!(printed.ok, "{arguments:?}: {last:?} {}", self.logs());
        printed.stdout
    }

    fn logs(&self) -> String {
        let entries = std::fs::read_dir(self.home.path()).into_iter().flatten().flatten();
        let files = entries.filter(|entry| entry.path().is_file());
        files
            .map(|f| format!("\n--- {:?}\n{}", f.file_name(), std::fs::read_to_string(f.path()).unwrap_or_default()))
            .collect()
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill().and_then(|()| child.wait());
        }
        let down = [Path::new("down"), Path::new("--data-dir"), &self.data()];
        let _ = run(self.machine.command(env!("CARGO_BIN_EXE_coracle")).args(down));
    }
}

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
    let mut roles =
        Roles { machine, home: TempDir::with_prefix("coracle-test-").expect("a folder"), children: Vec::new() };
    start_all(&mut roles);
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

fn start_all(roles: &mut Roles) {
    let data = roles.data().display().to_string();
    roles.start(&["apiserver", "--data-dir", &data, "--listen", "127.0.0.1:6443"]);
    roles.until(&["get", "--raw", "/readyz"]);
    roles.start(&["runtime", "--data-dir", &data]);
    let socket = roles.data().join("runtime/cri.sock").display().to_string();
    let archive = busybox_archive().expect("the test image is made");
    load(roles, &socket, archive.path());
    let clients = ["controller-manager", "scheduler"];
    for role in clients {
        roles.start(&[role, "--kubeconfig", &roles.conf(role)]);
    }
    roles.start(&["proxy", "--data-dir", &data, "--kubeconfig", &roles.conf("proxy"), "--node-ip", NODE]);
    roles.start(&["dns", "--kubeconfig", &roles.conf("dns"), "--listen", "10.42.0.1:53"]);
    let kubelet = ["--kubeconfig", &roles.conf("kubelet"), "--node-ip", NODE, "--container-runtime-endpoint", &socket];
    roles.start(&[&["kubelet", "--data-dir", &data], &kubelet[..]].concat());
}

/// Loads the images as soon as the runtime serves.
fn load(roles: &Roles, socket: &str, archive: &Path) {
    let (socket, archive) = (PathBuf::from(socket), archive.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let loaded = runtime.block_on(async {
        for _ in 0..200 {
            if let Ok(images) = runtime::client::load(&socket, &archive).await {
                return images.len();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        0
    });
    assert_eq!(loaded, 3, "{}", roles.logs());
}
