//! The role against caches that the test writes and the kernel of a namespace.

#[path = "../../../netfilter/tests/support/namespace.rs"]
mod namespace;

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use host::{OnEnd, RoleState};
use informer::Writer;
use namespace::{isolated, run};
use network::{Attachment, Network};
use nix::sched::{CloneFlags, setns};
use serde_json::json;

use super::*;

const INSTANCE: &str = "roletest";

/// Objects carry rising revisions, as those of a server do.
fn revision() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

fn service(name: &str) -> Service {
    let port = json!({"name": "echo", "port": 53, "protocol": "UDP"});
    let spec = json!({"clusterIP": "10.43.0.9", "ports": [port]});
    serde_json::from_value(
        json!({"metadata": {"namespace": "default", "name": name, "resourceVersion": revision()}, "spec": spec}),
    )
    .unwrap()
}

fn slice(service: &str, address: &str) -> EndpointSlice {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "default",
            "name": "slice",
            "labels": {SERVICE_NAME: service},
            "resourceVersion": revision(),
        },
        "addressType": "IPv4",
        "ports": [{"name": "echo", "port": 5353, "protocol": "UDP"}],
        "endpoints": [{"addresses": [address], "nodeName": "here"}],
    }))
    .unwrap()
}

/// A pod that answers datagrams with its name.
async fn echo(network: &Network, name: &'static str) -> String {
    let Attachment { netns, addresses, .. } = network.attach(name).await.unwrap();
    let address = SocketAddr::new(addresses[0], 5353);
    let netns = std::fs::File::open(netns).unwrap();
    let (bound, ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
        let socket = UdpSocket::bind(address).unwrap();
        bound.send(()).unwrap();
        let mut buffer = [0; 16];
        while let Ok((_, client)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(name.as_bytes(), client));
        }
    });
    ready.recv().unwrap();
    addresses[0].to_string()
}

/// Sends until `wanted` answers: every try is one datagram on the same socket.
#[track_caller]
fn until_answer(socket: &UdpSocket, wanted: &str) {
    let mut answer = [0; 16];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while tokio::time::Instant::now() < deadline {
        drop(socket.send(b"?"));
        if let Ok(length) = socket.recv(&mut answer)
            && &answer[..length] == wanted.as_bytes()
        {
            return;
        }
    }
    panic!("{wanted} never answered");
}

async fn story(state_dir: std::path::PathBuf) {
    let host = Host::system();
    let cidr: IpNet = "10.42.0.0/24".parse().unwrap();
    let services_cidr: IpNet = "10.43.0.0/16".parse().unwrap();
    let mut options = network::Options::new(INSTANCE, "here", vec![cidr], state_dir.clone());
    options.service_cidrs = vec![services_cidr];
    let network = Network::start(options, &host).await.unwrap();
    let (one, two) = (echo(&network, "one").await, echo(&network, "two").await);

    let (services, service_cache): (Writer<Service>, _) = Cache::detached();
    let (slices, slice_cache): (Writer<EndpointSlice>, _) = Cache::detached();
    services.apply(service("dns"));
    let node = Node { name: "here".into(), addresses: Vec::new() };
    let sources = Sources::from_caches(service_cache, slice_cache, node);
    let program = Program::with(Tables::new(INSTANCE, vec![cidr], vec![services_cidr]));
    let (ready, mut state) = Ready::new();
    let shutdown = host.shutdown();
    host.tasks.spawn("proxy", OnEnd::Expected, async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            outcome = follow(sources, program, &ready) => outcome.unwrap(),
        }
    });
    state.wait_for(|state| *state == RoleState::Ready).await.unwrap();

    let socket = UdpSocket::bind("10.42.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(25))).unwrap();
    socket.connect("10.43.0.9:53").unwrap();
    drop(socket.send(b"nobody is there yet"));
    slices.apply(slice("dns", &one));
    until_answer(&socket, "one");
    slices.apply(slice("dns", &two));
    until_answer(&socket, "two");
    slices.apply(slice("other", &two));
    services.remove(&service("dns"));
    services.apply(service("other"));
    slices.apply(slice("other", &one));
    until_answer(&socket, "one");

    // Somebody else takes our table away: the next change brings everything back.
    run(&format!("nft delete table ip coracle-{INSTANCE}-services"));
    slices.apply(slice("other", &two));
    until_answer(&socket, "two");
    assert!(host.tasks.drain(Duration::from_secs(10)).await);
    cleanup(INSTANCE).unwrap();
    Network::cleanup(INSTANCE, &state_dir).await.unwrap();
}

#[test]
fn datagrams_follow_the_endpoints() {
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(story(dir.path().join("network")));
        assert!(!run("nft list ruleset").contains("coracle"), "tables are left");
    });
}
