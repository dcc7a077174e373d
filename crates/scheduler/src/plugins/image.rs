//! Nodes that have the pod's images already start it sooner.

use super::Prepared;

const MAX_SCORE: i64 = 100;
/// Images below this size, in all, are no reason.
const LEAST: i64 = 23 << 20;
/// For each container: images beyond this size are all the same.
const MOST: i64 = 1000 << 20;

pub(super) fn known(prepared: &Prepared<'_>) -> bool {
    prepared.pod.images.iter().any(|image| prepared.snapshot.image_spread.contains_key(image))
}

/// The size of the images that the node has, each weighed by how many nodes have it, so that pods do not crowd.
pub(super) fn locality(prepared: &Prepared<'_>, node: usize) -> i64 {
    let snapshot = prepared.snapshot;
    let nodes = i128::try_from(snapshot.len()).unwrap_or(1).max(1);
    let weighed = prepared.pod.images.iter().filter_map(|image| {
        let size = snapshot.images[node].get(image)?;
        let spread = snapshot.image_spread.get(image).copied().unwrap_or(0);
        let weighed = i128::from(*size) * i128::try_from(spread).unwrap_or(0) / nodes;
        i64::try_from(weighed).ok()
    });
    let containers = i64::try_from(prepared.pod.images.len()).unwrap_or(1).max(1);
    let most = MOST.saturating_mul(containers);
    let sum = weighed.fold(0_i64, i64::saturating_add).clamp(LEAST, most);
    MAX_SCORE * (sum - LEAST) / (most - LEAST)
}
