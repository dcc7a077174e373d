//! Small files that outlive the process: versioned, and replaced in one step.
//!
//! What they describe does not survive a reboot, so a rename is enough and nothing is flushed; a file that a crash of
//! the machine tore describes nothing any more.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of all state files of this crate.
const VERSION: u64 = 1;
/// Bytes; real ones are far smaller.
const MAX_FILE: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct Nothing {}

/// Reads `path`; `None` when it is not there or not whole.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let what = || Error::system(format!("read {}", path.display()));
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(what())?.len(),
    };
    if length > MAX_FILE {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(what())?;
    match serde_json::from_slice::<Versioned<Nothing>>(&bytes) {
        Ok(Versioned { version, .. }) if version != VERSION => {
            Err(Error::Version { path: path.to_path_buf(), found: version, known: VERSION })
        }
        _ => Ok(serde_json::from_slice::<Versioned<T>>(&bytes).ok().map(|versioned| versioned.content)),
    }
}

/// Replaces `path`.
pub(crate) fn write<T: Serialize>(path: &Path, content: &T) -> Result<(), Error> {
    let unfinished = path.with_extension("new");
    let bytes = serde_json::to_vec(&Versioned { version: VERSION, content })
        .map_err(|error| Error::system(format!("encode {}", path.display()))(error.into()))?;
    fs::write(&unfinished, bytes).map_err(Error::system(format!("write {}", unfinished.display())))?;
    fs::rename(&unfinished, path).map_err(Error::system(format!("replace {}", path.display())))
}

/// Removes `path`; fine when it is not there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
