//! Writes by several managers.

use super::*;

fn pod_type() -> schema::Type {
    schema::Type::builtin("core.v1.Pod").expect("pods are built in")
}

fn write<'a>(manager: &'a str, subresource: &'a str, second: i64) -> Write<'a> {
    Write { manager, subresource, api_version: "v1", now: Timestamp::from_second(second).unwrap() }
}

fn written(old: Option<&Value>, mut new: Value, write: &Write<'_>) -> Value {
    update(old, &mut new, pod_type().node(), write);
    new
}

fn pod(labels: Value) -> Value {
    json!({"metadata": {"name": "p", "labels": labels}, "spec": {"nodeName": "n"}})
}

/// `manager fields` of each entry.
fn shown(object: &Value) -> Vec<String> {
    let show = |entry: &Entry| format!("{} {} {}", entry.manager, entry.time, entry.fields.to_json());
    entries(object).iter().map(show).collect()
}

#[test]
fn creating_owns_what_was_set() {
    let made = written(None, pod(json!({"a": "1"})), &write("kubectl", "", 0));
    let expected = json!([{
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "1970-01-01T00:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:nodeName": {}}},
    }]);
    assert_eq!(made["metadata"]["managedFields"].to_string(), expected.to_string());
}

#[test]
fn changing_takes_over() {
    let first = written(None, pod(json!({"a": "1", "b": "1"})), &write("one", "", 0));
    let second = written(Some(&first), pod(json!({"a": "2", "b": "1"})), &write("two", "", 5));
    assert_eq!(
        shown(&second),
        [
            r#"one 1970-01-01T00:00:00Z {"f:metadata":{"f:labels":{".":{},"f:b":{}}},"f:spec":{"f:nodeName":{}}}"#,
            r#"two 1970-01-01T00:00:05Z {"f:metadata":{"f:labels":{"f:a":{}}}}"#,
        ]
    );
    let third = written(Some(&second), pod(json!({"b": "1"})), &write("three", "", 6));
    assert_eq!(shown(&third).len(), 1, "removing owns nothing and takes from all: {:?}", shown(&third));
}

#[test]
fn nothing_changes_nothing() {
    let first = written(None, pod(json!({"a": "1"})), &write("one", "", 0));
    let again = written(Some(&first), pod(json!({"a": "1"})), &write("two", "", 9));
    assert_eq!(first, again);
}

#[test]
fn subresources_have_entries_of_their_own() {
    let first = written(None, pod(json!({})), &write("one", "", 0));
    let mut with_status = first.clone();
    with_status["status"] = json!({"phase": "Running"});
    let second = written(Some(&first), with_status, &write("one", "status", 0));
    let listed: Vec<_> = entries(&second).into_iter().map(|e| e.subresource).collect();
    assert_eq!(listed, ["", "status"]);
}

#[test]
fn entries_can_be_cleared_but_not_forgotten() {
    let first = written(None, pod(json!({"a": "1"})), &write("one", "", 0));
    let mut cleared = pod(json!({"a": "1"}));
    cleared["metadata"]["managedFields"] = json!([{}]);
    let cleared = written(Some(&first), cleared, &write("two", "", 1));
    assert_eq!(cleared["metadata"].get("managedFields"), None);
    let untracked = written(Some(&cleared), pod(json!({"a": "2"})), &write("two", "", 1));
    assert_eq!(untracked["metadata"].get("managedFields"), None);
}

#[test]
fn many_managers_are_folded() {
    let mut object = written(None, pod(json!({})), &write("creator", "", 0));
    for number in 0..20_i64 {
        let mut next = object.clone();
        next["metadata"]["labels"][format!("l{number}")] = json!("x");
        object = written(Some(&object), next, &write(&format!("manager-{number}"), "", number + 1));
    }
    let managers: Vec<_> = entries(&object).into_iter().map(|e| e.manager).collect();
    assert_eq!(managers.len(), MAX_UPDATE_MANAGERS);
    assert_eq!((&*managers[0], &*managers[9]), (ANCIENT, "manager-19"));
}

#[test]
fn managers_come_from_user_agents() {
    for (agent, manager) in
        [("kubectl/v1.36.0 (linux/amd64)", "kubectl"), ("curl", "curl"), ("", "unknown"), ("/x", "unknown")]
    {
        assert_eq!(manager_of(agent), manager);
    }
    assert_eq!(manager_of(&"é".repeat(100)).len(), 128);
}
