//! Two servers over one etcd: what is written through one is seen through the other at once.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use apiserver::Options;
use host::Host;
use serde_json::json;
use store::etcd::{self, Etcd};

use crate::server::{Api, open};

const PROGRAM: &str = "/usr/bin/etcd";
const CM: &str = "/api/v1/namespaces/default/configmaps";

/// A real etcd on loopback for the time of the test.
struct Backend {
    process: Child,
    endpoint: String,
    _directory: tempfile::TempDir,
}

impl Backend {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            format!("http://{}", listener.local_addr().expect("an address"))
        };
        let (endpoint, peer) = (url(), url());
        let mut process = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(directory.path())
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--logger", "zap", "--log-outputs", "stderr"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("etcd starts");
        let mut lines = BufReader::new(process.stderr.take().expect("its log")).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("serving client traffic"));
        assert!(ready, "etcd ended before it was ready");
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, endpoint, _directory: directory }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn server(backend: &Backend) -> Api {
    let host = Host::system();
    let options = etcd::Options::new(vec![backend.endpoint.clone()]);
    let store = Arc::new(Etcd::connect(options).await.expect("etcd answers"));
    Api::run(Options::new(store, |_| Ok(open())), host).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_are_one_cluster() {
    if !std::path::Path::new(PROGRAM).exists() {
        println!("skipped: {PROGRAM} is not installed");
        return;
    }
    let backend = Backend::start();
    let (one, other) = (server(&backend).await, server(&backend).await);
    let mut watch = other.watch(&format!("{CM}?watch=1")).await;
    for n in 0..20 {
        let (name, data) = (format!("m{n}"), json!({"n": n.to_string()}));
        let created = one.post(CM, &json!({"metadata": {"name": name}, "data": data})).await.ok();
        assert_eq!(other.get(&format!("{CM}/{name}")).await.ok(), created);
        let path = format!("{CM}/{name}");
        let patched = other.merge(&path, &json!({"data": {"more": "x"}})).await.ok();
        assert_eq!(one.get(&path).await.ok(), patched);
        assert_eq!((watch.brief().await.0, watch.brief().await.0), ("ADDED".to_owned(), "MODIFIED".to_owned()));
    }
    one.delete(&format!("{CM}/m0")).await.ok();
    assert_eq!(other.get(&format!("{CM}/m0")).await.status, 404);
    assert_eq!(other.get(CM).await.ok()["items"].as_array().map(Vec::len), Some(19));
}
