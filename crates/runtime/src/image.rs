//! Images: records by id, layers by digest.

mod archive;
mod credentials;
mod document;
mod layers;
mod manifest;
mod name;
mod pull;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use document::{Config, Document};
pub(crate) use layers::{Layers, Usage};
pub(crate) use name::Name;

use crate::error::{Attempt as _, Error, Result, blocking};
use crate::layout::Layout;
use crate::record::{self, Record as _};
use crate::shim::Program;

/// The images of an instance; cheap to clone.
#[derive(Clone)]
pub(crate) struct Images {
    layout: Layout,
    layers: Layers,
    /// By id.
    records: Arc<RwLock<BTreeMap<String, Arc<record::Image>>>>,
}

impl Images {
    /// Reads the records.
    pub(crate) fn open(layout: &Layout, program: Program) -> io::Result<Self> {
        let mut records = BTreeMap::new();
        for entry in std::fs::read_dir(layout.images())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "pb") {
                match record::Image::load_from(&path) {
                    Ok(image) => drop(records.insert(image.id.clone(), Arc::new(image))),
                    // It can be pulled again.
                    Err(e) if e.kind() == io::ErrorKind::InvalidData => std::fs::remove_file(&path)?,
                    Err(e) => return Err(e),
                }
            }
        }
        let layers = Layers::open(layout, program)?;
        Ok(Self { layout: layout.clone(), layers, records: Arc::new(RwLock::new(records)) })
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// All images, by id.
    pub(crate) fn list(&self) -> Vec<Arc<record::Image>> {
        self.read().values().cloned().collect()
    }

    /// The image that an id, a name or a digest reference names.
    pub(crate) fn find(&self, wanted: &str) -> Option<Arc<record::Image>> {
        let records = self.read();
        let id = wanted.strip_prefix("sha256:").unwrap_or(wanted);
        if id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            return records.get(&format!("sha256:{id}")).cloned();
        }
        let name = Name::parse(wanted).ok()?;
        let matches = |image: &&Arc<record::Image>| match name.digest_reference() {
            Some(digest) => image.digests.contains(&digest),
            None => image.tags.contains(&name.tag_reference()),
        };
        records.values().find(matches).cloned()
    }

    /// Like [`Images::find`], in words that the kubelet shows when there is none.
    pub(crate) fn get(&self, wanted: &str) -> Result<Arc<record::Image>> {
        self.find(wanted).ok_or_else(|| Error::NotFound(format!("image {wanted:?}")))
    }

    /// Removes an image with all its names; one that is not there is no error. The layers go when nothing uses them.
    pub(crate) async fn remove(&self, wanted: &str) -> Result<()> {
        let Some(image) = self.find(wanted) else { return Ok(()) };
        let (images, what) = (self.clone(), format!("removing image {wanted}"));
        blocking(move || {
            let mut records = images.records.write().unwrap_or_else(PoisonError::into_inner);
            std::fs::remove_file(images.file(&image.id)).attempt(|| what)?;
            records.remove(&image.id);
            Ok(())
        })
        .await
    }

    /// Names of the layers that images stand on.
    pub(crate) fn used_layers(&self) -> BTreeSet<String> {
        self.read().values().flat_map(|image| image.layers.iter().cloned()).collect()
    }

    /// Adds an image, or names to one that is there. A name that belonged to another image moves.
    async fn add(&self, mut image: record::Image) -> Result<Arc<record::Image>> {
        let images = self.clone();
        blocking(move || {
            let mut records = images.records.write().unwrap_or_else(PoisonError::into_inner);
            let what = || format!("recording image {}", image.id);
            for other in records.values_mut().filter(|other| other.id != image.id) {
                if other.tags.iter().any(|tag| image.tags.contains(tag)) {
                    let changed = Arc::make_mut(other);
                    changed.tags.retain(|tag| !image.tags.contains(tag));
                    changed.save_as(&images.file(&changed.id)).attempt(what)?;
                }
            }
            if let Some(known) = records.get(&image.id) {
                merge(&mut image.tags, &known.tags);
                merge(&mut image.digests, &known.digests);
            }
            image.save_as(&images.file(&image.id)).attempt(|| format!("recording image {}", image.id))?;
            let image = Arc::new(image);
            records.insert(image.id.clone(), image.clone());
            Ok(image)
        })
        .await
    }

    fn file(&self, id: &str) -> std::path::PathBuf {
        self.layout.images().join(format!("{}.pb", id.trim_start_matches("sha256:")))
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Arc<record::Image>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what is missing.
fn merge(names: &mut Vec<String>, known: &[String]) {
    for name in known {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.sort();
}

impl From<&record::Image> for cri::Image {
    fn from(image: &record::Image) -> Self {
        let user = Document::parse(&image.document).ok().and_then(|document| document.config).unwrap_or_default().user;
        let user = user.split(':').next().unwrap_or_default();
        let uid = if user.is_empty() { Some(0) } else { user.parse().ok() };
        Self {
            id: image.id.clone(),
            repo_tags: image.tags.clone(),
            repo_digests: image.digests.clone(),
            size: image.size,
            username: if uid.is_some() { String::new() } else { user.to_owned() },
            uid: uid.map(|value| cri::Int64Value { value }),
            spec: None,
            pinned: false,
        }
    }
}
