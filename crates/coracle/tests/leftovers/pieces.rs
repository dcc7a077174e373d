//! A reset finds the rest when some of it is gone: each kind of piece in turn, after a crash with pods running.

use crate::place::{Place, machine};

const SHIMS: &str = "for pid in $(pgrep -f \"run $DATA/runtime/sandboxes\"); do kill -9 $pid; done\n";
/// Takes every process out of the groups before they are removed.
const CGROUPS: &str = "for root in /sys/fs/cgroup/*; do
    for group in $(find $root/$NAME -depth -type d 2>/dev/null); do
        for pid in $(cat $group/cgroup.procs); do echo $pid > $root/cgroup.procs || true; done
        rmdir $group
    done
done\n";
const MOUNTS: &str = "for point in $(awk -v below=$DATA/ 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo); do umount -l $point; done\n";
const RECORDS: &str = "find $DATA -path $DATA/run -prune -o -type f \\( -name '*.pb' -o -name '*.json' ! -name kubeconfigs.json \\) -print";

/// What is removed by hand.
fn pieces() -> Vec<(&'static str, String)> {
    let links =
        "for link in $(ip -o link | sed -n 's/^[0-9]*: \\(cor[a-z2-7]*\\)@.*/\\1/p'); do ip link del $link; done";
    vec![
        ("a shim", "kill -9 $(pgrep -f \"run $DATA/runtime/sandboxes\" | head -n 1)".into()),
        ("every shim", SHIMS.into()),
        ("the mounts", MOUNTS.into()),
        ("the links", links.into()),
        ("the gateway's address", "ip addr del $(ip -o -4 addr show lo | awk '$4 ~ /^10/ { print $4 }') dev lo".into()),
        ("the pods' table", "nft delete table inet $NAME-pods".into()),
        ("the Services' tables", "nft delete table ip $NAME-services; nft delete table ip6 $NAME-services".into()),
        ("the cgroups", CGROUPS.into()),
        ("the shims and the cgroups", format!("{CGROUPS}{SHIMS}")),
        ("the ends of records", format!("for file in $({RECORDS}); do truncate -s 5 $file; done")),
        ("the content of records", format!("for file in $({RECORDS}); do echo '}}nonsense' > $file; done")),
        ("run/", "rm -r $DATA/run".into()),
        ("keys and certificates", "rm -r $DATA/pki $DATA/kubeconfigs.json".into()),
        ("the network's files", format!("{MOUNTS}rm -r $DATA/network")),
        ("the runtime's files", "rm -r $DATA/runtime".into()),
        ("every file", format!("{MOUNTS}rm -r $DATA")),
    ]
}

#[test]
fn what_is_half_gone_goes_whole() {
    let Some(machine) = machine() else { return };
    let place = Place::new(machine);
    for (piece, script) in pieces() {
        println!("--- {piece} gone first");
        place.cluster.up().ok();
        let name = place.name();
        place.populate();
        place.crash();
        place.script(&script);
        if piece == "keys and certificates" || piece == "every file" {
            // Where nothing tells it, the user does.
            let kubeconfig = place.cluster.kubeconfig();
            let kubeconfig = kubeconfig.to_str().expect("a plain path");
            assert!(place.reset(&["--yes", "--kubeconfig", kubeconfig]).ok);
            std::fs::remove_file(kubeconfig).expect("it stays: who made it is not known any more");
        }
        place.must_be_as_before(&name, &format!("{piece} gone first"));
    }
}
