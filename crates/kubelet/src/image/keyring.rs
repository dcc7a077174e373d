//! Credentials for registries, from secrets of the Docker kinds.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize;
use serde_json::Value;

use super::reference;

/// Credentials by the registry, or part of one, that they are for.
#[derive(Default)]
pub struct Keyring(Vec<(String, cri::AuthConfig)>);

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
    #[serde(default, rename = "registrytoken")]
    registry_token: String,
}

impl Keyring {
    #[must_use]
    pub fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut entries: Vec<_> = secrets.flat_map(entries).collect();
        // the longest path that fits comes first
        entries.sort_by(|(a, _), (b, _)| (b.len(), a).cmp(&(a.len(), b)));
        Self(entries)
    }

    /// The credentials that fit `image`, best first.
    #[must_use]
    pub fn lookup(&self, image: &str) -> Vec<cri::AuthConfig> {
        let (host, path) = reference::registry(image);
        let fitting = self.0.iter().filter(|(scope, _)| fits(scope, host, path));
        fitting.map(|(_, auth)| auth.clone()).collect()
    }
}

fn entries(secret: &Secret) -> Vec<(String, cri::AuthConfig)> {
    let data = |key: &str| {
        let bytes = &secret.data.as_ref()?.get(key)?.0;
        serde_json::from_slice::<Value>(bytes).ok()
    };
    let modern = data(".dockerconfigjson").and_then(|mut config| config.get_mut("auths").map(Value::take));
    let all = modern.or_else(|| data(".dockercfg"));
    let Some(Value::Object(all)) = all else { return Vec::new() };
    all.into_iter()
        .filter_map(|(registry, value)| {
            let entry: Entry = serde_json::from_value(value).ok()?;
            let scope = scope(&registry);
            let auth = auth(entry, &registry);
            Some((scope, auth))
        })
        .collect()
}

/// `https://index.docker.io/v1/` → `docker.io`; `https://r.example.com:5000/team` → `r.example.com:5000/team`.
fn scope(registry: &str) -> String {
    let bare = registry.split_once("://").map_or(registry, |(_, rest)| rest).trim_end_matches('/');
    let bare = bare.trim_end_matches("/v1").trim_end_matches("/v2");
    match bare {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        _ => bare.to_owned(),
    }
}

fn auth(entry: Entry, registry: &str) -> cri::AuthConfig {
    let decoded = BASE64_STANDARD.decode(entry.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let (username, password) = match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((user, password)) if entry.username.is_empty() => (user.to_owned(), password.to_owned()),
        _ => (entry.username, entry.password),
    };
    cri::AuthConfig {
        username,
        password,
        server_address: registry.to_owned(),
        identity_token: entry.identity_token,
        registry_token: entry.registry_token,
        ..Default::default()
    }
}

/// Whether a scope covers an image. A `*` in the host stands for one name between dots.
fn fits(scope: &str, host: &str, path: &str) -> bool {
    let (scope_host, scope_path) = scope.split_once('/').unwrap_or((scope, ""));
    let host_fits = {
        let (pattern, names) = (scope_host.split('.'), host.split('.'));
        pattern.clone().count() == names.clone().count()
            && pattern.zip(names).all(|(pattern, name)| pattern == "*" || pattern == name)
    };
    let path_fits = path
        .strip_prefix(scope_path)
        .is_some_and(|rest| scope_path.is_empty() || rest.is_empty() || rest.starts_with(['/', ':', '@']));
    host_fits && path_fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use std::collections::BTreeMap;

    fn users(image: &str) -> Vec<String> {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "r.example.com:5000": {"username": "wide", "password": "p"},
            "r.example.com:5000/team": {"username": "narrow", "password": "p"},
            "*.example.org": {"username": "star", "password": "p"}}}"#;
        let data = BTreeMap::from([(".dockerconfigjson".to_owned(), ByteString(config.as_bytes().to_vec()))]);
        let secret = Secret { data: Some(data), ..Default::default() };
        Keyring::new(std::iter::once(&secret)).lookup(image).into_iter().map(|auth| auth.username).collect()
    }

    #[test]
    fn the_best_fit_comes_first() {
        assert_eq!(users("busybox"), ["hub"]);
        assert_eq!(users("r.example.com:5000/team/app:1"), ["narrow", "wide"]);
        assert_eq!(users("r.example.com:5000/teams/app"), ["wide"]);
        assert_eq!(users("a.example.org/x"), ["star"]);
        assert!(users("a.b.example.org/x").is_empty());
        assert!(users("other.io/x").is_empty());
    }
}
