//! A machine with a cluster that comes and goes, and with things of others that must stay.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::NamedTempFile;
use testing::cluster::{kubectl_program, run};
use testing::image::busybox_archive;
use testing::{Cluster, Machine, Printed};

use crate::inventory::Inventory;

const SOON: Duration = Duration::from_secs(60);

/// Made before the cluster: a table, links, an address, a route and a cgroup with names like ours.
const OTHERS: &str = "set -e
    nft add table inet coracle-foreign-pods
    nft add table ip coracle
    nft add chain ip coracle input '{ type filter hook input priority 0; }'
    ip link add corforeign0 type veth peer name foreign1
    ip link set corforeign0 up
    ip addr add 192.0.2.1/32 dev lo label lo:corforeign
    ip route add 192.0.2.0/24 dev corforeign0
    mkdir -p /sys/fs/cgroup/pids/$GROUP /sys/fs/cgroup/memory/$GROUP/inner";

/// The cluster, what was there before it, and what is somebody else's.
pub(crate) struct Place {
    pub cluster: Cluster,
    pub before: Inventory,
    archive: NamedTempFile,
    others: Others,
}

/// Things of others; gone with this value.
struct Others {
    group: String,
    sleeper: Child,
}

impl Drop for Others {
    fn drop(&mut self) {
        let _ = self.sleeper.kill().and_then(|()| self.sleeper.wait());
        for path in ["memory/$/inner", "memory/$", "pids/$"] {
            let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(path.replace('$', &self.group)));
        }
    }
}

/// A machine for clusters, or nothing with the reason printed.
pub(crate) fn machine() -> Option<Machine> {
    if kubectl_program().is_none() {
        println!("skipped: no kubectl 1.32 or newer; `make test` builds one");
        return None;
    }
    Machine::with_own_mounts().inspect_err(|e| println!("skipped: a cluster needs root and namespaces: {e}")).ok()
}

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_coracle"))
}

impl Place {
    /// With a running cluster on a machine of its own.
    pub(crate) fn new(machine: Machine) -> Self {
        let others = Others::make(&machine);
        let before = Inventory::take(&machine, std::slice::from_ref(&others.group), None);
        let cluster = Cluster::start(program(), machine).unwrap_or_else(|error| panic!("coracle up: {error}"));
        Self { cluster, before, archive: busybox_archive().expect("the test image is made"), others }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.cluster.data_dir().parent().expect("it is in a home").to_owned()
    }

    /// `coracle-<id>`: the name of the context, of the cgroup, and in the names of tables.
    pub(crate) fn name(&self) -> String {
        self.cluster.kubectl(&["config", "current-context"]).expect("current-context").trim().to_owned()
    }

    /// Images and running pods: a web server behind a Service and a port of the node, and one that has volumes and
    /// shares its processes.
    pub(crate) fn populate(&self) {
        let cluster = &self.cluster;
        run(cluster.coracle("image load").arg(self.archive.path())).expect("image load");
        cluster.wait(&["get", "serviceaccount", "default"], SOON, |_| true).expect("a service account");
        cluster.kubectl_with(&["apply", "-f", "-"], include_str!("pods.yaml")).expect("apply");
        cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"]).expect("pods run");
    }

    /// Ends the cluster's process as a crash does; its pods go on.
    pub(crate) fn crash(&self) {
        self.script("kill -9 $(cat $DATA/run/lock)");
        self.script(
            "while [ -d /proc/$(cat $DATA/run/lock) ] && ! grep -q ') Z' /proc/$(cat $DATA/run/lock)/stat; do :; done",
        );
    }

    /// Runs a shell script on the machine; it knows the data directory and the cluster's name.
    pub(crate) fn script(&self, text: &str) {
        let mut command = self.cluster.machine().command("sh");
        command.args(["-c", text]).env("DATA", self.cluster.data_dir()).env("NAME", self.name());
        run(&mut command).expect(text);
    }

    pub(crate) fn reset(&self, arguments: &[&str]) -> Printed {
        run(self.cluster.coracle("reset").args(arguments).env("HOME", self.home()).env_remove("KUBECONFIG"))
    }

    /// Resets, and fails unless the machine is as it was before the cluster.
    #[track_caller]
    pub(crate) fn must_be_as_before(&self, name: &str, when: &str) {
        let reset = self.reset(&["--yes"]);
        assert!(reset.ok, "{when}: {reset:?}");
        self.inventory(name).must_equal(&self.before, &format!("{when}, after\n{}", reset.stdout));
    }

    pub(crate) fn inventory(&self, name: &str) -> Inventory {
        let home = self.home();
        let marks = [self.others.group.clone(), format!("{name}/"), home.display().to_string()];
        let mut marks = marks.to_vec();
        marks.push(format!("{name} "));
        Inventory::take(self.cluster.machine(), &marks, Some(&home))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that fails leaves nothing either.
        let _ = self.reset(&["--yes"]);
    }
}

impl Others {
    fn make(machine: &Machine) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = format!("coracle-foreign-{}-{number}", std::process::id());
        let mut command = machine.command("sh");
        run(command.args(["-c", OTHERS]).env("GROUP", &group)).expect("things of others are made");
        let sleeper = machine.command("sleep").arg("3600").stdin(Stdio::null()).spawn().expect("a process of others");
        Self { group, sleeper }
    }
}
