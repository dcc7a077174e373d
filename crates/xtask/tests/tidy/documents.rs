//! Documents that must stay true.

use std::fs;

use crate::{report, root};

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn architecture_describes_every_crate() {
    let architecture = text("ARCHITECTURE.md");
    let crates = fs::read_dir(root().join("crates")).expect("crates/ is readable").flatten();
    let names = crates.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let missing: Vec<_> = names.filter(|name| !architecture.contains(&format!("**`{name}`**"))).collect();
    report("crates that ARCHITECTURE.md does not describe:", &missing);
}

#[test]
fn architecture_gives_a_reason_for_every_dependency() {
    let (architecture, manifest) = (text("ARCHITECTURE.md"), text("Cargo.toml"));
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the workspace has dependencies");
    let lines = section.split("\n[").next().expect("a section has text").lines();
    let third_party =
        lines.filter(|l| !l.starts_with('#') && !l.contains("path =")).filter_map(|l| l.split(" =").next());
    let missing: Vec<_> =
        third_party.filter(|n| !n.is_empty() && !architecture.contains(&format!("`{n}`"))).map(str::to_owned).collect();
    report("dependencies without a reason in ARCHITECTURE.md:", &missing);
}

#[test]
fn architecture_is_short() {
    let lines = text("ARCHITECTURE.md").lines().count();
    assert!(lines <= 300, "ARCHITECTURE.md has {lines} lines, at most 300 wanted");
}

#[test]
fn every_crate_says_in_one_sentence_what_it_owns() {
    let crates = fs::read_dir(root().join("crates")).expect("crates/ is readable").flatten();
    let mut findings = Vec::new();
    for entry in crates {
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).expect("manifest is readable");
        let described = manifest.lines().any(|l| l.starts_with("description = \"") && l.len() > 30);
        let linted = manifest.contains("[lints]\nworkspace = true");
        if !described || !linted {
            findings.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    report("crates without a description or the workspace's lints:", &findings);
}
