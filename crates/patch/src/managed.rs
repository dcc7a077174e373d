//! `metadata.managedFields`: which manager last set which field, kept with every write.

use jiff::Timestamp;
use schema::Node;
use serde_json::{Map, Value, json};

use crate::fields::{Comparison, Element, Set, compare};

/// More managers than this that update are folded into one.
const MAX_UPDATE_MANAGERS: usize = 10;

/// The manager that stands for those that were folded.
const ANCIENT: &str = "ancient-changes";

/// The longest name of a manager.
const MAX_MANAGER: usize = 128;

/// Fields that nobody owns: the server keeps them.
const NOT_OWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Who writes, how.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// The `fieldManager` of the request, or what [`manager_of`] makes of its user agent.
    pub manager: &'a str,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: &'a str,
    /// The version in which objects are compared: `apps/v1`.
    pub api_version: &'a str,
    pub now: Timestamp,
}

/// How a manager came to own its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

/// One entry of `managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub manager: String,
    pub operation: Operation,
    pub api_version: String,
    /// RFC 3339 with whole seconds; empty when unknown.
    pub time: String,
    pub subresource: String,
    pub fields: Set,
}

/// The manager of a request that names none: the user agent up to its first `/`.
#[must_use]
pub fn manager_of(user_agent: &str) -> String {
    let name: String = user_agent.split('/').next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let mut end = name.len().min(MAX_MANAGER);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { "unknown".to_owned() } else { name[..end].to_owned() }
}

/// Gives `new` the managed fields that it must have after `write`; `old` is what was stored, or none for a create.
///
/// An object that was stored without managed fields stays so.
pub fn update(old: Option<&Value>, new: &mut Value, node: Node<'_>, write: &Write<'_>) {
    let before = entries_of(old, new, write);
    let tracked = old.is_none() || !before.is_empty();
    take(new);
    if tracked {
        let empty = json!({});
        let mut old = old.cloned().unwrap_or(empty);
        take(&mut old);
        let mut entries = before;
        record(&mut entries, compare(&old, new, node), write);
        cap(&mut entries);
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
        store(new, &entries);
    }
}

/// The entries in an object's metadata; those that cannot be read are left out.
#[must_use]
pub fn entries(object: &Value) -> Vec<Entry> {
    let listed = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Entry::parse).collect()
}

/// Puts entries into an object's metadata; none when there are none.
pub fn store(object: &mut Value, entries: &[Entry]) {
    let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
    metadata.shift_remove("managedFields");
    if !entries.is_empty() {
        metadata.insert("managedFields".to_owned(), entries.iter().map(Entry::to_json).collect());
    }
}

impl Entry {
    fn parse(entry: &Value) -> Option<Self> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match entry.get("operation")?.as_str()? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        Some(Self {
            manager: text("manager"),
            operation,
            api_version: text("apiVersion"),
            time: text("time"),
            subresource: text("subresource"),
            fields: Set::from_json(entry.get("fieldsV1")?)?,
        })
    }

    fn to_json(&self) -> Value {
        let mut entry = Map::new();
        let mut text = |name: &str, value: &str| {
            if !value.is_empty() {
                entry.insert(name.to_owned(), value.into());
            }
        };
        text("manager", &self.manager);
        text("operation", if self.operation == Operation::Apply { "Apply" } else { "Update" });
        text("apiVersion", &self.api_version);
        text("time", &self.time);
        text("fieldsType", "FieldsV1");
        entry.insert("fieldsV1".to_owned(), self.fields.to_json());
        if !self.subresource.is_empty() {
            entry.insert("subresource".to_owned(), self.subresource.as_str().into());
        }
        Value::Object(entry)
    }

    fn is_by(&self, write: &Write<'_>) -> bool {
        self.operation == Operation::Update
            && self.manager == write.manager
            && self.subresource == write.subresource
            && self.api_version == write.api_version
    }
}

/// The entries to start from: those that the caller sent, unless there are none or a subresource is written; a single
/// empty entry clears them.
fn entries_of(old: Option<&Value>, new: &Value, write: &Write<'_>) -> Vec<Entry> {
    let sent = new.pointer("/metadata/managedFields").and_then(Value::as_array);
    if let Some([Value::Object(only)]) = sent.map(Vec::as_slice)
        && only.is_empty()
    {
        return Vec::new();
    }
    let sent = entries(new);
    if write.subresource.is_empty() && !sent.is_empty() {
        return sent;
    }
    old.map(entries).unwrap_or_default()
}

fn take(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.shift_remove("managedFields");
    }
}

/// Gives the writer what it changed, and takes that from all others.
fn record(entries: &mut Vec<Entry>, comparison: Comparison, write: &Write<'_>) {
    let Comparison { added, modified, removed } = comparison;
    let set = added.union(&modified);
    if set.is_empty() && removed.is_empty() {
        return;
    }
    for entry in entries.iter_mut().filter(|entry| !entry.is_by(write)) {
        entry.fields = entry.fields.difference(&set).difference(&removed);
    }
    let own = entries.iter().position(|entry| entry.is_by(write)).map(|at| entries.remove(at));
    let owned = own.as_ref().map(|own| own.fields.clone()).unwrap_or_default();
    let mut fields = owned.difference(&removed).union(&set);
    for path in NOT_OWNED {
        let path: Vec<_> = path.iter().map(|name| Element::Field((*name).into())).collect();
        fields.remove(&path);
    }
    let time = match own {
        Some(own) if own.fields == fields && !own.time.is_empty() && set.is_empty() => own.time,
        _ => object::time::seconds(write.now),
    };
    entries.push(Entry {
        manager: write.manager.to_owned(),
        operation: Operation::Update,
        api_version: write.api_version.to_owned(),
        time,
        subresource: write.subresource.to_owned(),
        fields,
    });
    entries.retain(|entry| !entry.fields.is_empty());
}

/// Folds the oldest entries of updates, by version, until no more than the limit are left.
fn cap(entries: &mut Vec<Entry>) {
    let is_update = |entry: &&Entry| entry.operation == Operation::Update && entry.subresource.is_empty();
    let count = entries.iter().filter(is_update).count();
    if count <= MAX_UPDATE_MANAGERS {
        return;
    }
    entries.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut kept = Vec::with_capacity(entries.len());
    let mut excess = count - MAX_UPDATE_MANAGERS;
    for entry in std::mem::take(entries) {
        if excess == 0 || !is_update(&&entry) {
            kept.push(entry);
            continue;
        }
        let same = |other: &&mut Entry| other.manager == ANCIENT && other.api_version == entry.api_version;
        match kept.iter_mut().find(same) {
            Some(ancient) => {
                ancient.fields = ancient.fields.union(&entry.fields);
                ancient.time = ancient.time.clone().max(entry.time);
                excess -= 1;
            }
            None => kept.push(Entry { manager: ANCIENT.to_owned(), ..entry }),
        }
    }
    *entries = kept;
}

/// The order in which entries are listed.
fn order(entry: &Entry) -> (Operation, &str, &str, &str, &str) {
    (entry.operation, &entry.time, &entry.manager, &entry.api_version, &entry.subresource)
}

#[cfg(test)]
mod tests;
