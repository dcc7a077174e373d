//! Client programs in other languages: run to their end, judged by their last line.

use std::path::{Path, PathBuf};
use std::process::Command;

use testing::Cluster;
use testing::cluster::{run, tools};

/// A file of a client's folder here.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(path)
}

/// What `scripts/setup test` installed, or nothing with the reason printed.
pub(crate) fn installed(path: &str, what: &str) -> Option<PathBuf> {
    let installed = tools().join(path);
    if installed.exists() {
        return Some(installed);
    }
    println!("skipped: no {what}; `make test` installs it");
    None
}

/// A command on the cluster's machine, with its kubeconfig.
pub(crate) fn command(cluster: &Cluster, program: &Path) -> Command {
    let mut command = cluster.machine().command(program);
    command.env("KUBECONFIG", cluster.kubeconfig());
    command
}

/// Runs the program, which prints a line for each case and how many they were.
pub(crate) fn passes(command: &mut Command) {
    let printed = run(command);
    println!("{}", printed.stdout);
    assert!(printed.ok, "{}", printed.stderr);
    let last = printed.stdout.lines().last().unwrap_or_default();
    let cases = printed.stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert_eq!(last, format!("{cases} cases passed"));
    assert!(cases > 0, "no case ran");
}
