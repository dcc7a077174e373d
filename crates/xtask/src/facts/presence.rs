//! Which absent fields are printed: what neither OpenAPI nor the proto files say.
//!
//! `presence.txt` has a line for each type, `apps.v1.DeploymentSpec replicas=ptr template=always`. The words are those of
//! the facts file; a field without one is left out when empty.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Result};

pub(super) struct Presence(BTreeMap<(String, String), String>);

impl Presence {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut words = BTreeMap::new();
        for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut parts = line.split(' ');
            let ty = parts.next().unwrap_or_default();
            for part in parts {
                let (field, word) = part
                    .split_once('=')
                    .ok_or_else(|| Error::Content(format!("presence.txt: {ty}: {part} has no =")))?;
                words.insert((ty.to_owned(), field.to_owned()), word.to_owned());
            }
        }
        Ok(Self(words))
    }

    pub(super) fn word(&self, ty: &str, field: &str) -> Option<&str> {
        self.0.get(&(ty.to_owned(), field.to_owned())).map(String::as_str)
    }

    /// Every line must have been of use: a renamed field would otherwise lose its word silently.
    pub(super) fn check_used(&self, used: &BTreeSet<(&str, String)>) -> Result<()> {
        let unused: Vec<String> = self
            .0
            .keys()
            .filter(|(ty, field)| !used.contains(&(ty.as_str(), field.clone())))
            .map(|(ty, field)| format!("{ty}.{field}"))
            .collect();
        if unused.is_empty() {
            return Ok(());
        }
        Err(Error::Content(format!("presence.txt names fields that do not exist: {}", unused.join(" "))))
    }
}
