//! Manifests and indexes of images: what of them matters, and what is refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Attempt as _, Error, Result};

/// Most bytes of a manifest or an index; registries take no larger ones.
pub(super) const MAX_MANIFEST: u64 = 4 << 20;

/// Most compressed bytes of a layer.
const MAX_LAYER: u64 = 64 << 30;

/// What a registry is asked for.
pub(super) const ACCEPTED: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What layers are called; behind a dot or a plus may stand how they are compressed.
const LAYERS: &[&str] = &[
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// A manifest, or an index of more.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    #[serde(default)]
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(super) manifests: Vec<Entry>,
}

/// A blob as a manifest names it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    media_type: String,
    pub(super) digest: String,
    #[serde(default)]
    size: i64,
}

/// A manifest as an index names it.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) digest: String,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Platform {
    os: String,
    architecture: String,
}

impl Platform {
    /// Whether its images run here.
    pub(super) fn is_ours(&self) -> bool {
        self.os == "linux" && self.architecture == architecture()
    }
}

impl Manifest {
    /// Reads what a registry gave. What could be taken for an image as well as for an index is neither.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes).attempt(|| "reading an image's manifest".into())?;
        let kind = &manifest.media_type;
        if manifest.schema_version != 2 {
            return Err(Error::Invalid(format!(
                "the image's manifest has schema version {}; only version 2 is supported",
                manifest.schema_version
            )));
        }
        if !kind.is_empty() && !ACCEPTED.contains(&kind.as_str()) {
            return Err(Error::Invalid(format!("{kind:?} is not the media type of an image or an index")));
        }
        let is_image = manifest.config.is_some() || !manifest.layers.is_empty();
        if is_image && !manifest.manifests.is_empty() {
            return Err(Error::Invalid("the image's manifest is an index at the same time".into()));
        }
        Ok(manifest)
    }

    /// The digest of the manifest for this machine, if this is an index.
    pub(super) fn for_this_platform(&self) -> Option<&str> {
        let ours = |entry: &&Entry| entry.platform.as_ref().is_none_or(Platform::is_ours);
        self.manifests.iter().find(ours).map(|entry| entry.digest.as_str())
    }
}

impl Descriptor {
    /// The bytes that it promises.
    pub(super) fn size(&self) -> Result<u64> {
        let size = u64::try_from(self.size).ok().filter(|size| *size <= MAX_LAYER);
        size.ok_or_else(|| Error::Invalid(format!("{} cannot have {} bytes", self.digest, self.size)))
    }

    /// Refuses what is no layer, or one that cannot be unpacked, before it is downloaded.
    pub(super) fn check_layer(&self) -> Result<()> {
        let rest = LAYERS.iter().find_map(|known| self.media_type.strip_prefix(known));
        match rest {
            Some("" | "+gzip" | ".gzip") => self.size().map(drop),
            Some("+zstd" | ".zstd") => {
                Err(Error::Invalid(format!("layer {} is compressed with zstd, which is not supported", self.digest)))
            }
            _ => Err(Error::Invalid(format!("{:?} is not the media type of a layer", self.media_type))),
        }
    }
}

pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_manifest_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = Manifest::parse(text.as_bytes()).unwrap_err().words();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("<html>", "reading an image's manifest: expected value");
        check("{}", "schema version 0; only version 2 is supported");
        check(r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema version 1");
        check(r#"{"schemaVersion":2,"mediaType":"text/html"}"#, "\"text/html\" is not the media type");
        let both = r#"{"schemaVersion":2,"config":{"digest":"sha256:1","size":1},"manifests":[{"digest":"sha256:2"}]}"#;
        check(both, "an index at the same time");
    }

    #[test]
    fn what_is_no_layer_is_refused() {
        let check = |kind: &str, size: i64, expected: &str| {
            let descriptor = Descriptor { media_type: kind.into(), digest: "sha256:1".into(), size };
            let words = descriptor.check_layer().err().map(|e| e.words()).unwrap_or_default();
            assert_eq!(words, expected, "{kind}");
        };
        check("application/vnd.oci.image.layer.v1.tar+gzip", 1, "");
        check("application/vnd.docker.image.rootfs.diff.tar.gzip", 1, "");
        check("application/vnd.oci.image.layer.v1.tar", 0, "");
        check("application/vnd.oci.image.layer.v1.tar+gzip", -1, "sha256:1 cannot have -1 bytes");
        check(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            i64::MAX,
            "sha256:1 cannot have 9223372036854775807 bytes",
        );
        check(
            "application/vnd.oci.image.layer.v1.tar+zstd",
            1,
            "layer sha256:1 is compressed with zstd, which is not supported",
        );
        check(
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            1,
            "\"application/vnd.cncf.helm.chart.content.v1.tar+gzip\" is not the media type of a layer",
        );
    }
}
