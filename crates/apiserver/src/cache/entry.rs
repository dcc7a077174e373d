//! One object as the cache holds it: its bytes, ready to be sent, and what selectors look at.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use object::selector::Labels;

use super::filter::Selectable;
use super::scan::{self, Found};

/// An object at a revision.
#[derive(Debug)]
pub struct Entry {
    /// `namespace/name`, or the name of a cluster-scoped object.
    key: Box<str>,
    revision: u64,
    /// JSON of the storage version with `metadata.resourceVersion` in place.
    bytes: Bytes,
    /// Where in `bytes` the resourceVersion member stands, comma included.
    splice: (u32, u32),
    labels: Box<[(Box<str>, Box<str>)]>,
    /// Values of the resource's selectable fields, in its order.
    fields: Box<[Box<str>]>,
    uid: Box<str>,
}

impl Entry {
    /// Takes stored bytes, which hold no resourceVersion.
    ///
    /// # Errors
    /// When they are no JSON object with metadata.
    pub(crate) fn new(
        key: &str,
        revision: u64,
        stored: &[u8],
        selectable: &[Selectable],
    ) -> Result<Self, serde_json::Error> {
        let found = scan::scan(stored, selectable.iter().map(|field| &*field.path))?;
        let (bytes, splice) = with_revision(stored, place(stored, &found), revision);
        Ok(Self {
            key: key.into(),
            revision,
            bytes,
            splice,
            labels: found.labels.iter().map(|(name, value)| (name.as_ref().into(), value.as_ref().into())).collect(),
            fields: selectable
                .iter()
                .zip(&found.fields)
                .map(|(field, value)| {
                    value.as_deref().unwrap_or_else(|| field.absent(selectable, &found.fields)).into()
                })
                .collect(),
            uid: found.uid.as_deref().unwrap_or_default().into(),
        })
    }

    /// The same object as a deletion shows it: at the revision of the deletion.
    #[must_use]
    pub(super) fn at(&self, revision: u64) -> Self {
        let stored = self.stored();
        let (bytes, splice) = with_revision(&stored, self.splice.0 as usize, revision);
        Self {
            key: self.key.clone(),
            revision,
            bytes,
            splice,
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            uid: self.uid.clone(),
        }
    }

    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Empty for cluster-scoped objects.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.key.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        self.key.rsplit_once('/').map_or(&*self.key, |(_, name)| name)
    }

    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The object as JSON in its storage version, resourceVersion included. Sharing it costs nothing.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The object parsed, resourceVersion included.
    ///
    /// # Panics
    /// Never: the bytes were parsed when the entry was made.
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).expect("the cache holds JSON only")
    }

    #[must_use]
    pub fn labels(&self) -> &[(Box<str>, Box<str>)] {
        &self.labels
    }

    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.label(name)
    }

    /// The value of the resource's selectable field number `index`.
    #[must_use]
    pub fn field(&self, index: usize) -> Option<&str> {
        self.fields.get(index).map(|value| &**value)
    }

    /// The bytes as the store holds them: without the resourceVersion.
    #[must_use]
    pub fn stored(&self) -> Vec<u8> {
        let (start, end) = (self.splice.0 as usize, self.splice.1 as usize);
        [&self.bytes[..start], &self.bytes[end..]].concat()
    }

    /// Whether the store holds exactly these bytes.
    #[must_use]
    pub fn is_stored_as(&self, stored: &[u8]) -> bool {
        let (start, end) = (self.splice.0 as usize, self.splice.1 as usize);
        stored.len() == self.bytes.len() - (end - start)
            && stored[..start] == self.bytes[..start]
            && stored[start..] == self.bytes[end..]
    }

    #[cfg(test)]
    pub(crate) fn for_test(key: &str, revision: u64) -> Self {
        let name = key.rsplit('/').next().unwrap_or_default();
        let json = format!(r#"{{"metadata":{{"name":"{name}","uid":"u"}}}}"#);
        Self::new(key, revision, json.as_bytes(), &[]).expect("json")
    }
}

/// Stored bytes with a revision in place, for an answer to a write that the cache has not seen yet.
///
/// # Errors
/// When they are no JSON object with metadata.
pub fn spliced(stored: &[u8], revision: u64) -> Result<Bytes, serde_json::Error> {
    let found = scan::scan(stored, std::iter::empty())?;
    Ok(with_revision(stored, place(stored, &found), revision).0)
}

/// Where the resourceVersion goes: after the uid, as upstream orders metadata; else to the front of metadata.
fn place(stored: &[u8], found: &Found<'_>) -> usize {
    match &found.uid {
        Some(Cow::Borrowed(uid)) => uid.as_ptr() as usize - stored.as_ptr() as usize + uid.len() + 1,
        _ => memchr::memmem::find(stored, b"\"metadata\":{").map_or(0, |at| at + b"\"metadata\":{".len()),
    }
}

fn with_revision(stored: &[u8], place: usize, revision: u64) -> (Bytes, (u32, u32)) {
    let mut member = String::with_capacity(40);
    let at_front = stored.get(place.wrapping_sub(1)) == Some(&b'{');
    let empty = stored.get(place) == Some(&b'}');
    let (before, after) = (if at_front { "" } else { "," }, if at_front && !empty { "," } else { "" });
    let _ = write!(member, "{before}\"resourceVersion\":\"{revision}\"{after}");
    let mut bytes = BytesMut::with_capacity(stored.len() + member.len());
    bytes.extend_from_slice(&stored[..place]);
    bytes.extend_from_slice(member.as_bytes());
    bytes.extend_from_slice(&stored[place..]);
    let start = u32::try_from(place).unwrap_or(u32::MAX);
    (bytes.freeze(), (start, start + u32::try_from(member.len()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored: &str, expected: &str) {
        let entry = Entry::new("ns/a", 42, stored.as_bytes(), &[]).expect("json");
        assert_eq!(entry.bytes(), expected);
        assert!(entry.is_stored_as(stored.as_bytes()) && !entry.is_stored_as(expected.as_bytes()));
        assert_eq!(entry.stored(), stored.as_bytes());
        let later = entry.at(1234);
        assert_eq!(later.value()["metadata"]["resourceVersion"], "1234");
        assert_eq!((later.key(), later.revision()), ("ns/a", 1234));
        assert!(later.is_stored_as(stored.as_bytes()));
    }

    #[test]
    fn the_revision_is_spliced_in() {
        check(
            r#"{"metadata":{"name":"a","uid":"u","generation":1}}"#,
            r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"42","generation":1}}"#,
        );
        check(
            r#"{"metadata":{"name":"a","uid":"u"},"x":1}"#,
            r#"{"metadata":{"name":"a","uid":"u","resourceVersion":"42"},"x":1}"#,
        );
        check(r#"{"metadata":{"name":"a"}}"#, r#"{"metadata":{"resourceVersion":"42","name":"a"}}"#);
        check(r#"{"metadata":{}}"#, r#"{"metadata":{"resourceVersion":"42"}}"#);
    }

    #[test]
    fn keys_split() {
        let entry = Entry::for_test("ns/a", 1);
        assert_eq!((entry.namespace(), entry.name()), ("ns", "a"));
        let entry = Entry::for_test("a", 1);
        assert_eq!((entry.namespace(), entry.name()), ("", "a"));
    }
}
