//! Control groups on v1, v2 and hybrid machines: where they are, making, limiting, joining and removing them.

mod limits;
mod usage;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use limits::{Hugepages, Resources};
pub use usage::{Pressure, Stall, Usage};

/// Controllers that containers are put into, where a machine has them on v1. The others cost a grace period of the
/// kernel each and are of no use to a container.
const JOINED: &[&str] = &["cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "hugetlb"];

/// Controllers that are handed down the tree on v2.
const DELEGATED: &[&str] = &["cpu", "cpuset", "io", "memory", "pids", "hugetlb"];

/// How often processes that fork while they are killed are looked for again, on v1.
const KILL_ROUNDS: usize = 100;

/// The hierarchies of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// v1 hierarchies that containers join, with their controllers.
    v1: Vec<Hierarchy>,
    /// The v2 hierarchy, where it has the controllers: not on hybrid machines.
    v2: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy {
    mountpoint: PathBuf,
    controllers: Vec<String>,
}

/// Why a control group could not be made, limited or removed.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path}")]
pub struct Error {
    what: &'static str,
    path: String,
    #[source]
    pub(crate) source: io::Error,
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.source.kind(), format!("{error}: {}", error.source))
    }
}

impl Error {
    fn new(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self { what, path, source }
    }
}

impl Hierarchies {
    /// Finds them among this process's mounts.
    pub fn find() -> io::Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/self/mounts")?))
    }

    fn parse(mounts: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (Some(mountpoint), Some(kind), Some(options)) = (fields.next(), fields.next(), fields.next()) else {
                continue;
            };
            let mountpoint = PathBuf::from(mountpoint);
            match kind {
                "cgroup" => found.add_v1(mountpoint, options),
                "cgroup2" => found.v2 = found.v2.or(Some(mountpoint)),
                _ => {}
            }
        }
        if !found.v1.is_empty() {
            found.v2 = None;
        }
        found
    }

    fn add_v1(&mut self, mountpoint: PathBuf, options: &str) {
        let controllers: Vec<String> =
            options.split(',').filter(|option| JOINED.contains(option)).map(str::to_owned).collect();
        let known = self.v1.iter().any(|h| h.controllers == controllers);
        if !controllers.is_empty() && !known {
            self.v1.push(Hierarchy { mountpoint, controllers });
        }
    }

    /// Which of the controllers that a container runtime cannot do without are not there.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        const NEEDED: &[&str] = &["cpu", "memory", "pids"];
        let v2 = self.v2.as_ref().and_then(|root| fs::read_to_string(root.join("cgroup.controllers")).ok());
        let has = |controller: &str| match &v2 {
            Some(controllers) => controllers.split_whitespace().any(|c| c == controller),
            None => self.v1(controller).is_some(),
        };
        NEEDED.iter().copied().filter(|controller| !has(controller)).collect()
    }

    /// Whether this is a v2 machine.
    #[must_use]
    pub fn unified(&self) -> bool {
        self.v2.is_some()
    }

    /// The group at `path`, which begins at the root of the hierarchies.
    #[must_use]
    pub fn group(&self, path: &str) -> Group<'_> {
        Group { hierarchies: self, path: path.trim_start_matches('/').to_owned() }
    }

    fn v1(&self, controller: &str) -> Option<&Path> {
        let holds = |h: &&Hierarchy| h.controllers.iter().any(|c| c == controller);
        self.v1.iter().find(holds).map(|h| h.mountpoint.as_path())
    }

    fn roots(&self) -> impl Iterator<Item = &Path> {
        self.v1.iter().map(|h| h.mountpoint.as_path()).chain(self.v2.as_deref())
    }
}

/// A control group: one directory in every hierarchy.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    hierarchies: &'a Hierarchies,
    path: String,
}

impl Group<'_> {
    /// Makes the group and its parents. Returns whether it was not there before.
    pub fn create(&self) -> Result<bool, Error> {
        let mut new = false;
        for root in self.hierarchies.roots() {
            let directory = root.join(&self.path);
            if directory.is_dir() {
                continue;
            }
            new = true;
            if self.hierarchies.v2.is_some() {
                self.delegate(root)?;
            }
            fs::create_dir_all(&directory).map_err(Error::new("creating cgroup", &directory))?;
            if self.hierarchies.v1("cpuset") == Some(root) {
                self.inherit_cpuset(root).map_err(Error::new("setting the cpus of cgroup", &directory))?;
            }
        }
        Ok(new)
    }

    /// Makes the parents and hands the controllers down to them (v2).
    fn delegate(&self, root: &Path) -> Result<(), Error> {
        let available = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
        let wanted: Vec<String> =
            available.split_whitespace().filter(|c| DELEGATED.contains(c)).map(|c| format!("+{c}")).collect();
        let mut directory = root.to_owned();
        let mut rest = Path::new(&self.path).iter().peekable();
        while let Some(name) = rest.next() {
            let control = directory.join("cgroup.subtree_control");
            fs::write(&control, wanted.join(" ")).map_err(Error::new("enabling controllers in", &control))?;
            directory.push(name);
            if rest.peek().is_some() && !directory.is_dir() {
                fs::create_dir(&directory).map_err(Error::new("creating cgroup", &directory))?;
            }
        }
        Ok(())
    }

    /// A v1 cpuset takes no process before it has cpus and memory nodes: takes the parents', from the top down.
    fn inherit_cpuset(&self, root: &Path) -> io::Result<()> {
        let mut directory = root.to_owned();
        for name in Path::new(&self.path) {
            let parent = directory.clone();
            directory.push(name);
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if fs::read_to_string(directory.join(file))?.trim().is_empty() {
                    fs::write(directory.join(file), fs::read(parent.join(file))?)?;
                }
            }
        }
        Ok(())
    }

    /// Moves the calling process, which has one thread, into the group.
    ///
    /// On v1 as a thread: the kernel then need not stop the forks of the whole machine, for which it would wait a grace
    /// period. That is most of what starting a container takes.
    pub fn join(&self) -> Result<(), Error> {
        let list = if self.hierarchies.unified() { "cgroup.procs" } else { "tasks" };
        for root in self.hierarchies.roots() {
            let file = root.join(&self.path).join(list);
            fs::write(&file, "0").map_err(Error::new("joining", &file))?;
        }
        Ok(())
    }

    /// The group's directory on v2, for a process that is born into it.
    pub(crate) fn unified_directory(&self) -> Option<PathBuf> {
        self.hierarchies.v2.as_ref().map(|root| root.join(&self.path))
    }

    /// The group's directories, with the name of each hierarchy as it is found below `/sys/fs/cgroup`.
    pub(crate) fn directories(&self) -> impl Iterator<Item = (&std::ffi::OsStr, PathBuf)> {
        self.hierarchies.v1.iter().filter_map(|h| Some((h.mountpoint.file_name()?, h.mountpoint.join(&self.path))))
    }

    /// Kills every process in the group, those too that are forked meanwhile.
    pub fn kill(&self) {
        if let Some(directory) = self.unified_directory()
            && fs::write(directory.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        let mut killed = BTreeSet::new();
        for _ in 0..KILL_ROUNDS {
            let fresh: Vec<i32> = self.processes().into_iter().filter(|pid| killed.insert(*pid)).collect();
            if fresh.is_empty() {
                return;
            }
            for pid in fresh {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }

    /// The processes in the group, in this process's numbering.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let root = self.hierarchies.v1("pids").or(self.hierarchies.v2.as_deref());
        let file = root.map(|root| root.join(&self.path).join("cgroup.procs"));
        let text = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        // 0 is a process of another process namespace.
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
    }

    /// Removes the group and those below it; a group that is not there is no error.
    pub fn remove(&self) -> Result<(), Error> {
        for root in self.hierarchies.roots() {
            let directory = root.join(&self.path);
            remove_tree(&directory).map_err(Error::new("removing cgroup", &directory))?;
        }
        Ok(())
    }

    /// Removes the group if nothing is in it. Returns whether it is gone.
    pub fn remove_if_empty(&self) -> bool {
        self.hierarchies.roots().all(|root| match fs::remove_dir(root.join(&self.path)) {
            Ok(()) => true,
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        })
    }

    /// The file of a controller: its v1 name, or its v2 name.
    fn file(&self, controller: &str, v1: &str, v2: &str) -> Option<PathBuf> {
        if let Some(root) = &self.hierarchies.v2 {
            return Some(root.join(&self.path).join(v2));
        }
        self.hierarchies.v1(controller).map(|root| root.join(&self.path).join(v1))
    }
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(directory) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
        cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n\
        cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
        cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n\
        cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";

    #[test]
    fn v1_controllers_outrank_a_bare_v2_hierarchy() {
        let found = Hierarchies::parse(HYBRID);
        assert!(!found.unified());
        assert_eq!(found.v1("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(found.roots().count(), 2, "hierarchies without a controller we use are not joined");
        assert_eq!(found.missing(), ["pids"]);
    }

    #[test]
    fn a_v2_machine_has_one_hierarchy() {
        let found = Hierarchies::parse("cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n");
        assert!(found.unified());
        let group = found.group("/a/b");
        assert_eq!(group.unified_directory(), Some("/sys/fs/cgroup/a/b".into()));
        assert_eq!(group.file("memory", "old", "memory.max"), Some("/sys/fs/cgroup/a/b/memory.max".into()));
    }
}
