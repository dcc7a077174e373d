//! The shim program: carried in the binary, or beside it.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::error::{Attempt as _, Error, Result};
use crate::layout::Layout;

#[cfg(embedded_shim)]
const EMBEDDED: Option<&[u8]> = Some(include_bytes!(env!("EMBEDDED_SHIM")));
#[cfg(not(embedded_shim))]
const EMBEDDED: Option<&[u8]> = None;

/// The program, ready to be executed.
#[derive(Clone, Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// The program that the options name, else the one in this binary, else the one beside it.
    pub(crate) fn find(given: Option<&Path>, layout: &Layout) -> Result<Self> {
        if let Some(path) = given {
            fs::metadata(path).attempt(|| format!("looking for the shim program {}", path.display()))?;
            return Ok(Self(path.to_owned()));
        }
        if let Some(bytes) = EMBEDDED {
            return install(bytes, &layout.bin()).map(Self).attempt(|| "writing the shim program".into());
        }
        beside().map(Self).ok_or_else(|| {
            Error::Precondition(
                "no shim program: this binary carries none (see `make embedded`), and there is none beside it".into(),
            )
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Writes the program under a name that tells its content, once. Shims of older releases run on under theirs.
fn install(bytes: &[u8], directory: &Path) -> io::Result<PathBuf> {
    let hash = hex::encode(&Sha256::digest(bytes)[..8]);
    let path = directory.join(format!("shim-{hash}"));
    if fs::metadata(&path)
        .is_ok_and(|found| found.len() == bytes.len() as u64 && found.permissions().mode() & 0o100 != 0)
    {
        return Ok(path);
    }
    let temporary = directory.join(format!("shim-{hash}.new"));
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o700).open(&temporary)?;
    io::Write::write_all(&mut file, bytes)?;
    drop(file);
    fs::rename(temporary, &path)?;
    Ok(path)
}

/// `shim` in the directory of the running program, or in its parent: where cargo puts it for tests.
fn beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().skip(1).take(2).map(|directory| directory.join("shim")).find(|path| path.is_file())
}
