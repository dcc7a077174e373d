//! Unpacking an image layer: in a process of its own, locked into the target directory, within limits.
//!
//! The layer comes on the standard input, as it is or gzipped. Whiteouts are turned into overlayfs's form. The digest of
//! the unpacked stream, the bytes and the inodes are printed: `sha256:… 1234 56`.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, chroot, lchown, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use crate::sys;

/// Most bytes of content in a layer.
pub const MAX_BYTES: u64 = 64 << 30;

/// Most files, directories and links in a layer.
pub const MAX_INODES: u64 = 4_000_000;

/// Most memory in bytes: the archive says how long names and extended headers are, and they are read as a whole.
const MAX_MEMORY: u64 = 512 << 20;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// chown, dac_override, fowner, fsetid, mknod, sys_admin (for overlayfs's attributes), setfcap.
const KEPT_CAPABILITIES: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 27 | 1 << 21 | 1 << 31;

/// Unpacks the standard input into `directory` and prints what it was.
#[expect(clippy::print_stdout, reason = "the result is for whoever started the program")]
pub fn run(directory: &Path) -> io::Result<()> {
    chroot(directory)?;
    std::env::set_current_dir("/")?;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)?;
    sys::set_capabilities(KEPT_CAPABILITIES, KEPT_CAPABILITIES, 0)?;
    nix::sys::stat::umask(Mode::empty());
    limit_memory()?;
    let layer = unpack(io::stdin().lock(), Path::new("/"))?;
    println!("{} {} {}", layer.digest, layer.bytes, layer.inodes);
    Ok(())
}

/// Lowers the limit only, which needs no right.
fn limit_memory() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    let most = hard.min(MAX_MEMORY);
    Ok(setrlimit(Resource::RLIMIT_AS, most, most)?)
}

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Of the uncompressed stream: what an image's configuration calls the layer's diff id.
    pub digest: String,
    pub bytes: u64,
    pub inodes: u64,
}

/// Unpacks a layer below `root`. Symbolic links in the layer are followed where the layer goes through them, so `root`
/// must be the root of the process, or the layer trusted.
fn unpack(input: impl Read, root: &Path) -> io::Result<Layer> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut hashed = Hashed { inner: decompressed(&mut input)?, hasher: Sha256::new() };
    let mut archive = Archive::new(&mut hashed);
    let mut unpacker = Unpacker { root, bytes: 0, inodes: 0, directories: Vec::new() };
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        unpacker.entry(&mut entry).map_err(|e| io::Error::new(e.kind(), format!("unpacking {name:?}: {e}")))?;
    }
    let (bytes, inodes) = (unpacker.bytes, unpacker.inodes);
    unpacker.finish();
    // What follows the archive's end belongs to the digest.
    io::copy(&mut hashed, &mut io::sink())?;
    let digest: String = hashed.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Layer { digest: format!("sha256:{digest}"), bytes, inodes })
}

fn decompressed<'a>(input: &'a mut BufReader<impl Read>) -> io::Result<Box<dyn Read + 'a>> {
    use std::io::BufRead as _;
    let start = input.fill_buf()?;
    if start.starts_with(ZSTD) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the layer is compressed with zstd, which is not supported",
        ));
    }
    let gzipped = start.starts_with(GZIP);
    Ok(if gzipped { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) })
}

/// A reader that notes the digest of what passes.
struct Hashed<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

struct Unpacker<'a> {
    root: &'a Path,
    bytes: u64,
    inodes: u64,
    /// Directories and their times, which are set when nothing changes them any more.
    directories: Vec<(PathBuf, u64)>,
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let Some(path) = self.inside(&entry.path_bytes())? else { return Ok(()) };
        // The entry's own size: an extended header may override the plain one's.
        self.count(entry.size())?;
        let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        let parent = path.parent().unwrap_or(self.root);
        fs::create_dir_all(parent)?;
        if name == OPAQUE {
            return set_attribute(parent, "trusted.overlay.opaque", b"y");
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let hidden = parent.join(OsStr::from_bytes(hidden));
            clear(&hidden)?;
            return Ok(mknod(&hidden, SFlag::S_IFCHR, Mode::empty(), 0)?);
        }
        if self.make(entry, &path)? {
            self.dress(entry, &path)?;
        }
        Ok(())
    }

    /// Makes the file itself. Returns whether it wants attributes.
    fn make<R: Read>(&self, entry: &mut Entry<'_, R>, path: &Path) -> io::Result<bool> {
        let kind = entry.header().entry_type();
        if kind != EntryType::Directory {
            clear(path)?;
        }
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                io::copy(entry, &mut file)?;
                file.flush()?;
            }
            EntryType::Directory => {
                let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
                if !is_directory {
                    clear(path)?;
                    fs::create_dir(path)?;
                }
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| invalid("a symbolic link without a target"))?;
                symlink(OsStr::from_bytes(&target), path)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| invalid("a link without a target"))?;
                let target = self.inside(&target)?.ok_or_else(|| invalid("a link to the root"))?;
                fs::hard_link(target, path)?;
                return Ok(false);
            }
            EntryType::Fifo => mkfifo(path, Mode::from_bits_truncate(0o600))?,
            // Devices come from the machine, never from an image; other kinds are notes of the archiver's.
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Sets owner, mode, extended attributes and time.
    fn dress<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> io::Result<()> {
        let header = entry.header();
        let id = |id: u64| u32::try_from(id).map_err(|_| invalid("an owner out of range"));
        lchown(path, Some(id(header.uid()?)?), Some(id(header.gid()?)?))?;
        let (mode, mtime, kind) = (header.mode()? & 0o7777, header.mtime()?, header.entry_type());
        if kind != EntryType::Symlink {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        }
        for extension in entry.pax_extensions()?.into_iter().flatten().flatten() {
            let name = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr."));
            if let Some(name) = name.filter(|name| name.starts_with("user.") || *name == "security.capability") {
                set_attribute(path, name, extension.value_bytes())?;
            }
        }
        if kind == EntryType::Directory {
            self.directories.push((path.to_owned(), mtime));
            return Ok(());
        }
        set_time(path, mtime)
    }

    fn finish(self) {
        for (path, mtime) in self.directories.iter().rev() {
            // The directory may have been replaced by a later entry.
            let _ = set_time(path, *mtime);
        }
    }

    /// The path below the root; none for the root itself.
    fn inside(&self, name: &[u8]) -> io::Result<Option<PathBuf>> {
        let mut path = self.root.to_owned();
        let mut depth = 0;
        for component in Path::new(OsStr::from_bytes(name)).components() {
            match component {
                Component::Normal(part) => {
                    depth += 1;
                    path.push(part);
                }
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(invalid("a path with ..")),
            }
        }
        Ok((depth > 0).then_some(path))
    }

    fn count(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.inodes += 1;
        if self.bytes > MAX_BYTES {
            return Err(invalid(&format!("the layer has more than {MAX_BYTES} bytes")));
        }
        if self.inodes > MAX_INODES {
            return Err(invalid(&format!("the layer has more than {MAX_INODES} files")));
        }
        Ok(())
    }
}

/// Makes room at a path.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    sys::set_attribute(path, name, value)
}

fn set_time(path: &Path, seconds: u64) -> io::Result<()> {
    let time = TimeSpec::new(i64::try_from(seconds).unwrap_or(0), 0);
    Ok(utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)?)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

#[cfg(test)]
mod tests;
