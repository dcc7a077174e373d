//! The real kubectl, where there is one.

use std::path::Path;
use std::process::Stdio;

use http::Method;
use pki::kubeconfig::{self, Credentials, Entry};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::cluster::{As, Cluster};
use crate::nodes;

/// A kubectl that talks to the cluster as its administrator.
struct Kubectl {
    directory: tempfile::TempDir,
}

impl Kubectl {
    fn new(cluster: &Cluster) -> Option<Self> {
        if !Path::new("/usr/bin/kubectl").exists() {
            println!("skipped: there is no /usr/bin/kubectl");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let entry = Entry {
            name: "test",
            server: &format!("https://{}", cluster.address),
            authority_pem: cluster.pki.authority().pem(),
            credentials: Credentials::Certificate(cluster.admin()),
            namespace: None,
        };
        kubeconfig::write(&directory.path().join("config"), &entry).unwrap();
        Some(Self { directory })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("/usr/bin/kubectl");
        command.env_clear().env("HOME", self.directory.path()).env("KUBECONFIG", self.directory.path().join("config"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(arguments).output().await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }
}

#[tokio::test]
async fn kubectl_streams_into_pods() {
    let cluster = nodes::cluster().await;
    let Some(kubectl) = Kubectl::new(&cluster) else { return };
    let (code, output, errors) = kubectl.run(&["logs", "p", "--tail=5"]).await;
    assert_eq!((code, output.as_str()), (Some(0), "/containerLogs/default/p/c?tailLines=5"), "{errors}");

    // Both wires: WebSocket is what it tries first, SPDY what older ones speak.
    for websocket in ["true", "false"] {
        let mut exec = kubectl.command(&["exec", "-i", "p", "--", "cat", "x y"]);
        let exec = exec.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websocket).stdin(Stdio::piped());
        let mut child = exec.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let payload = vec![b'x'; 3_000_000];
        let feed = async {
            input.write_all(&payload).await.unwrap();
            drop(input);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "websocket={websocket}: {errors}");
        let path = b"/exec/default/p/c?input=1&output=1&error=1&command=cat&command=x%20y";
        assert!(output.stdout.starts_with(path), "{}", String::from_utf8_lossy(&output.stdout[..80]));
        assert_eq!(output.stdout.len(), path.len() + payload.len(), "websocket={websocket}");
    }

    let path = "/api/v1/namespaces/default/pods/p";
    let mut pod = cluster.get(As::Admin, path).await.1;
    pod["status"]["phase"] = "Running".into();
    assert_eq!(cluster.send(As::Admin, Method::PUT, &format!("{path}/status"), pod).await.0, 200);
    for websocket in ["true", "false"] {
        let mut forward = kubectl.command(&["port-forward", "p", ":80"]);
        let mut child = forward.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websocket).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let port: u16 = line.trim_end_matches(" -> 80").rsplit(':').next().unwrap().parse().unwrap();
        for round in 0..3 {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let sent = vec![round; 1_000_000];
            let (mut reader, mut writer) = stream.split();
            let send = async {
                writer.write_all(&sent).await.unwrap();
                writer.shutdown().await.unwrap();
            };
            let mut heard = Vec::new();
            let ((), read) = tokio::join!(send, reader.read_to_end(&mut heard));
            read.unwrap();
            assert_eq!(heard.len(), sent.len(), "websocket={websocket}");
        }
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn kubectl_sees_the_policy() {
    let cluster = Cluster::start().await;
    let Some(kubectl) = Kubectl::new(&cluster) else { return };
    let (code, output, errors) = kubectl.run(&["get", "clusterroles", "admin", "-o", "name"]).await;
    assert_eq!((code, output.trim()), (Some(0), "clusterrole.rbac.authorization.k8s.io/admin"), "{errors}");
}

#[tokio::test]
async fn kubectl_explains() {
    let cluster = Cluster::start().await;
    let Some(kubectl) = Kubectl::new(&cluster) else { return };
    for (arguments, expected) in [
        (
            &["explain", "pod.spec.containers"][..],
            &[
                "KIND:       Pod",
                "FIELD: containers <[]Container>",
                "List of containers belonging to the pod",
                "imagePullPolicy\t<string>",
                "Entrypoint array",
            ][..],
        ),
        (
            &["explain", "deployment"],
            &["GROUP:      apps", "Deployment enables declarative updates", "Specification of the desired behavior"],
        ),
        (
            &["explain", "ingress.spec.rules"],
            &["VERSION:    v1", "http\t<HTTPIngressRuleValue>", "fully qualified domain name"],
        ),
        (
            &["explain", "deployment.spec.strategy", "--recursive"],
            &["rollingUpdate\t<RollingUpdateDeployment>", "maxSurge\t<IntOrString>"],
        ),
        (
            &["explain", "pod.spec.containers", "--output=plaintext-openapiv2"],
            &["RESOURCE: containers <[]Object>", "List of containers belonging to the pod"],
        ),
    ] {
        let (code, output, errors) = kubectl.run(arguments).await;
        assert_eq!(code, Some(0), "{arguments:?}: {errors}");
        for text in expected {
            assert!(output.contains(text), "{arguments:?} lacks {text:?}:\n{output}");
        }
    }
    let (code, _, errors) = kubectl.run(&["explain", "pod.spec.none"]).await;
    assert_eq!((code, errors.trim()), (Some(1), "error: field \"none\" does not exist"));
}

#[tokio::test]
async fn kubectl_says_what_it_does_not_know() {
    let cluster = Cluster::start().await;
    let Some(kubectl) = Kubectl::new(&cluster) else { return };
    let file = kubectl.directory.path().join("object.yaml");
    let path = file.to_str().unwrap();
    let unknown = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n";
    std::fs::write(&file, unknown).unwrap();
    for verb in ["apply", "create"] {
        let (code, _, errors) = kubectl.run(&[verb, "-f", path]).await;
        let expected = "no matches for kind \"Widget\" in version \"example.com/v1\"\nensure CRDs are installed first";
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("resource mapping not found for name: \"w\"") && errors.contains(expected), "{errors}");
    }
    let wrong = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: w}\ndata: {a: b}\nfoo: bar\n";
    std::fs::write(&file, wrong).unwrap();
    for verb in ["apply", "create"] {
        let (code, _, errors) = kubectl.run(&[verb, "-f", path]).await;
        let expected = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"foo\"";
        assert!(code == Some(1) && errors.contains(expected), "{errors}");
    }
    let (code, output, errors) = kubectl.run(&["create", "--validate=warn", "-f", path]).await;
    assert_eq!((code, output.trim()), (Some(0), "configmap/w created"), "{errors}");
    assert!(errors.contains("Warning: unknown field \"foo\""), "{errors}");
    let (code, output, errors) = kubectl.run(&["apply", "--validate=ignore", "-f", path]).await;
    assert_eq!((code, output.trim()), (Some(0), "configmap/w configured"), "{errors}");
}
