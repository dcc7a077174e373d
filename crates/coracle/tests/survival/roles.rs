//! Every role is a process of its own; each is killed and started again.

use std::path::Path;

use testing::image::{WEB_V1, busybox_archive};
use testing::roles::ROLES;
use testing::{Roles, Traces};
use tokio::time::Instant;

use crate::pods::{GET, Seen, list, plain, seen};
use crate::{PROGRAM, SOON, load_factor, machine, turn};

#[test]
fn pods_do_not_notice_a_killed_role_and_work_goes_on() {
    let _turn = turn();
    let Some(machine) = machine() else { return };
    let mut roles = Roles::new(Path::new(PROGRAM), machine.clone()).expect("a folder");
    let archive = busybox_archive().expect("the test image is made");
    roles.start_all(archive.path());
    roles.until(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);
    let manifest = roles.data_dir().join("pods.json");
    std::fs::write(&manifest, list(&[plain("a"), plain("b")])).expect("a manifest");
    roles.kubectl(&["apply", "-f", &manifest.display().to_string()]).expect("apply");
    let image = format!("--image={WEB_V1}");
    roles.kubectl(&["create", "deployment", "web", &image, "--replicas=1"]).expect("create deployment");
    roles.kubectl(&["expose", "deployment", "web", "--port=80"]).expect("expose");
    roles.until(&["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"]);
    roles.until(&["wait", "--for=condition=Ready", "pod/a", "pod/b", "--timeout=60s"]);
    for (round, role) in ROLES.iter().enumerate() {
        let (pods, processes) = (standing(&roles), Traces::of(&roles.data_dir(), &machine).processes);
        roles.kill(role);
        assert_eq!(Traces::of(&roles.data_dir(), &machine).processes, processes, "without {role}");
        roles.start(role);
        works(&roles, round);
        let after = Traces::of(&roles.data_dir(), &machine).processes;
        assert!(processes.keys().all(|process| after.contains_key(process)), "after {role}");
        let now = standing(&roles);
        assert!(pods.iter().all(|pod| now.contains(pod)), "after {role}: {pods:?}, now {now:?}");
        println!("{role} was killed and is back");
    }
    roles.kubectl(&["delete", "pods", "a", "b"]).expect("delete");
    roles.kubectl(&["delete", "deployment", "web"]).expect("delete");
    roles.until(&["wait", "--for=delete", "pods", "--all", "--timeout=60s"]);
}

fn standing(roles: &Roles) -> Vec<Seen> {
    seen(roles.kubectl(GET)).unwrap_or_else(|error| panic!("{error} {}", roles.logs()))
}

/// A new pod comes up, is reached through the Service, and is entered, whatever role has just come back.
fn works(roles: &Roles, round: usize) {
    let replicas = format!("--replicas={}", round + 2);
    roles.until(&["scale", "deployment", "web", &replicas]);
    let available = format!("jsonpath={{.status.availableReplicas}}={}", round + 2);
    let waited = roles.kubectl(&["wait", "--for", &available, "deployment/web", "--timeout=60s"]);
    assert!(waited.ok, "{waited:?} {}", roles.logs());
    let patience = Instant::now() + SOON.mul_f64(load_factor());
    let page = ["exec", "a", "--", "wget", "-q", "-O-", "http://web.default.svc.cluster.local"];
    loop {
        let printed = roles.kubectl(&page);
        if printed.ok && printed.stdout.contains("web v1") {
            return;
        }
        assert!(Instant::now() < patience, "{printed:?} {}", roles.logs());
    }
}
