//! Everything else.

use serde_json::json;

use super::{check, check_update, strategy, with_bench};

#[test]
fn config_maps() {
    let check = |yaml: &str, errors: &[&str]| check("core.v1.ConfigMap", yaml, errors);
    check("data: {a: b}", &[]);
    check(
        "{data: {a: b}, binaryData: {a: AAAA}}",
        &["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
    );
    check(
        "data: {'a/b': c}",
        &[
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ],
    );
    check(
        &format!("data: {{a: {}}}", "x".repeat((1 << 20) + 1)),
        &["[]: Too long: may not be more than 1048576 bytes"],
    );
    const FROZEN: &str = "{immutable: true, data: {a: b}}";
    check_update("core.v1.ConfigMap", "", FROZEN, FROZEN, &[]);
    check_update(
        "core.v1.ConfigMap",
        "",
        FROZEN,
        "{immutable: false, data: {a: c}}",
        &[
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
}

#[test]
fn secrets() {
    let check = |yaml: &str, errors: &[&str]| check("core.v1.Secret", yaml, errors);
    check("data: {a: AAAA}", &[]);
    check("type: kubernetes.io/tls\ndata: {tls.crt: AAAA}", &["data[tls.key]: Required value"]);
    check("type: kubernetes.io/basic-auth", &["data[username]: Required value", "data[password]: Required value"]);
    check(
        "type: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: AAAA}",
        &[
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character '\\x00' looking for beginning of value",
        ],
    );
    check(
        "type: kubernetes.io/service-account-token",
        &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
    );
    check_update("core.v1.Secret", "", "type: a", "type: b", &["type: Invalid value: \"b\": field is immutable"]);
    with_bench(|bench| {
        let (secret, _) = bench.create("core.v1.Secret", "{stringData: {a: hello}, data: {a: AAAA, b: AAAA}}");
        assert_eq!((&secret["data"], secret.get("stringData")), (&json!({"a": "aGVsbG8=", "b": "AAAA"}), None));
    });
}

#[test]
fn namespaces() {
    with_bench(|bench| {
        let (namespace, errors) = bench.create("core.v1.Namespace", "metadata: {name: dev}");
        assert_eq!(errors, [""; 0]);
        assert_eq!(namespace["status"]["phase"], "Active");
        assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
        assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "dev");
        let (kind, context) = (strategy("core.v1.Namespace"), bench.context(""));
        assert!(!kind.may_go(&namespace));
        let (finalized, _) =
            bench.update("core.v1.Namespace", "finalize", &namespace, "metadata: {name: dev}\nspec: {finalizers: []}");
        assert!(kind.may_go(&finalized));
        let mut deleted = namespace.clone();
        kind.mark_deleted(&context, &mut deleted);
        assert_eq!(deleted["status"]["phase"], "Terminating");
        let (kept, _) =
            bench.update("core.v1.Namespace", "", &namespace, "metadata: {name: dev}\nspec: {finalizers: []}");
        assert_eq!(kept["spec"], namespace["spec"]);
    });
    let kind = strategy("core.v1.Namespace");
    assert!(kind.check_name("a.b", false).len() == 1 && kind.check_name("a-", true).is_empty());
}

#[test]
fn nodes() {
    const NODE: &str = "spec: {podCIDR: 10.0.0.0/24, podCIDRs: [10.0.0.0/24], providerID: a}";
    check(
        "core.v1.Node",
        "spec: {taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]}",
        &[
            "metadata.taints[1]: Duplicate value: {\"Key\":\"a\",\"Value\":\"\",\"Effect\":\"NoSchedule\",\"TimeAdded\":null}: taints must be unique by key and effect pair",
        ],
    );
    check_update(
        "core.v1.Node",
        "",
        NODE,
        "spec: {podCIDR: 10.0.1.0/24, podCIDRs: [10.0.1.0/24], providerID: b}",
        &[
            "spec.podCIDRs: Forbidden: node updates may not change podCIDR except from \"\" to valid",
            "spec.providerID: Forbidden: node updates may not change providerID except from \"\" to valid",
        ],
    );
    check_update("core.v1.Node", "", "{}", NODE, &[]);
}

#[test]
fn slices_and_leases() {
    check(
        "discovery.v1.EndpointSlice",
        "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: [{port: 80}]",
        &[],
    );
    check(
        "discovery.v1.EndpointSlice",
        "addressType: IPv4\nendpoints: [{addresses: []}, {addresses: ['2001:db8::1']}]",
        &[
            "endpoints[0].addresses: Required value: must contain at least 1 address",
            "endpoints[1].addresses: Invalid value: \"2001:db8::1\": must be an IPv4 address",
        ],
    );
    check(
        "coordination.v1.Lease",
        "spec: {leaseDurationSeconds: 0, leaseTransitions: -1}",
        &[
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
        ],
    );
    check(
        "core.v1.Endpoints",
        "subsets: [{ports: [{port: 80}]}]",
        &["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
    );
}

#[test]
fn names_by_kind() {
    for (kind, name, good) in [
        ("core.v1.Pod", "a.b", true),
        ("core.v1.Service", "1a", true),
        ("core.v1.Service", "a1", true),
        ("rbac.v1.ClusterRole", "system:node", true),
        ("rbac.v1.ClusterRole", "a/b", false),
        ("networking.v1.IPAddress", "10.0.0.1", true),
        ("networking.v1.IPAddress", "x", false),
    ] {
        assert_eq!(strategy(kind).check_name(name, false).is_empty(), good, "{kind} {name}");
    }
}
