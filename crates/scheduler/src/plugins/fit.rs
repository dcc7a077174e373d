//! Resources: does the pod fit, and where does it leave the cluster best used.

use std::borrow::Cow;

use super::{Prepared, Verdict};

const MAX_SCORE: i64 = 100;

pub(super) fn filter(prepared: &Prepared<'_>, node: usize) -> Verdict {
    let (snapshot, wanted) = (prepared.snapshot, &prepared.pod.requests);
    let (allocatable, requested) = (&snapshot.allocatable, &snapshot.requested);
    let lacks = |wanted: i64, allocatable: i64, requested: i64| wanted > 0 && wanted > allocatable - requested;
    let mut reasons: Vec<Cow<'static, str>> = Vec::new();
    if requested.pods[node] + 1 > allocatable.pods[node] {
        reasons.push("Too many pods".into());
    }
    if lacks(wanted.cpu, allocatable.cpu[node], requested.cpu[node]) {
        reasons.push("Insufficient cpu".into());
    }
    if lacks(wanted.memory, allocatable.memory[node], requested.memory[node]) {
        reasons.push("Insufficient memory".into());
    }
    if lacks(wanted.ephemeral, allocatable.ephemeral[node], requested.ephemeral[node]) {
        reasons.push("Insufficient ephemeral-storage".into());
    }
    for (name, amount) in &wanted.scalars {
        let allocatable = allocatable.scalars[node].get(name).copied().unwrap_or(0);
        let requested = requested.scalars[node].get(name).copied().unwrap_or(0);
        if lacks(*amount, allocatable, requested) {
            reasons.push(format!("Insufficient {name}").into());
        }
    }
    if reasons.is_empty() { Verdict::Fits } else { Verdict::Unschedulable(reasons) }
}

/// The share of CPU and memory that would stay free, averaged.
pub(super) fn least_allocated(prepared: &Prepared<'_>, node: usize) -> i64 {
    let snapshot = prepared.snapshot;
    let (cpu, memory) = snapshot.nonzero[node];
    let free = |requested: i64, capacity: i64| {
        if capacity <= 0 || requested > capacity { 0 } else { (capacity - requested) * MAX_SCORE / capacity }
    };
    let cpu = free(cpu + prepared.pod.nonzero.0, snapshot.allocatable.cpu[node]);
    let memory = free(memory + prepared.pod.nonzero.1, snapshot.allocatable.memory[node]);
    i64::midpoint(cpu, memory)
}

/// A pod that asks for nothing tips no balance.
pub(super) fn asks(prepared: &Prepared<'_>) -> bool {
    !prepared.pod.requests.is_empty()
}

/// How evenly CPU and memory would be used.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a score from 0 to 100")]
pub(super) fn balanced(prepared: &Prepared<'_>, node: usize) -> i64 {
    let (snapshot, wanted) = (prepared.snapshot, &prepared.pod.requests);
    let fraction = |requested: i64, capacity: i64| {
        if capacity <= 0 { 1.0 } else { (requested as f64 / capacity as f64).min(1.0) }
    };
    let cpu = fraction(snapshot.requested.cpu[node] + wanted.cpu, snapshot.allocatable.cpu[node]);
    let memory = fraction(snapshot.requested.memory[node] + wanted.memory, snapshot.allocatable.memory[node]);
    ((1.0 - (cpu - memory).abs() / 2.0) * MAX_SCORE as f64) as i64
}
