//! Conversions there and back, and that renaming suffices where rows say so.

use serde_json::json;

use super::*;
use crate::{
    Table,
    facts::{Node, Shape},
    normalise,
};

/// Converts a normalised object to a version and normalises the result.
fn to(row: &Resource, object: &Value, version: &str) -> Value {
    let position = row.version(version).expect("a version");
    let converted = convert(row, object.clone(), position).expect("converts");
    let decoded = normalise(&row.versions[position].ty, converted).expect("normalises");
    assert_eq!(decoded.issues, [], "nothing is lost");
    decoded.value
}

#[track_caller]
fn check(group: &str, plural: &str, (from, there): (&str, &str), object: Value, pointer: &str, expected: &Value) {
    let snapshot = Table::builtin().snapshot();
    let row = snapshot.row(group, plural).expect("a row");
    let position = row.version(from).expect("a version");
    let object = normalise(&row.versions[position].ty, object).expect("normalises").value;
    let converted = to(row, &object, there);
    assert_eq!(converted.pointer(pointer), Some(expected), "{converted}");
    assert_eq!(to(row, &converted, from), object, "there and back");
}

#[test]
fn autoscalers() {
    let spec = json!({"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3, "metrics": [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
    ]});
    let object = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", "metadata": {"name": "a",
        "annotations": {"keep": "me"}}, "spec": spec,
        "status": {"conditions": [{"type": "ScalingActive", "status": "True", "lastTransitionTime": null}]}});
    let pointer = "/spec/targetCPUUtilizationPercentage";
    check("autoscaling", "horizontalpodautoscalers", ("v2", "v1"), object, pointer, &json!(70));
}

#[test]
fn device_claims_and_slices() {
    let group = "resource.k8s.io";
    let request = json!({"name": "r", "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1}});
    let claim = json!({"kind": "ResourceClaim", "apiVersion": "resource.k8s.io/v1", "metadata": {"name": "a"},
        "spec": {"devices": {"requests": [request]}}});
    let flat = json!({"name": "r", "deviceClassName": "c", "allocationMode": "ExactCount", "count": 1});
    check(group, "resourceclaims", ("v1", "v1beta1"), claim, "/spec/devices/requests/0", &flat);
    let slice = json!({"kind": "ResourceSlice", "apiVersion": "resource.k8s.io/v1", "metadata": {"name": "a"},
        "spec": {"driver": "d", "pool": {"name": "p"}, "devices": [{"name": "x", "capacity": {"m": {"value": "1"}}}]}});
    let device = json!({"name": "x", "basic": {"capacity": {"m": {"value": "1"}}}});
    check(group, "resourceslices", ("v1", "v1beta1"), slice, "/spec/devices/0", &device);
}

#[test]
fn flat_claims_become_exact_or_lists() {
    let group = "resource.k8s.io";
    let claim = |request: Value| {
        json!({"kind": "ResourceClaim", "apiVersion": "resource.k8s.io/v1beta1", "metadata": {"name": "a"},
            "spec": {"devices": {"requests": [request]}}})
    };
    let pointer = "/spec/devices/requests/0";
    let flat = json!({"name": "r", "deviceClassName": "c", "selectors": [{"cel": {"expression": "true"}}],
        "allocationMode": "All", "adminAccess": true, "tolerations": [{"key": "k", "operator": "Exists"}],
        "capacity": {"requests": {"m": "1"}}});
    let exact = json!({"name": "r", "exactly": {"deviceClassName": "c", "selectors": [{"cel": {"expression": "true"}}],
        "allocationMode": "All", "adminAccess": true, "tolerations": [{"key": "k", "operator": "Exists"}],
        "capacity": {"requests": {"m": "1"}}}});
    for newer in ["v1", "v1beta2"] {
        check(group, "resourceclaims", ("v1beta1", newer), claim(flat.clone()), pointer, &exact);
        let list = json!({"name": "r", "firstAvailable": [{"name": "s", "deviceClassName": "c", "count": 2}]});
        check(group, "resourceclaims", ("v1beta1", newer), claim(list.clone()), pointer, &list);
        let bare = json!({"name": "r"});
        check(group, "resourceclaims", ("v1beta1", newer), claim(bare.clone()), pointer, &bare);
    }
    let template = json!({"kind": "ResourceClaimTemplate", "apiVersion": "resource.k8s.io/v1beta1", "metadata": {"name": "a"},
        "spec": {"spec": {"devices": {"requests": [flat]}}}});
    check(group, "resourceclaimtemplates", ("v1beta1", "v1"), template, "/spec/spec/devices/requests/0", &exact);
}

#[test]
fn devices_stand_with_or_without_a_basic_part() {
    let slice = |version: &str, device: Value| {
        json!({"kind": "ResourceSlice", "apiVersion": format!("resource.k8s.io/{version}"), "metadata": {"name": "a"},
            "spec": {"driver": "d", "pool": {"name": "p", "generation": 0, "resourceSliceCount": 1}, "nodeName": "n",
                "devices": [device]}})
    };
    let parts = json!({"attributes": {"a": {"int": 1}}, "capacity": {"m": {"value": "1"}},
        "taints": [{"key": "k", "effect": "None"}], "nodeName": "n", "bindsToNode": true});
    let mut whole = json!({"name": "x"});
    whole.as_object_mut().expect("fields").extend(parts.as_object().expect("fields").clone());
    let basic = json!({"name": "x", "basic": parts});
    let newer = slice("v1", whole.clone());
    let snapshot = Table::builtin().snapshot();
    let row = snapshot.row("resource.k8s.io", "resourceslices").expect("a row");
    let whole = normalise(&row.versions[0].ty, newer.clone()).expect("normalises").value["spec"]["devices"][0].clone();
    let older = slice("v1beta1", basic);
    let basic = normalise(&row.versions[2].ty, older.clone()).expect("normalises").value["spec"]["devices"][0].clone();
    check("resource.k8s.io", "resourceslices", ("v1", "v1beta1"), newer, "/spec/devices/0", &basic);
    check("resource.k8s.io", "resourceslices", ("v1beta1", "v1"), older, "/spec/devices/0", &whole);
    let empty = slice("v1", json!({"name": "x"}));
    check(
        "resource.k8s.io",
        "resourceslices",
        ("v1", "v1beta1"),
        empty,
        "/spec/devices/0",
        &json!({"name": "x", "basic": {}}),
    );
}

#[test]
fn events_share_their_store() {
    let snapshot = Table::builtin().snapshot();
    let served = snapshot.resource("events.k8s.io", "v1", "events").expect("served");
    let event = json!({"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p"}, "note": "said", "reportingController": "c"});
    let event = normalise(served.ty(), event).expect("normalises").value;
    let stored = to_storage(&served, event.clone()).expect("converts");
    assert_eq!((&stored["apiVersion"], &stored["message"]), (&json!("v1"), &json!("said")));
    assert_eq!((&stored["involvedObject"]["name"], &stored["reportingComponent"]), (&json!("p"), &json!("c")));
    let core = snapshot.resource("", "v1", "events").expect("served");
    let stored = normalise(core.ty(), stored).expect("normalises");
    assert_eq!(stored.issues, []);
    let back = from_storage(&served, stored.value).expect("converts");
    assert_eq!(normalise(served.ty(), back).expect("normalises").value, event);
    assert_eq!(served.resource.storage_prefix, core.resource.storage_prefix);
}

#[test]
fn unknown_versions_are_refused() {
    let snapshot = Table::builtin().snapshot();
    let row = snapshot.row("apps", "deployments").expect("a row");
    let error = convert(row, json!({"apiVersion": "apps/v9"}), 0).expect_err("unknown");
    assert_eq!(error.to_string(), "convert Deployment: apps/v9 is not a version of it");
}

#[test]
fn renamed_versions_have_the_same_fields() {
    for row in Table::builtin().snapshot().rows().filter(|row| matches!(row.conversion, Conversion::Rename)) {
        let stored = row.storage_version();
        for version in &row.versions {
            let mut lost = Vec::new();
            missing(version.ty.node(), stored.ty.node(), "", &mut lost);
            assert_eq!(lost, Vec::<String>::new(), "{} {} has what {} lacks", row.kind, version.name, stored.name);
        }
    }
}

/// The paths that the first type has and the second lacks.
fn missing(one: Node<'_>, other: Node<'_>, path: &str, lost: &mut Vec<String>) {
    let Some(ty) = one.ty() else {
        let (below, there) = (one.item().or_else(|| one.value()), other.item().or_else(|| other.value()));
        if let (Some(one), Some(other)) = (below, there) {
            missing(one, other, path, lost);
        }
        return;
    };
    if path.len() > 300 || ty.name.starts_with("meta.") || other.ty().is_some_and(|t| t.name == ty.name) {
        return;
    }
    for field in &ty.fields {
        let path = format!("{path}.{}", field.name);
        match (one.field(&field.name), other.field(&field.name)) {
            (Some(one), Some(other)) => {
                let same = |a: &Shape, b: &Shape| std::mem::discriminant(a) == std::mem::discriminant(b);
                if !same(&field.shape, other.shape().expect("below the root")) {
                    lost.push(path.clone());
                }
                missing(one, other, &path, lost);
            }
            _ => lost.push(path),
        }
    }
}
