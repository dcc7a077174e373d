//! Services and slices as text in, rule set as text out.
#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

use std::collections::BTreeSet;

use informer::Key;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use proptest::prelude::*;
use proxy::{
    Backend, Balance, ChainSpec, Fragment, FrontKey, Frontend, Item, Masquerade, Node, Protocol, State, fragment,
};

fn node() -> Node {
    Node { name: "here".into(), addresses: vec!["10.42.0.1".parse().unwrap()] }
}

/// The rule set of the Service (first document) with the slices (the others), without chains.
fn rules(yaml: &str) -> Vec<String> {
    let mut documents = yaml.split("---\n");
    let service: Service = serde_saphyr::from_str(documents.next().unwrap()).unwrap();
    let slices: Vec<Box<EndpointSlice>> =
        documents.map(|text| Box::new(serde_saphyr::from_str(text).unwrap())).collect();
    let mut state = State::new();
    state.set(&Key::new(Some("default"), "web"), 0, fragment(&service, &slices, &node()));
    let items = state.whole();
    items.iter().filter(|item| !matches!(item, Item::Chain(..))).map(ToString::to_string).collect()
}

#[track_caller]
fn check(spec: &str, endpoints: &str, expected: &[&str]) {
    assert_eq!(rules(&format!("spec: {spec}\n---\n{}", slice(endpoints))), expected);
}

fn slice(endpoints: &str) -> String {
    format!("addressType: IPv4\nmetadata: {{}}\nports: [{{name: http, port: 8080}}]\nendpoints: [{endpoints}]\n")
}

const SPEC: &str = "{type: ClusterIP, clusterIP: 10.43.0.9, ports: [{name: http, port: 80}]}";
const TWO: &str = "{addresses: [10.42.0.5], nodeName: here}, {addresses: [10.42.1.6], nodeName: there}";

#[test]
fn a_cluster_ip_with_two_endpoints() {
    check(
        SPEC,
        TWO,
        &[
            "services: 10.43.0.9 . tcp . 80 -> balance-2-strangers",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.0.5:8080",
            "endpoints: 10.43.0.9 . tcp . 80 . 1 -> 10.42.1.6:8080",
            "hairpin: 10.42.0.5",
        ],
    );
}

#[test]
fn without_endpoints_clients_are_told() {
    check(SPEC, "", &["refused: 10.43.0.9 . tcp . 80 -> reject"]);
    check(
        SPEC,
        "{addresses: [10.42.0.5], conditions: {ready: false, serving: false}}",
        &["refused: 10.43.0.9 . tcp . 80 -> reject"],
    );
}

#[test]
fn terminating_endpoints_serve_when_nobody_else_does() {
    let leaving = "{addresses: [10.42.0.7], conditions: {ready: false, serving: true, terminating: true}}";
    check(
        SPEC,
        leaving,
        &[
            "services: 10.43.0.9 . tcp . 80 -> balance-1-strangers",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.0.7:8080",
        ],
    );
    let one = format!("{{addresses: [10.42.1.6]}}, {leaving}");
    check(
        SPEC,
        &one,
        &[
            "services: 10.43.0.9 . tcp . 80 -> balance-1-strangers",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.1.6:8080",
        ],
    );
}

#[test]
fn services_without_their_own_address_need_nothing() {
    for spec in [
        "{clusterIP: None, ports: [{name: http, port: 80}]}",
        "{type: ExternalName, externalName: example.com}",
        "{ports: [{name: http, port: 80}]}",
        "{clusterIP: 10.43.0.9, ports: []}",
    ] {
        check(spec, TWO, &[]);
    }
    let foreign = "{service.kubernetes.io/service-proxy-name: other}";
    assert!(rules(&format!("metadata: {{labels: {foreign}}}\nspec: {SPEC}\n---\n{}", slice(TWO))).is_empty());
}

#[test]
fn ports_match_by_name_and_protocol() {
    check(
        "{clusterIP: 10.43.0.9, ports: [{name: http, port: 80, protocol: UDP}, {name: other, port: 81}]}",
        TWO,
        &["refused: 10.43.0.9 . tcp . 81 -> reject", "refused: 10.43.0.9 . udp . 80 -> reject"],
    );
}

#[test]
fn node_ports_and_external_addresses_masquerade() {
    check(
        "{type: NodePort, clusterIP: 10.43.0.9, externalIPs: [192.0.2.7], ports: [{name: http, port: 80, nodePort: 30080}]}",
        "{addresses: [10.42.1.6]}",
        &[
            "services: 10.42.0.1 . tcp . 30080 -> balance-1-masquerade",
            "services: 10.43.0.9 . tcp . 80 -> balance-1-strangers",
            "services: 192.0.2.7 . tcp . 80 -> balance-1-masquerade",
            "endpoints: 10.42.0.1 . tcp . 30080 . 0 -> 10.42.1.6:8080",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.1.6:8080",
            "endpoints: 192.0.2.7 . tcp . 80 . 0 -> 10.42.1.6:8080",
        ],
    );
}

#[test]
fn policies_keep_traffic_on_the_node() {
    let spec = "{clusterIP: 10.43.0.9, internalTrafficPolicy: Local, externalTrafficPolicy: Local, \
                ports: [{name: http, port: 80, nodePort: 30080}]}";
    check(
        spec,
        TWO,
        &[
            "services: 10.42.0.1 . tcp . 30080 -> split-balance-2-balance-1-local",
            "services: 10.43.0.9 . tcp . 80 -> balance-1-strangers",
            "endpoints: 10.42.0.1 . tcp . 30080 . 0 -> 10.42.0.5:8080",
            "endpoints: 10.42.0.1 . tcp . 30080 . 1 -> 10.42.1.6:8080",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.0.5:8080",
            "local: 10.42.0.1 . tcp . 30080 . 0 -> 10.42.0.5:8080",
            "hairpin: 10.42.0.5",
        ],
    );
    check(
        spec,
        "{addresses: [10.42.1.6], nodeName: there}",
        &[
            "services: 10.42.0.1 . tcp . 30080 -> split-balance-1",
            "refused: 10.43.0.9 . tcp . 80 -> drop",
            "endpoints: 10.42.0.1 . tcp . 30080 . 0 -> 10.42.1.6:8080",
        ],
    );
}

#[test]
fn affinity_knows_its_members() {
    check(
        "{clusterIP: 10.43.0.9, sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, \
         ports: [{name: http, port: 80}]}",
        "{addresses: [10.42.1.6]}",
        &[
            "services: 10.43.0.9 . tcp . 80 -> balance-1-strangers-affinity-60",
            "endpoints: 10.43.0.9 . tcp . 80 . 0 -> 10.42.1.6:8080",
            "members: 10.43.0.9 . tcp . 80 . 10.42.1.6:8080",
        ],
    );
}

#[test]
fn load_balancers_let_their_ranges_in() {
    let found = rules(&format!(
        "spec: {{type: LoadBalancer, clusterIP: 10.43.0.9, loadBalancerSourceRanges: [192.0.2.0/24], \
         ports: [{{name: http, port: 80}}]}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.1}}, {{ip: 203.0.113.2, ipMode: Proxy}}]}}}}\n---\n{}",
        slice("{addresses: [10.42.1.6]}")
    ));
    assert!(found[1].starts_with("services: 203.0.113.1 . tcp . 80 -> guard-"), "{found:?}");
    assert!(found[1].ends_with("-balance-1-masquerade"), "{found:?}");
    assert!(!found.iter().any(|line| line.contains("203.0.113.2")), "{found:?}");
}

#[test]
fn both_families_stay_apart() {
    let yaml = "spec: {clusterIP: 10.43.0.9, clusterIPs: [10.43.0.9, 'fd00:43::9'], ports: [{name: http, port: 80}]}\n\
                ---\naddressType: IPv6\nmetadata: {}\nports: [{name: http, port: 8080}]\n\
                endpoints: [{addresses: ['fd00:42::5'], nodeName: here}]\n";
    assert_eq!(
        rules(yaml),
        [
            "services: fd00:43::9 . tcp . 80 -> balance-1-strangers",
            "refused: 10.43.0.9 . tcp . 80 -> reject",
            "endpoints: fd00:43::9 . tcp . 80 . 0 -> [fd00:42::5]:8080",
            "hairpin: fd00:42::5",
        ]
    );
}

#[test]
fn the_oldest_service_has_a_disputed_address() {
    let mut state = State::new();
    let wants = |port: u16| simple([(1, vec![port])].into_iter());
    state.set(&Key::new(Some("default"), "young"), 20, wants(1));
    state.set(&Key::new(Some("default"), "old"), 10, wants(2));
    let endpoints = |state: &mut State| -> Vec<String> {
        let items = state.whole();
        items.iter().filter(|item| matches!(item, Item::Endpoint(..))).map(ToString::to_string).collect()
    };
    assert_eq!(endpoints(&mut state), ["endpoints: 10.43.0.1 . tcp . 80 . 0 -> 10.42.0.9:2"]);
    state.remove(&Key::new(Some("default"), "old"));
    assert_eq!(endpoints(&mut state), ["endpoints: 10.43.0.1 . tcp . 80 . 0 -> 10.42.0.9:1"]);
}

/// A fragment with frontends 10.43.0.n and endpoints by port.
fn simple(fronts: impl Iterator<Item = (u8, Vec<u16>)>) -> Fragment {
    let mut fragment = Fragment::default();
    for (last, ports) in fronts {
        let key = FrontKey { address: [10, 43, 0, last].into(), protocol: Protocol::Tcp, port: 80 };
        let unique: BTreeSet<u16> = ports.into_iter().collect();
        let endpoints: Vec<Backend> =
            unique.into_iter().map(|port| Backend { address: [10, 42, 0, 9].into(), port }).collect();
        fragment.hairpin.extend(endpoints.iter().map(|backend| backend.address));
        let balance = Balance {
            endpoints: endpoints.len() as u32,
            local: false,
            masquerade: Masquerade::Strangers,
            affinity: (last % 2 == 0).then_some(60),
        };
        let frontend = match endpoints.len() {
            0 => Frontend::Refused(proxy::Outcome::Reject),
            _ => Frontend::Balanced {
                chain: ChainSpec::Balance(balance),
                endpoints,
                local: Vec::new(),
                affinity: last % 2 == 0,
            },
        };
        fragment.frontends.insert(key, frontend);
    }
    fragment
}

fn fragments() -> impl Strategy<Value = Option<Fragment>> {
    let fronts = proptest::collection::vec((0u8..6, proptest::collection::vec(1u16..6, 0..5)), 0..4);
    proptest::option::weighted(0.8, fronts.prop_map(|fronts| simple(fronts.into_iter())))
}

proptest! {
    /// Changes applied to what was there give what is wanted, however many Services change between two of them, and
    /// remove nothing that is not there.
    #[test]
    fn changes_lead_to_the_whole(steps in proptest::collection::vec((0u8..4, fragments(), any::<bool>()), 1..40)) {
        let mut state = State::new();
        let mut kernel: BTreeSet<Item> = BTreeSet::new();
        let mut last = std::collections::BTreeMap::new();
        for (service, fragment, take) in steps {
            let key = Key::new(Some("default"), &format!("s{service}"));
            last.insert(key.clone(), fragment.clone());
            match fragment {
                Some(fragment) => state.set(&key, i64::from(service), fragment),
                None => state.remove(&key),
            }
            if take {
                let changes = state.take();
                for item in &changes.remove {
                    prop_assert!(kernel.remove(item), "removes what is not there: {}", item);
                }
                for item in changes.add {
                    prop_assert!(kernel.insert(item.clone()), "adds what is there: {}", item);
                }
            }
        }
        let changes = state.take();
        kernel.retain(|item| !changes.remove.contains(item));
        kernel.extend(changes.add);
        let mut fresh = State::new();
        for (key, fragment) in last {
            if let Some(fragment) = fragment {
                let created = i64::from(key.name().as_bytes()[1] - b'0');
                fresh.set(&key, created, fragment);
            }
        }
        let wanted = fresh.whole();
        prop_assert_eq!(&state.whole(), &wanted);
        prop_assert_eq!(kernel.into_iter().collect::<Vec<_>>(), wanted);
    }
}
