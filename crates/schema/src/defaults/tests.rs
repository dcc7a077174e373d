//! Sparse objects in, completed ones out.

use super::*;
use crate::{codec::Format, decode, normalise};

/// Decodes, completes and compares one part; what is completed must be in canonical order.
#[track_caller]
fn check(name: &str, input: &str, part: &str, expected: &str) {
    let ty = Type::builtin(name).expect("a built-in type");
    let mut object = decode(&ty, input.as_bytes(), Format::Yaml).expect("decodes").value;
    default(&ty, &mut object);
    assert_eq!(object.pointer(part).expect(part).to_string(), expected);
    let text = object.to_string();
    let again = normalise(&ty, object.clone()).expect("normalises").value;
    assert_eq!(again.to_string(), text, "canonical order");
    let mut twice = again;
    default(&ty, &mut twice);
    assert_eq!(twice.to_string(), text, "defaulting twice changes nothing");
}

#[test]
fn pods() {
    check(
        "core.v1.Pod",
        "spec: {containers: [{name: a, image: nginx, ports: [{containerPort: 80}]}]}",
        "/spec",
        r#"{"containers":[{"name":"a","image":"nginx","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"Always"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler","enableServiceLinks":true}"#,
    );
    check(
        "core.v1.Pod",
        "spec: {hostNetwork: true, containers: [{name: a, image: 'n:1', ports: [{containerPort: 80}], resources: {limits: {cpu: 1, memory: 1Mi}, requests: {cpu: 500m}, claims: [{name: c}]}}]}",
        "/spec/containers/0",
        r#"{"name":"a","image":"n:1","ports":[{"hostPort":80,"containerPort":80,"protocol":"TCP"}],"resources":{"limits":{"cpu":"1","memory":"1Mi"},"requests":{"cpu":"500m","memory":"1Mi"},"claims":[{"name":"c"}]},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}"#,
    );
    check(
        "core.v1.Pod",
        "spec: {containers: [], volumes: [{name: a}, {name: b, secret: {}}, {name: c, hostPath: {path: /x}}]}",
        "/spec/volumes",
        r#"[{"name":"a","emptyDir":{}},{"name":"b","secret":{"defaultMode":420}},{"name":"c","hostPath":{"path":"/x","type":""}}]"#,
    );
    check(
        "core.v1.Pod",
        "spec: {resources: {limits: {cpu: 2, memory: 1Gi}}, containers: [{name: a, resources: {requests: {cpu: 100m}}}, {name: b, resources: {requests: {cpu: 200m}}}]}",
        "/spec/resources",
        r#"{"limits":{"cpu":"2","memory":"1Gi"},"requests":{"cpu":"300m","memory":"1Gi"}}"#,
    );
}

#[test]
fn templates_do_not_get_what_only_pods_get() {
    check(
        "apps.v1.Deployment",
        "spec: {template: {spec: {hostNetwork: true, containers: [{name: a, image: 'a:1', ports: [{containerPort: 1}], resources: {limits: {cpu: 1}}}]}}}",
        "/spec",
        r#"{"replicas":1,"selector":null,"template":{"metadata":{},"spec":{"containers":[{"name":"a","image":"a:1","ports":[{"containerPort":1,"protocol":"TCP"}],"resources":{"limits":{"cpu":"1"}},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","hostNetwork":true,"securityContext":{},"schedulerName":"default-scheduler"}},"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}},"revisionHistoryLimit":10,"progressDeadlineSeconds":600}"#,
    );
    check(
        "apps.v1.Deployment",
        "spec: {replicas: 0, strategy: {type: Recreate}}",
        "/spec/strategy",
        r#"{"type":"Recreate"}"#,
    );
    check("apps.v1.Deployment", "spec: {replicas: 0}", "/spec/replicas", "0");
}

#[test]
fn services() {
    check(
        "core.v1.Service",
        "spec: {ports: [{port: 80}, {port: 81, targetPort: http}]}",
        "/spec",
        r#"{"ports":[{"protocol":"TCP","port":80,"targetPort":80},{"protocol":"TCP","port":81,"targetPort":"http"}],"type":"ClusterIP","sessionAffinity":"None","internalTrafficPolicy":"Cluster"}"#,
    );
    check(
        "core.v1.Service",
        "spec: {type: LoadBalancer, sessionAffinity: ClientIP}",
        "/spec",
        r#"{"type":"LoadBalancer","sessionAffinity":"ClientIP","externalTrafficPolicy":"Cluster","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":10800}},"allocateLoadBalancerNodePorts":true,"internalTrafficPolicy":"Cluster"}"#,
    );
}

#[test]
fn others() {
    check(
        "batch.v1.Job",
        "spec: {template: {metadata: {labels: {a: b}}, spec: {containers: []}}}",
        "/metadata",
        r#"{"labels":{"a":"b"}}"#,
    );
    check("batch.v1.Job", "spec: {backoffLimitPerIndex: 1}", "/spec/backoffLimit", "2147483647");
    check("core.v1.Namespace", "metadata: {name: ns}", "/metadata/labels", r#"{"kubernetes.io/metadata.name":"ns"}"#);
    check("core.v1.Namespace", "metadata: {name: ns}", "/status", r#"{"phase":"Active"}"#);
    check(
        "rbac.v1.RoleBinding",
        "{roleRef: {kind: Role, name: r}, subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: s}]}",
        "/subjects",
        r#"[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"u"},{"kind":"ServiceAccount","name":"s"}]"#,
    );
    check(
        "apiextensions.v1.CustomResourceDefinition",
        "spec: {names: {kind: Foo, plural: foos}}",
        "/spec/names",
        r#"{"plural":"foos","singular":"foo","kind":"Foo","listKind":"FooList"}"#,
    );
    check("networking.v1.NetworkPolicy", "spec: {egress: [{}]}", "/spec/policyTypes", r#"["Ingress","Egress"]"#);
    check("flowcontrol.v1.FlowSchema", "spec: {}", "/spec/matchingPrecedence", "1000");
    check(
        "autoscaling.v2.HorizontalPodAutoscaler",
        "spec: {maxReplicas: 3, behavior: {scaleDown: {stabilizationWindowSeconds: 5}}}",
        "/spec/behavior",
        r#"{"scaleUp":{"stabilizationWindowSeconds":0,"selectPolicy":"Max","policies":[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]},"scaleDown":{"stabilizationWindowSeconds":5,"selectPolicy":"Max","policies":[{"type":"Percent","value":100,"periodSeconds":15}]}}"#,
    );
    check(
        "apps.v1.StatefulSet",
        "spec: {volumeClaimTemplates: [{metadata: {name: d}}]}",
        "/spec/volumeClaimTemplates/0",
        r#"{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"d"},"spec":{"resources":{},"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}"#,
    );
}
