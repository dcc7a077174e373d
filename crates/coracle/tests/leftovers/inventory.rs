//! Everything on a machine that a cluster could leave something in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use testing::Machine;

/// What there is, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inventory(BTreeMap<&'static str, BTreeSet<String>>);

/// What is asked of the machine itself: kind, program, arguments.
const ASKED: &[(&str, &str, &[&str])] = &[
    ("links", "ip", &["-o", "link"]),
    ("addresses", "ip", &["-o", "addr"]),
    ("routes", "ip", &["route", "show", "table", "all"]),
    ("routes of IPv6", "ip", &["-6", "route", "show", "table", "all"]),
    ("rules", "ip", &["rule"]),
    ("rules of IPv6", "ip", &["-6", "rule"]),
    ("neighbours", "ip", &["neigh"]),
    ("tables", "nft", &["list", "ruleset"]),
    ("mounts", "cat", &["/proc/self/mountinfo"]),
];

/// Where programs keep what outlives them, beside their data directories.
const PLACES: &[&str] = &["/run", "/var/lib", "/var/log", "/etc"];

/// What kubectl keeps in a home for itself.
const KUBECTLS: &str = ".kube";

impl Inventory {
    /// `marks` are texts by which processes, cgroups and files that are no machine's own belong to it; `home` is where
    /// its users' files are.
    pub(crate) fn take(machine: &Machine, marks: &[String], home: Option<&Path>) -> Self {
        let mut kinds: BTreeMap<_, _> = ASKED
            .iter()
            .map(|(kind, program, arguments)| {
                let printed = said(machine.command(program).args(*arguments));
                (*kind, printed.lines().map(str::to_owned).collect())
            })
            .collect();
        // Mounts of other tests were copied with the host's, and go when those end.
        let own = |line: &String| {
            !line.contains(" /tmp/") || home.is_some_and(|home| line.contains(&*home.to_string_lossy()))
        };
        kinds.entry("mounts").and_modify(|mounts: &mut BTreeSet<String>| mounts.retain(own));
        let sockets = said(machine.command("cat").arg("/proc/net/unix"));
        kinds.insert(
            "sockets",
            sockets.lines().skip(1).filter_map(|line| line.split_whitespace().nth(7)).map(str::to_owned).collect(),
        );
        kinds.insert("processes", processes(machine, marks));
        kinds.insert(
            "cgroups",
            found(Path::new("/sys/fs/cgroup"), &|path| {
                fs::metadata(path).is_ok_and(|m| m.is_dir())
                    && marks.iter().any(|mark| path.to_string_lossy().contains(mark))
            }),
        );
        kinds.insert(
            "files",
            home.map(|home| found(home, &|path| !path.starts_with(home.join(KUBECTLS)))).unwrap_or_default(),
        );
        let names = PLACES.iter().flat_map(|place| fs::read_dir(place).into_iter().flatten().flatten());
        kinds.insert(
            "places",
            names.map(|entry| entry.path().display().to_string()).filter(|path| path.contains("coracle")).collect(),
        );
        Self(kinds)
    }

    /// Fails with what came and what went.
    #[track_caller]
    pub(crate) fn must_equal(&self, before: &Self, when: &str) {
        let mut differences = String::new();
        for (kind, now) in &self.0 {
            let then = &before.0[kind];
            let added = now.difference(then).map(|item| format!("\n  {kind} + {item}"));
            let lost = then.difference(now).map(|item| format!("\n  {kind} - {item}"));
            differences.extend(added.chain(lost));
        }
        assert!(differences.is_empty(), "{when}:{differences}");
    }
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Those in the machine's network, and those that carry a mark.
fn processes(machine: &Machine, marks: &[String]) -> BTreeSet<String> {
    let own = said(machine.command("stat").args(["-Lc", "%i", "/proc/self/ns/net"])).trim().parse::<u64>().ok();
    let entries = fs::read_dir("/proc").expect("/proc is readable").flatten();
    let mut all = BTreeSet::new();
    for path in entries.map(|entry| entry.path()).filter(|path| path.join("stat").exists()) {
        let text =
            |name: &str| String::from_utf8_lossy(&fs::read(path.join(name)).unwrap_or_default()).replace('\0', " ");
        let (line, groups) = (text("cmdline"), text("cgroup"));
        let inside = own.is_some() && fs::metadata(path.join("ns/net")).ok().map(|m| m.ino()) == own;
        let pid = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What has ended and waits for its parent holds nothing any more.
        let ended = text("stat").rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']));
        let number = pid.parse::<u32>().is_ok_and(|pid| pid != std::process::id());
        if number && !ended && (inside || marks.iter().any(|mark| line.contains(mark) || groups.contains(mark))) {
            all.insert(format!("{pid} {line}"));
        }
    }
    all
}

/// Paths below a directory, links not followed.
fn found(directory: &Path, wanted: &dyn Fn(&Path) -> bool) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if wanted(&path) {
            all.insert(path.display().to_string());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(found(&path, wanted));
        }
    }
    all
}
