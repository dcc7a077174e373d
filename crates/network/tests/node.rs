//! The pod network in a namespace that stands for a node.
#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

#[path = "../../netfilter/tests/support/namespace.rs"]
mod namespace;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::Host;
use namespace::{isolated, run};
use network::{HostPort, Network, Options, Protocol};
use nix::sched::{CloneFlags, setns};

const INSTANCE: &str = "test";

fn options(state_dir: &Path, cidrs: &[&str]) -> Options {
    let cidrs = cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect();
    let mut options = Options::new(INSTANCE, "node", cidrs, state_dir.to_path_buf());
    options.service_cidrs = vec!["10.43.0.0/16".parse().unwrap()];
    options.pool = 2;
    options
}

/// Runs a test as a node: isolated, with a runtime whose threads are inside, and a directory for its state.
fn on_a_node<F, Fut>(test: F)
where
    F: FnOnce(PathBuf) -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    isolated(|| {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("network");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            test(state.clone()).await;
            Network::cleanup(INSTANCE, &state).await.unwrap();
            assert_eq!(Network::remains(INSTANCE).await.unwrap(), Vec::<String>::new());
        });
        assert!(!run("cat /proc/self/mountinfo").contains(dir.path().to_str().unwrap()), "mounts are left");
        assert!(!state.exists());
        assert!(!run("ip link").contains("cor"), "links are left");
        assert!(!run("nft list ruleset").contains("coracle"), "tables are left");
        assert!(!run("ip addr show lo").contains("10.42.0.1"), "the gateway is left");
        assert_eq!(run("ip route"), "");
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

/// Answers one connection on `address` with the peer's address.
fn serve_once(listener: &TcpListener) {
    let (mut stream, peer) = listener.accept().unwrap();
    stream.write_all(peer.ip().to_string().as_bytes()).unwrap();
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    ask_within(address, Duration::from_secs(10))
}

fn ask_within(address: SocketAddr, limit: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn listen(address: impl Into<SocketAddr>) -> TcpListener {
    TcpListener::bind(address.into()).unwrap()
}

#[test]
fn pods_reach_each_other_and_their_node() {
    on_a_node(|state| async move {
        let host = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/24", "fd00:42::/64"]), &host).await.unwrap();
        let one = network.attach("one").await.unwrap();
        let two = network.attach("two").await.unwrap();
        assert_eq!(one.addresses, ["10.42.0.2".parse::<IpAddr>().unwrap(), "fd00:42::2".parse().unwrap()]);
        for family in 0..2 {
            let target = SocketAddr::new(two.addresses[family], 8080);
            let listener = inside(&two.netns, move || listen(target));
            let server = std::thread::spawn(move || (0..2).for_each(|_| serve_once(&listener)));
            let seen = inside(&one.netns, move || ask(target)).unwrap();
            assert_eq!(seen, one.addresses[family].to_string(), "pods see each other's addresses");
            assert_eq!(ask(target).unwrap(), network.gateways()[family].to_string(), "the node comes from its gateway");
            server.join().unwrap();
            let gateway = SocketAddr::new(network.gateways()[family], 10250);
            let listener = listen(gateway);
            let server = std::thread::spawn(move || serve_once(&listener));
            assert_eq!(inside(&one.netns, move || ask(gateway)).unwrap(), one.addresses[family].to_string());
            server.join().unwrap();
        }
        assert!(host.tasks.drain(Duration::from_secs(5)).await);
    });
}

#[test]
fn what_remains_is_found_without_files() {
    on_a_node(|state| async move {
        let host = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/24"]), &host).await.unwrap();
        let one = network.attach("one").await.unwrap();
        assert!(host.tasks.drain(Duration::from_secs(5)).await);
        std::fs::remove_file(state.join("setup.json")).unwrap();
        let remains = Network::remains(INSTANCE).await.unwrap();
        for expected in [format!("link {}", one.host_link), "address 10.42.0.1 on lo".into()] {
            assert!(remains.contains(&expected), "{expected} is missing in {remains:?}");
        }
        assert!(remains.iter().any(|line| line == "nftables table inet coracle-test-pods"), "{remains:?}");
        assert_eq!(Network::remains("another").await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn leases_survive_a_restart_and_detach_frees() {
    on_a_node(|state| async move {
        let first = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/29"]), &first).await.unwrap();
        let kept = network.attach("kept").await.unwrap();
        assert_eq!(network.attach("kept").await.unwrap(), kept, "attach is idempotent");
        network.attach("gone").await.unwrap();
        assert!(first.tasks.drain(Duration::from_secs(5)).await);
        drop(network);

        let second = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/29"]), &second).await.unwrap();
        assert_eq!(network.sandboxes(), ["gone", "kept"]);
        assert_eq!(network.attachment("kept"), Some(kept.clone()));
        network.detach("gone").await.unwrap();
        network.detach("gone").await.unwrap();
        assert_eq!(network.sandboxes(), ["kept"]);
        for pod in 0..4 {
            while network.attach(&format!("pod-{pod}")).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let full = network.attach("one too many").await.unwrap_err().to_string();
        assert_eq!(full, "no free address in 10.42.0.0/29: every address is held by a pod");
        assert_eq!(inside(&kept.netns, || run("ip -4 -o addr show eth0")).matches("10.42.0.").count(), 1);
        assert!(second.tasks.drain(Duration::from_secs(5)).await);
    });
}

#[test]
fn strangers_do_not_reach_the_gateway_and_pods_leave_masqueraded() {
    on_a_node(|state| async move {
        run("mount -t tmpfs none /run");
        run("ip netns add stranger");
        run("ip link add uplink type veth peer name eth0 netns stranger");
        run("ip addr add 192.0.2.1/24 dev uplink");
        run("ip link set uplink up");
        run("ip -n stranger addr add 192.0.2.2/24 dev eth0");
        run("ip -n stranger link set eth0 up");
        run("ip -n stranger route add 10.42.0.0/24 via 192.0.2.1");
        let host = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/24"]), &host).await.unwrap();
        let pod = network.attach("pod").await.unwrap();
        let stranger = Path::new("/run/netns/stranger");
        let gateway: SocketAddr = "10.42.0.1:10250".parse().unwrap();
        let _open = listen(gateway);
        let patience = Duration::from_millis(300);
        let outcome = inside(stranger, move || ask_within(gateway, patience).map_err(|error| error.kind()));
        assert_eq!(outcome, Err(std::io::ErrorKind::TimedOut), "dropped in silence");
        let outside: SocketAddr = "192.0.2.2:80".parse().unwrap();
        let listener = inside(stranger, move || listen(outside));
        let server = std::thread::spawn(move || serve_once(&listener));
        assert_eq!(inside(&pod.netns, move || ask(outside)).unwrap(), "192.0.2.1", "pods leave as the node");
        server.join().unwrap();
        let _secret = listen("127.0.0.1:9".parse::<SocketAddr>().unwrap());
        let sneak = inside(&pod.netns, || {
            run("ip addr del 127.0.0.1/8 dev lo");
            run("ip route add 127.0.0.1 via 169.254.1.1 dev eth0 onlink");
            ask_within("127.0.0.1:9".parse().unwrap(), Duration::from_millis(300)).map_err(|error| error.kind())
        });
        assert_eq!(sneak, Err(std::io::ErrorKind::TimedOut), "pods do not reach loopback addresses of the node");
        assert!(host.tasks.drain(Duration::from_secs(5)).await);
        run("ip link del uplink");
        run("ip netns del stranger");
    });
}

#[test]
fn ports_of_the_node_lead_to_pods() {
    on_a_node(|state| async move {
        run("ip addr add 192.0.2.1/32 dev lo");
        let port = |host_address: Option<&str>, host_port| HostPort {
            protocol: Protocol::Tcp,
            host_address: host_address.map(|address| address.parse().unwrap()),
            host_port,
            pod_port: 8080,
        };
        let first = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/24"]), &first).await.unwrap();
        let any = network.attach_with_ports("any", vec![port(None, 80)]).await.unwrap();
        let one = network.attach_with_ports("one", vec![port(Some("192.0.2.1"), 81)]).await.unwrap();
        let other = network.attach_with_ports("other", vec![port(Some("127.0.0.1"), 81)]).await.unwrap();
        let taken = network.attach_with_ports("late", vec![port(None, 80)]).await.unwrap_err();
        assert_eq!(taken.to_string(), "programming the pod firewall");
        assert!(network.attachment("late").is_none());
        assert!(first.tasks.drain(Duration::from_secs(5)).await);
        drop(network);

        let second = Host::system();
        let network = Network::start(options(&state, &["10.42.0.0/24"]), &second).await.unwrap();
        for (pod, address) in [
            (&any, "127.0.0.1:80"),
            (&any, "192.0.2.1:80"),
            (&any, "10.42.0.1:80"),
            (&one, "192.0.2.1:81"),
            (&other, "127.0.0.1:81"),
        ] {
            let target = SocketAddr::new(pod.addresses[0], 8080);
            let listener = inside(&pod.netns, move || listen(target));
            let server = std::thread::spawn(move || serve_once(&listener));
            assert!(ask(address.parse().unwrap()).is_ok(), "{address}");
            server.join().unwrap();
        }
        let target = SocketAddr::new(any.addresses[0], 8080);
        let listener = inside(&any.netns, move || listen(target));
        let server = std::thread::spawn(move || serve_once(&listener));
        let itself = inside(&any.netns, || ask("192.0.2.1:80".parse().unwrap()));
        assert_eq!(itself.unwrap(), "192.0.2.1", "a pod reaches itself through the node, as the node");
        server.join().unwrap();
        network.detach("any").await.unwrap();
        assert!(ask("192.0.2.1:80".parse().unwrap()).is_err(), "a detached pod frees its ports");
        network.attach_with_ports("late", vec![port(None, 80)]).await.unwrap();
        assert!(second.tasks.drain(Duration::from_secs(5)).await);
        run("ip addr del 192.0.2.1/32 dev lo");
    });
}

/// Prints how long attaching takes with a full pool.
#[test]
#[ignore = "a figure, not a check"]
fn attach_latency() {
    on_a_node(|state| async move {
        let host = Host::system();
        let mut options = options(&state, &["10.42.0.0/16"]);
        options.pool = 20;
        let network = Network::start(options, &host).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut times = Vec::new();
        for n in 0..20 {
            let start = tokio::time::Instant::now();
            network.attach(&format!("quiet-{n}")).await.unwrap();
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        times.sort();
        println!("attach, one every 100 ms: p50 {:?}, max {:?}", times[10], times[19]);
        let start = tokio::time::Instant::now();
        for n in 0..110 {
            network.attach(&format!("burst-{n}")).await.unwrap();
        }
        println!("attach, 110 at once: {:?}", start.elapsed());
        let start = tokio::time::Instant::now();
        for n in 0..110 {
            network.detach(&format!("burst-{n}")).await.unwrap();
        }
        println!("detach, 110 at once: {:?}", start.elapsed());
        assert!(host.tasks.drain(Duration::from_secs(60)).await);
    });
}
