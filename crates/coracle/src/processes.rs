//! The processes of an instance, found by what the kernel knows of them: no file and no socket of ours is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::Failure;
use crate::instance::{DEFAULT_DATA_DIR, Instance, resolved};
use crate::node;

/// Verbs that run on a data directory until they are told to stop.
const ON_DATA: &[&str] = &["up", "apiserver", "kubelet", "proxy", "runtime", "image"];
/// Verbs that run on a kubeconfig.
const ON_KUBECONFIG: &[&str] = &["scheduler", "controller-manager", "dns"];

/// How often is looked for processes that appeared while others ended.
const ROUNDS: usize = 20;
/// How long killed processes may take to end, each round.
const ROUND: Duration = Duration::from_secs(2);

/// What a process is to the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// `coracle up`, which stops the cluster when it is interrupted.
    Cluster,
    /// Another command of the program.
    Command,
    /// A shim, or what runs in a pod.
    Pod,
}

/// A process, held by a descriptor: its number cannot come to mean another.
#[derive(Debug)]
pub(crate) struct Process {
    pub pid: i32,
    pub name: String,
    pub part: Part,
    handle: OwnedFd,
}

impl Process {
    /// Sends a signal; a process that has ended is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match send(&self.handle, signal) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            sent => sent,
        }
    }

    /// Whether it ends within `limit`. Blocks.
    pub(crate) fn ends_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(ready) => return ready > 0,
                Err(nix::Error::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}

/// Every process of the instance but this one.
pub(crate) fn find(instance: &Instance) -> Vec<Process> {
    let seen: Vec<Seen> = numbers().into_iter().filter_map(Seen::look).collect();
    let mut parts: BTreeMap<i32, Part> =
        seen.iter().filter_map(|process| Some((process.pid, process.part(instance)?))).collect();
    let parents: BTreeMap<i32, i32> = seen.iter().map(|process| (process.pid, process.parent)).collect();
    let below: Vec<i32> = parents.keys().copied().filter(|pid| is_below_pod(*pid, &parents, &parts)).collect();
    parts.extend(below.into_iter().map(|pid| (pid, Part::Pod)));
    let found = seen.into_iter().filter_map(|process| {
        let part = *parts.get(&process.pid)?;
        Some(Process { pid: process.pid, name: process.name, part, handle: process.handle })
    });
    found.filter(|process| !process.ends_within(Duration::ZERO)).collect()
}

/// Kills every process of the instance and waits until they have ended. Returns how many there were. Blocks.
pub(crate) fn end_all(instance: &Instance) -> Result<usize, Failure> {
    let mut ended = BTreeSet::new();
    for _ in 0..ROUNDS {
        let found = find(instance);
        if found.is_empty() {
            return Ok(ended.len());
        }
        for process in &found {
            let what = || format!("ending process {} ({})", process.pid, process.name);
            process.signal(Signal::SIGKILL).map_err(|e| Failure::new(what(), e))?;
        }
        let deadline = Instant::now() + ROUND;
        let over = |process: &&Process| process.ends_within(deadline.saturating_duration_since(Instant::now()));
        ended.extend(found.iter().filter(over).map(|process| process.pid));
    }
    let left: Vec<String> = find(instance).iter().map(|p| format!("{} ({})", p.pid, p.name)).collect();
    if left.is_empty() {
        return Ok(ended.len());
    }
    Err(Failure::new("ending the cluster's processes", format!("these do not end: {}", left.join(", ")))
        .next("a process that waits for a disk or a network file system ends when that answers; then run it again"))
}

/// A process as /proc shows it.
struct Seen {
    pid: i32,
    parent: i32,
    name: String,
    arguments: Vec<Vec<u8>>,
    handle: OwnedFd,
}

impl Seen {
    /// The descriptor comes first: what is read afterwards is of the same process, or of one that lives while the
    /// descriptor's is dead.
    fn look(pid: i32) -> Option<Self> {
        let handle = open(pid).ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (before, after) = stat.rsplit_once(')')?;
        let name = before.split_once('(')?.1.to_owned();
        let parent = after.split_whitespace().nth(1)?.parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments = line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        Some(Self { pid, parent, name, arguments, handle })
    }

    fn part(&self, instance: &Instance) -> Option<Part> {
        if self.is_in_cgroup(instance) || self.is_shim(instance) || self.has_root_of(instance) {
            return Some(Part::Pod);
        }
        self.command_on(instance)
    }

    fn is_in_cgroup(&self, instance: &Instance) -> bool {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        groups.lines().filter_map(|line| line.splitn(3, ':').nth(2)).any(|group| is_within(group, instance))
    }

    /// `shim run <data>/runtime/sandboxes/…`, also what a shim has forked and not yet made a container of.
    fn is_shim(&self, instance: &Instance) -> bool {
        let [program, mode, directory, ..] = self.arguments.as_slice() else { return false };
        let name = Path::new(OsStr::from_bytes(program)).file_name().unwrap_or_default();
        name.as_bytes().starts_with(b"shim")
            && matches!(mode.as_slice(), b"run" | b"unpack")
            && Path::new(OsStr::from_bytes(directory)).starts_with(instance.path("runtime"))
    }

    /// Whether its root is a container's: an overlay that writes below the data directory.
    fn has_root_of(&self, instance: &Instance) -> bool {
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", self.pid)).unwrap_or_default();
        let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/"));
        root.is_some_and(|line| writes_below(line, &instance.path("runtime/containers")))
    }

    fn command_on(&self, instance: &Instance) -> Option<Part> {
        let own = std::env::current_exe().ok()?;
        if self.pid == std::process::id().cast_signed() || self.program()? != own.file_name()?.as_bytes() {
            return None;
        }
        let arguments: Vec<&str> = self.arguments.iter().filter_map(|a| std::str::from_utf8(a).ok()).collect();
        let is_verb = |word: &&&str| ON_DATA.contains(*word) || ON_KUBECONFIG.contains(*word);
        let verb = arguments.iter().skip(1).find(is_verb)?;
        let ours = if ON_DATA.contains(verb) {
            self.resolve(&self.data_dir(&arguments))? == instance.data_dir
        } else {
            self.resolve(flag(&arguments, "--kubeconfig")?)?.starts_with(&instance.data_dir)
        };
        ours.then_some(if *verb == "up" { Part::Cluster } else { Part::Command })
    }

    /// The name of its program's file, also when that has been replaced.
    fn program(&self) -> Option<Vec<u8>> {
        let path = fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?;
        let name = path.file_name()?.as_bytes();
        Some(name.strip_suffix(b" (deleted)").unwrap_or(name).to_vec())
    }

    fn data_dir(&self, arguments: &[&str]) -> String {
        let given = || {
            let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
            let mut pairs = environment.split(|byte| *byte == 0);
            pairs.find_map(|pair| String::from_utf8(pair.strip_prefix(b"CORACLE_DATA_DIR=")?.to_vec()).ok())
        };
        flag(arguments, "--data-dir").map(str::to_owned).or_else(given).unwrap_or_else(|| DEFAULT_DATA_DIR.to_owned())
    }

    /// A path as the process means it.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        resolved(&fs::read_link(format!("/proc/{}/cwd", self.pid)).ok()?.join(path)).ok()
    }
}

/// The value of a flag, in either spelling.
fn flag<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == name {
            return rest.next().copied();
        }
        if let Some(value) = argument.strip_prefix(name).and_then(|value| value.strip_prefix('=')) {
            return Some(value);
        }
    }
    None
}

/// Whether a cgroup is the instance's or below it; one that is gone has a note behind its name.
fn is_within(group: &str, instance: &Instance) -> bool {
    let rest = group.strip_prefix(&node::cgroup_root(instance));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ' ']))
}

/// Whether a line of mountinfo is an overlay whose upper directory is below `directory`.
fn writes_below(line: &str, directory: &Path) -> bool {
    let Some((_, of_type)) = line.split_once(" - ") else { return false };
    let upper = of_type.split([' ', ',']).find_map(|option| option.strip_prefix("upperdir="));
    of_type.starts_with("overlay ") && upper.is_some_and(|upper| Path::new(upper).starts_with(directory))
}

/// Whether one of its ancestors belongs to a pod: processes may leave their cgroup, not their parents.
fn is_below_pod(pid: i32, parents: &BTreeMap<i32, i32>, parts: &BTreeMap<i32, Part>) -> bool {
    let ancestors = std::iter::successors(parents.get(&pid), |parent| parents.get(parent));
    // Numbers are read one after the other and could form a ring.
    ancestors.take(parents.len()).any(|ancestor| parts.get(ancestor) == Some(&Part::Pod))
}

fn numbers() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[expect(unsafe_code, reason = "pidfd_open has no safe wrapper")]
fn open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes plain numbers; the descriptor that it returns is owned by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?))
    }
}

#[expect(unsafe_code, reason = "pidfd_send_signal has no safe wrapper")]
fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open, and a null siginfo stands for the one of kill.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal as i32, none, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(directory: &str) -> Instance {
        Instance::at(Path::new(directory)).unwrap()
    }

    #[test]
    fn groups_are_told_apart_by_whole_names() {
        let ours = instance("/nowhere/a");
        let id = &ours.id;
        for (group, expected) in [
            (format!("/coracle-{id}"), true),
            (format!("/coracle-{id}/shims"), true),
            (format!("/coracle-{id} (deleted)"), true),
            (format!("/coracle-{id}0/shims"), false),
            (format!("/other/coracle-{id}"), false),
            ("/".into(), false),
        ] {
            assert_eq!(is_within(&group, &ours), expected, "{group}");
        }
    }

    #[test]
    fn roots_are_told_by_where_they_write() {
        let line = |upper: &str| {
            format!("513 512 0:61 / / rw,relatime - overlay overlay rw,lowerdir=x,upperdir={upper},workdir=y,volatile")
        };
        let directory = Path::new("/data/runtime/containers");
        assert!(writes_below(&line("/data/runtime/containers/0a/upper"), directory));
        assert!(!writes_below(&line("/data/runtime/containers2/0a/upper"), directory));
        assert!(!writes_below("22 1 254:0 / / rw - ext4 /dev/vda rw,upperdir=/data/runtime/containers/x", directory));
    }

    #[test]
    fn flags_have_two_spellings() {
        for arguments in [&["up", "--data-dir", "/a"][..], &["up", "--data-dir=/a"], &["--data-dir=/a", "up"]] {
            assert_eq!(flag(arguments, "--data-dir"), Some("/a"));
        }
        assert_eq!(flag(&["up", "--data-dirs=/a"], "--data-dir"), None);
        assert_eq!(flag(&["up", "--data-dir"], "--data-dir"), None);
    }

    #[test]
    fn a_shim_is_found_by_its_arguments_and_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (instance(dir.path().join("a").to_str().unwrap()), instance("/nowhere/b"));
        // A shell by the name of a shim, which a real one forks from as well.
        let shim = dir.path().join("shim");
        std::os::unix::fs::symlink("/bin/sh", &shim).unwrap();
        let directory = ours.path("runtime/sandboxes/x");
        let mut child = std::process::Command::new("/bin/sh");
        std::os::unix::process::CommandExt::arg0(&mut child, &shim);
        fs::write(dir.path().join("run"), "sleep 600 & wait").unwrap();
        let mut child = child.current_dir(dir.path()).arg("run").arg(&directory).spawn().unwrap();
        while find(&ours).len() < 2 {
            std::thread::yield_now();
        }
        assert!(find(&ours).iter().all(|process| process.part == Part::Pod));
        assert!(find(&other).is_empty());
        assert_eq!(end_all(&ours).unwrap(), 2);
        assert!(!child.wait().unwrap().success());
        assert_eq!(end_all(&ours).unwrap(), 0);
    }
}
