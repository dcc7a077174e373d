//! What lies on the disk: tables, the encoding of a revision's head, and the format version.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::OpenError;
use super::lease::Lease;
use crate::contract::{LeaseId, Revision};

/// The format this code writes. Unknown ones are refused.
const FORMAT: u64 = 1;

/// `format`; `compacted`, the revision up to which history is gone; `lease`, the last lease's number.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// What happened at a revision, without the value: see [`Head`].
pub(super) const HEADS: TableDefinition<'_, Revision, &[u8]> = TableDefinition::new("heads");
/// The values of the revisions that put one.
pub(super) const VALUES: TableDefinition<'_, Revision, &[u8]> = TableDefinition::new("values");
/// Lease → seconds to live, milliseconds since 1970 of its end.
pub(super) const LEASES: TableDefinition<'_, LeaseId, (u64, i64)> = TableDefinition::new("leases");

/// What happened at a revision: a put, or a delete when `created` is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) key: Arc<str>,
    pub(super) created: Revision,
    /// The lease the key is attached to; 0 for none.
    pub(super) lease: LeaseId,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.key.len());
        bytes.extend_from_slice(&self.created.to_le_bytes());
        bytes.extend_from_slice(&self.lease.to_le_bytes());
        bytes.extend_from_slice(self.key.as_bytes());
        bytes
    }

    /// `None` when the bytes are not an encoded head.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (created, rest) = bytes.split_first_chunk::<8>()?;
        let (lease, key) = rest.split_first_chunk::<8>()?;
        Some(Self {
            key: std::str::from_utf8(key).ok()?.into(),
            created: Revision::from_le_bytes(*created),
            lease: LeaseId::from_le_bytes(*lease),
        })
    }
}

/// What a store remembers outside of its log.
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub(super) compacted: Revision,
    pub(super) last_lease: LeaseId,
    pub(super) leases: Vec<(LeaseId, Lease)>,
}

/// Makes the tables, or checks that the format is one we read.
pub(super) fn prepare(database: &Database) -> Result<(), OpenError> {
    let found = stored_format(database).map_err(|e| OpenError::of_database("read the store's format", e))?;
    match found {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(OpenError::Format { found, known: FORMAT }),
        None => create(database).map_err(|e| OpenError::of_database("make the store's tables", e)),
    }
}

fn stored_format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    match read.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|format| format.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn create(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(META)?.insert("format", FORMAT)?;
    write.open_table(HEADS)?;
    write.open_table(VALUES)?;
    write.open_table(LEASES)?;
    write.commit()?;
    Ok(())
}

/// Reads everything but the log.
pub(super) fn read_meta(database: &Database) -> Result<Meta, redb::Error> {
    let read = database.begin_read()?;
    let table = read.open_table(META)?;
    let number = |name: &str| Ok::<_, redb::Error>(table.get(name)?.map_or(0, |n| n.value()));
    let mut meta = Meta {
        compacted: number("compacted")?,
        last_lease: i64::try_from(number("lease")?).unwrap_or(0),
        leases: Vec::new(),
    };
    for row in read.open_table(LEASES)?.iter()? {
        let (id, row) = row?;
        let (seconds, ends) = row.value();
        meta.leases.push((id.value(), Lease::new(seconds, ends)));
    }
    Ok(meta)
}

/// Calls `each` with every revision after `after`, in order; `false` for bytes that are no head.
pub(super) fn scan_heads(
    database: &Database,
    after: Revision,
    mut each: impl FnMut(Revision, Head),
) -> Result<bool, redb::Error> {
    let read = database.begin_read()?;
    for row in read.open_table(HEADS)?.range(after + 1..)? {
        let (revision, bytes) = row?;
        let Some(head) = Head::decode(bytes.value()) else {
            return Ok(false);
        };
        each(revision.value(), head);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_round_trip_and_refuse_garbage() {
        let head = Head { key: "/registry/pods/a/b".into(), created: 7, lease: -3 };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(Head::decode(b"short"), None);
        assert_eq!(Head::decode(&[0xff; 20]), None);
    }
}
