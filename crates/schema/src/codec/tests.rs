//! Sparse objects: what upstream prints of them, and what it says of wrong ones.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn ty(name: &str) -> Type {
    Type::builtin(name).expect("a built-in type")
}

#[track_caller]
fn check(name: &str, input: &str, expected: &str) {
    let decoded = decode(&ty(name), input.as_bytes(), Format::Json).expect("decodes");
    assert_eq!(decoded.value.to_string(), expected);
    assert_eq!(decoded.issues, []);
}

#[track_caller]
fn refuse(name: &str, input: &str, expected: &str) {
    let error = decode(&ty(name), input.as_bytes(), Format::Json).expect_err("refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn empty_fields_are_left_out_as_go_leaves_them_out() {
    check("core.v1.ConfigMap", r#"{"data":{},"metadata":null}"#, r#"{"metadata":{}}"#);
    check(
        "apps.v1.Deployment",
        r#"{"status":{"replicas":0},"spec":{"replicas":0,"minReadySeconds":0,"paused":false}}"#,
        r#"{"metadata":{},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},"status":{}}"#,
    );
    check(
        "core.v1.Pod",
        r#"{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","args":[],"stdin":false}]}}"#,
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{},"spec":{"containers":[{"name":"a","resources":{}}]},"status":{}}"#,
    );
    check(
        "core.v1.PodCondition",
        r#"{"type":"Ready","status":"True"}"#,
        r#"{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":null}"#,
    );
    check("rbac.v1.Role", r#"{"metadata":{"name":"a"}}"#, r#"{"metadata":{"name":"a"},"rules":null}"#);
}

#[test]
fn scalars_take_their_canonical_form() {
    check(
        "core.v1.ResourceRequirements",
        r#"{"limits":{"cpu":"1000m","memory":"1024Mi","x":2}}"#,
        r#"{"limits":{"cpu":"1","memory":"1Gi","x":"2"}}"#,
    );
    check(
        "meta.v1.ObjectMeta",
        r#"{"creationTimestamp":"2024-01-01T02:00:00.5+02:00"}"#,
        r#"{"creationTimestamp":"2024-01-01T00:00:00Z"}"#,
    );
    check(
        "coordination.v1.LeaseSpec",
        r#"{"renewTime":"2024-01-01T00:00:00Z"}"#,
        r#"{"renewTime":"2024-01-01T00:00:00.000000Z"}"#,
    );
    check("core.v1.ServicePort", r#"{"targetPort":"http","port":1}"#, r#"{"port":1,"targetPort":"http"}"#);
}

#[test]
fn type_errors_are_upstreams() {
    refuse(
        "apps.v1.Deployment",
        r#"{"spec":{"replicas":"3"}}"#,
        "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
    );
    refuse(
        "core.v1.Pod",
        r#"{"spec":{"containers":[{"name":1}]}}"#,
        "json: cannot unmarshal number into Go struct field Container.spec.containers.name of type string",
    );
    refuse(
        "core.v1.Pod",
        r#"{"spec":{"containers":{}}}"#,
        "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    );
    refuse(
        "apps.v1.Deployment",
        r#"{"spec":{"replicas":1.5}}"#,
        "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
    );
    refuse("core.v1.Pod", "[]", "json: cannot unmarshal array into Go value of type v1.Pod");
    refuse(
        "core.v1.ResourceRequirements",
        r#"{"limits":{"cpu":"x"}}"#,
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
}

#[test]
fn unknown_and_duplicate_fields_are_issues() {
    let text = br#"{"spec":{"foo":1,"containers":[{"name":"a","name":"b","bar":{}}]},"x":[1],"metadata":{"labels":{"a":"1","a":"2"}}}"#;
    let decoded = decode(&ty("core.v1.Pod"), text, Format::Json).expect("decodes");
    let issues: Vec<String> = decoded.issues.iter().map(ToString::to_string).collect();
    assert_eq!(
        issues,
        [
            "unknown field \"spec.foo\"",
            "duplicate field \"spec.containers[0].name\"",
            "unknown field \"spec.containers[0].bar\"",
            "unknown field \"x\"",
            "duplicate field \"metadata.labels.a\"",
        ]
    );
    assert_eq!(decoded.value["spec"]["containers"][0]["name"], "b");
    assert_eq!(decoded.value.get("x"), None);
}

#[test]
fn duplicates_are_found_in_any_order() {
    let text = br#"{"status":{},"kind":"a","metadata":{},"status":{"phase":"x"},"kind":"b"}"#;
    let decoded = decode(&ty("core.v1.Pod"), text, Format::Json).expect("decodes");
    let expected = ["status", "kind"].map(|field| Issue::DuplicateField(field.into()));
    assert_eq!(decoded.issues, expected);
    assert_eq!((&decoded.value["kind"], &decoded.value["status"]), (&json!("b"), &json!({"phase": "x"})));
}

proptest! {
    #[test]
    fn text_survives_yaml(key in "[a-z]{1,8}", text in "\\PC{0,24}|[-+.0-9eExX_:]{1,8}|(y|n|yes|No|on|OFF|true|null|~|0644|1_000|0x1f|1e3|=|<<|- a|a: b|# c| a |'|\"|\n|a\nb|a\n\n)") {
        let object = json!({"metadata": {}, "data": {key: text}});
        let yaml = encode(&object, Format::Yaml);
        let again = decode(&ty("core.v1.ConfigMap"), &yaml, Format::Yaml);
        let expected = normalise(&ty("core.v1.ConfigMap"), object).expect("a config map").value;
        prop_assert_eq!(again.expect("our own YAML").value, expected);
    }

    #[test]
    fn nothing_panics(text in "[\\[\\]{}:,\"a-c0-9 .\n-]{0,60}") {
        for format in [Format::Json, Format::Yaml] {
            let _ = decode(&ty("core.v1.Pod"), text.as_bytes(), format);
            let _ = parse(text.as_bytes(), format);
        }
    }
}

#[test]
fn yaml_is_read_as_upstream_reads_it() {
    let text = b"kind: Pod\nspec:\n  containers:\n  - {name: a}\n  volumes:\n  - name: v\n    secret: {defaultMode: 0644, optional: yes}\n  foo: 1\n";
    let decoded = decode(&ty("core.v1.Pod"), text, Format::Yaml).expect("decodes");
    assert_eq!(decoded.value["spec"]["volumes"][0]["secret"], json!({"defaultMode": 420, "optional": true}));
    assert_eq!(decoded.issues, [Issue::UnknownField("spec.foo".into())]);
    let duplicate = decode(&ty("core.v1.ConfigMap"), b"data: {a: x}\ndata: {b: z}\n", Format::Yaml).expect("decodes");
    assert_eq!(duplicate.issues, [Issue::DuplicateField("data".into())]);
}

#[test]
fn hostile_input_is_refused() {
    for depth in [100, 200, 10_000, 100_000] {
        let list = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"{{"data":{list}}}"#);
        assert!(decode(&ty("apps.v1.ControllerRevision"), text.as_bytes(), Format::Json).is_err() || depth < 128);
        assert!(decode(&ty("apps.v1.ControllerRevision"), text.as_bytes(), Format::Yaml).is_err());
    }
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let alias = format!("*a{}", i - 1);
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(",")));
    }
    assert!(parse(bomb.as_bytes(), Format::Yaml).is_err());
    assert!(matches!(decode(&ty("core.v1.Pod"), b"null", Format::Json), Err(DecodeError::Empty)));
    assert!(decode(&ty("core.v1.Pod"), b"{} {}", Format::Json).is_err());
    assert!(decode(&ty("core.v1.Pod"), b"\xff", Format::Yaml).is_err());
}
