//! The tree's Rust files, and what holds for each file as a whole.

use std::fs;
use std::path::Path;

use crate::{report, root};

/// A source file without its trailing inline test module.
pub(crate) struct Source {
    /// Path relative to the workspace root.
    pub path: String,
    pub code: String,
}

/// Files longer than this are knots, unless they are tables.
const LONGEST_FILE: usize = 600;

/// Tables that may be longer: path, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Every `.rs` file under `crates/*/src`, in path order.
pub(crate) fn all() -> Vec<Source> {
    let mut files = Vec::new();
    for package in folders(&root().join("crates")) {
        collect(&package.join("src"), &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn folders(parent: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(parent).expect("folder is readable").map(|e| e.expect("entry is readable").path()).collect()
}

fn collect(folder: &Path, files: &mut Vec<Source>) {
    if !folder.is_dir() {
        return;
    }
    for path in folders(folder) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(read(&path));
        }
    }
}

fn read(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("source is UTF-8");
    let code = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(&text).to_owned();
    let path = path.strip_prefix(root()).expect("path is under the root").display().to_string();
    Source { path, code }
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

#[test]
fn every_file_begins_with_module_docs() {
    let bare = |s: &Source| !s.code.starts_with("//!");
    let findings: Vec<_> = all().iter().filter(|s| bare(s)).map(|s| s.path.clone()).collect();
    report("files without a leading `//!`:", &findings);
}

#[test]
fn no_file_is_a_knot() {
    let allowed = |path: &str| LONG_FILES.iter().any(|(p, _)| *p == path);
    let findings: Vec<_> = all()
        .iter()
        .filter(|s| !is_test(&s.path) && !allowed(&s.path))
        .filter(|s| s.code.lines().count() > LONGEST_FILE)
        .map(|s| format!("{} has {} lines", s.path, s.code.lines().count()))
        .collect();
    report(&format!("files over {LONGEST_FILE} lines without a reason in the allow list:"), &findings);
}

#[test]
fn modules_stand_beside_their_folder() {
    let findings: Vec<_> = all().iter().filter(|s| s.path.ends_with("/mod.rs")).map(|s| s.path.clone()).collect();
    report("`foo/mod.rs` is `foo.rs` here:", &findings);
}
