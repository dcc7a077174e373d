//! Clusters beside each other: the end of one is nothing to the others.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use testing::cluster::run;
use testing::image::{BUSYBOX, busybox_archive};
use testing::{Cluster, Machine};

use crate::place::{Place, machine, program};

const SOON: Duration = Duration::from_secs(60);

/// A cluster with a pod that says back what it hears, and a connection to it.
struct Neighbour {
    cluster: Cluster,
    connection: TcpStream,
    containers: String,
}

const CONTAINERS: [&str; 5] =
    ["get", "pods", "-A", "-o", "jsonpath={.items[*].status.containerStatuses[*].containerID}"];

impl Neighbour {
    fn start(machine: &Machine, listen: &'static str, archive: &Path) -> Self {
        let cluster = Cluster::start_at(program(), machine.clone(), listen).expect("a cluster beside another");
        run(cluster.coracle("image load").arg(archive)).expect("image load");
        cluster.wait(&["get", "serviceaccount", "default"], SOON, |_| true).expect("a service account");
        let image = format!("--image={BUSYBOX}");
        cluster.kubectl(&["run", "echo", &image, "--", "nc", "-ll", "-p", "7", "-e", "cat"]).expect("run");
        cluster.kubectl(&["wait", "--for=condition=Ready", "pod/echo", "--timeout=60s"]).expect("it runs");
        let address = cluster.kubectl(&["get", "pod", "echo", "-o", "jsonpath={.status.podIP}"]).expect("its address");
        let target = format!("{}:7", address.trim());
        let connect = move || (0..200).find_map(|_| TcpStream::connect(&target).ok());
        let connection = machine.inside(connect).expect("inside the machine").expect("the pod answers");
        connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        let containers = cluster.kubectl(&CONTAINERS).expect("containers");
        let mut neighbour = Self { cluster, connection, containers };
        neighbour.is_well();
        neighbour
    }

    /// The connection lives, the same containers run, and new ones can be made.
    fn is_well(&mut self) {
        self.connection.write_all(b"hello\n").expect("the connection is open");
        let mut heard = [0; 6];
        self.connection.read_exact(&mut heard).expect("the pod answers");
        assert_eq!(&heard, b"hello\n");
        assert_eq!(self.cluster.kubectl(&CONTAINERS).expect("containers"), self.containers);
    }
}

#[test]
fn one_goes_and_the_others_stay() {
    let Some(machine) = machine() else { return };
    let archive = busybox_archive().expect("the test image is made");
    // Before the first one, whose inventory then has them in it.
    let mut beside = Neighbour::start(&machine, "127.0.0.1:7443", archive.path());
    let place = Place::new(machine.clone());
    // Its name begins like the other's.
    let longer = place.cluster.data_dir().with_file_name("data2");
    let third = |verb: &str| {
        let mut command = machine.command(program());
        command.arg(verb).arg("--data-dir").arg(&longer);
        command
    };
    let kubeconfig = place.home().join("third");
    run(third("up")
        .args(["--detach", "--listen", "127.0.0.1:8443", "--node-name", "third", "--kubeconfig"])
        .arg(&kubeconfig))
    .expect("a third cluster starts");
    place.populate();
    place.crash();
    place.reset(&["--yes"]).expect("reset");
    beside.is_well();
    let mut kubectl = machine.command("kubectl");
    run(kubectl.env("KUBECONFIG", &kubeconfig).args(["get", "node", "third"])).expect("the third cluster goes on");
    run(third("reset").arg("--yes")).expect("reset of the third");
    assert!(!longer.exists() && !kubeconfig.exists());
    beside.is_well();
    beside.cluster.kubectl(&["delete", "pod", "echo", "--now"]).expect("it still has a node");
}
