//! Pods.

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
fn containers() {
    pod("containers: []", &["spec.containers: Required value"]);
    pod("", &["spec.containers: Required value"]);
    pod(
        "containers: [{name: A, image: i}]",
        &["spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case \
           alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
           '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"],
    );
    pod(
        "containers: [{image: i}, {name: c}, {name: c, image: ' i'}]",
        &[
            "spec.containers[0].name: Required value",
            "spec.containers[1].image: Required value",
            "spec.containers[2].name: Duplicate value: \"c\"",
            "spec.containers[2].image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ],
    );
    pod(
        "containers: [{name: c, image: i}], initContainers: [{name: c, image: i, livenessProbe: {exec: {command: [x]}}}]",
        &[
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
        ],
    );
    container(
        "imagePullPolicy: Sometimes",
        &[
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ],
    );
}

#[test]
fn ports() {
    container(
        "ports: [{containerPort: 0}, {containerPort: 70000, name: a}, {containerPort: 1, name: a, protocol: X}]",
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[2].name: Duplicate value: \"a\"",
            "spec.containers[0].ports[2].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ],
    );
    container(
        "ports: [{containerPort: 1, hostPort: 8}, {containerPort: 2, hostPort: 8}]",
        &["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//8\""],
    );
}

#[test]
fn environment() {
    container(
        "env: [{value: x}, {name: A, valueFrom: {}}, {name: B, valueFrom: {fieldRef: {fieldPath: spec.x}}}, \
         {name: C, value: x, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
        &[
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].env[1].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            "spec.containers[0].env[2].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.x\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            "spec.containers[0].env[3].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
        ],
    );
    container("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['a/b']\"}}}]", &[]);
    container(
        "envFrom: [{configMapRef: {name: c}}, {}]",
        &["spec.containers[0].envFrom[1]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"],
    );
}

#[test]
fn resources() {
    container(
        "resources: {requests: {cpu: 2, memory: -1}, limits: {cpu: 1, bogus: 1}}",
        &[
            "spec.containers[0].resources.limits[bogus]: Invalid value: \"bogus\": must be a standard resource for containers",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.containers[0].resources.requests[bogus]: Invalid value: \"bogus\": must be a standard resource for containers",
        ],
    );
    container(
        "resources: {requests: {example.com/gpu: 1}}",
        &["spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"],
    );
}

#[test]
fn volumes() {
    pod(
        "containers: [{name: c, image: i, volumeMounts: [{name: w, mountPath: /a}, {name: v, mountPath: /a, subPath: ../x}]}], \
         volumes: [{name: v}, {name: v, emptyDir: {}, hostPath: {path: /x}}, {name: s, secret: {}}]",
        &[
            "spec.volumes[1].hostPath: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[1].name: Duplicate value: \"v\"",
            "spec.volumes[2].secret.secretName: Required value",
            "spec.containers[0].volumeMounts[0].name: Not found: \"w\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "spec.containers[0].volumeMounts[1].subPath: Invalid value: \"../x\": must not contain '..'",
        ],
    );
}

#[test]
fn probes() {
    container(
        "livenessProbe: {exec: {command: [a]}, successThreshold: 2}, readinessProbe: {}, startupProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}",
        &[
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
            "spec.containers[0].startupProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ],
    );
    container("readinessProbe: {httpGet: {port: 80}}, lifecycle: {preStop: {sleep: {seconds: 1}}}", &[]);
}

#[test]
fn security() {
    container(
        "securityContext: {privileged: true, allowPrivilegeEscalation: false, runAsUser: -1}",
        &[
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            "spec.containers[0].securityContext.allowPrivilegeEscalation: Invalid value: false: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ],
    );
}

#[test]
fn scheduling() {
    let base = "containers: [{name: c, image: i}]";
    pod(
        &format!(
            "{base}, tolerations: [{{}}, {{key: a, operator: Exists, value: b}}, {{key: a, tolerationSeconds: 1}}]"
        ),
        &[
            "spec.tolerations[0].operator: Invalid value: null: operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            "spec.tolerations[1].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'",
            "spec.tolerations[2].effect: Invalid value: null: effect must be 'NoExecute' when `tolerationSeconds` is set",
        ],
    );
    pod(
        &format!(
            "{base}, affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{}}}}, \
             podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{}}]}}}}, activeDeadlineSeconds: 0"
        ),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey: Required value: can not be empty",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ],
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
        "spec: {containers: [{name: c, image: ''}], nodeName: node-1}",
        &["spec.containers[0].image: Required value"],
    );
    const FORBIDDEN: &str = "spec: Forbidden: pod updates may not change fields other than \
        `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
        existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    update("spec: {containers: [{name: c, image: i}], nodeName: node-2}", &[FORBIDDEN]);
    update(
        "spec: {containers: [{name: c, image: i}, {name: d, image: i}], nodeName: node-1}",
        &["spec.containers: Forbidden: pod updates may not add or remove containers", FORBIDDEN],
    );
}

#[test]
fn resizing_changes_resources_only() {
    super::with_bench(|bench| {
        let (old, _) = bench.create("core.v1.Pod", "spec: {containers: [{name: c, image: i}], nodeName: node-1}");
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
