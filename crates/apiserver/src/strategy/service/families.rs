//! Which address families a Service has.

use object::field::{Error, ErrorList, Path};
use serde_json::Value;

use super::super::field::object_at;
use super::{HEADLESS, is_headless, kind};
use crate::allocator::Family;

/// Fills `ipFamilyPolicy` and `ipFamilies`, given what the cluster has, and says what cannot be had.
pub(super) fn settle(object: &mut Value, cluster: &[Family]) -> ErrorList {
    let mut errors = ErrorList::new();
    let spec = &object["spec"];
    if kind(spec) == "ExternalName" {
        return errors;
    }
    let anywhere = is_headless(spec) && spec["selector"].as_object().is_none_or(serde_json::Map::is_empty);
    let policy = match spec["ipFamilyPolicy"].as_str() {
        Some(policy) => policy.to_owned(),
        None if anywhere => "RequireDualStack".to_owned(),
        None if texts(&spec["ipFamilies"]).len() > 1 || texts(&spec["clusterIPs"]).len() > 1 => {
            "RequireDualStack".to_owned()
        }
        None => "SingleStack".to_owned(),
    };
    let mut families = wanted(spec, cluster);
    if !anywhere {
        check(&policy, &families, cluster, &mut errors);
    }
    let several = policy != "SingleStack" && (anywhere || cluster.len() > 1);
    if several && families.len() == 1 {
        families.push(families[0].other());
    }
    families.truncate(if policy == "SingleStack" { 1 } else { 2 });
    let count = families.len();
    let spec = object_at(object, "spec");
    spec.insert("ipFamilies".to_owned(), families.iter().map(|family| family.name()).collect());
    spec.insert("ipFamilyPolicy".to_owned(), policy.into());
    if let Some(Value::Array(addresses)) = spec.get_mut("clusterIPs") {
        addresses.truncate(count);
    }
    errors
}

/// The families that are asked for: by name, by address, or else the primary one.
fn wanted(spec: &Value, cluster: &[Family]) -> Vec<Family> {
    let named: Vec<_> = texts(&spec["ipFamilies"]).into_iter().filter_map(Family::parse).collect();
    if !named.is_empty() {
        return named;
    }
    let addresses = texts(&spec["clusterIPs"]).into_iter().filter(|address| *address != HEADLESS);
    let of: Vec<_> = addresses.filter_map(|address| address.parse().ok().map(Family::of)).collect();
    if of.is_empty() { vec![cluster.first().copied().unwrap_or(Family::IPv4)] } else { of }
}

fn check(policy: &str, families: &[Family], cluster: &[Family], errors: &mut ErrorList) {
    let spec = Path::new("spec");
    for (index, family) in families.iter().enumerate() {
        if !cluster.contains(family) {
            let path = spec.child("ipFamilies").index(index);
            errors.push(Error::invalid(&path, family.name(), "not configured on this cluster"));
        }
    }
    if policy == "RequireDualStack" && cluster.len() < 2 {
        let detail = "this cluster is not configured for dual-stack services";
        errors.push(Error::invalid(&spec.child("ipFamilyPolicy"), policy, detail));
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
