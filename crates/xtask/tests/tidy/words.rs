//! Words that have no place in the tree.

use std::process::Command;

use crate::sources;
use crate::{report, root};

/// Word, and what to do instead. Split so that this file does not find itself.
const IN_SOURCES: &[(&str, &str)] = &[
    (concat!("to", "do!("), "write it, or answer with an error that says it is missing"),
    (concat!("unimpl", "emented!("), "write it, or answer with an error that says it is missing"),
    (concat!("#[", "allow("), "use #[expect(lint, reason = \"…\")]"),
    (concat!("#![", "allow("), "use #![expect(lint, reason = \"…\")]"),
];

/// Hosts of package registries: lock files name them, nothing else does.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("registry.", "npmjs"),
    concat!("proxy.", "golang.org"),
    concat!("deb.", "debian.org"),
    concat!("repo.", "maven"),
];

#[test]
fn sources_hold_no_banned_words() {
    let mut findings = Vec::new();
    for source in sources::all() {
        for (number, line) in source.code.lines().enumerate() {
            for (word, instead) in IN_SOURCES.iter().filter(|(word, _)| line.contains(word)) {
                findings.push(format!("{}:{}: `{word}`: {instead}", source.path, number + 1));
            }
        }
    }
    report("banned in sources:", &findings);
}

#[test]
fn nothing_names_a_package_registry() {
    let listed = Command::new("git").arg("ls-files").current_dir(root()).output().expect("git lists the tree");
    let files = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut findings = Vec::new();
    for path in files.lines().filter(|p| !p.ends_with(".lock") && !p.ends_with("go.sum")) {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        findings.extend(HOSTS.iter().filter(|h| text.contains(**h)).map(|h| format!("{path} names {h}")));
    }
    report("package registries' hosts:", &findings);
}
