//! `exec`: output, exit codes, errors in words, pipes.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

/// Bytes that go through a pipe.
const BULK: usize = 50_000_000;

/// Starts the pods that streams go to.
pub(super) fn starts(kubectl: &Kubectl<'_>) {
    let script = "trap 'exit 0' TERM; nc -ll -p 9000 -e cat & nc -ll -p 9001 -e sha256sum & wait";
    let manifest = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"},
        "spec": {"containers": [{"name": "main", "image": BUSYBOX, "command": ["sh", "-c", script]}]},
    });
    kubectl.with("apply -f -", &manifest.to_string());
    kubectl.ready("shell");
}

pub(super) fn runs_commands(kubectl: &Kubectl<'_>) {
    assert_eq!(kubectl.ok("exec shell -- echo hello"), "hello\n");
    let failed = kubectl.run("exec shell -- sh -c 'echo out; echo err >&2; exit 41'");
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(41), "out\n"));
    has(&failed.stderr, &["err\n", "command terminated with exit code 41"]);
    has(&kubectl.fails("exec shell -- /no/such"), &["exec: \"/no/such\": stat /no/such: no such file or directory"]);
    has(&kubectl.fails("exec nobody -- true"), &["pods \"nobody\" not found"]);
    has(&kubectl.fails("exec shell -c nobody -- true"), &["container nobody is not valid for pod shell"]);
    let method = kubectl.stream_method();
    let told = kubectl.run("exec shell -v=6 -- true").stderr;
    assert!(told.lines().any(|line| line.contains("/exec?") && line.contains(method)), "not by {method}: {told}");
    std::thread::scope(|scope| {
        let run = |i: usize| move || assert_eq!(kubectl.ok(&format!("exec shell -- echo {i}")), format!("{i}\n"));
        (0..8).for_each(|i| drop(scope.spawn(run(i))));
    });
}

pub(super) fn pipes_both_ways(kubectl: &Kubectl<'_>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bulk");
    let data = bulk(BULK);
    std::fs::write(&path, &data).expect("written");
    let digest = piped(kubectl, "exec -i shell -- sha256sum", &path);
    assert_eq!(String::from_utf8_lossy(&digest), format!("{}  -\n", digest_of(&data)));
    let back = piped(kubectl, "exec -i shell -- cat", &path);
    assert!(back == data, "{} bytes came back of {}, or they differ", back.len(), data.len());
    let unread = kubectl.command("exec -i shell -- true").stdin(File::open(&path).expect("readable")).output();
    assert!(unread.expect("kubectl runs").status.success(), "a command that reads nothing");
}

fn piped(kubectl: &Kubectl<'_>, line: &str, input: &Path) -> Vec<u8> {
    let input = File::open(input).expect("the file is readable");
    let output = kubectl.command(line).stdin(input).stderr(Stdio::inherit()).output().expect("kubectl runs");
    assert!(output.status.success(), "{line}: {}", output.status);
    output.stdout
}

/// Bytes that do not compress and do not repeat.
pub(super) fn bulk(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

pub(super) fn digest_of(data: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(data))
}
