//! Commands in containers.

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
