//! Scheduling gates, node name, node selector and affinity.

use super::{Prepared, Verdict};
use crate::pod::PodInfo;

pub(super) fn gated(pod: &PodInfo) -> Option<String> {
    (!pod.gates.is_empty()).then(|| format!("waiting for scheduling gates: [{}]", pod.gates.join(" ")))
}

pub(super) fn unsupported(prepared: &Prepared<'_>) -> Option<String> {
    prepared.pod.unsupported.map(str::to_owned)
}

pub(super) fn name(prepared: &Prepared<'_>, node: usize) -> Verdict {
    let wanted = &prepared.pod.node_name;
    if wanted.is_empty() || **wanted == *prepared.snapshot.names[node] {
        Verdict::Fits
    } else {
        Verdict::Unresolvable("node(s) didn't match the requested node name")
    }
}

pub(super) fn affinity(prepared: &Prepared<'_>, node: usize) -> Verdict {
    let choice = &prepared.pod.choice;
    if choice.is_free() || choice.allows(&prepared.snapshot.names[node], &prepared.snapshot.labels[node]) {
        Verdict::Fits
    } else {
        Verdict::Unresolvable("node(s) didn't match Pod's node affinity/selector")
    }
}

pub(super) fn has_preferences(prepared: &Prepared<'_>) -> bool {
    prepared.pod.choice.has_preferences()
}

pub(super) fn preference(prepared: &Prepared<'_>, node: usize) -> i64 {
    prepared.pod.choice.preference(&prepared.snapshot.names[node], &prepared.snapshot.labels[node])
}
