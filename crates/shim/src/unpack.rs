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
pub const MAX_INODES: u64 = 1_000_000;

/// Deepest that files may be: whoever removes them again has to get there, with a descriptor for each step.
const MAX_DEPTH: usize = 256;

/// Most bytes behind the archive's end: they belong to the digest and to nothing else.
const MAX_TRAILER: u64 = 16 << 20;

/// Of the file system's bytes and inodes one part in this many stays free.
const RESERVE: u64 = 20;

/// Characters of a name in an error.
const SHOWN: usize = 200;

/// Most memory in bytes: the archive says how long names and extended headers are, and they are read as a whole.
const MAX_MEMORY: u64 = 256 << 20;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Notes of a file system that images once were made with.
const NOTES: &[u8] = b".wh..wh.";
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
    let layer = unpack(io::stdin().lock(), Path::new("/"), Limits::of(Path::new("/"))?)?;
    println!("{} {} {}", layer.digest, layer.bytes, layer.inodes);
    Ok(())
}

/// Lowers the limit only, which needs no right.
fn limit_memory() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    let most = hard.min(MAX_MEMORY);
    Ok(setrlimit(Resource::RLIMIT_AS, most, most)?)
}

/// How much a layer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    bytes: u64,
    inodes: u64,
}

impl Limits {
    /// What the file system has room for, with something left for everybody else.
    fn of(directory: &Path) -> io::Result<Self> {
        let found = nix::sys::statvfs::statvfs(directory)?;
        let room = |free: u64, all: u64| free.saturating_sub(all / RESERVE);
        let bytes = room(found.blocks_available(), found.blocks()).saturating_mul(found.fragment_size());
        // Some file systems make inodes as they need them, and say that there are none.
        let inodes = if found.files() == 0 { u64::MAX } else { room(found.files_available(), found.files()) };
        Ok(Self { bytes: bytes.min(MAX_BYTES), inodes: inodes.min(MAX_INODES) })
    }
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
fn unpack(input: impl Read, root: &Path, limits: Limits) -> io::Result<Layer> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut hashed = Hashed { inner: decompressed(&mut input)?, hasher: Sha256::new() };
    let mut archive = Archive::new(&mut hashed);
    let mut unpacker = Unpacker::new(root, limits);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        unpacker.entry(&mut entry).map_err(|e| io::Error::new(e.kind(), format!("unpacking {}: {e}", shown(&name))))?;
    }
    let (bytes, inodes) = (unpacker.bytes, unpacker.inodes);
    unpacker.finish();
    // What follows the archive's end belongs to the digest.
    if io::copy(&mut (&mut hashed).take(MAX_TRAILER + 1), &mut io::sink())? > MAX_TRAILER {
        return Err(invalid(&format!("more than {MAX_TRAILER} bytes follow the layer's end")));
    }
    let digest: String = hashed.hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Layer { digest: format!("sha256:{digest}"), bytes, inodes })
}

/// A name for an error: quoted, and not longer than anybody reads.
fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
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
    limits: Limits,
    /// The directory that the last entry went into, which is there and not too deep.
    parent: PathBuf,
    /// Whether the layer has links, through which a short path may lead deep down.
    links: bool,
    bytes: u64,
    inodes: u64,
    /// Directories and their times, which are set when nothing changes them any more.
    directories: Vec<(PathBuf, u64)>,
}

impl<'a> Unpacker<'a> {
    fn new(root: &'a Path, limits: Limits) -> Self {
        Self { root, limits, parent: root.to_owned(), links: false, bytes: 0, inodes: 0, directories: Vec::new() }
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> io::Result<()> {
        let Some(path) = self.inside(&entry.path_bytes())? else { return Ok(()) };
        // The entry's own size: an extended header may override the plain one's.
        self.count(entry.size())?;
        let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        let parent = path.parent().unwrap_or(self.root);
        self.enter(parent)?;
        if name == OPAQUE {
            return set_attribute(parent, "trusted.overlay.opaque", b"y");
        }
        if name.starts_with(NOTES) {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"" | b"." | b"..") {
                return Err(invalid("a whiteout that hides no file"));
            }
            let hidden = parent.join(OsStr::from_bytes(hidden));
            clear(&hidden)?;
            return Ok(mknod(&hidden, SFlag::S_IFCHR, Mode::empty(), 0)?);
        }
        if self.make(entry, &path)? {
            self.dress(entry, &path)?;
        }
        Ok(())
    }

    /// Makes the directory and those above it, which count as if they were in the archive.
    fn enter(&mut self, parent: &Path) -> io::Result<()> {
        if parent == self.parent {
            // Nothing has been removed unless it is remade by the entry itself.
            return fs::symlink_metadata(parent).map(drop).or_else(|_| fs::create_dir_all(parent));
        }
        let missing = parent.ancestors().take_while(|ancestor| fs::symlink_metadata(ancestor).is_err()).count();
        for _ in 0..missing {
            self.count(0)?;
        }
        fs::create_dir_all(parent)?;
        let depth =
            if self.links { fs::canonicalize(parent)?.components().count() } else { parent.components().count() };
        if depth.saturating_sub(self.root.components().count()) >= MAX_DEPTH {
            return Err(invalid(&format!("a path that leads deeper than {MAX_DEPTH} directories")));
        }
        parent.clone_into(&mut self.parent);
        Ok(())
    }

    /// Makes the file itself. Returns whether it wants attributes.
    fn make<R: Read>(&mut self, entry: &mut Entry<'_, R>, path: &Path) -> io::Result<bool> {
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
                self.links = true;
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
        let Limits { bytes, inodes } = self.limits;
        let room = |most: bool| if most { "" } else { ", which is what the disk has room for" };
        if self.bytes > bytes {
            return Err(invalid(&format!("the layer has more than {bytes} bytes{}", room(bytes == MAX_BYTES))));
        }
        if self.inodes > inodes {
            return Err(invalid(&format!("the layer has more than {inodes} files{}", room(inodes == MAX_INODES))));
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
