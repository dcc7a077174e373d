//! How a container fares, written down by the shim so that a restarted runtime finds it.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::spec::Identity;

/// The version of the file that this code writes; it reads no other.
const VERSION: u32 = 1;

const FILE: &str = "status.json";

/// A started container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    version: u32,
    /// Nanoseconds since the epoch.
    pub started_at: i64,
    /// The first process, in the host's numbering; meaningless after the exit.
    pub pid: i32,
    pub user: Identity,
    pub exit: Option<Exit>,
}

/// The end of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code; 128 and the signal's number when a signal ended the process.
    pub code: i32,
    /// Nanoseconds since the epoch.
    pub finished_at: i64,
    /// Whether the kernel killed a process of it for want of memory.
    pub out_of_memory: bool,
}

impl Status {
    #[must_use]
    pub fn started(pid: i32, started_at: i64, user: Identity) -> Self {
        Self { version: VERSION, started_at, pid, user, exit: None }
    }

    /// Writes the status into a container's directory; readers see the old one or the new one.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join(".status.json");
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(&temporary, directory.join(FILE))
    }

    /// The status in a container's directory; none when the container was never started.
    pub fn load(directory: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(directory.join(FILE)) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let status: Self = serde_json::from_slice(&bytes)?;
        if status.version != VERSION {
            let message = format!("container status has version {}, this program reads {VERSION}", status.version);
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(Some(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Status::load(dir.path()).unwrap(), None);
        let mut status = Status::started(7, 8, Identity { uid: 1, gid: 2, groups: vec![2, 3] });
        status.exit = Some(Exit { code: 137, finished_at: 9, out_of_memory: true });
        status.save(dir.path()).unwrap();
        assert_eq!(Status::load(dir.path()).unwrap(), Some(status));
    }

    #[test]
    fn what_earlier_releases_wrote_is_read() {
        let check = |text: &str, exit: Option<Exit>| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FILE), text).unwrap();
            let status = Status::load(dir.path()).unwrap().unwrap();
            assert_eq!((status.started_at, status.pid, status.exit), (5, 31433, exit));
        };
        let user = r#"{"uid":0,"gid":0,"groups":[0]}"#;
        check(&format!(r#"{{"version":1,"started_at":5,"pid":31433,"user":{user},"exit":null}}"#), None);
        let exit = r#"{"code":3,"finished_at":9,"out_of_memory":false}"#;
        let text = format!(r#"{{"version":1,"started_at":5,"pid":31433,"user":{user},"exit":{exit}}}"#);
        check(&text, Some(Exit { code: 3, finished_at: 9, out_of_memory: false }));
    }

    #[test]
    fn an_unknown_version_is_refused_with_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut status = Status::started(7, 8, Identity::default());
        status.version = 2;
        status.save(dir.path()).unwrap();
        let error = Status::load(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), "container status has version 2, this program reads 1");
    }
}
