//! Paths of the node in pods.

use std::fs::{FileType, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use k8s_openapi::api::core::v1::HostPathVolumeSource;

/// Why a path may not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("hostPath type check failed: {path} is not a {kind}")]
    Kind { path: String, kind: &'static str },
    #[error("hostPath {path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("hostPath {0} contains '..'")]
    Backsteps(String),
    #[error("{0} is an invalid volume type")]
    UnknownKind(String),
}

/// Checks that the path is what its type says, and makes it where the type asks for that.
pub fn check(source: &HostPathVolumeSource) -> Result<(), Error> {
    let path = Path::new(&source.path);
    let io = |source_error| Error::Io { path: source.path.clone(), source: source_error };
    if path.components().any(|component| component == std::path::Component::ParentDir) {
        return Err(Error::Backsteps(source.path.clone()));
    }
    let kind = source.type_.as_deref().unwrap_or_default();
    match kind {
        "" => return Ok(()),
        "DirectoryOrCreate" if !path.exists() => {
            std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(io)?;
        }
        "FileOrCreate" if !path.exists() => {
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path).map_err(io)?;
        }
        _ => {}
    }
    let (name, fits): (&'static str, fn(FileType) -> bool) = match kind {
        "DirectoryOrCreate" | "Directory" => ("directory", |found| found.is_dir()),
        "FileOrCreate" | "File" => ("file", |found| found.is_file()),
        "Socket" => ("socket file", |found| found.is_socket()),
        "CharDevice" => ("character device", |found| found.is_char_device()),
        "BlockDevice" => ("block device", |found| found.is_block_device()),
        other => return Err(Error::UnknownKind(other.to_owned())),
    };
    match std::fs::metadata(path) {
        Ok(metadata) if fits(metadata.file_type()) => Ok(()),
        _ => Err(Error::Kind { path: source.path.clone(), kind: name }),
    }
}

#[cfg(test)]
mod tests {
    use super::{check as check_source, *};

    #[test]
    fn types() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("file"), "").unwrap();
        let check = |path: String, kind: &str| {
            let source = HostPathVolumeSource { path, type_: Some(kind.to_owned()) };
            check_source(&source).map_err(|error| error.to_string().rsplit("is ").next().unwrap().to_owned())
        };
        let not = |kind: &str| Err(format!("not a {kind}"));
        assert_eq!(check(at("none"), ""), Ok(()));
        assert_eq!(check(at("none"), "Directory"), not("directory"));
        assert_eq!(check(at("a/b"), "DirectoryOrCreate"), Ok(()));
        assert_eq!(check(at("a/b"), "File"), not("file"));
        assert_eq!(check(at("a/f"), "FileOrCreate"), Ok(()));
        assert_eq!(check(at("file"), "File"), Ok(()));
        assert_eq!(check(at("file"), "Socket"), not("socket file"));
        assert_eq!(check("/dev/null".into(), "CharDevice"), Ok(()));
    }
}
