//! Where things are below the runtime's directory.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Paths of an instance's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// Makes the directories that are always there; nobody but root may look into them.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let layout = Self(root.to_owned());
        let directories =
            [layout.bin(), layout.blobs(), layout.images(), layout.layers(), layout.containers(), layout.sandboxes()];
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        directories.iter().try_for_each(fs::create_dir_all)?;
        Ok(layout)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    /// Content by digest.
    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join("blobs")
    }

    /// A record for each image.
    pub(crate) fn images(&self) -> PathBuf {
        self.0.join("images")
    }

    /// Unpacked layers.
    pub(crate) fn layers(&self) -> PathBuf {
        self.0.join("layers")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.0.join("sandboxes")
    }

    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        self.sandboxes().join(id)
    }
}

/// Writes a file that readers see whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, path)
}

/// Removes a directory whose record is the file `record`. The record goes first: what a crash leaves is then known to be
/// nobody's.
pub(crate) fn remove_recorded(directory: &Path, record: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(record)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    crate::crash::point("a record has been removed");
    remove_directory(directory)
}

/// Removes a directory with everything in it; one that is not there is no error.
pub(crate) fn remove_directory(path: &Path) -> io::Result<()> {
    host::remove_tree(path)
}
