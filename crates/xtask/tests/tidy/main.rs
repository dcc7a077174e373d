//! The design's invariants, checked by machine: crate edges, module docs, sizes, banned words, documents that stay true.

mod documents;
mod edges;
mod functions;
mod sources;
mod words;

use std::path::PathBuf;

/// The workspace's root folder.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Fails with every finding on its own line.
fn report(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
