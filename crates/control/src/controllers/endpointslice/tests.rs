//! Services and their slices in a simulated world.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use proptest::prelude::*;

use super::CONTROLLER;
use crate::sim::Sim;

/// Rounds in which a service settles once nothing changes from outside.
const ROUNDS: usize = 3;

const SERVICE: &str = "- {kind: Service, metadata: {namespace: ns, name: web, labels: {team: a}}, spec: {selector: {app: web}, \
    clusterIP: 10.0.0.1, ports: [{name: http, port: 80, targetPort: web}]}}\n";

fn pod(name: &str, ip: &str, rest: &str) -> String {
    format!(
        "- {{kind: Pod, metadata: {{namespace: ns, name: {name}, labels: {{app: web}}}}, spec: {{nodeName: node-1, \
         containers: [{{name: c, ports: [{{name: web, containerPort: 8080}}]}}]}}, status: {{podIP: {ip}, {rest}}}}}\n"
    )
}

const READY: &str = "conditions: [{type: Ready, status: 'True'}]";

fn sim(world: &str) -> Sim {
    Sim::new(&[&CONTROLLER], world)
}

/// Slices as `port: address/ready/serving/terminating …`, sorted.
fn check(world: &str, expected: &[&str]) {
    let mut sim = sim(world);
    sim.settle(ROUNDS);
    assert_eq!(slices(&sim), expected);
}

fn slices(sim: &Sim) -> Vec<String> {
    let flag = |flag: Option<bool>| if flag == Some(true) { '+' } else { '-' };
    let mut all: Vec<String> = sim
        .all::<EndpointSlice>()
        .iter()
        .map(|slice| {
            let ports: Vec<String> = slice.ports.iter().flatten().map(|port| port.port.unwrap().to_string()).collect();
            let endpoints = slice.endpoints.iter().flatten().map(|endpoint| {
                let conditions = endpoint.conditions.clone().unwrap();
                let flags: String =
                    [conditions.ready, conditions.serving, conditions.terminating].map(flag).iter().collect();
                format!(" {}{flags}", endpoint.addresses[0])
            });
            format!("{}:{}", ports.join(","), endpoints.collect::<String>())
        })
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn ready_and_unready_pods() {
    let pods =
        [pod("a", "10.1.0.1", READY), pod("b", "10.1.0.2", ""), pod("c", "10.1.0.3", "phase: Succeeded")].concat();
    check(&(SERVICE.to_owned() + &pods), &["8080: 10.1.0.1++- 10.1.0.2---"]);
    let regardless = SERVICE.replace("ports:", "publishNotReadyAddresses: true, ports:");
    check(&(regardless + &pods), &["8080: 10.1.0.1++- 10.1.0.2+--"]);
}

#[test]
fn leaving_pods_still_serve() {
    let leaving =
        pod("a", "10.1.0.1", READY).replace("name: a,", "name: a, deletionTimestamp: '2026-01-01T00:00:00Z',");
    check(&(SERVICE.to_owned() + &leaving), &["8080: 10.1.0.1-++"]);
}

#[test]
fn a_service_without_pods_has_an_empty_slice() {
    let mut sim = sim(SERVICE);
    sim.settle(ROUNDS);
    assert_eq!(slices(&sim), [":"]);
    let labels = sim.all::<EndpointSlice>()[0].metadata.labels.clone().unwrap();
    let expected = [
        ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"),
        ("kubernetes.io/service-name", "web"),
        ("team", "a"),
    ];
    assert_eq!(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
}

#[test]
fn ports_by_name_group_pods() {
    let other = pod("b", "10.1.0.2", READY).replace("8080", "9090");
    check(&[SERVICE, &pod("a", "10.1.0.1", READY), &other].concat(), &["8080: 10.1.0.1++-", "9090: 10.1.0.2++-"]);
}

#[test]
fn services_without_selector_are_left_alone() {
    check(&SERVICE.replace("selector: {app: web},", ""), &[]);
    check(&SERVICE.replace("selector:", "type: ExternalName, selector:"), &[]);
}

#[test]
fn headless_services_without_ports_have_addresses() {
    let headless =
        SERVICE.replace("10.0.0.1", "None").replace("ports: [{name: http, port: 80, targetPort: web}]", "ports: []");
    check(&[&headless, &*pod("a", "10.1.0.1", READY)].concat(), &[": 10.1.0.1++-"]);
}

#[test]
fn families_have_slices_of_their_own() {
    let both = SERVICE.replace("clusterIP:", "ipFamilies: [IPv4, IPv6], clusterIP:");
    let pod = pod("a", "10.1.0.1", READY).replace("podIP: 10.1.0.1", "podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]");
    check(&(both + &pod), &["8080: 10.1.0.1++-", "8080: fd00::1++-"]);
}

#[test]
fn slices_are_bounded_and_changes_touch_few() {
    let pods: String =
        (0..250).map(|n| pod(&format!("p{n}"), &format!("10.1.{}.{}", n / 200, n % 200 + 1), READY)).collect();
    let mut sim = sim(&(SERVICE.to_owned() + &pods));
    sim.settle(ROUNDS);
    let mut sizes: Vec<usize> =
        sim.all::<EndpointSlice>().iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    let target = crate::resource::Target::of(&*sim.all::<Pod>()[7]);
    sim.delete(&target);
    assert_eq!(sim.settle(ROUNDS).len(), 1, "one slice changes");
}

proptest! {
    /// However pods come and go, every pod with an address is in exactly one slice.
    #[test]
    fn slices_settle(pods in prop::collection::btree_map(0..30_u8, (any::<bool>(), any::<bool>()), 0..20), gone in prop::collection::vec(0..30_u8, 0..10)) {
        let world: String = pods.iter().map(|(n, (ready, other))| {
            let pod = pod(&format!("p{n}"), &format!("10.1.0.{}", n + 1), if *ready { READY } else { "" });
            if *other { pod.replace("8080", "9090") } else { pod }
        }).collect();
        let mut sim = sim(&(SERVICE.to_owned() + &world));
        sim.settle(ROUNDS);
        for n in &gone {
            let all = sim.all::<Pod>();
            if let Some(pod) = all.iter().find(|pod| pod.metadata.name == Some(format!("p{n}"))) {
                sim.delete(&crate::resource::Target::of(&**pod));
            }
        }
        sim.settle(ROUNDS);
        let slices = sim.all::<EndpointSlice>();
        let mut served: Vec<String> = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()).map(|endpoint| endpoint.addresses[0].clone()).collect();
        served.sort_unstable();
        let mut expected: Vec<String> = pods.keys().filter(|n| !gone.contains(n)).map(|n| format!("10.1.0.{}", n + 1)).collect();
        expected.sort_unstable();
        prop_assert_eq!(served, expected);
        prop_assert!(!slices.is_empty());
    }
}
