//! Which crate may use which: arrows go down only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{report, root};

/// Each crate with all of our own crates that its code may use (tests may use more).
const EDGES: &[(&str, &[&str])] = &[
    ("object", &[]),
    ("host", &[]),
    ("cri", &[]),
    ("netfilter", &[]),
    ("schema", &["object"]),
    ("patch", &["object", "schema"]),
    ("store", &["host"]),
    ("pki", &["host"]),
    ("streaming", &["host"]),
    ("informer", &["host", "object"]),
    ("apiserver", &["object", "host", "schema", "patch", "store", "pki", "streaming"]),
    ("control", &["object", "host", "informer"]),
    ("scheduler", &["object", "host", "informer", "control"]),
    ("network", &["host", "netfilter"]),
    ("proxy", &["host", "informer", "netfilter"]),
    ("dns", &["host", "informer"]),
    ("shim", &[]),
    ("runtime", &["host", "cri", "shim", "streaming"]),
    ("kubelet", &["object", "host", "informer", "cri", "pki", "streaming"]),
    ("hollow", &["object", "host", "informer"]),
    ("testing", &["*"]),
    ("bench", &["*"]),
    ("xtask", &["*"]),
    ("coracle", &["*"]),
];

/// Crates that must not appear anywhere below another, whatever the path, and why.
const ABSENCES: &[(&str, &str, &str)] = &[
    ("kubelet", "runtime", "the kubelet knows no runtime but CRI"),
    ("kubelet", "store", "roles talk only through the Kubernetes API"),
    ("control", "store", "roles talk only through the Kubernetes API"),
    ("control", "apiserver", "roles talk only through the Kubernetes API"),
    ("scheduler", "apiserver", "roles talk only through the Kubernetes API"),
    ("proxy", "apiserver", "roles talk only through the Kubernetes API"),
    ("store", "object", "the store knows no objects"),
    ("object", "host", "the core has no IO"),
];

/// Our crates that each manifest names under `[dependencies]`.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let folders: Vec<_> = fs::read_dir(root().join("crates")).expect("crates/ is readable").flatten().collect();
    let names: BTreeSet<String> = folders.iter().map(|f| f.file_name().to_string_lossy().into_owned()).collect();
    names.iter().map(|name| (name.clone(), direct(name, &names))).collect()
}

fn direct(name: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).expect("manifest is readable");
    let section = manifest.split("\n[dependencies]").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
    let keys = section.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    keys.filter(|key| names.contains(*key)).map(str::to_owned).collect()
}

#[test]
fn arrows_go_down() {
    let mut findings = Vec::new();
    for (name, used) in dependencies() {
        let Some((_, allowed)) = EDGES.iter().find(|(n, _)| *n == name) else {
            findings.push(format!("{name} has no row in the table of edges"));
            continue;
        };
        let free = allowed.contains(&"*");
        findings.extend(
            used.iter().filter(|u| !free && !allowed.contains(&u.as_str())).map(|u| format!("{name} uses {u}")),
        );
    }
    report("crate edges that the design does not have:", &findings);
}

#[test]
fn absences_hold() {
    let all = dependencies();
    let findings: Vec<_> = ABSENCES
        .iter()
        .filter(|(from, to, _)| reaches(&all, from, to))
        .map(|(from, to, why)| format!("{from} reaches {to}: {why}"))
        .collect();
    report("crates that must not know each other:", &findings);
}

fn reaches(all: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    all.get(from).is_some_and(|used| used.iter().any(|u| u == to || reaches(all, u, to)))
}
