//! Pods and their parts.

use object::Quantity;
use serde_json::Value;

use super::{Object, below, complete, each, entries, has, set, text};

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
}

/// With host networking a container port is a port of the host.
fn host_port(port: &mut Object) {
    if port.get("hostPort").is_none_or(|p| p.is_null() || *p == 0)
        && let Some(number) = port.get("containerPort").cloned()
    {
        port.insert("hostPort".into(), number);
    }
}

/// Requests of the pod as a whole, where it has limits: the sum of its containers' or else the limit.
fn pod_resources(spec: &mut Object) {
    let Some(limits) = spec.get("resources").and_then(|r| r.get("limits")).and_then(Value::as_object).cloned() else {
        return;
    };
    let mut requests = Object::new();
    for name in ["cpu", "memory"] {
        if let Some(total) = container_requests(spec, name) {
            requests.insert(name.into(), total.into());
        }
    }
    if let Some(resources) = below(spec, "resources") {
        complete(resources, "requests", Some(requests));
        complete(resources, "requests", Some(limits));
    }
}

/// What the containers ask for together: the larger of the running ones (with sidecars) and each start-up step.
fn container_requests(spec: &Object, name: &str) -> Option<String> {
    let request = |container: &Value| {
        let text = container.get("resources")?.get("requests")?.get(name)?.as_str()?;
        Quantity::parse(text).ok()
    };
    let list = |field: &str| spec.get(field).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut any = false;
    let mut add = |sum: Quantity, container: &Value| match request(container) {
        Some(quantity) => {
            any = true;
            sum.plus(quantity)
        }
        None => sum,
    };
    let zero = Quantity::ZERO;
    let mut total = list("containers").iter().fold(zero, &mut add);
    let (mut sidecars, mut peak) = (zero, zero);
    for container in list("initContainers") {
        let step = add(sidecars, container);
        if container.get("restartPolicy").is_some_and(|p| p == "Always") {
            sidecars = step;
            total = add(total, container);
        }
        peak = peak.max(step);
    }
    any.then(|| total.max(peak).to_string())
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

/// Quantities finer than a thousandth are rounded up.
pub(super) fn resources(resources: &mut Object) {
    for field in ["limits", "requests"] {
        for value in below(resources, field).into_iter().flat_map(|list| list.values_mut()) {
            let fine = value.as_str().filter(|t| t.ends_with(['n', 'u'])).and_then(|t| Quantity::parse(t).ok());
            if let Some(quantity) = fine {
                *value = Quantity::milli(quantity.milli_value()).to_string().into();
            }
        }
    }
}

/// For containers, the default limit is the maximum, the default request the default limit, else the minimum.
pub(super) fn limit_range_item(item: &mut Object) {
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
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let tag = name.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match (tag, digest) {
        (Some("latest"), _) | (None, None) => "Always",
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
            ("nginx@sha256:abc", "IfNotPresent"),
            ("nginx:latest@sha256:abc", "Always"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
