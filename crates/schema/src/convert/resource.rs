//! Dynamic resource allocation: `v1beta1` has requests and devices flat, the later versions nest them.

use serde_json::{Map, Value};

const FLAT: &str = "resource.k8s.io/v1beta1";
/// Fields of a request that stay outside `exactly`.
const OUTSIDE: [&str; 2] = ["name", "firstAvailable"];

pub(crate) fn claim(object: &mut Value, from: &str, to: &str) {
    if let Some(spec) = object.get_mut("spec") {
        claim_spec(spec, from, to);
    }
}

pub(crate) fn claim_template(object: &mut Value, from: &str, to: &str) {
    if let Some(spec) = object.pointer_mut("/spec/spec") {
        claim_spec(spec, from, to);
    }
}

pub(crate) fn slice(object: &mut Value, from: &str, to: &str) {
    let change = match (from == FLAT, to == FLAT) {
        (true, false) => |device: &mut Map<String, Value>| {
            if let Some(Value::Object(basic)) = device.shift_remove("basic") {
                device.extend(basic);
            }
        },
        (false, true) => |device: &mut Map<String, Value>| {
            let basic = split_off(device, &["name"]);
            device.insert("basic".into(), basic.into());
        },
        _ => return,
    };
    each(object.pointer_mut("/spec/devices"), change);
}

fn claim_spec(spec: &mut Value, from: &str, to: &str) {
    let change = match (from == FLAT, to == FLAT) {
        (true, false) => |request: &mut Map<String, Value>| {
            let exactly = split_off(request, &OUTSIDE);
            // A class is always printed, so an empty one asks for nothing.
            if exactly.iter().any(|(name, value)| name != "deviceClassName" || value != "") {
                request.insert("exactly".into(), exactly.into());
            }
        },
        (false, true) => |request: &mut Map<String, Value>| {
            if let Some(Value::Object(exactly)) = request.shift_remove("exactly") {
                request.extend(exactly);
            }
        },
        _ => return,
    };
    each(spec.pointer_mut("/devices/requests"), change);
}

fn each(list: Option<&mut Value>, change: fn(&mut Map<String, Value>)) {
    for entry in list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
        change(entry);
    }
}

/// Removes all fields but the named ones and returns them.
fn split_off(object: &mut Map<String, Value>, keep: &[&str]) -> Map<String, Value> {
    let mut removed = Map::new();
    for (name, value) in std::mem::take(object) {
        let target = if keep.contains(&name.as_str()) { &mut *object } else { &mut removed };
        target.insert(name, value);
    }
    removed
}
