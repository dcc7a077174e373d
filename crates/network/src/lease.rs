//! Which sandbox holds which slot and addresses: one small file for each lease, written before the slot is used.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host_ports::HostPort;
use crate::{Error, state_file};

/// What a sandbox holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) sandbox: String,
    pub(crate) slot: String,
    pub(crate) addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) host_ports: Vec<HostPort>,
}

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
            let is_lease = path.extension().is_some_and(|extension| extension == "json");
            match if is_lease { state_file::read::<Lease>(&path)? } else { None } {
                Some(lease) => drop(leases.insert(lease.sandbox.clone(), lease)),
                None => state_file::remove(&path)?,
            }
        }
        Ok(leases)
    }

    pub(crate) fn write(&self, lease: &Lease) -> Result<(), Error> {
        state_file::write(&self.path(&lease.slot), lease)
    }

    pub(crate) fn remove(&self, slot: &str) -> Result<(), Error> {
        state_file::remove(&self.path(slot))
    }

    fn path(&self, slot: &str) -> PathBuf {
        self.dir.join(format!("{slot}.json"))
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
    fn what_earlier_releases_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path()).unwrap();
        let with_port = r#"{"version":1,"sandbox":"sandbox-a","slot":"a","addresses":["10.42.0.5"],
            "host_ports":[{"protocol":"udp","host_address":null,"host_port":53,"pod_port":5353}]}"#;
        let plain = r#"{"version":1,"sandbox":"sandbox-b","slot":"b","addresses":["10.42.0.6","fd00::6"]}"#;
        fs::write(leases.path("a"), with_port).unwrap();
        fs::write(leases.path("b"), plain).unwrap();
        let loaded: Vec<Lease> = leases.load().unwrap().into_values().collect();
        let addresses = vec!["10.42.0.6".parse().unwrap(), "fd00::6".parse().unwrap()];
        assert_eq!(loaded, [lease("a"), Lease { addresses, host_ports: Vec::new(), ..lease("b") }]);
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
