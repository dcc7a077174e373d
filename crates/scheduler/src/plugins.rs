//! The plugins, as a table: what each decides, and which events make another try worthwhile.

mod fit;
mod image;
mod node;
mod ports;
mod taint;

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::pod::PodInfo;
use crate::snapshot::Snapshot;

/// What a filter says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Fits,
    /// Not now; evicting pods might help.
    Unschedulable(Vec<Cow<'static, str>>),
    /// Not as the node is.
    Unresolvable(&'static str),
}

/// What is computed once for a pod before nodes are looked at.
#[derive(Debug)]
pub struct Prepared<'a> {
    pub(crate) pod: &'a PodInfo,
    pub(crate) snapshot: &'a Snapshot,
    /// For each set of taints: whether it is tolerated, and how many of its mild taints are not.
    pub(crate) taints: Vec<OnceCell<(bool, i64)>>,
}

impl<'a> Prepared<'a> {
    #[must_use]
    pub fn new(pod: &'a PodInfo, snapshot: &'a Snapshot) -> Self {
        Self { pod, snapshot, taints: vec![OnceCell::new(); snapshot.taint_sets.len()] }
    }
}

/// How raw scores become shares of the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalize {
    /// They are between 0 and 100 already.
    No,
    /// The highest becomes 100.
    Share,
    /// The highest becomes 0, none becomes 100.
    Inverse,
}

pub struct Score {
    pub weight: i64,
    /// Whether the plugin has a say about the pod.
    pub applies: fn(&Prepared<'_>) -> bool,
    pub score: fn(&Prepared<'_>, usize) -> i64,
    pub normalize: Normalize,
}

/// What may happen in a cluster that gives a rejected pod another chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterEvent {
    /// A node was added, or its resources, labels, taints or schedulability changed.
    Node,
    /// A pod with a place ended or went.
    PodGone,
}

/// One plugin: the extension points it has.
pub struct Plugin {
    /// Upstream's name.
    pub name: &'static str,
    /// Why the pod may not enter the queue.
    pub pre_enqueue: Option<fn(&PodInfo) -> Option<String>>,
    /// Why the pod can have no place at all.
    pub pre_filter: Option<fn(&Prepared<'_>) -> Option<String>>,
    pub filter: Option<fn(&Prepared<'_>, usize) -> Verdict>,
    pub score: Option<Score>,
    /// After a rejection by this plugin.
    pub retry_after: &'static [ClusterEvent],
}

const NONE: Plugin =
    Plugin { name: "", pre_enqueue: None, pre_filter: None, filter: None, score: None, retry_after: &[] };

/// In the order in which filters run. Sorting by priority is the queue's, binding the role's.
pub const PLUGINS: &[Plugin] = &[
    Plugin { name: "SchedulingGates", pre_enqueue: Some(node::gated), ..NONE },
    Plugin { name: "Unsupported", pre_filter: Some(node::unsupported), ..NONE },
    Plugin {
        name: "NodeUnschedulable",
        filter: Some(taint::unschedulable),
        retry_after: &[ClusterEvent::Node],
        ..NONE
    },
    Plugin { name: "NodeName", filter: Some(node::name), retry_after: &[ClusterEvent::Node], ..NONE },
    Plugin {
        name: "TaintToleration",
        filter: Some(taint::filter),
        score: Some(Score { weight: 3, applies: always, score: taint::score, normalize: Normalize::Inverse }),
        retry_after: &[ClusterEvent::Node],
        ..NONE
    },
    Plugin {
        name: "NodeAffinity",
        filter: Some(node::affinity),
        score: Some(Score {
            weight: 2,
            applies: node::has_preferences,
            score: node::preference,
            normalize: Normalize::Share,
        }),
        retry_after: &[ClusterEvent::Node],
        ..NONE
    },
    Plugin {
        name: "NodePorts",
        filter: Some(ports::filter),
        retry_after: &[ClusterEvent::Node, ClusterEvent::PodGone],
        ..NONE
    },
    Plugin {
        name: "NodeResourcesFit",
        filter: Some(fit::filter),
        score: Some(Score { weight: 1, applies: always, score: fit::least_allocated, normalize: Normalize::No }),
        retry_after: &[ClusterEvent::Node, ClusterEvent::PodGone],
        ..NONE
    },
    Plugin {
        name: "NodeResourcesBalancedAllocation",
        score: Some(Score { weight: 1, applies: fit::asks, score: fit::balanced, normalize: Normalize::No }),
        ..NONE
    },
    Plugin {
        name: "ImageLocality",
        score: Some(Score { weight: 1, applies: image::known, score: image::locality, normalize: Normalize::No }),
        ..NONE
    },
];

fn always(_: &Prepared<'_>) -> bool {
    true
}

/// Why the pod may not enter the queue.
#[must_use]
pub fn held_back(pod: &PodInfo) -> Option<String> {
    PLUGINS.iter().filter_map(|plugin| plugin.pre_enqueue).find_map(|pre_enqueue| pre_enqueue(pod))
}

/// Whether `event` may help a pod that these plugins rejected.
#[must_use]
pub fn helps(event: ClusterEvent, rejected_by: &[&'static str]) -> bool {
    let concerned = |plugin: &&Plugin| rejected_by.contains(&plugin.name) && plugin.retry_after.contains(&event);
    PLUGINS.iter().any(|plugin| concerned(&plugin))
}
