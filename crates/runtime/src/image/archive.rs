//! Loading images from files: what `docker save` writes, and OCI layouts in a tar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::sync::CancellationToken;

use super::document::{Document, MAX_DOCUMENT};
use super::layers::Layers;
use super::manifest::{Entry, Manifest};
use super::{Images, Name};
use crate::error::{Attempt as _, Error, Result, blocking};
use crate::record::{self, Record as _};

/// Most files in an archive.
const MAX_ENTRIES: usize = 100_000;

/// Indexes are followed to this depth.
const MAX_DEPTH: usize = 4;

/// What was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) id: String,
    pub(crate) names: Vec<String>,
}

/// Where the files of an archive are in it.
struct Archive {
    path: PathBuf,
    entries: BTreeMap<PathBuf, (u64, u64)>,
}

/// An image in an archive.
struct Candidate {
    names: Vec<String>,
    config: PathBuf,
    layers: Vec<PathBuf>,
    /// The digest of its manifest, where there is one.
    digest: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

impl Images {
    /// Loads every image of an archive.
    pub(crate) async fn load(&self, path: &Path) -> Result<Vec<Loaded>> {
        let owned = path.to_owned();
        let (archive, candidates) = blocking(move || {
            let archive = Archive::open(owned)?;
            let candidates = archive.candidates()?;
            Ok((archive, candidates))
        })
        .await?;
        if candidates.is_empty() {
            return Err(Error::Invalid(format!("{} has no image for this platform", path.display())));
        }
        let mut loaded = Vec::new();
        for candidate in candidates {
            loaded.push(self.load_one(&archive, candidate).await?);
        }
        Ok(loaded)
    }

    async fn load_one(&self, archive: &Archive, candidate: Candidate) -> Result<Loaded> {
        let document = archive.read(&candidate.config)?;
        let parsed = Document::parse(&document)?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != candidate.layers.len() {
            return Err(Error::Invalid(format!("{} and its layers do not fit", candidate.config.display())));
        }
        let layers = diff_ids.iter().map(|id| Layers::name(id)).collect::<Result<Vec<_>>>()?;
        let _hold = self.layers().hold(layers.clone());
        let mut size = document.len() as u64;
        for (path, diff_id) in candidate.layers.iter().zip(diff_ids) {
            let (offset, length) = archive.locate(path)?;
            size += length;
            self.layers().add(diff_id, || archive.section(offset, length), &CancellationToken::new()).await?;
        }
        self.layers().sync().await?;
        let names = candidate.names.iter().map(|name| Name::parse(name)).collect::<Result<Vec<_>>>()?;
        let digests = candidate.digest.iter().flat_map(|digest| names.iter().map(|name| name.with_digest(digest)));
        let image = self
            .add(record::Image {
                id: format!("sha256:{}", sha256(&document)),
                tags: names.iter().map(Name::tag_reference).collect(),
                digests: digests.collect(),
                layers,
                size,
                document,
                ..record::Image::fresh()
            })
            .await?;
        Ok(Loaded { id: image.id.clone(), names: names.iter().map(Name::tag_reference).collect() })
    }
}

impl Archive {
    fn open(path: PathBuf) -> Result<Self> {
        let what = || format!("reading the image archive {}", path.display());
        let mut archive = tar::Archive::new(File::open(&path).attempt(what)?);
        let mut entries = BTreeMap::new();
        let mut links = Vec::new();
        for entry in archive.entries_with_seek().attempt(what)? {
            let entry = entry.attempt(what)?;
            let name = normal(&entry.path().attempt(what)?);
            if entries.len() + links.len() >= MAX_ENTRIES {
                return Err(Error::Invalid(format!("{} has more than {MAX_ENTRIES} files", path.display())));
            }
            match entry.link_name().attempt(what)? {
                // Older archives have a layer that they share as a link.
                Some(target) => {
                    let parent = name.parent().unwrap_or_else(|| Path::new(""));
                    links.push((name.clone(), normal(&parent.join(target))));
                }
                None => drop(entries.insert(name, (entry.raw_file_position(), entry.size()))),
            }
        }
        for (name, target) in links {
            if let Some(found) = entries.get(&target).copied() {
                entries.insert(name, found);
            }
        }
        Ok(Self { path, entries })
    }

    fn candidates(&self) -> Result<Vec<Candidate>> {
        if self.entries.contains_key(Path::new("manifest.json")) {
            let images: Vec<DockerImage> = self.parse(Path::new("manifest.json"))?;
            let candidate = |image: DockerImage| Candidate {
                names: image.repo_tags.unwrap_or_default(),
                config: normal(Path::new(&image.config)),
                layers: image.layers.iter().map(|layer| normal(Path::new(layer))).collect(),
                digest: None,
            };
            return Ok(images.into_iter().map(candidate).collect());
        }
        if !self.entries.contains_key(Path::new("index.json")) {
            return Err(Error::Invalid(format!(
                "{} is no image archive: it has neither manifest.json nor index.json",
                self.path.display()
            )));
        }
        let mut found = Vec::new();
        for entry in self.parse::<Index>(Path::new("index.json"))?.manifests {
            let annotation = |key: &str| entry.annotations.get(key).cloned();
            let name =
                annotation("io.containerd.image.name").or_else(|| annotation("org.opencontainers.image.ref.name"));
            let names: Vec<String> = name.into_iter().filter(|name| Name::parse(name).is_ok()).collect();
            self.follow(&entry, &names, &entry.digest, 0, &mut found)?;
        }
        Ok(found)
    }

    /// Finds the images for this platform behind a manifest or an index.
    fn follow(
        &self,
        entry: &Entry,
        names: &[String],
        top: &str,
        depth: usize,
        found: &mut Vec<Candidate>,
    ) -> Result<()> {
        let foreign = entry.platform.as_ref().is_some_and(|platform| !platform.is_ours());
        if foreign || depth > MAX_DEPTH {
            return Ok(());
        }
        let manifest = Manifest::parse(&self.read(&blob(&entry.digest)?)?)?;
        for inner in &manifest.manifests {
            self.follow(inner, names, top, depth + 1, found)?;
        }
        if let Some(config) = manifest.config {
            found.push(Candidate {
                names: names.to_vec(),
                config: blob(&config.digest)?,
                layers: manifest.layers.iter().map(|layer| blob(&layer.digest)).collect::<Result<_>>()?,
                digest: Some(top.to_owned()),
            });
        }
        Ok(())
    }

    fn parse<T: DeserializeOwned>(&self, name: &Path) -> Result<T> {
        serde_json::from_slice(&self.read(name)?)
            .attempt(|| format!("reading {} of {}", name.display(), self.path.display()))
    }

    /// A small file; one that is named by a digest must have it.
    fn read(&self, name: &Path) -> Result<Vec<u8>> {
        let what = || format!("reading {} of {}", name.display(), self.path.display());
        let (offset, length) = self.locate(name)?;
        if length > MAX_DOCUMENT {
            return Err(Error::Invalid(format!("{}: it has {length} bytes, the limit is {MAX_DOCUMENT}", what())));
        }
        let mut file = File::open(&self.path).attempt(what)?;
        file.seek(SeekFrom::Start(offset)).attempt(what)?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes).attempt(what)?;
        if let Ok(rest) = name.strip_prefix("blobs/sha256")
            && rest != Path::new(&sha256(&bytes))
        {
            return Err(Error::Invalid(format!("{}: its content has another digest", what())));
        }
        Ok(bytes)
    }

    fn locate(&self, name: &Path) -> Result<(u64, u64)> {
        let found = self.entries.get(name).copied();
        found.ok_or_else(|| Error::Invalid(format!("{} has no {}", self.path.display(), name.display())))
    }

    async fn section(&self, offset: u64, length: u64) -> Result<impl tokio::io::AsyncRead + Unpin + use<>> {
        let what = || format!("reading {}", self.path.display());
        let mut file = tokio::fs::File::open(&self.path).await.attempt(what)?;
        file.seek(SeekFrom::Start(offset)).await.attempt(what)?;
        Ok(file.take(length))
    }
}

fn blob(digest: &str) -> Result<PathBuf> {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| Error::Invalid(format!("{digest:?} is not a sha256 digest")))?;
    Ok(Path::new("blobs/sha256").join(hex))
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// Without `.`, `..` and a leading slash; only ever used as a key.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    out
}
