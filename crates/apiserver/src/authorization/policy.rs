//! The policy that every cluster starts with, read from its table.

use serde_json::{Value, json};

use super::{GROUP, Rule};

const TABLE: &str = include_str!("policy.txt");
const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
/// Who runs controllers that share a client.
const MANAGER: &str = "user:system:kube-controller-manager";

/// All objects of the policy, in the order of the table.
///
/// # Errors
/// The line that cannot be read; never for the table that is built in, as a test shows.
pub(super) fn objects() -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    // Controllers' bindings follow their rules.
    let mut pending: Option<Value> = None;
    for line in TABLE.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let rule = rule(&words).ok_or_else(|| line.to_owned())?;
            let rules = objects.last_mut().and_then(|object: &mut Value| object.get_mut("rules")?.as_array_mut());
            rules.ok_or_else(|| line.to_owned())?.push(json!(rule));
            continue;
        }
        objects.extend(pending.take());
        let (object, after) = block(&words).ok_or_else(|| line.to_owned())?;
        objects.push(object);
        pending = after;
    }
    objects.extend(pending);
    Ok(objects)
}

/// The object that a line opens, and the one that follows it.
fn block(words: &[&str]) -> Option<(Value, Option<Value>)> {
    Some(match words {
        ["role", name] => (role("ClusterRole", "", name, None), None),
        ["role", name, "to", label] => (role("ClusterRole", "", name, Some(label)), None),
        ["gather", name, label] => (gather(name, label, None), None),
        ["gather", name, label, "to", other] => (gather(name, label, Some(other)), None),
        ["local", namespace, name] => (role("Role", namespace, name, None), None),
        ["bind", name, subjects] => (binding("", name, name, subjects)?, None),
        ["bindlocal", namespace, name, role, subjects] => (binding(namespace, name, role, subjects)?, None),
        ["controller", name] => {
            let full = format!("system:controller:{name}");
            let subjects = format!("account:kube-system:{name},{MANAGER}");
            (role("ClusterRole", "", &full, None), Some(binding("", &full, &full, &subjects)?))
        }
        _ => return None,
    })
}

fn metadata(namespace: &str, name: &str, aggregated_to: Option<&str>) -> Value {
    let mut metadata = json!({ "name": name });
    if !namespace.is_empty() {
        metadata["namespace"] = namespace.into();
    }
    metadata["labels"] = json!({ "kubernetes.io/bootstrapping": "rbac-defaults" });
    if let Some(label) = aggregated_to {
        metadata["labels"][aggregation_label(label)] = "true".into();
    }
    metadata["annotations"] = json!({ "rbac.authorization.kubernetes.io/autoupdate": "true" });
    metadata
}

fn aggregation_label(to: &str) -> String {
    format!("{GROUP}/aggregate-to-{to}")
}

fn role(kind: &str, namespace: &str, name: &str, aggregated_to: Option<&str>) -> Value {
    let metadata = metadata(namespace, name, aggregated_to);
    json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "rules": [] })
}

fn gather(name: &str, label: &str, aggregated_to: Option<&str>) -> Value {
    let mut role = role("ClusterRole", "", name, aggregated_to);
    let labels = json!({ aggregation_label(label): "true" });
    role["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": labels }] });
    role
}

fn binding(namespace: &str, name: &str, role: &str, subjects: &str) -> Option<Value> {
    let (kind, role_kind) =
        if namespace.is_empty() { ("ClusterRoleBinding", "ClusterRole") } else { ("RoleBinding", "Role") };
    let subjects: Vec<Value> = subjects.split(',').map(subject).collect::<Option<_>>()?;
    Some(json!({
        "apiVersion": API_VERSION, "kind": kind, "metadata": metadata(namespace, name, None), "subjects": subjects,
        "roleRef": { "apiGroup": GROUP, "kind": role_kind, "name": role },
    }))
}

fn subject(text: &str) -> Option<Value> {
    let (kind, name) = text.split_once(':')?;
    Some(match kind {
        "user" => json!({ "kind": "User", "apiGroup": GROUP, "name": name }),
        "group" => json!({ "kind": "Group", "apiGroup": GROUP, "name": name }),
        "account" => {
            let (namespace, name) = name.split_once(':')?;
            json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace })
        }
        _ => return None,
    })
}

/// Verbs and the words for several, sorted.
fn verbs(text: &str) -> Vec<String> {
    let mut verbs: Vec<String> = Vec::new();
    for word in text.split(',') {
        match word {
            "read" => verbs.extend(["get", "list", "watch"].map(String::from)),
            "write" => verbs.extend(["create", "delete", "deletecollection", "patch", "update"].map(String::from)),
            verb => verbs.push(verb.to_owned()),
        }
    }
    verbs.sort_unstable();
    verbs.dedup();
    verbs
}

fn rule(words: &[&str]) -> Option<Rule> {
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let groups = |text: &str| text.split(',').map(|g| if g == "core" { String::new() } else { g.to_owned() }).collect();
    Some(match words {
        [does, urls] => Rule { verbs: verbs(does), non_resource_urls: list(urls), ..Rule::default() },
        [does, of, resources, names @ ..] => Rule {
            verbs: verbs(does),
            api_groups: groups(of),
            resources: list(resources),
            resource_names: names.first().map(|names| list(names)).unwrap_or_default(),
            ..Rule::default()
        },
        _ => return None,
    })
}
