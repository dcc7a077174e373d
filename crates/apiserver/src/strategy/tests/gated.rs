//! Kinds that upstream serves only behind a gate, so that its answers could not be recorded: they follow its rules.

use serde_json::Value;

use super::{check, check_update, with_bench};

#[test]
fn pod_groups() {
    let check = |yaml: &str, errors: &[&str]| check("scheduling.v1alpha2.PodGroup", yaml, errors);
    check("spec: {schedulingPolicy: {basic: {}}}", &[]);
    check(
        "spec: {schedulingPolicy: {gang: {minCount: 2}}, podGroupTemplateRef: {workload: {workloadName: w.x, podGroupTemplateName: t}}}",
        &[],
    );
    check("spec: {}", &["spec.schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`"]);
    check(
        "spec: {schedulingPolicy: {basic: {}, gang: {minCount: 0}}, podGroupTemplateRef: {}}",
        &[
            "spec.podGroupTemplateRef: Invalid value: \"\": must specify one of: `workload`",
            "spec.schedulingPolicy: Invalid value: \"{basic, gang}\": must specify exactly one of: `basic`, `gang`",
            "spec.schedulingPolicy.gang.minCount: Required value",
        ],
    );
    check(
        "spec: {schedulingPolicy: {gang: {minCount: -1}}}",
        &["spec.schedulingPolicy.gang.minCount: Invalid value: -1: must be greater than or equal to 1"],
    );
    check_update(
        "scheduling.v1alpha2.PodGroup",
        "",
        "spec: {schedulingPolicy: {basic: {}}}",
        "spec: {schedulingPolicy: {gang: {minCount: 1}}}",
        &["spec.schedulingPolicy: Invalid value: null: field is immutable"],
    );
    with_bench(|bench| {
        let yaml = "spec: {schedulingPolicy: {basic: {}}, priority: 5, priorityClassName: a, disruptionMode: Pod}";
        let (group, errors) = bench.create("scheduling.v1alpha2.PodGroup", yaml);
        assert_eq!(errors, [""; 0]);
        assert!(["priority", "priorityClassName", "disruptionMode"].iter().all(|f| group["spec"][*f] == Value::Null));
    });
}

#[test]
fn workloads() {
    let check = |yaml: &str, errors: &[&str]| check("scheduling.v1alpha2.Workload", yaml, errors);
    check("spec: {podGroupTemplates: [{name: a, schedulingPolicy: {basic: {}}}]}", &[]);
    check("spec: {}", &["spec.podGroupTemplates: Required value"]);
    check(
        "spec: {controllerRef: {kind: a/b}, podGroupTemplates: [{name: a, schedulingPolicy: {basic: {}}}, {name: a, schedulingPolicy: {}}]}",
        &[
            "spec.controllerRef.kind: Invalid value: \"a/b\": may not contain '/'",
            "spec.controllerRef.name: Required value",
            "spec.podGroupTemplates[1]: Duplicate value: {\"name\":\"a\",\"schedulingPolicy\":{},\"schedulingConstraints\":null}",
            "spec.podGroupTemplates[1].schedulingPolicy: Invalid value: \"\": must specify one of: `basic`, `gang`",
        ],
    );
}

#[test]
fn migrations() {
    const KIND: &str = "storagemigration.v1beta1.StorageVersionMigration";
    const GOOD: &str = "spec: {resource: {group: apps, resource: deployments}}";
    check(KIND, GOOD, &[]);
    check(KIND, "spec: {resource: {}}", &["spec.resource.resource: Required value: resource is required to be set"]);
    check_update(
        KIND,
        "",
        GOOD,
        "spec: {resource: {resource: pods}}",
        &["spec: Invalid value: {\"Resource\":{\"group\":\"\",\"resource\":\"pods\"}}: field is immutable"],
    );
    check_update(
        KIND,
        "status",
        GOOD,
        "status: {resourceVersion: '01'}",
        &["status.resourceVersion: Invalid value: \"01\": resource version is not well formed: 01"],
    );
}
