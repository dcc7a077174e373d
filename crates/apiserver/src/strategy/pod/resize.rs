//! Changing what a running pod may use.

use object::field::{Error, ErrorList, Path};
use serde_json::Value;

use super::super::field::{At, remove};
use super::prepare::entries;
use super::{annotations, qos};

const KINDS: [&str; 2] = ["containers", "initContainers"];

/// What a write of `/resize` leaves: the old pod with the new resources. A pod whose containers do not match is left as
/// it came, for validation to refuse.
pub(super) fn prepare(object: &mut Value, old: &Value) {
    let names = |pod: &Value, kind: &str| -> Vec<Value> {
        pod["spec"][kind].as_array().into_iter().flatten().map(|container| container["name"].clone()).collect()
    };
    if KINDS.iter().any(|kind| names(object, kind).len() != names(old, kind).len()) {
        return;
    }
    let wanted = std::mem::replace(&mut object["spec"], old["spec"].clone());
    copy(&mut object["spec"], &wanted, "resources");
    for kind in KINDS {
        let new = wanted[kind].as_array().into_iter().flatten();
        let matches = entries(&mut object["spec"], kind).zip(new.clone()).all(|(was, is)| was["name"] == is["name"]);
        if !matches {
            object["spec"][kind] = wanted[kind].clone();
            continue;
        }
        for (container, new) in entries(&mut object["spec"], kind).zip(new) {
            copy(container, new, "resources");
            copy(container, new, "resizePolicy");
        }
    }
}

fn copy(object: &mut Value, from: &Value, field: &str) {
    match &from[field] {
        Value::Null => remove(object, field),
        value => object[field] = value.clone(),
    }
}

/// Checks a write of `/resize`; the pod as a whole is sound.
pub(super) fn validate(object: &Value, old: &Value, errors: &mut ErrorList) {
    let refusal = if annotations::is_mirror(&old["metadata"]) {
        Some("static pods cannot be resized")
    } else if old["spec"]["os"]["name"] == "windows" {
        Some("windows pods cannot be resized")
    } else {
        None
    };
    if let Some(refusal) = refusal {
        *errors = Error::forbidden(&Path::unnamed(), refusal).into();
        return;
    }
    let spec = At::root(object).at("spec");
    let class = old["status"]["qosClass"].as_str().unwrap_or_else(|| qos::class(old));
    if class != qos::class(object) {
        let shown = object["status"]["qosClass"].as_str().unwrap_or_default();
        errors.push(Error::invalid(&spec.path, shown, "Pod QOS Class may not change as a result of resizing"));
    }
    if !can_resize(&old["status"]) {
        errors.push(spec.forbidden("Pod running on node without support for resize"));
    }
    let mut rest = spec.value.clone();
    whole(&mut rest, &spec, &old["spec"], errors);
    if same_containers(&spec, &old["spec"], errors) {
        containers(&mut rest, &spec, &old["spec"], errors);
        if errors.is_empty() && rest != old["spec"] {
            errors.push(spec.forbidden("only cpu and memory resources are mutable"));
        }
    }
}

/// A node that tells a running container's resources can change them.
fn can_resize(status: &Value) -> bool {
    let mut containers = status["containerStatuses"].as_array().into_iter().flatten();
    containers.find(|c| !c["state"]["running"].is_null()).is_none_or(|running| !running["resources"].is_null())
}

/// The resources of the pod as a whole.
fn whole(rest: &mut Value, spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let (now, before) = (spec.at("resources"), &old["resources"]);
    let set = |resources: &Value| {
        ["requests", "limits"].iter().any(|list| resources[*list].as_object().is_some_and(|list| !list.is_empty()))
    };
    if !set(now.value) && !set(before) {
        return;
    }
    if !before.is_null() && !now.is_set() {
        errors.push(now.forbidden("pod-level resources cannot be removed"));
        return;
    }
    for (list, what) in [("requests", "requests"), ("limits", "limits")] {
        if !before.is_null() && is_removed(&now.value[list], &before[list]) {
            errors.push(now.at(list).forbidden(format!("pod-level resource {what} cannot be removed")));
        }
    }
    take_back(&mut rest["resources"], before);
    let empty = |resources: &Value| !set(resources) && resources["claims"].as_array().is_none_or(Vec::is_empty);
    if before.is_null() && empty(&rest["resources"]) {
        remove(rest, "resources");
    }
    if rest["resources"] != *before {
        errors.push(spec.forbidden("only cpu and memory resources are mutable at pod-level"));
    }
}

fn same_containers(spec: &At<'_>, old: &Value, errors: &mut ErrorList) -> bool {
    let before = errors.len();
    for kind in KINDS {
        let (now, was) = (spec.at(kind), old[kind].as_array().map_or(&[][..], Vec::as_slice));
        if now.items().count() != was.len() {
            errors.push(now.forbidden(format!("{kind} may not be added or removed on resize")));
            continue;
        }
        let renamed = now.items().zip(was).filter(|(now, was)| now.value["name"] != was["name"]);
        let detail = format!("{kind} may not be renamed or reordered on resize");
        errors.extend(renamed.map(|(now, _)| now.at("name").forbidden(detail.clone())));
    }
    errors.len() == before
}

fn containers(rest: &mut Value, spec: &At<'_>, old: &Value, errors: &mut ErrorList) {
    for kind in ["initContainers", "containers"] {
        let was = old[kind].as_array().into_iter().flatten();
        for (now, was) in spec.at(kind).items().zip(was) {
            for list in ["requests", "limits"] {
                if is_removed(&now.value["resources"][list], &was["resources"][list]) {
                    let at = now.at("resources").at(list);
                    errors.push(at.forbidden(format!("resource {list} cannot be removed")));
                }
            }
        }
    }
    for kind in KINDS {
        let was = old[kind].as_array().into_iter().flatten();
        let now: Vec<_> = spec.at(kind).items().collect();
        for ((container, was), now) in entries(rest, kind).zip(was).zip(now) {
            let changed = container != was;
            take_back(&mut container["resources"], &was["resources"]);
            if container["resources"].as_object().is_some_and(serde_json::Map::is_empty) && was["resources"].is_null() {
                remove(container, "resources");
            }
            if container != was {
                errors.push(immutable(kind, spec, &now));
            }
            if kind == "initContainers" && changed {
                no_restart(container, &now, errors);
            }
        }
    }
}

fn immutable(kind: &str, spec: &At<'_>, container: &At<'_>) -> Error {
    if kind == "containers" {
        spec.forbidden("only cpu and memory resources are mutable")
    } else {
        container.forbidden("only cpu and memory resources for init or sidecar containers are mutable")
    }
}

/// An init container that runs once cannot be restarted by a change.
fn no_restart(container: &Value, at: &At<'_>, errors: &mut ErrorList) {
    let policies = container["resizePolicy"].as_array().into_iter().flatten();
    let restarting = policies.filter(|policy| policy["restartPolicy"] == "RestartContainer");
    if container["restartPolicy"] != "Always" {
        let detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
        errors.extend(restarting.map(|_| at.forbidden(detail)));
    }
}

fn is_removed(now: &Value, before: &Value) -> bool {
    before.as_object().into_iter().flatten().any(|(name, _)| now[name].is_null())
}

/// Undoes changes of CPU and memory.
fn take_back(resources: &mut Value, before: &Value) {
    if resources.is_null() && before.is_null() {
        return;
    }
    for list in ["limits", "requests"] {
        for name in ["cpu", "memory"] {
            match &before[list][name] {
                Value::Null => {
                    if let Some(list) = resources.get_mut(list) {
                        remove(list, name);
                    }
                }
                was => resources[list][name] = was.clone(),
            }
        }
        if before[list].is_null() && resources[list].as_object().is_some_and(serde_json::Map::is_empty) {
            remove(resources, list);
        }
    }
}
