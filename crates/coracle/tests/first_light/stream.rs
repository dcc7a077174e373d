//! Streams: logs, exec, terminals, port-forward.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

use testing::Cluster;
use testing::cluster::run;
use testing::image::BUSYBOX;

use crate::has;

pub(crate) fn reads_logs(cluster: &Cluster) {
    let image = format!("--image={BUSYBOX}");
    let script = "for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 3600";
    cluster.kubectl(&["run", "talker", &image, "--command", "--", "sh", "-c", script]).expect("run");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/talker", "--timeout=40s"]).expect("wait");
    let log = cluster.wait(&["logs", "talker"], crate::SOON, |out| out.contains("oops")).expect("logs");
    has(&log, &["line 1\n", "line 2\n", "line 3\n"]);
    assert_eq!(cluster.kubectl(&["logs", "talker", "--tail=1"]).expect("tail").lines().count(), 1);
}

pub(crate) fn follows_logs(cluster: &Cluster) {
    let image = format!("--image={BUSYBOX}");
    let script = "i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo tick $i; sleep 1; done";
    cluster.kubectl(&["run", "ticker", &image, "--restart=Never", "--command", "--", "sh", "-c", script]).expect("run");
    cluster
        .kubectl(&["wait", "--for=jsonpath={.status.containerStatuses[0].started}=true", "pod/ticker", "--timeout=40s"])
        .expect("wait");
    let followed = cluster.kubectl(&["logs", "-f", "ticker"]).expect("logs -f");
    assert_eq!(followed, "tick 1\ntick 2\ntick 3\n");
    cluster.kubectl(&["delete", "pod", "ticker"]).expect("delete");
}

pub(crate) fn runs_commands(cluster: &Cluster) {
    let said = cluster.kubectl(&["exec", "talker", "--", "echo", "hello"]).expect("exec");
    assert_eq!(said, "hello\n");
    let piped = cluster.kubectl_with(&["exec", "-i", "talker", "--", "cat"], "through stdin\n").expect("exec -i");
    assert_eq!(piped, "through stdin\n");
    let failed = cluster.kubectl(&["exec", "talker", "--", "sh", "-c", "exit 7"]);
    assert!(!failed.ok);
    has(&failed.stderr, &["exit code 7"]);
    let wrong = cluster.kubectl(&["exec", "talker", "-c", "nobody", "--", "true"]);
    has(&wrong.stderr, &["container nobody is not valid for pod talker"]);
}

pub(crate) fn runs_on_a_terminal(cluster: &Cluster) {
    let inner = cluster.kubectl_command(&["exec", "-it", "talker", "--", "sh", "-c", "tty; stty size"]);
    let line = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|w| format!("'{}'", w.display()))
        .collect::<Vec<_>>();
    let mut command = cluster.machine().command("script");
    command.args(["-qec", &line.join(" "), "/dev/null"]).env("KUBECONFIG", cluster.kubeconfig());
    has(&run(&mut command).expect("exec -it under script"), &["/dev/pts/0"]);
    cluster.kubectl(&["delete", "pod", "talker", "--now"]).expect("delete");
}

pub(crate) fn forwards_a_port(cluster: &Cluster) {
    let mut command = cluster.kubectl_command(&["port-forward", "service/web", "18080:80"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("kubectl starts");
    let (_reader, line) = first_line(&mut child);
    has(&line, &["Forwarding from 127.0.0.1:18080"]);
    for _ in 0..3 {
        let page = cluster.machine().inside(|| get("127.0.0.1:18080")).expect("inside the machine").expect("an answer");
        has(&page, &["200 OK", "web v1"]);
    }
    child.kill().and_then(|()| child.wait()).expect("kubectl ends");
}

fn first_line(child: &mut Child) -> (BufReader<ChildStdout>, String) {
    let mut reader = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("text");
    (reader, line)
}

fn get(address: &str) -> std::io::Result<String> {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
