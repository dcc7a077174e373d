//! What there is of an instance on this machine, found without starting anything.

use std::fmt;
use std::path::{Path, PathBuf};

use network::Network;

use crate::Failure;
use crate::instance::Instance;
use crate::kubeconfigs::{self, Entry};
use crate::processes::{self, Process};
use crate::{mounts, node};

/// Lists longer than this are counted.
const SHOWN: usize = 4;

/// Everything that a reset removes.
#[derive(Debug)]
pub(crate) struct Remains {
    pub processes: Vec<Process>,
    pub mounts: Vec<PathBuf>,
    /// Links, addresses and nftables tables, in words.
    pub network: Vec<String>,
    pub cgroups: Vec<PathBuf>,
    pub kubeconfigs: Vec<Entry>,
    /// The data directory, if it is there.
    pub files: Option<PathBuf>,
    context: String,
}

impl Remains {
    /// Looks everywhere; `kubeconfig` is a file to look into beside those that are known.
    pub(crate) async fn find(instance: &Instance, kubeconfig: Option<&Path>) -> Result<Self, Failure> {
        let what = format!("looking for what is left of the cluster in {}", instance.data_dir.display());
        let mut network = Network::remains(&instance.id).await.map_err(|e| Failure::caused(&what, &e))?;
        let tables = proxy::remains(&instance.id).map_err(|e| Failure::caused(&what, &e))?;
        network.extend(tables.into_iter().map(|name| format!("nftables table {name}")));
        Ok(Self {
            processes: processes::find(instance),
            mounts: mounts::list_below(&instance.data_dir),
            network,
            cgroups: kubelet::cgroup::directories(&node::cgroup_root(instance)),
            kubeconfigs: kubeconfigs::with_context(instance, kubeconfig),
            files: instance.has_files().then(|| instance.data_dir.clone()),
            context: instance.context(),
        })
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.lines().is_empty()
    }

    /// A line for each kind of which there is something.
    fn lines(&self) -> Vec<String> {
        let processes = self.processes.iter().map(|process| format!("process {} ({})", process.pid, process.name));
        let shown = |paths: &[PathBuf], kind: &str| -> Vec<String> {
            paths.iter().map(|path| format!("{kind} {}", path.display())).collect()
        };
        let files = self.kubeconfigs.iter().map(|entry| entry.path.display());
        let contexts = files.map(|file| format!("context {:?} in {file}", self.context)).collect();
        let data = self.files.iter().map(|path| format!("{} with everything in it", path.display())).collect();
        let kinds = [
            listed(processes.collect(), "processes"),
            listed(shown(&self.mounts, "mount"), "mounts"),
            listed(self.network.clone(), "links, addresses and tables"),
            listed(shown(&self.cgroups, "cgroup"), "cgroups"),
            listed(contexts, "contexts"),
            listed(data, "directories"),
        ];
        kinds.into_iter().flatten().collect()
    }
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// A short list whole, a long one by its beginning and its length.
fn listed(items: Vec<String>, kind: &str) -> Option<String> {
    match items.len() {
        0 => None,
        count if count <= SHOWN => Some(items.join(", ")),
        count => Some(format!("{count} {kind}: {}, …", items[..SHOWN - 1].join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted() {
        let list = |n: usize| listed((0..n).map(|i| format!("link {i}")).collect(), "links");
        assert_eq!(list(0), None);
        assert_eq!(list(2).unwrap(), "link 0, link 1");
        assert_eq!(list(9).unwrap(), "9 links: link 0, link 1, link 2, …");
    }
}
