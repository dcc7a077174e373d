//! Layers as they should be, and as they should not.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use tar::{Builder, Header};

use super::*;

/// Builds an archive from (path, kind, link target, content).
fn archive(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, target, content) in entries {
        let mut header = Header::new_gnu();
        // Written by hand: the builder refuses paths that a hostile archive has.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4755);
        header.set_mtime(1_000_000_000);
        let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: not root");
    }
    root
}

#[test]
fn files_directories_and_links_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let layer = archive(&[
        ("a/", EntryType::Directory, "", b""),
        ("./a/file", EntryType::Regular, "", b"hello"),
        ("/a/hard", EntryType::Link, "a/file", b""),
        ("a/soft", EntryType::Symlink, "../elsewhere", b""),
        ("b/c/deep", EntryType::Regular, "", b""),
        ("null", EntryType::Char, "", b""),
    ]);
    let unpacked = unpack(&layer[..], dir.path()).unwrap();
    assert_eq!((unpacked.bytes, unpacked.inodes), (5, 6));
    let file = fs::metadata(dir.path().join("a/file")).unwrap();
    assert_eq!((file.permissions().mode() & 0o7777, file.mtime(), file.nlink()), (0o4755, 1_000_000_000, 2));
    assert_eq!(fs::metadata(dir.path().join("a")).unwrap().mtime(), 1_000_000_000);
    assert_eq!(fs::read_link(dir.path().join("a/soft")).unwrap(), Path::new("../elsewhere"));
    assert!(dir.path().join("b/c/deep").exists());
    assert!(!dir.path().join("null").exists(), "devices are left out");
}

#[test]
fn the_digest_is_that_of_the_uncompressed_stream() {
    let layer = archive(&[("a", EntryType::Regular, "", b"x")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&layer).unwrap();
    let gzip = gzip.finish().unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plain = unpack(&layer[..], one.path()).unwrap();
    assert_eq!(plain, unpack(&gzip[..], two.path()).unwrap());
    let expected: String = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(plain.digest, format!("sha256:{expected}"));
}

#[test]
fn whiteouts_take_overlayfs_form() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let layer =
        archive(&[("a/.wh.gone", EntryType::Regular, "", b""), ("b/.wh..wh..opq", EntryType::Regular, "", b"")]);
    unpack(&layer[..], dir.path()).unwrap();
    let gone = fs::symlink_metadata(dir.path().join("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device());
    assert_eq!(gone.rdev(), 0);
    assert!(dir.path().join("b").is_dir());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    let layer = archive(&[
        ("x", EntryType::Regular, "", b"1"),
        ("x", EntryType::Directory, "", b""),
        ("x/y", EntryType::Regular, "", b"2"),
        ("z/", EntryType::Directory, "", b""),
        ("z", EntryType::Regular, "", b"3"),
    ]);
    unpack(&layer[..], dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("x/y")).unwrap(), b"2");
    assert_eq!(fs::read(dir.path().join("z")).unwrap(), b"3");
}

#[test]
fn hostile_layers_are_refused() {
    let check = |entries: &[(&str, EntryType, &str, &[u8])], expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = unpack(&archive(entries)[..], dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[("../evil", EntryType::Regular, "", b"x")], "a path with ..");
    check(&[("a/../../evil", EntryType::Regular, "", b"x")], "a path with ..");
    check(&[("link", EntryType::Link, "../../etc/passwd", b"")], "a path with ..");
    assert!(unpack(&[0x28, 0xb5, 0x2f, 0xfd, 0][..], Path::new("/nonexistent")).is_err());
    assert!(
        unpack(&b"this is no archive, only some text of more or less a line"[..], Path::new("/nonexistent")).is_err()
    );
}

#[test]
fn sizes_of_extended_headers_count() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(Vec::new());
    let size = (MAX_BYTES + 1).to_string();
    builder.append_pax_extensions([("size", size.as_bytes())]).unwrap();
    let mut layer = builder.into_inner().unwrap();
    // Without the end that the builder has written.
    layer.truncate(layer.len() - 1024);
    layer.extend(archive(&[("huge", EntryType::Regular, "", b"")]));
    let error = unpack(&layer[..], dir.path()).unwrap_err().to_string();
    assert_eq!(error, format!("unpacking \"huge\": the layer has more than {MAX_BYTES} bytes"));
    assert!(!dir.path().join("huge").exists());
}
