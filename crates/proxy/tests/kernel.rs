//! Services in the kernel: pods in network namespaces, connections through the rules.
#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

#[path = "../../netfilter/tests/support/namespace.rs"]
mod namespace;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use host::Host;
use informer::Key;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use namespace::{isolated, run};
use netfilter::Socket;
use network::{Attachment, Network, Options};
use nix::sched::{CloneFlags, setns};
use proxy::{Node, State, Tables, fragment};
use serde_json::json;
use tokio::time::Instant;

const INSTANCE: &str = "proxytest";

fn node_addresses() -> Vec<IpAddr> {
    vec!["10.42.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]
}

/// A node with pods and Services.
struct World {
    network: Network,
    tables: Tables,
    state: State,
}

impl World {
    /// Gives a Service these endpoints, all of one family, on port 8080.
    fn set(&mut self, name: &str, spec: serde_json::Value, endpoints: &[String]) {
        let family = if endpoints.iter().any(|address| address.contains(':')) { "IPv6" } else { "IPv4" };
        let service: Service = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let endpoints: Vec<_> =
            endpoints.iter().map(|address| json!({"addresses": [address], "nodeName": "here"})).collect();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {}, "addressType": family, "ports": [{"port": 8080}], "endpoints": endpoints,
        }))
        .unwrap();
        let node = Node { name: "here".into(), addresses: node_addresses() };
        self.state.set(&Key::new(Some("default"), name), 0, fragment(&service, &[Box::new(slice)], &node));
    }

    /// Applies what changed; how long the kernel took.
    fn commit(&mut self) -> Duration {
        let batch = self.tables.update(&self.state.take());
        let start = Instant::now();
        Socket::open().unwrap().apply(&batch).unwrap();
        start.elapsed()
    }

    /// A pod that answers every connection with its name until the test ends.
    async fn server(&self, name: &'static str) -> Attachment {
        let pod = self.network.attach(name).await.unwrap();
        for address in pod.addresses.clone() {
            let address = SocketAddr::new(address, 8080);
            let listener = inside(&pod.netns, move || TcpListener::bind(address).unwrap());
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let peer = stream.peer_addr().unwrap().ip();
                    drop(stream.write_all(format!("{name} {peer}").as_bytes()));
                    std::thread::spawn(move || stream.read(&mut [0; 16]));
                }
            });
        }
        pod
    }
}

fn on_a_node<F, Fut>(test: F)
where
    F: FnOnce(World) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let cidrs = vec!["10.42.0.0/24".parse().unwrap(), "fd00:42::/64".parse().unwrap()];
            let mut options = Options::new(INSTANCE, "here", cidrs.clone(), dir.path().join("network"));
            options.service_cidrs = vec!["10.43.0.0/16".parse().unwrap(), "fd00:43::/112".parse().unwrap()];
            let services = options.service_cidrs.clone();
            let host = Host::system();
            let network = Network::start(options, &host).await.unwrap();
            let tables = Tables::new(INSTANCE, cidrs, services);
            Socket::open().unwrap().apply(&tables.rebuild(&[])).unwrap();
            test(World { network, tables, state: State::new() }).await;
            assert!(host.tasks.drain(Duration::from_secs(10)).await);
            proxy::cleanup(INSTANCE).unwrap();
            Network::cleanup(INSTANCE, &dir.path().join("network")).await.unwrap();
        });
        assert!(!run("nft list ruleset").contains("coracle"), "tables are left");
    });
}

/// Runs `work` on a thread in the namespace of a pod.
fn inside<T: Send + 'static>(netns: &Path, work: impl FnOnce() -> T + Send + 'static) -> T {
    let netns = std::fs::File::open(netns).unwrap();
    let enter = move || {
        setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
        work()
    };
    std::thread::spawn(enter).join().unwrap()
}

fn connect(address: &str) -> std::io::Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_secs(5))?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer)?;
    Ok((stream, String::from_utf8_lossy(&answer[..length]).into_owned()))
}

/// Who answers `count` connections, and as whom the client is seen.
fn ask(address: &str, count: usize) -> BTreeSet<String> {
    (0..count).map(|_| connect(address).unwrap().1).collect()
}

fn plain(address: &str) -> serde_json::Value {
    json!({"clusterIP": address, "ports": [{"port": 80}]})
}

fn texts(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(ToString::to_string).collect()
}

#[test]
fn connections_spread_over_endpoints() {
    on_a_node(|mut world| async move {
        let (one, two) = (world.server("one").await, world.server("two").await);
        let client = world.network.attach("client").await.unwrap();
        let addresses = [one.addresses[0].to_string(), two.addresses[0].to_string()];
        world.set("web", plain("10.43.0.9"), &addresses);
        world.commit();
        assert_eq!(ask("10.43.0.9:80", 40), texts(&["one 10.42.0.1", "two 10.42.0.1"]), "from the node");
        let seen = inside(&client.netns, || ask("10.43.0.9:80", 40));
        let source = client.addresses[0];
        assert_eq!(seen, texts(&[&format!("one {source}"), &format!("two {source}")]), "from a pod, which is seen");
        world.set("web", plain("10.43.0.9"), &addresses[..1]);
        world.commit();
        let itself = inside(&one.netns, || ask("10.43.0.9:80", 3));
        assert_eq!(itself, texts(&["one 10.42.0.1"]), "a pod reaches itself, masqueraded");
    });
}

#[test]
fn ipv6_is_alike() {
    on_a_node(|mut world| async move {
        let (one, two) = (world.server("one").await, world.server("two").await);
        let client = world.network.attach("client").await.unwrap();
        let addresses = [one.addresses[1].to_string(), two.addresses[1].to_string()];
        world.set("web", plain("fd00:43::9"), &addresses);
        world.commit();
        let seen = inside(&client.netns, || ask("[fd00:43::9]:80", 40));
        let source = client.addresses[1];
        assert_eq!(seen, texts(&[&format!("one {source}"), &format!("two {source}")]));
        let spec = json!({"clusterIP": "fd00:43::9", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]});
        world.set("web", spec, &addresses);
        world.commit();
        assert_eq!(inside(&client.netns, || ask("[fd00:43::9]:80", 30)).len(), 1, "affinity");
        world.set("web", plain("fd00:43::9"), &addresses[..1]);
        world.commit();
        assert_eq!(inside(&one.netns, || ask("[fd00:43::9]:80", 3)), texts(&["one fd00:42::1"]), "itself");
    });
}

#[test]
fn clients_without_endpoints_are_refused() {
    on_a_node(|mut world| async move {
        let client = world.network.attach("client").await.unwrap();
        world.set("web", plain("10.43.0.9"), &[]);
        world.commit();
        let refused = || connect("10.43.0.9:80").map(drop).map_err(|error| error.kind());
        assert_eq!(refused(), Err(ErrorKind::ConnectionRefused), "from the node");
        assert_eq!(inside(&client.netns, refused), Err(ErrorKind::ConnectionRefused), "from a pod");
        let unknown = || connect("10.43.7.7:80").map(drop).map_err(|error| error.kind());
        assert_eq!(inside(&client.netns, unknown), Err(ErrorKind::ConnectionRefused), "an address of no Service");
        let server = world.server("one").await;
        world.set("web", plain("10.43.0.9"), &[server.addresses[0].to_string()]);
        world.commit();
        assert_eq!(ask("10.43.0.9:80", 3), texts(&["one 10.42.0.1"]));
    });
}

#[test]
fn affinity_holds_until_the_endpoint_is_gone() {
    on_a_node(|mut world| async move {
        let pods = [world.server("one").await, world.server("two").await, world.server("three").await];
        let addresses: Vec<String> = pods.iter().map(|pod| pod.addresses[0].to_string()).collect();
        let spec = json!({"clusterIP": "10.43.0.9", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]});
        world.set("web", spec.clone(), &addresses);
        world.commit();
        let chosen = ask("10.43.0.9:80", 30);
        assert_eq!(chosen.len(), 1, "{chosen:?}");
        let left: Vec<String> = (0..3)
            .filter(|n| !chosen.iter().any(|answer| answer.starts_with(["one", "two", "three"][*n])))
            .map(|n| addresses[n].clone())
            .collect();
        assert_eq!(left.len(), 2);
        world.set("web", spec.clone(), &left);
        world.commit();
        let next = ask("10.43.0.9:80", 30);
        assert_eq!(next.len(), 1, "{next:?}");
        assert_ne!(next, chosen);
        world.set("web", spec, &addresses);
        world.commit();
        assert_eq!(ask("10.43.0.9:80", 30), next, "more endpoints do not move a client");
    });
}

#[test]
fn node_ports_answer_on_the_node() {
    on_a_node(|mut world| async move {
        let server = world.server("one").await;
        let client = world.network.attach("client").await.unwrap();
        let spec = |policy| {
            json!({"type": "NodePort", "clusterIP": "10.43.0.9", "externalTrafficPolicy": policy,
                   "ports": [{"port": 80, "nodePort": 30080}]})
        };
        for policy in ["Cluster", "Local"] {
            world.set("web", spec(policy), &[server.addresses[0].to_string()]);
            world.commit();
            assert_eq!(ask("10.42.0.1:30080", 3).len(), 1, "{policy}: from the node");
            assert_eq!(ask("127.0.0.1:30080", 3).len(), 1, "{policy}: on the loopback address");
            let seen = inside(&client.netns, || ask("10.42.0.1:30080", 3));
            let source = if policy == "Local" { client.addresses[0].to_string() } else { "10.42.0.1".into() };
            assert_eq!(seen, texts(&[&format!("one {source}")]), "{policy}: from a pod");
        }
    });
}

#[test]
fn changes_of_one_service_leave_connections_of_others_alone() {
    on_a_node(|mut world| async move {
        let (one, two) = (world.server("one").await, world.server("two").await);
        world.set("kept", plain("10.43.0.8"), &[one.addresses[0].to_string()]);
        world.set("changing", plain("10.43.0.9"), &[two.addresses[0].to_string()]);
        world.commit();
        let (mut open, _) = connect("10.43.0.8:80").unwrap();
        for round in 0..10 {
            let endpoints = [one.addresses[0].to_string(), two.addresses[0].to_string()];
            world.set("changing", plain("10.43.0.9"), &endpoints[..round % 3]);
            world.commit();
            assert_eq!(ask("10.43.0.8:80", 1).len(), 1);
        }
        Socket::open().unwrap().apply(&world.tables.rebuild(&world.state.whole())).unwrap();
        open.write_all(b"still here").unwrap();
        open.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(open.read(&mut [0; 1]).unwrap(), 0, "the server answers by closing, not by a reset");
    });
}
