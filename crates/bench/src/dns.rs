//! Cluster DNS under load: the server on one core, who asks on the other.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tempfile::TempDir;
use testing::{Cluster, Machine};

use super::load::{Target, all};
use super::process::{Running, main_pid};
use super::{Figure, new_machine, now, on};

/// Names that are asked for in turn.
const NAMES: usize = 1_000;
/// Questions under way at once.
const WINDOW: usize = 100;
const TIME: Duration = Duration::from_secs(5);
const UNBOUND: &str = "127.0.0.1:5353";

pub(crate) fn section(program: &Path) -> Result<Vec<Figure>, String> {
    let cluster = Cluster::start(program, new_machine()?)?;
    let target = Target::read(&cluster.kubeconfig())?;
    on(cluster.machine(), move || async move {
        all(&target, 16, NAMES, |target, n| target.request("POST", "/api/v1/namespaces/default/services", service(n)))
            .await
    })?;
    let last = format!("{}.default.svc.cluster.local", NAMES - 1);
    pin(main_pid(&cluster)?, 0)?;
    let ours = measured(cluster.machine(), "10.42.0.1:53", &format!("name-{last}"))?;
    drop(cluster);
    let figure = Figure::at_least("cluster DNS, one core", "queries/s", ours, 50_000.0, 120_000.0);
    Ok(vec![figure.beside("unbound", unbound()?)])
}

fn service(n: usize) -> String {
    format!(r#"{{"metadata":{{"name":"name-{n}"}},"spec":{{"ports":[{{"port":80}}]}}}}"#)
}

/// The same names from unbound's local data; nothing where it is not installed.
fn unbound() -> Result<Option<f64>, String> {
    if Command::new("unbound").arg("-V").output().is_err() {
        return Ok(None);
    }
    let (machine, home) = (new_machine()?, TempDir::new().map_err(|e| e.to_string())?);
    let config = home.path().join("unbound.conf");
    std::fs::write(&config, configuration()).map_err(|e| e.to_string())?;
    let mut command = machine.command("unbound");
    let server = Running::start(command.arg("-d").arg("-c").arg(&config), &home.path().join("log"))?;
    pin(server.pid(), 0)?;
    measured(&machine, UNBOUND, &format!("name-{}.default.svc.cluster.local", NAMES - 1)).map(Some)
}

fn configuration() -> String {
    let head = "server:\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n num-threads: 1\n \
                interface: 127.0.0.1@5353\n local-zone: \"cluster.local.\" static\n";
    let line = |n| format!(" local-data: \"name-{n}.default.svc.cluster.local. IN A 10.43.0.1\"\n");
    std::iter::once(head.to_owned()).chain((0..NAMES).map(line)).collect()
}

/// Keeps every thread of a process on one core.
fn pin(pid: i32, core: usize) -> Result<(), String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|e| format!("threads of {pid}: {e}"))?;
    let threads = tasks.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for thread in threads {
        keep(Pid::from_raw(thread), core)?;
    }
    Ok(())
}

fn keep(thread: Pid, core: usize) -> Result<(), String> {
    let mut cores = CpuSet::new();
    cores.set(core).and_then(|()| sched_setaffinity(thread, &cores)).map_err(|e| format!("keeping to a core: {e}"))
}

/// Answers a second, once the last name is known.
fn measured(machine: &Machine, server: &str, last: &str) -> Result<f64, String> {
    let server: SocketAddr = server.parse().map_err(|_| format!("{server} is no address"))?;
    let last = last.to_owned();
    let work = move || {
        keep(Pid::from_raw(0), 1)?;
        let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(server).map(|()| socket));
        let socket = socket.map_err(|e| e.to_string())?;
        known(&socket, &query(&last)).map_err(|e| format!("waiting for {last}: {e}"))?;
        ask(&socket).map_err(|e| format!("asking {server}: {e}"))
    };
    machine.inside(work).map_err(|e| e.to_string())?
}

/// Asks until there is an answer with an address.
fn known(socket: &UdpSocket, query: &[u8]) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut buffer = [0; 512];
    for _ in 0..100 {
        socket.send(query).ok();
        match socket.recv(&mut buffer) {
            Ok(length) if length > 8 && buffer[7] > 0 => return Ok(()),
            _ => super::wait(Duration::from_millis(50)),
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn ask(socket: &UdpSocket) -> io::Result<f64> {
    let queries: Vec<_> = (0..NAMES).map(|n| query(&format!("name-{n}.default.svc.cluster.local"))).collect();
    let (mut buffer, mut done, started) = ([0; 512], 0_usize, now());
    for query in &queries[..WINDOW] {
        socket.send(query)?;
    }
    while started.elapsed() < TIME {
        socket.recv(&mut buffer)?;
        done += 1;
        socket.send(&queries[(done + WINDOW) % NAMES])?;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// A question for the address of a name.
fn query(name: &str) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}
