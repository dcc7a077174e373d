//! Files that only their owner reads and that are replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::Error;

/// Nothing that is kept here comes near.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Makes a directory that only its owner enters.
pub(crate) fn directory(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("creating the directory", path))
}

/// The text of a file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("opening", path)(error)),
    };
    let mut text = String::new();
    file.take(LIMIT).read_to_string(&mut text).map_err(Error::file("reading", path))?;
    Ok(Some(text))
}

/// Replaces a file; readers see the old or the new content, and only its owner reads it.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = parent.join(name);
    write_new(&temporary, content).map_err(Error::file("writing", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::file("replacing", path))?;
    let sync = File::open(parent).and_then(|directory| directory.sync_all());
    sync.map_err(Error::file("syncing the directory", parent))
}

/// A file left by a write that did not finish is removed first, so that its mode is not inherited.
fn write_new(path: &Path, content: &str) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}
