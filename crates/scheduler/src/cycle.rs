//! One scheduling cycle: a pod and a snapshot in, a decision out.

use std::collections::BTreeMap;

use crate::plugins::{Normalize, PLUGINS, Plugin, Prepared, Verdict};
use crate::pod::PodInfo;
use crate::snapshot::Snapshot;

/// Clusters up to this size are searched whole.
const SEARCHED_WHOLE: usize = 100;
/// The least share of a large cluster that is searched for feasible nodes, in percent.
const LEAST_PERCENT: usize = 5;
const MAX_SCORE: i64 = 100;

/// Where a pod goes, or why it cannot go anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The position of the node, and how many nodes were looked at: the next search starts after them.
    Place {
        node: usize,
        examined: usize,
    },
    Reject(Rejection),
}

/// Why no node will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejection {
    pub nodes: usize,
    /// Said of the pod as a whole, before any node was looked at.
    pub pod: Option<String>,
    /// Nodes by reason; a node may have several.
    pub reasons: BTreeMap<String, usize>,
    /// Plugins that rejected some node or the pod: events that concern them make another try worthwhile.
    pub plugins: Vec<&'static str>,
    /// Nodes that no eviction would make feasible.
    pub unresolvable: usize,
    /// The pod does not evict others.
    pub never_preempts: bool,
    /// Nodes where evicting pods of lower priority might make room.
    pub preemptible: usize,
}

/// Finds the node for `pod`. The search of a large cluster starts at `start` (modulo its size) and ends when enough
/// feasible nodes are found.
#[must_use]
pub fn schedule(pod: &PodInfo, snapshot: &Snapshot, start: usize) -> Decision {
    let prepared = Prepared::new(pod, snapshot);
    let mut rejection = Rejection { nodes: snapshot.len(), never_preempts: pod.never_preempts, ..Rejection::default() };
    if let Some((plugin, reason)) = PLUGINS.iter().find_map(|plugin| Some((plugin, (plugin.pre_filter?)(&prepared)?))) {
        rejection.pod = Some(reason);
        rejection.plugins.push(plugin.name);
        return Decision::Reject(rejection);
    }
    let filters: Vec<&Plugin> = PLUGINS.iter().filter(|plugin| plugin.filter.is_some()).collect();
    let enough = feasible_enough(snapshot.len());
    let (mut feasible, mut examined) = (Vec::with_capacity(enough.min(snapshot.len())), 0);
    for node in (0..snapshot.len()).map(|offset| (start + offset) % snapshot.len()) {
        examined += 1;
        if passes(&filters, &prepared, node, &mut rejection) {
            feasible.push(node);
            if feasible.len() >= enough {
                break;
            }
        }
    }
    match best(&prepared, &feasible) {
        Some(node) => Decision::Place { node, examined },
        None => Decision::Reject(rejection),
    }
}

/// How many feasible nodes are enough to choose from: upstream's adaptive share.
fn feasible_enough(nodes: usize) -> usize {
    if nodes <= SEARCHED_WHOLE {
        return nodes;
    }
    let percent = 50_usize.saturating_sub(nodes / 125).max(LEAST_PERCENT);
    (nodes * percent / 100).max(SEARCHED_WHOLE)
}

fn passes(filters: &[&Plugin], prepared: &Prepared<'_>, node: usize, rejection: &mut Rejection) -> bool {
    for plugin in filters {
        let Some(filter) = plugin.filter else { continue };
        let (reasons, unresolvable) = match filter(prepared, node) {
            Verdict::Fits => continue,
            Verdict::Unschedulable(reasons) => (reasons, false),
            Verdict::Unresolvable(reason) => (vec![reason.into()], true),
        };
        for reason in reasons {
            match rejection.reasons.get_mut(&*reason) {
                Some(count) => *count += 1,
                None => {
                    rejection.reasons.insert(reason.into_owned(), 1);
                }
            }
        }
        if unresolvable {
            rejection.unresolvable += 1;
        } else if prepared.snapshot.has_lower_priority(node, prepared.pod.priority) {
            rejection.preemptible += 1;
        }
        if !rejection.plugins.contains(&plugin.name) {
            rejection.plugins.push(plugin.name);
        }
        return false;
    }
    true
}

/// The first of the nodes with the highest score.
fn best(prepared: &Prepared<'_>, feasible: &[usize]) -> Option<usize> {
    if feasible.len() <= 1 {
        return feasible.first().copied();
    }
    let mut totals = vec![0; feasible.len()];
    let mut scores = Vec::with_capacity(feasible.len());
    for plugin in PLUGINS {
        let Some(score) = plugin.score.as_ref().filter(|score| (score.applies)(prepared)) else { continue };
        scores.clear();
        scores.extend(feasible.iter().map(|node| (score.score)(prepared, *node)));
        normalize(&mut scores, score.normalize);
        for (total, score_of) in totals.iter_mut().zip(&scores) {
            *total += score.weight * score_of;
        }
    }
    let highest = totals.iter().max()?;
    let position = totals.iter().position(|total| total == highest)?;
    Some(feasible[position])
}

fn normalize(scores: &mut [i64], how: Normalize) {
    if how == Normalize::No {
        return;
    }
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let share = if highest == 0 { 0 } else { *score * MAX_SCORE / highest };
        *score = if how == Normalize::Inverse { MAX_SCORE - share } else { share };
    }
}
