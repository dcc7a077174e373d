//! What a pod asks of a node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Assumed of a container that names no CPU request, in thousandths, when nodes are compared.
const DEFAULT_CPU: i64 = 100;
/// Assumed of a container that names no memory request, in bytes, when nodes are compared.
const DEFAULT_MEMORY: i64 = 200 << 20;

/// Amounts of resources: CPU in thousandths, everything else in whole units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    pub cpu: i64,
    pub memory: i64,
    pub ephemeral: i64,
    /// Extended resources and huge pages.
    pub scalars: BTreeMap<Box<str>, i64>,
}

impl Requests {
    /// Unreadable quantities count as nothing: validation keeps them out of the API.
    #[must_use]
    pub fn of(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let mut requests = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let Ok(quantity) = object::Quantity::parse(&quantity.0) else { continue };
            match name.as_str() {
                "cpu" => requests.cpu = quantity.milli_value(),
                "memory" => requests.memory = quantity.value(),
                "ephemeral-storage" => requests.ephemeral = quantity.value(),
                "pods" | "storage" => {}
                _ => {
                    requests.scalars.insert(name.as_str().into(), quantity.value());
                }
            }
        }
        requests
    }

    pub fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    fn raise(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &Self, combined: fn(i64, i64) -> i64) {
        self.cpu = combined(self.cpu, other.cpu);
        self.memory = combined(self.memory, other.memory);
        self.ephemeral = combined(self.ephemeral, other.ephemeral);
        for (name, amount) in &other.scalars {
            let own = self.scalars.entry(name.clone()).or_default();
            *own = combined(*own, *amount);
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cpu == 0 && self.memory == 0 && self.ephemeral == 0 && self.scalars.is_empty()
    }
}

/// What a pod needs at its most demanding moment.
///
/// Containers and sidecars run together; an init container runs beside the sidecars started before it. Pod-level requests
/// stand for the sum of what they name; overhead comes on top.
#[must_use]
pub fn pod_requests(spec: &PodSpec) -> Requests {
    aggregate(spec, |container| Requests::of(requests_of(container)))
}

/// As [`pod_requests`], with defaults for CPU and memory that no container names: (CPU, memory).
#[must_use]
pub(crate) fn nonzero_requests(spec: &PodSpec) -> (i64, i64) {
    let total = aggregate(spec, |container| {
        let named = |name: &str| requests_of(container).is_some_and(|list| list.contains_key(name));
        let mut requests = Requests::of(requests_of(container));
        if !named("cpu") {
            requests.cpu = DEFAULT_CPU;
        }
        if !named("memory") {
            requests.memory = DEFAULT_MEMORY;
        }
        requests
    });
    (total.cpu, total.memory)
}

fn requests_of(container: &Container) -> Option<&BTreeMap<String, Quantity>> {
    container.resources.as_ref()?.requests.as_ref()
}

fn aggregate(spec: &PodSpec, of: impl Fn(&Container) -> Requests) -> Requests {
    let mut total = Requests::default();
    spec.containers.iter().for_each(|container| total.add(&of(container)));
    let (mut sidecars, mut starting) = (Requests::default(), Requests::default());
    for container in spec.init_containers.iter().flatten() {
        let mut own = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&own);
            sidecars.add(&own);
            starting.raise(&sidecars);
        } else {
            own.add(&sidecars);
            starting.raise(&own);
        }
    }
    total.raise(&starting);
    if let Some(list) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
        replace(&mut total, list);
    }
    total.add(&Requests::of(spec.overhead.as_ref()));
    total
}

/// Pod-level requests replace the sum of the containers' for what they name.
fn replace(total: &mut Requests, list: &BTreeMap<String, Quantity>) {
    let own = Requests::of(Some(list));
    if list.contains_key("cpu") {
        total.cpu = own.cpu;
    }
    if list.contains_key("memory") {
        total.memory = own.memory;
    }
    total.scalars.extend(own.scalars);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spec: &str, cpu: i64, memory: i64) {
        let spec: PodSpec = serde_saphyr::from_str(spec).unwrap();
        let requests = pod_requests(&spec);
        assert_eq!((requests.cpu, requests.memory), (cpu, memory));
    }

    #[test]
    fn containers_add_up() {
        check(
            "{containers: [{name: a, resources: {requests: {cpu: 100m, memory: 1Ki}}}, {name: b, resources: {requests: {cpu: '1'}}}]}",
            1100,
            1024,
        );
    }

    #[test]
    fn init_containers_count_at_their_peak() {
        let init = "{name: i, resources: {requests: {cpu: '2'}}}";
        check(
            &format!("{{initContainers: [{init}], containers: [{{name: a, resources: {{requests: {{cpu: '1'}}}}}}]}}"),
            2000,
            0,
        );
    }

    #[test]
    fn sidecars_run_beside_everything_after_them() {
        let sidecar = "{name: s, restartPolicy: Always, resources: {requests: {cpu: '1'}}}";
        let init = "{name: i, resources: {requests: {cpu: '3'}}}";
        let container = "{name: c, resources: {requests: {cpu: '2'}}}";
        check(&format!("{{initContainers: [{sidecar}, {init}], containers: [{container}]}}"), 4000, 0);
        check(&format!("{{initContainers: [{init}, {sidecar}], containers: [{container}]}}"), 3000, 0);
    }

    #[test]
    fn pod_level_requests_and_overhead() {
        let container = "{name: c, resources: {requests: {cpu: '2', memory: 5Ki}}}";
        check(
            &format!("{{resources: {{requests: {{cpu: '1'}}}}, overhead: {{cpu: 10m}}, containers: [{container}]}}"),
            1010,
            5120,
        );
    }

    #[test]
    fn unnamed_requests_have_defaults_for_comparison() {
        let spec: PodSpec = serde_saphyr::from_str("{containers: [{name: a}, {name: b}]}").unwrap();
        assert_eq!(nonzero_requests(&spec), (200, 400 << 20));
        assert!(pod_requests(&spec).is_empty());
    }
}
