//! Fields and resources of a pod as environment variables and files show them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

/// Why a field or resource has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("unsupported fieldPath: {0}")]
    UnsupportedField(String),
    #[error("unsupported container resource : {0}")]
    UnsupportedResource(String),
    #[error("container {0} not found")]
    NoContainer(String),
    #[error("divisor {0:?} of resource {1:?} is not a quantity above zero")]
    Divisor(String, String),
}

/// The value of `path` in `pod`, with addresses from `status`, which is newer than the object's.
pub fn field(pod: &Pod, status: &PodStatus, path: &str) -> Result<String, Error> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let owned = |value: Option<&String>| value.cloned().unwrap_or_default();
    if let Some((base, key)) = subscript(path) {
        let map = match base {
            "metadata.labels" => &meta.labels,
            "metadata.annotations" => &meta.annotations,
            _ => return Err(Error::UnsupportedField(path.to_owned())),
        };
        return Ok(owned(map.as_ref().and_then(|map| map.get(key))));
    }
    Ok(match path {
        "metadata.name" => owned(meta.name.as_ref()),
        "metadata.namespace" => owned(meta.namespace.as_ref()),
        "metadata.uid" => owned(meta.uid.as_ref()),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => owned(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => owned(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.hostIP" => owned(status.host_ip.as_ref()),
        "status.podIP" => owned(status.pod_ip.as_ref()),
        "status.hostIPs" => join(status.host_ips.iter().flatten().map(|ip| ip.ip.as_str())),
        "status.podIPs" => join(status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str())),
        other => return Err(Error::UnsupportedField(other.to_owned())),
    })
}

/// The value of a resource reference; what a container does not limit is what the node has.
pub fn resource(
    selector: &ResourceFieldSelector,
    container: &Container,
    allocatable: &BTreeMap<String, Quantity>,
) -> Result<String, Error> {
    let (list, name) = selector.resource.split_once('.').unwrap_or(("", ""));
    let unsupported = || Error::UnsupportedResource(selector.resource.clone());
    let resources = container.resources.as_ref();
    let given = match list {
        "limits" => resources.and_then(|resources| resources.limits.as_ref()),
        "requests" => resources.and_then(|resources| resources.requests.as_ref()),
        _ => return Err(unsupported()),
    };
    if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
        return Err(unsupported());
    }
    let node = || allocatable.get(name).filter(|_| list == "limits");
    let milli = given.and_then(|map| map.get(name)).or_else(node).and_then(quantity::milli).unwrap_or(0);
    let divisor = match &selector.divisor {
        Some(divisor) if !matches!(divisor.0.as_str(), "" | "0") => quantity::milli(divisor)
            .filter(|divisor| *divisor > 0)
            .ok_or_else(|| Error::Divisor(divisor.0.clone(), selector.resource.clone()))?,
        _ => 1000,
    };
    Ok(((milli + divisor - 1) / divisor).to_string())
}

/// `metadata.labels['key']` → (`metadata.labels`, `key`).
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (base, rest) = path.split_once("['")?;
    Some((base, rest.strip_suffix("']")?))
}

fn join<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(",")
}

/// A map as lines of `key="value"`, sorted, values quoted.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quoted(value)));
    lines.collect::<Vec<_>>().join("\n")
}

/// A string in double quotes with what is not printable escaped.
fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "u1",
                "labels": {"b": "2", "a": "1"}, "annotations": {"note": "two\n\"lines\""}
            },
            "spec": {"nodeName": "n1", "serviceAccountName": "default", "containers": [
                {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}}
            ]},
            "status": {"hostIP": "10.0.0.1", "podIP": "10.42.0.7", "podIPs": [{"ip": "10.42.0.7"}, {"ip": "fd00::7"}]}
        }))
        .unwrap()
    }

    fn check(path: &str, expected: Result<&str, ()>) {
        let pod = pod();
        let got = field(&pod, pod.status.as_ref().unwrap(), path);
        assert_eq!(got.as_deref().map_err(|_| ()), expected, "{path}");
    }

    #[test]
    fn fields_of_a_pod() {
        check("metadata.name", Ok("web"));
        check("metadata.labels", Ok("a=\"1\"\nb=\"2\""));
        check("metadata.labels['b']", Ok("2"));
        check("metadata.labels['missing']", Ok(""));
        check("metadata.annotations", Ok(r#"note="two\n\"lines\"""#));
        check("spec.nodeName", Ok("n1"));
        check("status.podIPs", Ok("10.42.0.7,fd00::7"));
        check("status.hostIP", Ok("10.0.0.1"));
        check("spec.hostname", Err(()));
        check("metadata.name['x']", Err(()));
    }

    fn check_resource(name: &str, divisor: &str, expected: Result<&str, ()>) {
        let pod = pod();
        let selector = ResourceFieldSelector {
            resource: name.into(),
            divisor: Some(Quantity(divisor.into())),
            container_name: None,
        };
        let allocatable = BTreeMap::from([("ephemeral-storage".to_owned(), Quantity("10Gi".into()))]);
        let got = resource(&selector, &pod.spec.as_ref().unwrap().containers[0], &allocatable);
        assert_eq!(got.as_deref().map_err(|_| ()), expected, "{name} / {divisor}");
    }

    #[test]
    fn resources_of_a_container() {
        check_resource("limits.cpu", "", Ok("2"));
        check_resource("limits.cpu", "1m", Ok("1500"));
        check_resource("requests.cpu", "1", Ok("1"));
        check_resource("limits.memory", "", Ok("67108864"));
        check_resource("limits.memory", "1Mi", Ok("64"));
        check_resource("requests.memory", "1Mi", Ok("0"));
        check_resource("limits.ephemeral-storage", "1Gi", Ok("10"));
        check_resource("limits.pods", "", Err(()));
        check_resource("limits.cpu", "-1", Err(()));
    }
}
