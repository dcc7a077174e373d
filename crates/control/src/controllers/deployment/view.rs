//! A deployment with its replica sets, sorted out.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::world::World;

pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// A deadline this long means none: it is the largest the API takes.
const NO_DEADLINE: i32 = i32::MAX;

pub(super) struct View<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) spec: &'a DeploymentSpec,
    /// The set of the current template, if there is one.
    pub(super) new: Option<Arc<ReplicaSet>>,
    /// All others, oldest first.
    pub(super) old: Vec<Arc<ReplicaSet>>,
    pub(super) world: &'a World,
    pub(super) now: Timestamp,
}

impl<'a> View<'a> {
    pub(super) fn new(
        deployment: &'a Deployment,
        spec: &'a DeploymentSpec,
        mut sets: Vec<Arc<ReplicaSet>>,
        world: &'a World,
        now: Timestamp,
    ) -> Self {
        sets.sort_by_key(|set| age(set));
        let position = sets.iter().position(|set| is_of_template(set, &spec.template));
        let new = position.map(|position| sets.remove(position));
        Self { deployment, spec, new, old: sets, world, now }
    }

    /// Old sets, then the new one.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new)
    }

    pub(super) fn wanted(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Pods above the wanted number that a roll may make.
    pub(super) fn max_surge(&self) -> i32 {
        if is_recreate(self.deployment) { 0 } else { self.bounds().0 }
    }

    /// Pods below the wanted number that a roll may leave.
    pub(super) fn max_unavailable(&self) -> i32 {
        if is_recreate(self.deployment) { 0 } else { self.bounds().1.min(self.wanted()) }
    }

    fn bounds(&self) -> (i32, i32) {
        let rolling = self.spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = || IntOrString::String("25%".to_owned());
        let surge = rolling.and_then(|rolling| rolling.max_surge.clone()).unwrap_or_else(quarter);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.clone()).unwrap_or_else(quarter);
        let surge = resolve(&surge, self.wanted(), true);
        let unavailable = resolve(&unavailable, self.wanted(), false);
        if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
    }

    pub(super) fn has_deadline(&self) -> bool {
        self.spec.progress_deadline_seconds.is_some_and(|seconds| seconds != NO_DEADLINE)
    }
}

/// A number, or a percentage of `total`, which may not overflow.
fn resolve(value: &IntOrString, total: i32, up: bool) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let exact = i64::from(total) * percent;
            let resolved = if up { (exact + 99).div_euclid(100) } else { exact.div_euclid(100) };
            i32::try_from(resolved).unwrap_or(i32::MAX)
        }
    }
}

pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// Whether a set was made from `template`, the hash label aside.
fn is_of_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    let own = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    own.is_some_and(|own| without_hash(own) == without_hash(template))
}

fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(labels) = template.metadata.as_mut().and_then(|meta| meta.labels.as_mut()) {
        labels.remove(HASH_LABEL);
    }
    template
}

/// Sorts older sets first.
pub(super) fn age(set: &ReplicaSet) -> impl Ord + use<> {
    (set.metadata.creation_timestamp.clone(), set.metadata.name.clone())
}

pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

pub(super) fn total<'a>(sets: impl IntoIterator<Item = &'a Arc<ReplicaSet>>, of: fn(&ReplicaSet) -> i32) -> i32 {
    sets.into_iter().map(|set| of(set)).sum()
}
