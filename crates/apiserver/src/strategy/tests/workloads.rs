//! Kinds that make pods.

use super::{check, check_update, with_bench};

const TEMPLATE: &str = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";

fn spec(fields: &str) -> String {
    format!("spec: {{selector: {{matchLabels: {{a: b}}}}, {TEMPLATE}, {fields}}}")
}

#[test]
fn deployments() {
    let check = |yaml: &str, errors: &[&str]| check("apps.v1.Deployment", yaml, errors);
    check(&spec(""), &[]);
    check(
        &format!("spec: {{{TEMPLATE}, replicas: -1}}"),
        &[
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.selector: Required value",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ],
    );
    check(
        &format!("spec: {{selector: {{matchLabels: {{a: c}}}}, {TEMPLATE}}}"),
        &["spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`"],
    );
    check(
        &format!("spec: {{selector: {{}}, {TEMPLATE}}}"),
        &["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
    );
    check(
        &spec("strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}"),
        &["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
    );
    check(
        &spec("strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0%}}"),
        &["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0"],
    );
    check(
        &spec("progressDeadlineSeconds: 10, minReadySeconds: 10"),
        &["spec.progressDeadlineSeconds: Invalid value: 10: must be greater than minReadySeconds"],
    );
    check(
        "spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c}]}}}",
        &[
            "spec.template.spec.containers[0].image: Required value",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ],
    );
    let other = "spec: {selector: {matchLabels: {a: b, c: d}}, template: {metadata: {labels: {a: b, c: d}}, spec: {containers: [{name: c, image: i}]}}}";
    check_update(
        "apps.v1.Deployment",
        "",
        &spec(""),
        other,
        &["spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"c\":\"d\"}}: field is immutable"],
    );
    check_update(
        "apps.v1.Deployment",
        "status",
        &spec(""),
        "status: {replicas: 1, readyReplicas: 2}",
        &["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
    );
}

#[test]
fn the_others() {
    for kind in ["apps.v1.ReplicaSet", "apps.v1.DaemonSet", "apps.v1.StatefulSet"] {
        check(kind, &spec(""), &[]);
    }
    check("core.v1.ReplicationController", &format!("spec: {{selector: {{a: b}}, {TEMPLATE}}}"), &[]);
    check_update(
        "apps.v1.StatefulSet",
        "",
        &spec("serviceName: s"),
        &spec("serviceName: t"),
        &[
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ],
    );
    check_update("apps.v1.StatefulSet", "", &spec(""), &spec("replicas: 3"), &[]);
}

#[test]
fn jobs_select_their_own_pods() {
    const JOB: &str = "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}";
    with_bench(|bench| {
        let (job, errors) = bench.create("batch.v1.Job", JOB);
        assert_eq!(errors, [""; 0]);
        let labels = &job["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["batch.kubernetes.io/job-name"], "x");
        assert_eq!(job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"], "0-1");
    });
    check(
        "batch.v1.Job",
        "spec: {template: {spec: {containers: [{name: c, image: i}]}}}",
        &["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""],
    );
}
