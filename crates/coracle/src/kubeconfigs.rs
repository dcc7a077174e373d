//! The kubeconfigs that have this cluster's context: remembered, so that a reset finds them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::failure::chain;
use crate::instance::Instance;

/// Version of the file's form.
const VERSION: u32 = 1;
/// Below the data directory.
const FILE: &str = "kubeconfigs.json";

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    files: Vec<Entry>,
}

/// A kubeconfig that the context was merged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub path: PathBuf,
    /// Whether there was no such file before.
    pub made: bool,
}

/// The first file of KUBECONFIG, else the one in the home directory.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
pub(crate) fn default() -> Option<PathBuf> {
    let listed =
        std::env::var("KUBECONFIG").ok().and_then(|list| list.split(':').find(|p| !p.is_empty()).map(PathBuf::from));
    listed.or_else(|| std::env::home_dir().map(|home| home.join(".kube/config")))
}

/// Notes a file that the context is about to be merged into.
pub(crate) fn remember(instance: &Instance, path: &Path) -> Result<(), Failure> {
    let mut files = remembered(instance);
    let what = || format!("noting that {} has the cluster's context", path.display());
    let path = std::path::absolute(path).map_err(|e| Failure::new(what(), e))?;
    if files.iter().any(|known| known.path == path) {
        return Ok(());
    }
    let made = !path.exists();
    files.push(Entry { path, made });
    let text = serde_json::to_string_pretty(&Record { version: VERSION, files });
    let text = text.map_err(|e| Failure::new(what(), e))?;
    fs::write(instance.path(FILE), text).map_err(|e| Failure::new(what(), e))
}

/// The files that have the cluster's context: of those remembered, the usual one and another.
pub(crate) fn with_context(instance: &Instance, another: Option<&Path>) -> Vec<Entry> {
    let mut files = remembered(instance);
    for path in default().into_iter().chain(another.map(Path::to_owned)) {
        let path = std::path::absolute(&path).unwrap_or(path);
        if !files.iter().any(|known| known.path == path) {
            files.push(Entry { path, made: false });
        }
    }
    files.retain(|entry| is_ours(instance, &entry.path));
    files
}

/// Takes the context out of a file, and the file away if it was made for it alone.
pub(crate) fn forget(instance: &Instance, entry: &Entry) -> Result<(), Failure> {
    let (path, context) = (&entry.path, instance.context());
    let what = || format!("removing the context {context:?} from {}", path.display());
    pki::kubeconfig::remove(path, &context).map_err(|e| Failure::new(what(), chain(&e)))?;
    if entry.made && pki::kubeconfig::is_empty(path).is_ok_and(|empty| empty) {
        fs::remove_file(path).map_err(|e| Failure::new(what(), e))?;
    }
    Ok(())
}

/// Whether the cluster's entry in the file is verified with this cluster's authority. Where that is gone, a name that
/// tells the data directory is proof enough; the plain name could be that of a cluster elsewhere.
fn is_ours(instance: &Instance, path: &Path) -> bool {
    let Ok(Some(found)) = pki::kubeconfig::authority_of(path, &instance.context()) else { return false };
    match fs::read_to_string(instance.path("pki/ca.crt")) {
        Ok(authority) => authority.trim() == found.trim() || instance.has_own_names(),
        Err(_) => instance.has_own_names(),
    }
}

/// What was noted; nothing when that cannot be read.
fn remembered(instance: &Instance) -> Vec<Entry> {
    let text = fs::read_to_string(instance.path(FILE)).unwrap_or_default();
    let record = serde_json::from_str::<Record>(&text).ok().filter(|record| record.version == VERSION);
    record.map(|record| record.files).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_remembered_once_and_what_cannot_be_read_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance::open(&dir.path().join("data")).unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::write(&one, "").unwrap();
        for path in [&one, &two, &one] {
            remember(&instance, path).unwrap();
        }
        let expected = [Entry { path: one, made: false }, Entry { path: two.clone(), made: true }];
        assert_eq!(remembered(&instance), expected);
        fs::write(&two, "").unwrap();
        remember(&instance, &two).unwrap();
        assert_eq!(remembered(&instance), expected, "that it was made stays known");
        for text in ["", "{\"version\":1,\"fil", "{\"version\":9,\"files\":[]}"] {
            fs::write(instance.path(FILE), text).unwrap();
            assert!(remembered(&instance).is_empty(), "{text}");
        }
    }
}
