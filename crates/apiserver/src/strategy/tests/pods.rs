//! Pods: what is told apart by calls, beside the cases that upstream has answered (`tests/rows`).

use super::{check, check_update};

#[track_caller]
fn pod(spec: &str, errors: &[&str]) {
    check("core.v1.Pod", &format!("spec: {{{spec}}}"), errors);
}

/// A pod with one container that has these fields.
#[track_caller]
fn container(fields: &str, errors: &[&str]) {
    pod(&format!("containers: [{{name: c, image: i, {fields}}}]"), errors);
}

#[test]
fn good_ones() {
    container("", &[]);
    container(
        "ports: [{containerPort: 80, name: http}], env: [{name: A, value: b}], resources: {requests: {cpu: 1}, limits: {cpu: 2}}",
        &[],
    );
    pod(
        "containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, emptyDir: {}}], \
         tolerations: [{operator: Exists}], nodeSelector: {a: b}, restartPolicy: Never",
        &[],
    );
}

#[test]
fn updates() {
    const OLD: &str = "spec: {containers: [{name: c, image: i}], nodeName: node-1}";
    let update = |new: &str, errors: &[&str]| check_update("core.v1.Pod", "", OLD, new, errors);
    update(
        "spec: {containers: [{name: c, image: j}], nodeName: node-1, activeDeadlineSeconds: 9, tolerations: [{operator: Exists}]}",
        &[],
    );
    update(
        "spec: {containers: [{name: c, image: '', imagePullPolicy: Always}], nodeName: node-1}",
        &["spec.containers[0].image: Required value"; 2],
    );
    const FORBIDDEN: &str = "spec: Forbidden: pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
        existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    let difference = "@@ -42,7 +42,7 @@\n  \"NodeSelector\": null,\n  \"ServiceAccountName\": \"\",\n  \"AutomountServiceAccountToken\": null,\n- \"NodeName\": \"node-1\",\n+ \"NodeName\": \"node-2\",\n  \"SecurityContext\": {\n   \"HostNetwork\": false,\n   \"HostPID\": false,\n";
    update("spec: {containers: [{name: c, image: i}], nodeName: node-2}", &[&format!("{FORBIDDEN}\n{difference}")]);
    update(
        "spec: {containers: [{name: c, image: i}, {name: d, image: i}], nodeName: node-1}",
        &["spec.containers: Forbidden: pod updates may not add or remove containers"],
    );
}

#[test]
fn resizing_changes_resources_only() {
    super::with_bench(|bench| {
        let old = "spec: {containers: [{name: c, image: i, resources: {requests: {cpu: 2}}}], nodeName: node-1}";
        let (old, _) = bench.create("core.v1.Pod", old);
        let wanted = "spec: {containers: [{name: c, image: other, resources: {requests: {cpu: 1}}}], nodeName: node-2}";
        let (new, errors) = bench.update("core.v1.Pod", "resize", &old, wanted);
        assert_eq!(errors, [""; 0]);
        let container = &new["spec"]["containers"][0];
        assert_eq!((&container["image"], &container["resources"]["requests"]["cpu"]), (&"i".into(), &"1".into()));
        assert_eq!(new["spec"]["nodeName"], "node-1");
    });
}

#[test]
fn ephemeral_containers_are_added_later() {
    const DEBUG: &str = "ephemeralContainers: [{name: debug, image: i}]";
    pod(
        &format!("containers: [{{name: c, image: i}}], {DEBUG}"),
        &["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    );
    super::with_bench(|bench| {
        let (old, _) = bench.create("core.v1.Pod", "spec: {containers: [{name: c, image: i}]}");
        let wanted = format!("spec: {{containers: [{{name: c, image: j}}], {DEBUG}}}");
        let (new, errors) = bench.update("core.v1.Pod", "ephemeralcontainers", &old, &wanted);
        assert_eq!(errors, [""; 0]);
        assert_eq!(
            (&new["spec"]["containers"][0]["image"], &new["spec"]["ephemeralContainers"][0]["name"]),
            (&"i".into(), &"debug".into())
        );
        let (_, errors) =
            bench.update("core.v1.Pod", "ephemeralcontainers", &new, "spec: {containers: [{name: c, image: i}]}");
        assert_eq!(
            errors,
            ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"debug\" may not be removed\n"]
        );
    });
}
