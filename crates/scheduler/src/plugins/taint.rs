//! Taints and tolerations, and nodes that take no new pods.

use control::controllers::taint_eviction::tolerates;
use k8s_openapi::api::core::v1::Taint;

use super::{Prepared, Verdict};

pub(super) fn unschedulable(prepared: &Prepared<'_>, node: usize) -> Verdict {
    if !prepared.snapshot.unschedulable[node] {
        return Verdict::Fits;
    }
    let taint = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    if is_tolerated(prepared, &taint) { Verdict::Fits } else { Verdict::Unresolvable("node(s) were unschedulable") }
}

pub(super) fn filter(prepared: &Prepared<'_>, node: usize) -> Verdict {
    if judge(prepared, node).0 { Verdict::Fits } else { Verdict::Unresolvable("node(s) had untolerated taint(s)") }
}

/// How many taints ask to stay away and are not tolerated.
pub(super) fn score(prepared: &Prepared<'_>, node: usize) -> i64 {
    judge(prepared, node).1
}

fn judge(prepared: &Prepared<'_>, node: usize) -> (bool, i64) {
    let set = prepared.snapshot.taints[node];
    *prepared.taints[set].get_or_init(|| {
        let untolerated = prepared.snapshot.taint_sets[set].iter().filter(|taint| !is_tolerated(prepared, taint));
        let (mild, hard): (Vec<&Taint>, Vec<&Taint>) =
            untolerated.partition(|taint| taint.effect == "PreferNoSchedule");
        (hard.is_empty(), i64::try_from(mild.len()).unwrap_or(i64::MAX))
    })
}

fn is_tolerated(prepared: &Prepared<'_>, taint: &Taint) -> bool {
    prepared.pod.tolerations.iter().any(|toleration| tolerates(toleration, taint))
}
