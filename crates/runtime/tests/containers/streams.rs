//! Commands in containers, and streams to them.

use streaming::client::{Carrier, Forwarder, exec_request, exec_websocket, forward_request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::node::{Node, security, shell};

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_beside_the_first_process() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("echo $$ > /pid; exec sleep 100");
    config.envs.push(cri::KeyValue { key: "GREETING".into(), value: b"hello".to_vec() });
    security(&mut config).run_as_user = Some(cri::Int64Value { value: 0 });
    let container = node.run(&pod, config).await;
    let output =
        node.exec(&container, &["sh", "-c", "echo $GREETING; hostname; echo oops >&2; exit 5"], 0).await.unwrap();
    assert_eq!(output.stdout, b"hello\npod\n");
    assert_eq!(output.stderr, b"oops\n");
    assert_eq!(output.exit_code, 5);
    let error = node.exec(&container, &["nosuch"], 5).await.unwrap_err();
    assert!(error.message().contains("executable file not found in $PATH"), "{error}");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_take_too_long_are_killed() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let error = node.exec(&container, &["sleep", "77"], 1).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::DeadlineExceeded);
    for _ in 0..200 {
        let output = node.exec(&container, &["sh", "-c", "ps | grep -v grep | grep -c 'sleep 77'"], 5).await.unwrap();
        if output.stdout == b"0\n" {
            return node.finish().await;
        }
    }
    panic!("the command goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn much_output_arrives_whole() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let output = node.exec(&container, &["head", "-c", "5000000", "/dev/zero"], 20).await.unwrap();
    assert_eq!(output.stdout.len(), 5_000_000);
    node.finish().await;
}

/// Follows a URL that the runtime has given out.
async fn follow(node: &Node, url: &str, request: http::Request<http_body_util::Empty<hyper::body::Bytes>>) -> Switched {
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    match streaming::upgrade(stream, request, &node.host.tasks).await.unwrap() {
        streaming::Upgrade::Switched { io, .. } => io,
        streaming::Upgrade::Refused(response) => panic!("{response:?}"),
    }
}

type Switched = hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>;

async fn exec_session(node: &Node, request: cri::ExecRequest) -> streaming::client::Session {
    let streams =
        streaming::Streams { stdin: request.stdin, stdout: request.stdout, stderr: request.stderr, tty: request.tty };
    let url = node.runtime().exec(request).await.unwrap().into_inner().url;
    open_session(node, &url, streams).await
}

async fn open_session(node: &Node, url: &str, streams: streaming::Streams) -> streaming::client::Session {
    const VERSION: &str = "v5.channel.k8s.io";
    let request = exec_request(url, Carrier::WebSocket, VERSION).unwrap();
    let io = follow(node, url, request).await;
    exec_websocket(io, VERSION, streams, &node.host.tasks).await.unwrap()
}

async fn read(reader: Option<streaming::Reader>) -> String {
    let mut text = String::new();
    reader.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_session_has_streams_and_an_exit_code() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let request = cri::ExecRequest {
        container_id: container,
        cmd: ["sh", "-c", "cat; echo done >&2; exit 3"].map(Into::into).into(),
        tty: false,
        stdin: true,
        stdout: true,
        stderr: true,
    };
    let mut session = exec_session(&node, request).await;
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"typed\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(read(session.stdout.take()).await, "typed\n");
    assert_eq!(read(session.stderr.take()).await, "done\n");
    let status = String::from_utf8(session.status().await.unwrap()).unwrap();
    assert!(status.contains("NonZeroExitCode") && status.contains("\"3\""), "{status}");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_a_size() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let request = cri::ExecRequest {
        container_id: container,
        cmd: ["sh", "-c", "read line; stty size; tty; echo $TERM"].map(Into::into).into(),
        tty: true,
        stdin: true,
        stdout: true,
        stderr: false,
    };
    let mut session = exec_session(&node, request).await;
    session.resize.as_mut().unwrap().write_all(b"{\"Width\":91,\"Height\":17}").await.unwrap();
    // The size travels beside the input; a moment later it has been applied for sure.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    session.stdin.as_mut().unwrap().write_all(b"go\n").await.unwrap();
    let text = read(session.stdout.take()).await.replace('\r', "");
    assert_eq!(text, "go\n17 91\n/dev/pts/0\nxterm\n");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_attach_to_the_first_process() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("read line; echo got $line; read line || echo end");
    (config.stdin, config.stdin_once) = (true, true);
    let container = node.run(&pod, config).await;
    let request =
        cri::AttachRequest { container_id: container.clone(), stdin: true, tty: false, stdout: true, stderr: true };
    let url = node.runtime().attach(request).await.unwrap().into_inner().url;
    let streams = streaming::Streams { stdin: true, stdout: true, stderr: true, tty: false };
    let mut session = open_session(&node, &url, streams).await;
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"this\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(read(session.stdout.take()).await, "got this\nend\n");
    node.ended(&container).await;
    assert_eq!(node.printed(&container).await, "got this\nend");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_the_first_process_may_be_attached_to() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("read line; echo got $line; tty");
    (config.stdin, config.tty) = (true, true);
    let container = node.run(&pod, config).await;
    let request = cri::AttachRequest { container_id: container, stdin: true, tty: true, stdout: true, stderr: false };
    let url = node.runtime().attach(request).await.unwrap().into_inner().url;
    let streams = streaming::Streams { stdin: true, stdout: true, stderr: false, tty: true };
    let mut session = open_session(&node, &url, streams).await;
    session.stdin.as_mut().unwrap().write_all(b"this\n").await.unwrap();
    let text = read(session.stdout.take()).await.replace('\r', "");
    assert_eq!(text, "this\ngot this\n/dev/pts/0\n");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded_into_the_pod() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("");
    config.image = Some(cri::ImageSpec { image: testing::image::WEB_V1.into(), ..Default::default() });
    (config.command, config.args) = (Vec::new(), Vec::new());
    let container = node.run(&pod, config).await;
    node.exec(&container, &["sh", "-c", "until wget -qO- http://127.0.0.1; do sleep 0.02; done"], 10).await.unwrap();
    let request = cri::PortForwardRequest { pod_sandbox_id: pod, port: Vec::new() };
    let url = node.runtime().port_forward(request).await.unwrap().into_inner().url;
    let io = follow(&node, &url, forward_request(&url, Carrier::WebSocket).unwrap()).await;
    let forwarder = Forwarder::new(io, Carrier::WebSocket, &node.host.tasks).await;
    let mut connection = forwarder.open(80).await.unwrap();
    connection.data.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut page = String::new();
    connection.data.read_to_string(&mut page).await.unwrap();
    assert!(page.ends_with("web v1\n"), "{page}");
    let mut refused = forwarder.open(81).await.unwrap();
    let mut message = String::new();
    refused.error.read_to_string(&mut message).await.unwrap();
    assert!(message.contains("error forwarding port 81") && message.contains("refused"), "{message}");
    drop(forwarder);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_good_for_one_use() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let container = node.run(&pod, shell("sleep 100")).await;
    let cmd = vec!["true".into()];
    let request = cri::ExecRequest { container_id: container, cmd, stdout: true, ..Default::default() };
    let url = node.runtime().exec(request).await.unwrap().into_inner().url;
    let streams = streaming::Streams { stdout: true, ..Default::default() };
    let session = open_session(&node, &url, streams).await;
    assert!(String::from_utf8(session.status().await.unwrap()).unwrap().contains("Success"));
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let again = exec_request(&url, Carrier::WebSocket, "v5.channel.k8s.io").unwrap();
    match streaming::upgrade(stream, again, &node.host.tasks).await.unwrap() {
        streaming::Upgrade::Refused(response) => assert_eq!(response.status(), 404),
        streaming::Upgrade::Switched { .. } => panic!("the URL was good twice"),
    }
    node.finish().await;
}
