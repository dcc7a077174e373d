//! Requests and limits as the kernel's knobs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::qos::Qos;
use crate::quantity;

/// CFS period, in microseconds.
const PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1000;
const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;

/// CPU weight for `milli` thousandths of a core.
#[must_use]
pub fn shares(milli: i64) -> i64 {
    match milli {
        ..=0 => MIN_SHARES,
        _ => (milli.saturating_mul(1024) / 1000).clamp(MIN_SHARES, MAX_SHARES),
    }
}

/// CPU time per period for `milli` thousandths of a core; 0 is no limit.
#[must_use]
pub fn quota(milli: i64) -> i64 {
    match milli {
        ..=0 => 0,
        _ => (milli.saturating_mul(PERIOD) / 1000).max(MIN_QUOTA),
    }
}

/// What the runtime is to enforce for `container`.
#[must_use]
pub fn linux(pod: &Pod, container: &Container, memory_capacity: i64) -> cri::LinuxContainerResources {
    let amounts = Amounts::of(container);
    cri::LinuxContainerResources {
        cpu_period: if amounts.cpu_limit > 0 { PERIOD } else { 0 },
        cpu_quota: quota(amounts.cpu_limit),
        cpu_shares: shares(amounts.cpu_request),
        memory_limit_in_bytes: amounts.memory_limit,
        memory_swap_limit_in_bytes: amounts.memory_limit,
        oom_score_adj: oom_score(pod, amounts.memory_request, memory_capacity),
        ..Default::default()
    }
}

/// What the pod's own cgroup is to enforce: the sum of its containers where all are limited.
#[must_use]
pub fn of_pod(pod: &Pod) -> cri::LinuxContainerResources {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let all: Vec<Amounts> = containers.map(Amounts::of).collect();
    let sum = |value: fn(&Amounts) -> i64| all.iter().map(value).fold(0_i64, i64::saturating_add);
    let limited = |value: fn(&Amounts) -> i64| all.iter().all(|amounts| value(amounts) > 0).then(|| sum(value));
    let cpu_limit = limited(|amounts| amounts.cpu_limit).unwrap_or(0);
    cri::LinuxContainerResources {
        cpu_period: if cpu_limit > 0 { PERIOD } else { 0 },
        cpu_quota: quota(cpu_limit),
        cpu_shares: shares(sum(|amounts| amounts.cpu_request)),
        memory_limit_in_bytes: limited(|amounts| amounts.memory_limit).unwrap_or(0),
        ..Default::default()
    }
}

struct Amounts {
    /// Thousandths of a core; the limit where only that is given.
    cpu_request: i64,
    cpu_limit: i64,
    memory_request: i64,
    memory_limit: i64,
}

impl Amounts {
    fn of(container: &Container) -> Self {
        let resources = container.resources.clone().unwrap_or_default();
        let (requests, limits) = (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
        let cpu_limit = amount(&limits, "cpu", quantity::milli);
        let memory_limit = amount(&limits, "memory", quantity::units);
        Self {
            cpu_request: if requests.contains_key("cpu") {
                amount(&requests, "cpu", quantity::milli)
            } else {
                cpu_limit
            },
            cpu_limit,
            memory_request: match requests.contains_key("memory") {
                true => amount(&requests, "memory", quantity::units),
                false => memory_limit,
            },
            memory_limit,
        }
    }
}

fn amount(map: &BTreeMap<String, Quantity>, name: &str, read: fn(&Quantity) -> Option<i64>) -> i64 {
    map.get(name).and_then(read).unwrap_or(0)
}

/// Who dies first when memory runs out: best effort before burstable, by the share of memory that was not asked for.
fn oom_score(pod: &Pod, memory_request: i64, capacity: i64) -> i64 {
    let critical = pod.spec.as_ref().and_then(|spec| spec.priority).is_some_and(|priority| priority >= 2_000_000_000);
    match Qos::of(pod) {
        _ if critical => -997,
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let share = (1000.0 * memory_request as f64 / capacity.max(1) as f64) as i64;
            (1000 - share).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn knobs() {
        assert_eq!((shares(0), shares(1), shares(1000), shares(100)), (2, 2, 1024, 102));
        assert_eq!((quota(0), quota(1), quota(500), quota(2000)), (0, 1000, 50_000, 200_000));
    }

    fn check(resources: serde_json::Value, expected: (i64, i64, i64, i64)) {
        let pod = json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let linux = linux(&pod, &pod.spec.as_ref().unwrap().containers[0], 1 << 30);
        let got = (linux.cpu_shares, linux.cpu_quota, linux.memory_limit_in_bytes, linux.oom_score_adj);
        assert_eq!(got, expected);
    }

    #[test]
    fn containers() {
        check(json!({}), (2, 0, 0, 1000));
        check(json!({"limits": {"cpu": "2", "memory": "64Mi"}}), (2048, 200_000, 64 << 20, -997));
        check(json!({"requests": {"cpu": "250m", "memory": "512Mi"}}), (256, 0, 0, 500));
        check(json!({"requests": {"memory": "4Gi"}}), (2, 0, 0, 3));
    }
}
