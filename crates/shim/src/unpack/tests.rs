//! Layers as they should be, and as they should not.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use tar::{Builder, Header};

use super::*;

const MOST: Limits = Limits { bytes: MAX_BYTES, inodes: MAX_INODES };

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
    let unpacked = unpack(&layer[..], dir.path(), MOST).unwrap();
    // With `b` and `b/c`, which are not in the archive.
    assert_eq!((unpacked.bytes, unpacked.inodes), (5, 8));
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
    let plain = unpack(&layer[..], one.path(), MOST).unwrap();
    assert_eq!(plain, unpack(&gzip[..], two.path(), MOST).unwrap());
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
    unpack(&layer[..], dir.path(), MOST).unwrap();
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
    unpack(&layer[..], dir.path(), MOST).unwrap();
    assert_eq!(fs::read(dir.path().join("x/y")).unwrap(), b"2");
    assert_eq!(fs::read(dir.path().join("z")).unwrap(), b"3");
}

#[test]
fn hostile_layers_are_refused() {
    let check = |entries: &[(&str, EntryType, &str, &[u8])], expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = unpack(&archive(entries)[..], dir.path(), MOST).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&[("../evil", EntryType::Regular, "", b"x")], "a path with ..");
    check(&[("a/../../evil", EntryType::Regular, "", b"x")], "a path with ..");
    check(&[("link", EntryType::Link, "../../etc/passwd", b"")], "a path with ..");
    check(&[("a/.wh...", EntryType::Regular, "", b"")], "a whiteout that hides no file");
    check(&[("a/.wh..", EntryType::Regular, "", b"")], "a whiteout that hides no file");
    check(&[(".wh.", EntryType::Regular, "", b"")], "a whiteout that hides no file");
    check(&[("../.wh.passwd", EntryType::Regular, "", b"")], "a path with ..");
    check(&[("f", EntryType::Regular, "", b""), ("f/x", EntryType::Regular, "", b"")], "unpacking \"f/x\"");
    check(&[("link", EntryType::Link, "missing", b"")], "No such file");
    check(&[("link", EntryType::Symlink, "", b"")], "unpacking \"link\"");
    assert!(unpack(&[0x28, 0xb5, 0x2f, 0xfd, 0][..], Path::new("/nonexistent"), MOST).is_err());
    assert!(
        unpack(&b"this is no archive, only some text of more or less a line"[..], Path::new("/nonexistent"), MOST)
            .is_err()
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
    let error = unpack(&layer[..], dir.path(), MOST).unwrap_err().to_string();
    assert_eq!(error, format!("unpacking \"huge\": the layer has more than {MAX_BYTES} bytes"));
    assert!(!dir.path().join("huge").exists());
}

#[test]
fn links_are_never_written_through() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = outside.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    let target = victim.to_str().unwrap();
    let layer = archive(&[
        ("evil", EntryType::Symlink, target, b""),
        ("evil", EntryType::Regular, "", b"new"),
        ("again", EntryType::Symlink, target, b""),
        ("again", EntryType::Directory, "", b""),
        ("hard", EntryType::Symlink, target, b""),
        ("twin", EntryType::Link, "hard", b""),
    ]);
    unpack(&layer[..], dir.path(), MOST).unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"kept");
    assert_eq!(fs::read(dir.path().join("evil")).unwrap(), b"new");
    assert!(fs::symlink_metadata(dir.path().join("again")).unwrap().is_dir());
    assert!(fs::symlink_metadata(dir.path().join("twin")).unwrap().is_symlink(), "the link, not where it leads");
    assert_eq!(fs::metadata(&victim).unwrap().nlink(), 1);
}

#[test]
fn notes_of_other_file_systems_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let layer =
        archive(&[(".wh..wh.plnk/1.2", EntryType::Regular, "", b"x"), (".wh..wh.aufs", EntryType::Regular, "", b"")]);
    unpack(&layer[..], dir.path(), MOST).unwrap();
    assert!(!dir.path().join(".wh..wh.aufs").exists());
    assert!(!dir.path().join(".wh.aufs").exists());
}

#[test]
fn layers_end_at_their_limits() {
    let check = |layer: &[u8], limits: Limits, expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = unpack(layer, dir.path(), limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let small = Limits { bytes: 4, inodes: 3 };
    check(&archive(&[("a", EntryType::Regular, "", b"12345")]), small, "more than 4 bytes, which is what the disk has");
    let files = ["a", "b", "c", "d"].map(|name| (name, EntryType::Regular, "", &b""[..]));
    check(&archive(&files), small, "more than 3 files, which is what the disk has room for");
    check(&archive(&[("a/b/c/d", EntryType::Regular, "", b"")]), small, "more than 3 files");
    let deep = ["a"; 40].join("/");
    let deep: Vec<String> = (1..=8).map(|times| vec![deep.as_str(); times].join("/")).collect();
    let mut builder = Builder::new(Vec::new());
    for path in &deep {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o755);
        header.set_mtime(0);
        header.set_uid(nix::unistd::getuid().as_raw().into());
        header.set_gid(nix::unistd::getgid().as_raw().into());
        builder.append_data(&mut header, path, &b""[..]).unwrap();
    }
    check(&builder.into_inner().unwrap(), MOST, "deeper than 256 directories");
}

#[test]
fn links_do_not_lead_deeper_than_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let steps = ["d"; 30].join("/");
    let mut entries: Vec<(String, EntryType, String)> = Vec::new();
    for step in 0..12 {
        let inside = if step == 0 { steps.clone() } else { format!("l{}/{steps}", step - 1) };
        entries.push((format!("{inside}/f"), EntryType::Regular, String::new()));
        entries.push((format!("l{step}"), EntryType::Symlink, inside));
    }
    let entries: Vec<_> =
        entries.iter().map(|(path, kind, target)| (path.as_str(), *kind, target.as_str(), &b""[..])).collect();
    let error = unpack(&archive(&entries)[..], dir.path(), MOST).unwrap_err().to_string();
    assert!(error.contains("deeper than 256 directories"), "{error}");
}

#[test]
fn bombs_go_off_in_words() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let check = |layer: &[u8], expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = unpack(layer, dir.path(), MOST).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let mut trailing = archive(&[("a", EntryType::Regular, "", b"x")]);
    trailing.resize(usize::try_from(MAX_TRAILER).unwrap() + 8192, 0);
    check(&gzip(&trailing), "more than 16777216 bytes follow the layer's end");
    let whole = gzip(&archive(&[("a", EntryType::Regular, "", &[7; 9000])]));
    check(&whole[..whole.len() / 2], "");
    check(&[&whole[..20], &[0xff; 40][..]].concat(), "");
    let mut sparse = Header::new_gnu();
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_path("sparse").unwrap();
    sparse.set_size(0);
    sparse.as_gnu_mut().unwrap().realsize = *b"\x80\0\0\0\x10\0\0\0\0\0\0\0";
    sparse.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&sparse, &b""[..]).unwrap();
    check(&builder.into_inner().unwrap(), "");
}

#[test]
fn only_harmless_attributes_are_set() {
    if !root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(Vec::new());
    let attributes = [
        ("SCHILY.xattr.user.note", &b"kept"[..]),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/../../etc"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.security.selinux", b"x"),
    ];
    builder.append_pax_extensions(attributes).unwrap();
    let mut layer = builder.into_inner().unwrap();
    layer.truncate(layer.len() - 1024);
    layer.extend(archive(&[("a", EntryType::Directory, "", b"")]));
    unpack(&layer[..], dir.path(), MOST).unwrap();
    let listed = std::process::Command::new("getfattr").args(["-dm", "-"]).arg(dir.path().join("a")).output();
    let Ok(listed) = listed else {
        println!("skipped: no getfattr to read back");
        return;
    };
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(!text.contains("trusted") && !text.contains("security"), "{text}");
}
