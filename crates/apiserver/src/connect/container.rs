//! Which container of a pod is meant.

use serde_json::Value;

use crate::error::{Error, Result};

/// The lists of containers in a pod's spec.
const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// The container that is named, or the only one.
///
/// # Errors
/// 400 when several could be meant, or the pod has none of this name; the words are upstream's.
pub(super) fn choose(pod: &Value, wanted: Option<&str>) -> Result<String> {
    let name = object::meta::name(pod);
    let [main, init, ephemeral] = LISTS.map(|list| names(pod, list));
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
        let known = main.iter().chain(&init).chain(&ephemeral).any(|name| *name == wanted);
        let unknown = || Error::bad_request(format!("container {wanted} is not valid for pod {name}"));
        return if known { Ok(wanted.to_owned()) } else { Err(unknown()) };
    }
    match main.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Error::bad_request(format!("a container name must be specified for pod {name}"))),
        several => {
            let mut message =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", several.join(" "));
            if !init.is_empty() {
                message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
            }
            Err(Error::bad_request(message))
        }
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let containers = pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array);
    containers.into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
}
