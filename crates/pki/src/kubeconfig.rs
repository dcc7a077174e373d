//! Kubeconfig files: written whole, or merged into one that others use too.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::lock::Lock;
use crate::{Certified, Error, file};

/// A cluster, a user and the context of both, all under one name.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub name: &'a str,
    /// `https://127.0.0.1:6443`
    pub server: &'a str,
    /// The authority's certificate.
    pub authority_pem: &'a str,
    pub credentials: Credentials<'a>,
    /// The context's namespace, when it is not `default`.
    pub namespace: Option<&'a str>,
}

/// How the user proves who it is.
#[derive(Debug, Clone)]
pub enum Credentials<'a> {
    Certificate(&'a Certified),
    Token(&'a str),
}

/// Writes a file with this entry alone, for a component of the cluster.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, entry: &Entry<'_>) -> Result<(), Error> {
    let mut config = empty();
    put(&mut config, entry);
    config.insert("current-context".into(), entry.name.into());
    store(path, &config)
}

/// Puts the entry into a user's file and makes its context the current one. Entries of other names, and whatever else
/// the file holds, stay; comments do not. A symbolic link stays one.
///
/// # Errors
/// When the file is no kubeconfig, is being written by another program, or cannot be replaced.
pub fn merge(path: &Path, entry: &Entry<'_>) -> Result<(), Error> {
    change(path, |config| {
        put(config, entry);
        config.insert("current-context".into(), entry.name.into());
        true
    })
}

/// Takes the entry of this name out again; the current context is unset if it was this one.
///
/// # Errors
/// As [`merge`]. A file that is not there is no error.
pub fn remove(path: &Path, name: &str) -> Result<(), Error> {
    if file::read(path)?.is_none() {
        return Ok(());
    }
    change(path, |config| {
        let mut changed = false;
        for section in ["clusters", "users", "contexts"] {
            if let Some(Value::Array(items)) = config.get_mut(section) {
                let before = items.len();
                items.retain(|item| item.get("name").and_then(Value::as_str) != Some(name));
                changed |= items.len() != before;
            }
        }
        if config.get("current-context").and_then(Value::as_str) == Some(name) {
            config.insert("current-context".into(), "".into());
            changed = true;
        }
        changed
    })
}

/// The PEM of the authority that the cluster of this name is verified with; `None` when there is no such cluster or file.
///
/// # Errors
/// When the file is no kubeconfig.
pub fn authority_of(path: &Path, name: &str) -> Result<Option<String>, Error> {
    let config = Value::Object(load(path)?);
    let clusters = config.get("clusters").and_then(Value::as_array).into_iter().flatten();
    let mut named = clusters.filter(|cluster| cluster.get("name").and_then(Value::as_str) == Some(name));
    let data = |cluster: &Value| cluster.pointer("/cluster/certificate-authority-data")?.as_str().map(str::to_owned);
    let decoded = |data: String| String::from_utf8(STANDARD.decode(data.trim()).ok()?).ok();
    Ok(named.next().map(|cluster| data(cluster).and_then(decoded).unwrap_or_default()))
}

/// Whether the file holds no cluster, user or context.
///
/// # Errors
/// When the file is no kubeconfig.
pub fn is_empty(path: &Path) -> Result<bool, Error> {
    let config = load(path)?;
    let empty = |section: &str| config.get(section).and_then(Value::as_array).is_none_or(Vec::is_empty);
    Ok(["clusters", "users", "contexts"].into_iter().all(empty))
}

/// The PEM of the authority that the current context's cluster is verified with.
///
/// # Errors
/// When the file cannot be read or its current context names no such authority.
pub fn authority(path: &Path) -> Result<String, Error> {
    let config = Value::Object(load(path)?);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let named = |section: &str, name: &str| {
        let items = config.get(section).and_then(Value::as_array).into_iter().flatten();
        items.into_iter().find(|item| item.get("name").and_then(Value::as_str) == Some(name))
    };
    let context = text(config.get("current-context"));
    let cluster = text(named("contexts", &context).and_then(|context| context.pointer("/context/cluster")));
    let cluster = named("clusters", &cluster).and_then(|cluster| cluster.get("cluster"));
    let field = |name: &str| text(cluster.and_then(|cluster| cluster.get(name)));
    let missing = || Error::content(format!("no certificate authority for the context {context:?}"), path);
    let (data, file_name) = (field("certificate-authority-data"), field("certificate-authority"));
    if !data.is_empty() {
        let decoded = STANDARD.decode(data.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return decoded.ok_or_else(missing);
    }
    if file_name.is_empty() {
        return Err(missing());
    }
    let file = path.parent().unwrap_or_else(|| Path::new(".")).join(file_name);
    file::read(&file)?.ok_or_else(missing)
}

/// Reads, changes and replaces the file under the lock that other programs of Kubernetes take too.
fn change(path: &Path, change: impl FnOnce(&mut Map<String, Value>) -> bool) -> Result<(), Error> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        file::directory(parent)?;
    }
    let _lock = Lock::take(&path)?;
    let mut config = load(&path)?;
    if change(&mut config) { store(&path, &config) } else { Ok(()) }
}

fn load(path: &Path) -> Result<Map<String, Value>, Error> {
    let text = file::read(path)?.unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(empty());
    }
    let parsed: Value = serde_saphyr::from_str(&text)
        .map_err(|error| Error::content(format!("something that is not a kubeconfig: {error}"), path))?;
    match parsed {
        Value::Object(config) => Ok(config),
        Value::Null => Ok(empty()),
        _ => Err(Error::content("something that is not a kubeconfig", path)),
    }
}

fn store(path: &Path, config: &Map<String, Value>) -> Result<(), Error> {
    let text = serde_saphyr::to_string(config)
        .map_err(|error| Error::content(format!("what cannot be written as YAML: {error}"), path))?;
    file::write(path, &text)
}

fn empty() -> Map<String, Value> {
    let config =
        json!({"apiVersion": "v1", "kind": "Config", "preferences": {}, "clusters": [], "users": [], "contexts": []});
    let Value::Object(config) = config else { return Map::new() };
    config
}

fn put(config: &mut Map<String, Value>, entry: &Entry<'_>) {
    let data = |pem: &str| STANDARD.encode(pem);
    let user = match entry.credentials {
        Credentials::Certificate(certified) => json!({
            "client-certificate-data": data(&certified.certificate_pem),
            "client-key-data": data(&certified.key_pem),
        }),
        Credentials::Token(token) => json!({ "token": token }),
    };
    let mut context = json!({ "cluster": entry.name, "user": entry.name });
    if let Some(namespace) = entry.namespace {
        context["namespace"] = namespace.into();
    }
    let cluster = json!({ "server": entry.server, "certificate-authority-data": data(entry.authority_pem) });
    for (section, key, value) in
        [("clusters", "cluster", cluster), ("users", "user", user), ("contexts", "context", context)]
    {
        put_named(config, section, entry.name, key, value);
    }
}

/// Replaces the item of this name in place, or appends one.
fn put_named(config: &mut Map<String, Value>, section: &str, name: &str, key: &str, value: Value) {
    let item = json!({ "name": name, key: value });
    let items = config.entry(section).or_insert_with(|| json!([]));
    if !items.is_array() {
        *items = json!([]);
    }
    let Value::Array(items) = items else { return };
    match items.iter_mut().find(|item| item.get("name").and_then(Value::as_str) == Some(name)) {
        Some(known) => *known = item,
        None => items.push(item),
    }
}
