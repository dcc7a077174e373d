//! Which sandbox holds which slot and addresses: one small file for each lease.
//!
//! A lease is written before the slot is used and lives exactly as long as its network namespace, which does not
//! survive a reboot; a rename is therefore enough, and no flush is needed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::host_ports::HostPort;

const VERSION: u64 = 1;
/// Bytes; a lease is far smaller.
const MAX_FILE: u64 = 64 * 1024;

/// What a sandbox holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) sandbox: String,
    pub(crate) slot: String,
    pub(crate) addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) host_ports: Vec<HostPort>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Nothing {}

/// The directory of lease files.
#[derive(Debug)]
pub(crate) struct Leases {
    dir: PathBuf,
}

impl Leases {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, Error> {
        let dir = state_dir.join("leases");
        fs::create_dir_all(&dir).map_err(Error::system(format!("create {}", dir.display())))?;
        Ok(Self { dir })
    }

    /// All leases by sandbox. A file that cannot be read as a lease is dropped: its slot is then nobody's and is cleaned up.
    pub(crate) fn load(&self) -> Result<BTreeMap<String, Lease>, Error> {
        let mut leases = BTreeMap::new();
        let what = || format!("list {}", self.dir.display());
        for entry in fs::read_dir(&self.dir).map_err(Error::system(what()))? {
            let path = entry.map_err(Error::system(what()))?.path();
            match read(&path)? {
                Some(lease) => drop(leases.insert(lease.sandbox.clone(), lease)),
                None => remove(&path)?,
            }
        }
        Ok(leases)
    }

    pub(crate) fn write(&self, lease: &Lease) -> Result<(), Error> {
        let path = self.path(&lease.slot);
        let unfinished = path.with_extension("new");
        let bytes = serde_json::to_vec(&Versioned { version: VERSION, content: lease })
            .map_err(|error| Error::system(format!("encode {}", path.display()))(error.into()))?;
        fs::write(&unfinished, bytes).map_err(Error::system(format!("write {}", unfinished.display())))?;
        fs::rename(&unfinished, &path).map_err(Error::system(format!("replace {}", path.display())))
    }

    pub(crate) fn remove(&self, slot: &str) -> Result<(), Error> {
        remove(&self.path(slot))
    }

    fn path(&self, slot: &str) -> PathBuf {
        self.dir.join(format!("{slot}.json"))
    }
}

fn read(path: &Path) -> Result<Option<Lease>, Error> {
    let what = || Error::system(format!("read {}", path.display()));
    if path.extension().is_none_or(|extension| extension != "json")
        || fs::metadata(path).map_err(what())?.len() > MAX_FILE
    {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(what())?;
    match serde_json::from_slice::<Versioned<Nothing>>(&bytes) {
        Ok(Versioned { version, .. }) if version != VERSION => {
            Err(Error::Version { path: path.to_path_buf(), found: version, known: VERSION })
        }
        _ => Ok(serde_json::from_slice::<Versioned<Lease>>(&bytes).ok().map(|versioned| versioned.content)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host_ports::Protocol;

    fn lease(slot: &str) -> Lease {
        let port = HostPort { protocol: Protocol::Udp, host_address: None, host_port: 53, pod_port: 5353 };
        let addresses = vec!["10.42.0.5".parse().unwrap()];
        Lease { sandbox: format!("sandbox-{slot}"), slot: slot.into(), addresses, host_ports: vec![port] }
    }

    #[test]
    fn leases_are_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path()).unwrap();
        leases.write(&lease("a")).unwrap();
        leases.write(&lease("b")).unwrap();
        leases.remove("b").unwrap();
        leases.remove("never").unwrap();
        let loaded = Leases::open(dir.path()).unwrap().load().unwrap();
        assert_eq!(loaded.into_values().collect::<Vec<_>>(), [lease("a")]);
    }

    #[test]
    fn torn_files_are_dropped_and_unknown_versions_refused() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path()).unwrap();
        for (name, content) in [("torn.json", "{\"version\":1,\"sand"), ("left.new", "x"), ("empty.json", "")] {
            fs::write(dir.path().join("leases").join(name), content).unwrap();
        }
        assert!(leases.load().unwrap().is_empty());
        assert_eq!(fs::read_dir(dir.path().join("leases")).unwrap().count(), 0);
        fs::write(dir.path().join("leases/future.json"), "{\"version\":7}").unwrap();
        let error = leases.load().unwrap_err().to_string();
        assert!(error.ends_with("future.json has version 7, this program reads version 1"), "{error}");
    }
}
