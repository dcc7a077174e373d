//! Pods and their parts.

use std::collections::BTreeMap;

use object::Quantity;
use serde_json::{Value, json};

use super::{Object, below, complete, each, entries, has, image, set, text};

/// What only whole pods get, not the templates of other types.
pub(super) fn pod(pod: &mut Object) {
    let Some(spec) = below(pod, "spec") else { return };
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for field in ["containers", "initContainers"] {
        for container in each(spec, field) {
            if let Some(resources) = below(container, "resources") {
                let limits = entries(resources, "limits").cloned();
                complete(resources, "requests", limits);
            }
            if host_network {
                each(container, "ports").for_each(host_port);
            }
        }
    }
    pod_resources(spec);
    set(spec, "enableServiceLinks", true);
    let grace = spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64);
    if grace.is_some_and(|seconds| seconds < 0) {
        spec.insert("terminationGracePeriodSeconds".into(), 1.into());
    }
}

/// The service account has an older name, which says the same.
pub(super) fn spec(spec: &mut Object) {
    let (name, older) = (text(spec, "serviceAccountName"), text(spec, "serviceAccount"));
    let name = if name.is_empty() { older } else { name }.to_owned();
    if !name.is_empty() {
        spec.insert("serviceAccountName".into(), name.clone().into());
        spec.insert("serviceAccount".into(), name.into());
    }
}

/// The address is the first of the addresses; where both are given and differ, it is the only one.
pub(super) fn status(status: &mut Object) {
    let first = status.get("podIPs").and_then(|ips| ips.get(0)?.get("ip")?.as_str()).unwrap_or_default().to_owned();
    let own = text(status, "podIP").to_owned();
    if own.is_empty() && !first.is_empty() {
        status.insert("podIP".into(), first.into());
    } else if own != first {
        status.insert("podIPs".into(), json!([{"ip": own}]));
    }
}

/// With host networking a container port is a port of the host.
fn host_port(port: &mut Object) {
    if port.get("hostPort").is_none_or(|p| p.is_null() || *p == 0)
        && let Some(number) = port.get("containerPort").cloned()
    {
        port.insert("hostPort".into(), number);
    }
}

/// Resources of the pod as a whole, where it names some: huge pages are limited as its containers are, and what is
/// limited is requested, as much as its containers do or else up to the limit.
fn pod_resources(spec: &mut Object) {
    let Some(own) = spec.get("resources").and_then(Value::as_object) else { return };
    if entries(own, "limits").is_none() && entries(own, "requests").is_none() {
        return;
    }
    let requested = entries(own, "requests").cloned().unwrap_or_default();
    let mut limits = together(spec, "limits");
    limits.retain(|name, _| name.starts_with(HUGE_PAGES) && !requested.contains_key(name));
    let mut requests = together(spec, "requests");
    requests.retain(|name, _| OF_PODS.contains(&name.as_str()));
    let Some(resources) = below(spec, "resources") else { return };
    complete(resources, "limits", Some(limits).filter(|list| !list.is_empty()));
    let Some(mut limits) = entries(resources, "limits").cloned() else { return };
    limits.retain(|name, _| name.starts_with(HUGE_PAGES) || OF_PODS.contains(&name.as_str()));
    for list in [requests, limits] {
        complete(resources, "requests", Some(list).filter(|list| !list.is_empty()));
    }
}

const HUGE_PAGES: &str = "hugepages-";

/// What else a pod as a whole may have.
const OF_PODS: [&str; 2] = ["cpu", "memory"];

/// What the containers have together: the larger of the running ones (with sidecars) and each start-up step.
fn together(spec: &Object, field: &str) -> Object {
    let list = |name: &str| spec.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (mut total, mut sidecars, mut peak) = (Sums::new(), Sums::new(), Sums::new());
    for container in list("containers") {
        add(&mut total, container, field);
    }
    for container in list("initContainers") {
        let mut step = sidecars.clone();
        add(&mut step, container, field);
        if container.get("restartPolicy").is_some_and(|p| p == "Always") {
            sidecars.clone_from(&step);
            add(&mut total, container, field);
        }
        raise(&mut peak, step);
    }
    raise(&mut total, peak);
    total.into_iter().map(|(name, sum)| (name, sum.to_string().into())).collect()
}

type Sums = BTreeMap<String, Quantity>;

fn add(sums: &mut Sums, container: &Value, field: &str) {
    let list = container.get("resources").and_then(|r| r.get(field)).and_then(Value::as_object);
    for (name, value) in list.into_iter().flatten() {
        if let Some(quantity) = value.as_str().and_then(|t| Quantity::parse(t).ok()) {
            let sum = sums.entry(name.clone()).or_insert(Quantity::ZERO);
            *sum = sum.plus(quantity);
        }
    }
}

fn raise(sums: &mut Sums, others: Sums) {
    for (name, other) in others {
        let sum = sums.entry(name).or_insert(other);
        *sum = (*sum).max(other);
    }
}

/// The pull policy follows the tag: a moving one is pulled always.
pub(super) fn container(container: &mut Object) {
    if text(container, "imagePullPolicy").is_empty() {
        let policy = pull_policy(text(container, "image"));
        container.insert("imagePullPolicy".into(), policy.into());
    }
}

/// A volume without a source is an empty directory; an image volume has a pull policy.
pub(super) fn volume(volume: &mut Object) {
    if !volume.iter().any(|(name, source)| name != "name" && !source.is_null()) {
        volume.insert("emptyDir".into(), Object::new().into());
    }
    if let Some(image) = below(volume, "image")
        && text(image, "pullPolicy").is_empty()
    {
        let policy = pull_policy(text(image, "reference"));
        image.insert("pullPolicy".into(), policy.into());
    }
}

pub(super) fn resources(resources: &mut Object) {
    round_up(resources, &["limits", "requests", "hard"]);
}

/// Quantities finer than a thousandth are rounded up.
fn round_up(object: &mut Object, lists: &[&str]) {
    for list in lists {
        for value in below(object, list).into_iter().flat_map(|list| list.values_mut()) {
            let fine = value.as_str().filter(|t| t.ends_with(['n', 'u'])).and_then(|t| Quantity::parse(t).ok());
            if let Some(quantity) = fine {
                *value = Quantity::milli(quantity.milli_value()).to_string().into();
            }
        }
    }
}

/// For containers, the default limit is the maximum, the default request the default limit, else the minimum.
pub(super) fn limit_range_item(item: &mut Object) {
    round_up(item, &["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"]);
    if text(item, "type") != "Container" {
        return;
    }
    for (field, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
        if has(item, from) {
            let from = entries(item, from).cloned();
            complete(item, field, from);
        }
    }
}

fn pull_policy(image: &str) -> &'static str {
    match image::tag(image) {
        Some("latest") => "Always",
        _ => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use super::pull_policy;

    #[test]
    fn pull_policies() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/nginx:1", "IfNotPresent"),
            ("[::1]:5000/nginx", "Always"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("Nginx", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
