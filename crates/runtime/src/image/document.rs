//! The configuration document of an image: what it says about running it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Attempt as _, Result};

/// Most bytes of a document.
pub(crate) const MAX_DOCUMENT: u64 = 4 << 20;

/// Overlayfs takes a page of options, which holds the names of this many layers.
const MAX_LAYERS: usize = 127;

/// The document, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Document {
    pub(crate) config: Option<Config>,
    pub(crate) rootfs: RootFs,
}

/// How to run it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    #[serde(deserialize_with = "nullable")]
    pub(crate) user: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) env: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) cmd: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub(crate) working_dir: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) stop_signal: String,
    #[serde(deserialize_with = "nullable")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// The layers, by the digests of their uncompressed forms, the lowest first.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RootFs {
    #[serde(default)]
    pub(crate) diff_ids: Vec<String>,
}

impl Document {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let document: Self = serde_json::from_slice(bytes).attempt(|| "reading an image's configuration".into())?;
        let layers = document.rootfs.diff_ids.len();
        if layers == 0 || layers > MAX_LAYERS {
            return Err(crate::error::Error::Invalid(format!("the image has {layers} layers, not 1 to {MAX_LAYERS}")));
        }
        Ok(document)
    }
}

/// Archivers write null for empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_with_nulls_and_gaps() {
        let text =
            r#"{"config":{"Cmd":null,"Env":["A=b"],"User":"web"},"rootfs":{"type":"layers","diff_ids":["sha256:1"]}}"#;
        let config = Document::parse(text.as_bytes()).unwrap().config.unwrap();
        assert_eq!((config.cmd.len(), config.env, config.user.as_str()), (0, vec!["A=b".to_owned()], "web"));
        assert!(Document::parse(br#"{"rootfs":{}}"#).is_err());
        assert!(Document::parse(b"{").is_err());
    }
}
