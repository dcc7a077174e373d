//! Patches on pods and their like.

use serde_json::json;

use super::*;

fn patched(kind: &str, mut target: Value, patch: &Value) -> Result<Value, Error> {
    let ty = schema::Type::builtin(kind).expect("a built-in type");
    apply(&mut target, patch, ty.node()).map(|()| target)
}

#[track_caller]
fn check(kind: &str, target: Value, patch: Value, expected: Value) {
    assert_eq!(patched(kind, target, &patch).as_ref().map(Value::to_string), Ok(expected.to_string()), "{patch}");
}

/// A pod with containers as written: `a=image`.
fn pod(containers: &[&str]) -> Value {
    let containers: Vec<_> = containers
        .iter()
        .map(|c| {
            let (name, image) = c.split_once('=').expect("name=image");
            json!({"name": name, "image": image})
        })
        .collect();
    json!({"spec": {"containers": containers}})
}

#[test]
fn objects_merge_and_nulls_delete() {
    check(
        "core.v1.Pod",
        json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeName": "n"}}),
        json!({"metadata": {"labels": {"a": null, "c": "3"}, "annotations": {"x": "y", "z": null}}}),
        json!({"metadata": {"labels": {"b": "2", "c": "3"}, "annotations": {"x": "y"}}, "spec": {"nodeName": "n"}}),
    );
}

#[test]
fn containers_merge_by_name() {
    let check = |target: &[&str], patch: Value, expected: &[&str]| {
        check("core.v1.Pod", pod(target), json!({"spec": {"containers": patch}}), pod(expected));
    };
    check(&["a=1", "b=2"], json!([{"name": "b", "image": "3"}]), &["a=1", "b=3"]);
    check(&["a=1", "b=2"], json!([{"name": "c", "image": "3"}]), &["c=3", "a=1", "b=2"]);
    check(&["a=1", "b=2"], json!([{"name": "a", "$patch": "delete"}]), &["b=2"]);
    check(&["a=1"], json!([{"$patch": "replace"}, {"name": "z", "image": "9"}]), &["z=9"]);
    check(&["a=1"], json!([{"name": "a", "$patch": "merge", "image": "2"}]), &["a=2"]);
    check(
        &["a=1", "b=2", "c=3"],
        json!([{"name": "c", "image": "4"}, {"name": "a", "image": "5"}]),
        &["b=2", "c=4", "a=5"],
    );
}

#[test]
fn the_order_can_be_set() {
    let order = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    check(
        "core.v1.Pod",
        pod(&["a=1", "b=2", "c=3"]),
        json!({"spec": {"$setElementOrder/containers": order(&["c", "a"])}}),
        pod(&["b=2", "c=3", "a=1"]),
    );
    check(
        "core.v1.Pod",
        pod(&["a=1", "b=2"]),
        json!({"spec": {"$setElementOrder/containers": order(&["a", "new", "b"]), "containers": [{"name": "new", "image": "3"}]}}),
        pod(&["a=1", "new=3", "b=2"]),
    );
    let unlisted =
        json!({"spec": {"$setElementOrder/containers": order(&["a"]), "containers": [{"name": "b", "image": "3"}]}});
    assert!(matches!(patched("core.v1.Pod", pod(&["a=1"]), &unlisted), Err(Error::Malformed(_))));
}

#[test]
fn sets_of_primitives() {
    let pod = |finalizers: &[&str]| json!({"metadata": {"finalizers": finalizers}});
    check("core.v1.Pod", pod(&["a/a", "b/b"]), pod(&["b/b", "c/c"]), pod(&["a/a", "b/b", "c/c"]));
    check(
        "core.v1.Pod",
        pod(&["a/a", "b/b"]),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/a"]}}),
        pod(&["b/b"]),
    );
    check(
        "core.v1.Pod",
        pod(&["a/a", "b/b"]),
        json!({"metadata": {"$setElementOrder/finalizers": ["b/b", "a/a"]}}),
        pod(&["b/b", "a/a"]),
    );
}

#[test]
fn keys_are_retained() {
    check(
        "apps.v1.Deployment",
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    let wrong = json!({"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}});
    assert!(matches!(patched("apps.v1.Deployment", json!({}), &wrong), Err(Error::Malformed(_))));
}

#[test]
fn objects_can_be_replaced_or_emptied() {
    let target = || json!({"metadata": {"labels": {"a": "1"}}});
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    check("core.v1.Pod", target(), labels(json!({"$patch": "replace", "b": "2"})), labels(json!({"b": "2"})));
    check("core.v1.Pod", target(), labels(json!({"$patch": "delete"})), labels(json!({})));
    check("core.v1.Pod", json!({}), labels(json!({"b": "2", "$patch": "merge"})), labels(json!({"b": "2"})));
    assert!(patched("core.v1.Pod", target(), &labels(json!({"$patch": "explode"}))).is_err());
}

#[test]
fn atomic_lists_are_replaced() {
    let pod = |args: &[&str]| json!({"spec": {"containers": [{"name": "a", "args": args}]}});
    check("core.v1.Pod", pod(&["1", "2"]), pod(&["3"]), pod(&["3"]));
}

#[test]
fn entries_need_their_key() {
    let patch = json!({"spec": {"containers": [{"image": "2"}]}});
    assert!(matches!(patched("core.v1.Pod", pod(&["a=1"]), &patch), Err(Error::Malformed(_))));
}

#[test]
fn ports_merge_by_number() {
    check(
        "core.v1.Service",
        json!({"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443}]}}),
        json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}),
        json!({"spec": {"ports": [{"port": 80, "name": "http", "targetPort": 8080}, {"port": 443}]}}),
    );
}
