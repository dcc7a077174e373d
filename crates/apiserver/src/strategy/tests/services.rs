//! Services and what they draw from the pools.

use serde_json::json;

use super::{Bench, check, check_update, with_bench};

const SERVICE: &str = "core.v1.Service";

#[track_caller]
fn service(spec: &str, errors: &[&str]) {
    check(SERVICE, &format!("spec: {{{spec}}}"), errors);
}

#[test]
fn good_ones() {
    service("ports: [{port: 80}], selector: {a: b}", &[]);
    service("clusterIP: None, selector: {a: b}", &[]);
    service("type: ExternalName, externalName: example.com", &[]);
    service("type: NodePort, ports: [{port: 80, nodePort: 30080}]", &[]);
    service("type: LoadBalancer, ports: [{port: 80, name: a}, {port: 80, protocol: UDP, name: b}]", &[]);
}

#[test]
fn bad_ones() {
    service("selector: {a: b}", &["spec.ports: Required value"]);
    service(
        "type: Magic, ports: [{port: 80}]",
        &[
            "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
    service(
        "ports: [{port: 80}, {port: 80, name: a}, {port: 0, name: a, protocol: X}]",
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[2].name: Duplicate value: \"a\"",
            "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[2].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
        ],
    );
    service(
        "ports: [{port: 80, nodePort: 30000}]",
        &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    );
    service("type: ExternalName", &["spec.externalName: Required value"]);
    service(
        "type: NodePort, ports: [{port: 80, nodePort: 80}]",
        &[
            "Service \"x\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ],
    );
    service(
        "clusterIP: 1.2.3.4, ports: [{port: 80}]",
        &[
            "Service \"x\" is invalid: spec.clusterIPs: Invalid value: [\"1.2.3.4\"]: failed to allocate IP 1.2.3.4: the provided IP (1.2.3.4) is not in the valid range. The range of valid IPs is 10.43.0.0/24",
        ],
    );
    service(
        "ipFamilies: [IPv6], ports: [{port: 80}]",
        &["Service \"x\" is invalid: spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"],
    );
}

#[test]
fn addresses_and_ports_are_filled_in() {
    with_bench(|bench| {
        let (service, errors) = bench.create(SERVICE, "spec: {type: NodePort, ports: [{port: 80}]}");
        assert_eq!(errors, [""; 0]);
        let spec = &service["spec"];
        assert!(spec["clusterIP"].as_str().is_some_and(|address| address.starts_with("10.43.0.")));
        assert_eq!(spec["clusterIPs"], json!([spec["clusterIP"]]));
        assert_eq!((&spec["ipFamilies"], &spec["ipFamilyPolicy"]), (&json!(["IPv4"]), &json!("SingleStack")));
        assert!(spec["ports"][0]["nodePort"].as_u64().is_some_and(|port| (30_000..=32_767).contains(&port)));
        assert_eq!(service["status"], json!({"loadBalancer": {}}));
    });
}

#[test]
fn what_is_taken_cannot_be_taken_again() {
    with_bench(|bench| {
        let first =
            "metadata: {name: a}\nspec: {clusterIP: 10.43.0.10, type: NodePort, ports: [{port: 53, nodePort: 30053}]}";
        let (object, errors) = bench.create(SERVICE, first);
        assert_eq!(errors, [""; 0]);
        for (spec, expected) in [
            (
                "clusterIP: 10.43.0.10, ports: [{port: 53}]",
                "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.43.0.10\"]: failed to allocate IP 10.43.0.10: provided IP is already allocated",
            ),
            (
                "type: NodePort, ports: [{port: 53, nodePort: 30053}]",
                "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30053: provided port is already allocated",
            ),
        ] {
            let second = format!("metadata: {{name: b}}\nspec: {{{spec}}}");
            assert_eq!(bench.create(SERVICE, &second).1, [expected]);
        }
        super::strategy(SERVICE).released(&bench.context(""), &object);
        let second =
            "metadata: {name: b}\nspec: {clusterIP: 10.43.0.10, type: NodePort, ports: [{port: 53, nodePort: 30053}]}";
        assert_eq!(bench.create(SERVICE, second).1, [""; 0]);
    });
}

#[test]
fn updates_keep_what_was_allocated() {
    with_bench(|bench| {
        let (old, _) = bench.create(SERVICE, "spec: {type: NodePort, ports: [{port: 80}]}");
        let (new, errors) =
            bench.update(SERVICE, "", &old, "spec: {type: NodePort, ports: [{port: 80, targetPort: 8080}]}");
        assert_eq!(errors, [""; 0]);
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            assert_eq!(new["spec"][field], old["spec"][field], "{field}");
        }
        assert_eq!(new["spec"]["ports"][0]["nodePort"], old["spec"]["ports"][0]["nodePort"]);
    });
}

#[test]
fn a_change_of_type_gives_back() {
    with_bench(|bench| {
        let (old, _) = bench.create(SERVICE, "spec: {type: NodePort, ports: [{port: 80, nodePort: 31000}]}");
        let kept = old["spec"]["clusterIP"].as_str().unwrap().to_owned();
        let same = format!("spec: {{clusterIP: {kept}, clusterIPs: [{kept}], ports: [{{port: 80, nodePort: 31000}}]}}");
        let (plain, errors) = bench.update(SERVICE, "", &old, &same);
        assert_eq!(errors, [""; 0]);
        assert_eq!(plain["spec"]["ports"][0].get("nodePort"), None);
        let other = "metadata: {name: other}\nspec: {type: NodePort, ports: [{port: 80, nodePort: 31000}]}";
        assert_eq!(bench.create(SERVICE, other).1, [""; 0]);
    });
}

#[test]
fn addresses_do_not_change() {
    const OLD: &str = "spec: {clusterIP: 10.43.0.20, ports: [{port: 80}]}";
    check_update(
        SERVICE,
        "",
        OLD,
        "spec: {clusterIP: 10.43.0.21, ports: [{port: 80}]}",
        &["spec.clusterIPs[0]: Invalid value: [\"10.43.0.21\"]: may not change once set"],
    );
    check_update(SERVICE, "", OLD, "spec: {type: ExternalName, externalName: a.b}", &[]);
}

#[tokio::test(start_paused = true)]
async fn dual_stack() {
    let bench = Bench::new(&["10.43.0.0/24", "fd00:43::/112"]);
    for (spec, families, addresses) in [
        ("", json!(["IPv4"]), 1),
        ("ipFamilyPolicy: PreferDualStack,", json!(["IPv4", "IPv6"]), 2),
        ("ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6],", json!(["IPv6", "IPv4"]), 2),
        ("ipFamilies: [IPv6],", json!(["IPv6"]), 1),
    ] {
        let (service, errors) = bench.create(SERVICE, &format!("spec: {{{spec} ports: [{{port: 80}}]}}"));
        assert_eq!(errors, [""; 0], "{spec}");
        assert_eq!(service["spec"]["ipFamilies"], families, "{spec}");
        assert_eq!(service["spec"]["clusterIPs"].as_array().map(Vec::len), Some(addresses), "{spec}");
    }
}
