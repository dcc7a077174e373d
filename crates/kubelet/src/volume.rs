//! A pod's volumes on the node's disk.

pub mod atomic;
pub mod host_path;
pub mod mount;
pub mod ownership;
pub mod payload;
pub mod subpath;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, PodSpec, Volume};

use crate::quantity;
use payload::Payload;

/// Why a volume is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words go into an event.
    #[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
    SetUp { volume: String, source: Reason },
    #[error("removing the volumes below {path}")]
    TearDown { path: PathBuf, source: io::Error },
}

/// What went wrong with one volume.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error(transparent)]
    Payload(#[from] payload::Error),
    #[error(transparent)]
    HostPath(#[from] host_path::Error),
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("requesting a token for service account {account}: {source}")]
    Token { account: String, source: Box<kube::Error> },
    #[error("{0} is not supported by this kubelet")]
    Unsupported(String),
}

impl Reason {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

/// Where a pod keeps its files: `<kubelet>/pods/<uid>`.
#[derive(Debug, Clone)]
pub struct PodDir(PathBuf);

impl PodDir {
    #[must_use]
    pub fn new(kubelet: &Path, uid: &str) -> Self {
        Self(kubelet.join("pods").join(uid))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    /// Where a volume is before it is complete.
    fn unfinished(&self, volume: &Path) -> PathBuf {
        self.0.join("volumes/unfinished").join(volume.file_name().unwrap_or_default())
    }

    /// The hosts file that the pod's containers see.
    #[must_use]
    pub fn hosts(&self) -> PathBuf {
        self.0.join("etc-hosts")
    }

    /// The file for a container's last words.
    #[must_use]
    pub fn termination(&self, container: &str, attempt: u32) -> PathBuf {
        self.0.join("containers").join(container).join(attempt.to_string())
    }

    /// Where `volume` is on this machine.
    #[must_use]
    pub fn volume(&self, volume: &Volume) -> PathBuf {
        match &volume.host_path {
            Some(source) => PathBuf::from(&source.path),
            None => self.volumes().join(plugin(volume)).join(&volume.name),
        }
    }
}

/// The directory name of a volume's kind.
fn plugin(volume: &Volume) -> &'static str {
    if volume.config_map.is_some() {
        "kubernetes.io~configmap"
    } else if volume.secret.is_some() {
        "kubernetes.io~secret"
    } else if volume.downward_api.is_some() {
        "kubernetes.io~downward-api"
    } else if volume.projected.is_some() {
        "kubernetes.io~projected"
    } else {
        "kubernetes.io~empty-dir"
    }
}

/// Everything that setting up volumes needs. Blocking calls.
#[derive(Debug, Clone)]
pub struct SetUp {
    pub dir: PodDir,
    pub spec: PodSpec,
    /// Content of the volumes that have one, by name.
    pub payloads: BTreeMap<String, Payload>,
    /// A name for the new generation of content, unique within the pod.
    pub generation: String,
}

impl SetUp {
    /// Makes every volume, or brings its content up to date. May be repeated.
    pub fn run(&self) -> Result<(), Error> {
        for volume in self.spec.volumes.iter().flatten() {
            self.volume(volume).map_err(|source| Error::SetUp { volume: volume.name.clone(), source })?;
        }
        Ok(())
    }

    fn volume(&self, volume: &Volume) -> Result<(), Reason> {
        if let Some(source) = &volume.host_path {
            return Ok(host_path::check(source)?);
        }
        let path = self.dir.volume(volume);
        if let Some(source) = &volume.empty_dir {
            return self.empty_dir(source, &path);
        }
        let Some(payload) = self.payloads.get(&volume.name) else {
            return Err(Reason::Unsupported(kind(volume)));
        };
        std::fs::create_dir_all(&path).map_err(Reason::io("creating", &path))?;
        if volume.config_map.is_none() {
            mount::tmpfs(&path, None).map_err(Reason::io("mounting a tmpfs on", &path))?;
        }
        let group = fs_group(&self.spec);
        let own = |dir: &Path| ownership::apply(dir, group, true);
        atomic::write(&path, payload, &self.generation, own).map_err(Reason::io("writing", &path))
    }

    /// Scratch space appears with its permissions or not at all: what containers make of it later is theirs.
    fn empty_dir(&self, source: &EmptyDirVolumeSource, path: &Path) -> Result<(), Reason> {
        match source.medium.as_deref().unwrap_or_default() {
            "" if path.is_dir() => Ok(()),
            "" => self.scratch(path),
            "Memory" => {
                let limit = source.size_limit.as_ref().and_then(quantity::units).filter(|limit| *limit > 0);
                std::fs::create_dir_all(path).map_err(Reason::io("creating", path))?;
                mount::scratch(path, limit, fs_group(&self.spec)).map_err(Reason::io("mounting a tmpfs on", path))
            }
            other => Err(Reason::Unsupported(format!("emptyDir medium {other}"))),
        }
    }

    fn scratch(&self, path: &Path) -> Result<(), Reason> {
        let unfinished = self.dir.unfinished(path);
        std::fs::create_dir_all(&unfinished).map_err(Reason::io("creating", &unfinished))?;
        ownership::open_to_all(&unfinished).map_err(Reason::io("opening", &unfinished))?;
        let group = fs_group(&self.spec);
        ownership::apply(&unfinished, group, false).map_err(Reason::io("giving to the group", &unfinished))?;
        let moved = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        moved.and_then(|()| std::fs::rename(&unfinished, path)).map_err(Reason::io("moving", path))
    }
}

/// Unmounts and removes what volumes left below the pod's directory. May be repeated.
pub fn tear_down(dir: &PodDir) -> Result<(), Error> {
    let path = dir.volumes();
    let fail = |source| Error::TearDown { path: path.clone(), source };
    mount::unmount_below(&path).map_err(fail)?;
    host::remove_tree(&path).map_err(fail)
}

/// Removes all that is left of the pod on disk. May be repeated.
pub fn remove(dir: &PodDir) -> Result<(), Error> {
    tear_down(dir)?;
    host::remove_tree(dir.path()).map_err(|source| Error::TearDown { path: dir.path().to_owned(), source })
}

/// The group that the pod's volumes belong to.
#[must_use]
pub fn fs_group(spec: &PodSpec) -> Option<i64> {
    spec.security_context.as_ref()?.fs_group
}

/// Whether content of this volume comes from the API.
#[must_use]
pub fn has_payload(volume: &Volume) -> bool {
    volume.config_map.is_some()
        || volume.secret.is_some()
        || volume.downward_api.is_some()
        || volume.projected.is_some()
}

/// The volume's source as the API names it.
fn kind(volume: &Volume) -> String {
    let value = serde_json::to_value(volume).unwrap_or_default();
    let keys = value.as_object().into_iter().flat_map(|map| map.keys());
    keys.filter(|key| *key != "name").map(String::as_str).next().unwrap_or("volume").to_owned()
}

/// The volume of `name`.
#[must_use]
pub fn find<'a>(pod: &'a Pod, name: &str) -> Option<&'a Volume> {
    pod.spec.as_ref()?.volumes.iter().flatten().find(|volume| volume.name == name)
}
