//! etcd's words in ours.

use bytes::Bytes;
use etcd_client::KeyValue;

use crate::contract::{Entry, Revision};
use crate::{Cause, Error};

/// What etcd calls a revision; beyond its range there is nothing to be found.
pub(super) fn to_wire(revision: Revision) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

pub(super) fn from_wire(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The entry in `kv`, without the prefix that goes before all our keys.
pub(super) fn entry(kv: &KeyValue, prefix: &str) -> Result<Entry, Error> {
    Ok(Entry {
        key: key(kv, prefix)?.into(),
        value: Bytes::copy_from_slice(kv.value()),
        created: from_wire(kv.create_revision()),
        modified: from_wire(kv.mod_revision()),
    })
}

pub(super) fn key<'a>(kv: &'a KeyValue, prefix: &str) -> Result<&'a str, Error> {
    let key = std::str::from_utf8(kv.key()).ok().and_then(|key| key.strip_prefix(prefix));
    key.ok_or_else(|| Error::Corrupt("a key in etcd is not one of ours".to_owned()))
}

/// The end of the range of keys that begin with `prefix`; a single zero byte means there is none.
pub(super) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

type Build = fn(Cause) -> Error;

/// Servers say what went wrong in words that have been the same since 3.0; their codes are too coarse.
const WORDS: &[(&str, Build)] = &[
    ("required revision has been compacted", |_| Error::Compacted { requested: 0, compacted: 0 }),
    ("required revision is a future revision", |_| Error::Future { requested: 0, current: 0 }),
    ("lease not found", |_| Error::LeaseNotFound(0)),
    ("database space exceeded", |source| Error::Full { what: "write to etcd".to_owned(), source }),
];

/// Our error for etcd's; revisions and leases in it are for the caller to fill in.
pub(super) fn classify(what: &str, error: etcd_client::Error) -> Error {
    let text = error.to_string();
    let cause: Cause = std::sync::Arc::new(error);
    match WORDS.iter().find(|(words, _)| text.contains(words)) {
        Some((_, build)) => build(cause),
        None => Error::Unavailable { what: format!("{what} in etcd"), source: cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_before_the_next_sibling() {
        assert_eq!(prefix_end(b"/a/"), b"/a0");
        assert_eq!(prefix_end(b"a\xff"), b"b");
        assert_eq!(prefix_end(b""), [0]);
    }
}
