//! `coracle reset` leaves a machine as it was, however the cluster ended and whatever of it is gone already.
#![expect(clippy::print_stdout, reason = "a test that takes minutes says where it is, and a skipped one why")]

mod inventory;
mod neighbours;
mod pieces;
mod place;
mod refusals;

use testing::cluster::run;

use place::{Place, machine};

/// What happens between a cluster's running pods and the reset.
type End = (&'static str, fn(&Place));

const ENDS: &[End] = &[
    ("after a clean stop", |place| drop(place.cluster.down().expect("coracle down"))),
    ("while it runs", |_| ()),
    ("after a crash", Place::crash),
    ("after a crash and a new start", |place| {
        place.crash();
        place.cluster.up().expect("coracle up");
    }),
    ("while it hangs", |place| place.script("kill -STOP $(pgrep -f \"run $DATA/runtime/sandboxes\")")),
];

#[test]
fn nothing_is_left() {
    let Some(machine) = machine() else { return };
    let place = Place::new(machine);
    for (when, end) in ENDS {
        println!("--- {when}");
        place.cluster.up().ok();
        let name = place.name();
        place.populate();
        end(&place);
        place.must_be_as_before(&name, when);
        let again = place.reset(&[]).expect("a second reset");
        assert!(again.starts_with("There is nothing of a cluster in "), "{again}");
    }
}

#[test]
fn a_kubeconfig_that_others_use_stays() {
    let Some(machine) = machine() else { return };
    let place = Place::new(machine);
    place.reset(&["--yes"]).expect("reset");
    assert!(!place.cluster.kubeconfig().exists(), "it was made for the cluster alone");
    let kubectl = |arguments: &[&str]| place.cluster.kubectl(arguments).expect("kubectl config");
    kubectl(&["config", "set-cluster", "coracle-elsewhere", "--server=https://192.0.2.7:6443"]);
    kubectl(&["config", "set-context", "coracle-elsewhere", "--cluster=coracle-elsewhere"]);
    place.cluster.up().expect("coracle up");
    let said = place.reset(&["--yes"]).expect("reset");
    assert!(said.contains("Removed the context \"coracle-"), "{said}");
    assert_eq!(kubectl(&["config", "get-contexts", "-o", "name"]), "coracle-elsewhere\n");
    assert_eq!(kubectl(&["config", "get-clusters"]), "NAME\ncoracle-elsewhere\n");
    assert_eq!(kubectl(&["config", "get-users"]), "NAME\n");
    // Resetting does not start anything, so it needs nothing that a start would write.
    assert!(run(place.cluster.coracle("reset").arg("--yes")).ok);
    assert!(!place.cluster.data_dir().exists());
}
