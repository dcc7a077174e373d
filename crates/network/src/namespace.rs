//! Named network namespaces: nsfs mounts under the state directory.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::{Error, settings};

/// The namespace of the thread that reads it.
const SELF: &str = "/proc/thread-self/ns/net";

/// The directory of an instance's namespaces.
#[derive(Debug, Clone)]
pub(crate) struct Namespaces {
    dir: PathBuf,
}

impl Namespaces {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, Error> {
        let dir = state_dir.join("netns");
        fs::create_dir_all(&dir).map_err(Error::system(format!("create {}", dir.display())))?;
        Ok(Self { dir })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the namespace `name` and runs `inside` on a thread in it, with the open namespace.
    ///
    /// The thread ends with the call: a thread that has left the host's namespace must not return to a pool.
    pub(crate) fn create<T, F>(&self, name: &str, ipv6: bool, inside: F) -> Result<T, Error>
    where
        T: Send,
        F: FnOnce(&File) -> Result<T, Error> + Send,
    {
        let path = self.path(name);
        thread::scope(|scope| {
            let enter = || {
                let namespace = unshared(&path, ipv6)?;
                inside(&namespace)
            };
            let thread = thread::Builder::new().name("netns".into()).spawn_scoped(scope, enter);
            let thread = thread.map_err(Error::system("start a thread for a network namespace"))?;
            thread.join().map_err(|_| Error::Worker("the thread of a network namespace"))?
        })
    }

    /// Names of everything in the directory, mounted or not.
    pub(crate) fn list(&self) -> Result<Vec<String>, Error> {
        let what = || Error::system(format!("list {}", self.dir.display()));
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(what())? {
            names.extend(entry.map_err(what())?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    /// Whether `name` still holds a namespace: mounts do not survive a reboot, files do.
    pub(crate) fn is_alive(&self, name: &str) -> bool {
        statfs(&self.path(name)).is_ok_and(|stat| stat.filesystem_type() == NSFS_MAGIC)
    }

    /// Unmounts and removes `name`; the namespace ends when its last process does.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match umount2(&path, MntFlags::MNT_DETACH) {
            Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => {}
            Err(errno) => return Err(Error::errno(format!("unmount {}", path.display()))(errno)),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::system(format!("remove {}", path.display()))(error))
            }
            _ => Ok(()),
        }
    }
}

/// Moves the calling thread into a new namespace and mounts it at `path`.
fn unshared(path: &Path, ipv6: bool) -> Result<File, Error> {
    let shown = path.display();
    File::create(path).map_err(Error::system(format!("create {shown}")))?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(Error::errno("create a network namespace"))?;
    mount(Some(SELF), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(Error::errno(format!("mount a network namespace at {shown}")))?;
    settings::prepare_namespace(ipv6);
    File::open(SELF).map_err(Error::system(format!("open {SELF}")))
}
