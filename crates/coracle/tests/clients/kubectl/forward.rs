//! `port-forward`: many connections at once with much in both directions, half-closes, closed ports.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Stdio};

use super::Kubectl;
use super::exec::{bulk, digest_of};
use crate::has;

const CONNECTIONS: usize = 16;
const BYTES: usize = 1 << 20;

/// A running `port-forward`, ended when dropped.
struct Forward {
    kubectl: Child,
    /// Kept open: kubectl goes on to print, and ends when it cannot.
    _printed: Lines<BufReader<ChildStdout>>,
    ports: Vec<u16>,
}

impl Forward {
    fn start(kubectl: &Kubectl<'_>, arguments: &str, ports: usize) -> Self {
        let mut command = kubectl.command(&format!("port-forward {arguments} --address=127.0.0.1"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl starts");
        let mut printed = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let ports = printed.by_ref().take(ports).map(|line| local_port(&line.expect("text"))).collect();
        Self { kubectl: child, _printed: printed, ports }
    }

    /// Ends kubectl and returns what it complained about.
    fn end(mut self) -> String {
        self.kubectl.kill().expect("kubectl is killed");
        let mut said = String::new();
        self.kubectl.stderr.take().expect("stderr is piped").read_to_string(&mut said).expect("text");
        said
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kubectl.kill().and_then(|()| self.kubectl.wait());
    }
}

/// Of `Forwarding from 127.0.0.1:40123 -> 9000`.
fn local_port(line: &str) -> u16 {
    let address = line.split(' ').nth(2).unwrap_or_default();
    address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_else(|| panic!("no port in {line:?}"))
}

pub(super) fn forwards_ports(kubectl: &Kubectl<'_>) {
    let forward = Forward::start(kubectl, "pod/shell :9000 :9001", 2);
    let (echo, digest) = (forward.ports[0], forward.ports[1]);
    kubectl.cluster.machine().inside(move || use_ports(echo, digest)).expect("inside the machine");
    drop(forward);
    let closed = Forward::start(kubectl, "pod/shell :1", 1);
    let port = closed.ports[0];
    let heard = kubectl.cluster.machine().inside(move || read_all(connect(port))).expect("inside the machine");
    assert_eq!(heard, b"");
    has(&closed.end(), &["refused"]);
    has(&kubectl.fails("port-forward pod/nobody :1"), &["pods \"nobody\" not found"]);
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("kubectl listens")
}

fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut heard);
    heard
}

fn use_ports(echo: u16, digest: u16) {
    let data = bulk(BYTES);
    // Opened one after the other: the server in the pod resets what it cannot take at once.
    let open: Vec<_> = (0..CONNECTIONS).map(|_| answered(connect(echo))).collect();
    std::thread::scope(|scope| {
        open.into_iter().for_each(|stream| drop(scope.spawn(|| echoes(stream, &data))));
    });
    // The answer comes only after the end of what was sent.
    let mut stream = connect(digest);
    stream.write_all(&data).expect("sent");
    stream.shutdown(Shutdown::Write).expect("ended");
    assert_eq!(String::from_utf8_lossy(&read_all(stream)), format!("{}  -\n", digest_of(&data)));
}

/// A connection that has echoed once.
fn answered(mut stream: TcpStream) -> TcpStream {
    let mut heard = [0];
    stream.write_all(b"?").and_then(|()| stream.read_exact(&mut heard)).expect("an echo");
    assert_eq!(&heard, b"?");
    stream
}

/// Sends and reads at the same time.
fn echoes(stream: TcpStream, data: &[u8]) {
    let mut writer = stream.try_clone().expect("a second handle");
    let heard = std::thread::scope(|scope| {
        scope.spawn(move || writer.write_all(data).and_then(|()| writer.shutdown(Shutdown::Write)).expect("sent"));
        read_all(stream)
    });
    assert!(heard == data, "{} bytes came back of {}, or they differ", heard.len(), data.len());
}
