//! Why a pod has no place, in upstream's words.

use crate::cycle::Rejection;

/// The message of the `PodScheduled` condition and of the `FailedScheduling` event.
#[must_use]
pub fn explain(rejection: &Rejection) -> String {
    if rejection.nodes == 0 && rejection.pod.is_none() {
        return "no nodes available to schedule pods".to_owned();
    }
    let available = format!("0/{} nodes are available:", rejection.nodes);
    if let Some(reason) = &rejection.pod {
        return format!("{available} {reason}.");
    }
    let reasons = count_all(rejection.reasons.iter().map(|(reason, count)| (reason.as_str(), *count)));
    format!("{available} {reasons}. no new claims to deallocate, preemption: {}", preemption(rejection))
}

fn preemption(rejection: &Rejection) -> String {
    let available = format!("0/{} nodes are available:", rejection.nodes);
    if rejection.never_preempts {
        return "not eligible due to preemptionPolicy=Never.".to_owned();
    }
    let resolvable = rejection.nodes - rejection.unresolvable;
    let reasons = count_all([
        ("No preemption victims found for incoming pod", resolvable - rejection.preemptible),
        ("Preemption is not helpful for scheduling", rejection.unresolvable),
        ("Preemption is not supported yet", rejection.preemptible),
    ]);
    format!("{available} {reasons}.")
}

/// `1 Insufficient cpu, 2 node(s) were unschedulable`: sorted as text, as upstream does.
fn count_all<'a>(reasons: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let present = reasons.into_iter().filter(|(_, count)| *count > 0);
    let mut counted: Vec<String> = present.map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort_unstable();
    counted.join(", ")
}
