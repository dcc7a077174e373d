//! A real etcd on loopback for the time of a test.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "/usr/bin/etcd";

pub(crate) struct Server {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server and waits until it is ready; `None` when etcd is not installed.
    pub(crate) fn start() -> Option<Self> {
        if !std::path::Path::new(PROGRAM).exists() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let (port, peer_port) = (free_port(), free_port());
        let url = |port| format!("http://127.0.0.1:{port}");
        let mut process = Command::new(PROGRAM)
            .arg("--data-dir")
            .arg(directory.path())
            .args(["--listen-client-urls", &url(port), "--advertise-client-urls", &url(port)])
            .args(["--listen-peer-urls", &url(peer_port), "--initial-advertise-peer-urls", &url(peer_port)])
            .args(["--initial-cluster", &format!("default={}", url(peer_port))])
            .args(["--logger", "zap", "--log-outputs", "stderr"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).any(|line| line.contains("serving client traffic"));
        assert!(ready, "etcd ended before it was ready");
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, port, _directory: directory })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
