//! API servers to be measured: ours alone in its process, and upstream's over etcd.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testing::Machine;

use super::load::{Target, send};
use super::process::{self, Running};
use super::{new_machine, now, on, wait};

const LISTEN: &str = "127.0.0.1:6443";
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";
const TOKEN: &str = "bench-token";
/// Longest time that a server may take to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server on a machine of its own.
pub(crate) struct Server {
    pub machine: Machine,
    pub target: Target,
    /// The API server, then what it needs.
    processes: Vec<Running>,
    _home: TempDir,
}

impl Server {
    /// Our API server alone, with its embedded store.
    pub(crate) fn ours(program: &Path) -> Result<Self, String> {
        let (machine, home) = (new_machine()?, home()?);
        let mut command = machine.command(program);
        command.arg("apiserver").arg("--data-dir").arg(home.path().join("data")).args(["--listen", LISTEN]);
        let process = Running::start(&mut command, &home.path().join("log"))?;
        let config = home.path().join("data/kubeconfig/admin.conf");
        let target = until(|| Target::read(&config))?;
        Self { machine, target, processes: vec![process], _home: home }.ready()
    }

    /// Upstream's server over Debian's etcd; nothing where one of them is not installed.
    pub(crate) fn upstream() -> Result<Option<Self>, String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin/kube-apiserver");
        if !program.exists() || Command::new("etcd").arg("--version").output().is_err() {
            return Ok(None);
        }
        let (machine, home) = (new_machine()?, home()?);
        let etcd = Running::start(&mut etcd(&machine, home.path()), &home.path().join("etcd.log"))?;
        let command = &mut kube_apiserver(&machine, &program, home.path())?;
        let process = Running::start(command, &home.path().join("log"))?;
        let certificate = home.path().join("certs/apiserver.crt");
        let pem = until(|| fs::read(&certificate).map_err(|e| format!("{}: {e}", certificate.display())))?;
        let address: SocketAddr = LISTEN.parse().map_err(|_| "the address is wrong")?;
        let target = Target::with_token(address, &pem, TOKEN)?;
        Self { machine, target, processes: vec![process, etcd], _home: home }.ready().map(Some)
    }

    /// Waits until the server says that it is ready, and makes what pods need.
    fn ready(self) -> Result<Self, String> {
        let (target, account) = (self.target.clone(), r#"{"metadata":{"name":"default"}}"#);
        until(|| {
            let target = target.clone();
            on(&self.machine, move || async move {
                let mut sender = target.connect().await?;
                send(&mut sender, target.request("GET", "/readyz", "")).await?;
                let path = "/api/v1/namespaces/default/serviceaccounts";
                send(&mut sender, target.request("POST", path, account)).await.map(drop)
            })
        })?;
        Ok(self)
    }

    /// Resident memory of the API server's process, in MB.
    pub(crate) fn memory(&self) -> f64 {
        self.processes.first().and_then(|process| process::resident(process.pid())).unwrap_or_default()
    }
}

fn home() -> Result<TempDir, String> {
    TempDir::with_prefix("coracle-bench-").map_err(|e| format!("making a folder: {e}"))
}

fn etcd(machine: &Machine, home: &Path) -> Command {
    let mut command = machine.command("etcd");
    command.arg("--data-dir").arg(home.join("etcd"));
    command.args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD]);
    command.args(["--listen-peer-urls", ETCD_PEER, "--initial-advertise-peer-urls", ETCD_PEER]);
    command.arg("--initial-cluster").arg(format!("default={ETCD_PEER}"));
    command
}

/// Upstream's server as a cluster runs it: TLS, RBAC, default admission without service accounts' controller.
fn kube_apiserver(machine: &Machine, program: &Path, home: &Path) -> Result<Command, String> {
    let key = signing_key(home)?;
    let tokens = home.join("tokens.csv");
    let line = format!("{TOKEN},admin,admin,\"system:masters\"\n");
    fs::write(&tokens, line).map_err(|e| format!("{}: {e}", tokens.display()))?;
    let mut command = machine.command(program);
    command.args(["--bind-address=127.0.0.1", "--secure-port=6443", "--authorization-mode=RBAC"]);
    command.args(["--service-cluster-ip-range=10.43.0.0/16", "--endpoint-reconciler-type=none"]);
    command.args(["--service-account-issuer=https://kubernetes.default.svc", "--enable-priority-and-fairness=false"]);
    command.args(["--max-requests-inflight=0", "--max-mutating-requests-inflight=0"]);
    command.arg(format!("--etcd-servers={ETCD}"));
    command.arg(format!("--cert-dir={}", home.join("certs").display()));
    command.arg(format!("--token-auth-file={}", tokens.display()));
    command.arg(format!("--service-account-key-file={}", key.display()));
    command.arg(format!("--service-account-signing-key-file={}", key.display()));
    Ok(command)
}

fn signing_key(home: &Path) -> Result<PathBuf, String> {
    let path = home.join("sa.key");
    let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&path).arg("2048").output();
    let made = made.map_err(|e| format!("making a key with openssl: {e}"))?;
    if made.status.success() { Ok(path) } else { Err(String::from_utf8_lossy(&made.stderr).into_owned()) }
}

/// Tries again until it works or patience ends.
fn until<T>(mut attempt: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let started = now();
    loop {
        match attempt() {
            Err(_) if started.elapsed() < PATIENCE => wait(Duration::from_millis(100)),
            other => return other,
        }
    }
}
