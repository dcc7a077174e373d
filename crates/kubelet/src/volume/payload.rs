//! The files of volumes whose content comes from the API. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, ServiceAccountTokenProjection, Volume, VolumeProjection,
};

use super::atomic;
use crate::container::env::{self, container_of};
use crate::container::fields;
use crate::container::references::{config_map_entries, secret_entries};

const DEFAULT_MODE: i32 = 0o644;
const TOKEN_SECONDS: i64 = 3600;

/// Files by their path within the volume.
pub type Payload = BTreeMap<String, File>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub data: Vec<u8>,
    pub mode: u32,
    /// The owner where it is not root.
    pub user: Option<u32>,
}

/// Why there is no content; the words follow `MountVolume.SetUp failed for volume "v" : `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("configmap \"{0}\" not found")]
    NoConfigMap(String),
    #[error("secret \"{0}\" not found")]
    NoSecret(String),
    #[error("configmap references non-existent config key: {0}")]
    NoConfigKey(String),
    #[error("references non-existent secret key: {0}")]
    NoSecretKey(String),
    #[error("invalid path {0:?}")]
    Path(String),
    #[error(transparent)]
    Field(#[from] fields::Error),
    #[error("no token for audience {0:?} yet")]
    NoToken(String),
    #[error("a projection of {0} is not supported by this kubelet")]
    Unsupported(&'static str),
}

/// A token that a volume shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenKey {
    pub audience: String,
    pub seconds: i64,
}

impl TokenKey {
    #[must_use]
    pub fn of(projection: &ServiceAccountTokenProjection) -> Self {
        Self {
            audience: projection.audience.clone().unwrap_or_default(),
            seconds: projection.expiration_seconds.unwrap_or(TOKEN_SECONDS),
        }
    }
}

/// What content is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub env: env::Sources<'a>,
    pub tokens: &'a BTreeMap<TokenKey, String>,
}

/// Tokens that the volumes of a pod show.
pub fn tokens(volumes: &[Volume]) -> impl Iterator<Item = TokenKey> {
    let projected = volumes.iter().filter_map(|volume| volume.projected.as_ref());
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.as_ref()).map(TokenKey::of)
}

/// The files of `volume`; `None` for volumes without content of their own.
pub fn payload(volume: &Volume, sources: Sources<'_>) -> Result<Option<Payload>, Error> {
    let mut files = Files { sources, mode: DEFAULT_MODE, payload: Payload::new() };
    if let Some(source) = &volume.config_map {
        files.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        files.config_map(&source.name, source.items.as_deref(), source.optional)?;
    } else if let Some(source) = &volume.secret {
        files.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        let name = source.secret_name.as_deref().unwrap_or_default();
        files.secret(name, source.items.as_deref(), source.optional)?;
    } else if let Some(source) = &volume.downward_api {
        files.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        files.downward(source.items.as_deref().unwrap_or_default())?;
    } else if let Some(source) = &volume.projected {
        files.mode = source.default_mode.unwrap_or(DEFAULT_MODE);
        source.sources.iter().flatten().try_for_each(|projection| files.projection(projection))?;
    } else {
        return Ok(None);
    }
    Ok(Some(files.payload))
}

struct Files<'a> {
    sources: Sources<'a>,
    mode: i32,
    payload: Payload,
}

impl Files<'_> {
    fn put(&mut self, path: &str, mode: Option<i32>, data: Vec<u8>) -> Result<(), Error> {
        if !atomic::safe(path) {
            return Err(Error::Path(path.to_owned()));
        }
        let mode = u32::try_from(mode.unwrap_or(self.mode)).unwrap_or(0o644) & 0o777;
        self.payload.insert(path.to_owned(), File { data, mode, user: None });
        Ok(())
    }

    fn projection(&mut self, projection: &VolumeProjection) -> Result<(), Error> {
        if let Some(source) = &projection.config_map {
            self.config_map(&source.name, source.items.as_deref(), source.optional)
        } else if let Some(source) = &projection.secret {
            self.secret(&source.name, source.items.as_deref(), source.optional)
        } else if let Some(source) = &projection.downward_api {
            self.downward(source.items.as_deref().unwrap_or_default())
        } else if let Some(source) = &projection.service_account_token {
            self.token(source)
        } else if projection.cluster_trust_bundle.is_some() {
            Err(Error::Unsupported("clusterTrustBundle"))
        } else {
            Err(Error::Unsupported("podCertificate"))
        }
    }

    fn config_map(&mut self, name: &str, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<(), Error> {
        let optional = optional.unwrap_or(false);
        let Some(map) = self.sources.env.references.config_maps.get(name) else {
            return if optional { Ok(()) } else { Err(Error::NoConfigMap(name.to_owned())) };
        };
        let entries: BTreeMap<&str, &[u8]> = config_map_entries(map).collect();
        self.keys(&entries, items, optional, Error::NoConfigKey)
    }

    fn secret(&mut self, name: &str, items: Option<&[KeyToPath]>, optional: Option<bool>) -> Result<(), Error> {
        let optional = optional.unwrap_or(false);
        let Some(secret) = self.sources.env.references.secrets.get(name) else {
            return if optional { Ok(()) } else { Err(Error::NoSecret(name.to_owned())) };
        };
        let entries: BTreeMap<&str, &[u8]> = secret_entries(secret).collect();
        self.keys(&entries, items, optional, Error::NoSecretKey)
    }

    /// All keys, or the listed ones at the listed paths.
    fn keys(
        &mut self,
        entries: &BTreeMap<&str, &[u8]>,
        items: Option<&[KeyToPath]>,
        optional: bool,
        missing: fn(String) -> Error,
    ) -> Result<(), Error> {
        let Some(items) = items.filter(|items| !items.is_empty()) else {
            return entries.iter().try_for_each(|(key, data)| self.put(key, None, data.to_vec()));
        };
        for item in items {
            match entries.get(item.key.as_str()) {
                Some(data) => self.put(&item.path, item.mode, data.to_vec())?,
                None if optional => {}
                None => return Err(missing(item.key.clone())),
            }
        }
        Ok(())
    }

    fn downward(&mut self, items: &[DownwardAPIVolumeFile]) -> Result<(), Error> {
        let env = self.sources.env;
        for item in items {
            let value = if let Some(selector) = &item.field_ref {
                fields::field(env.pod, env.status, &selector.field_path)?
            } else if let Some(selector) = &item.resource_field_ref {
                let none = k8s_openapi::api::core::v1::Container::default();
                let container = container_of(env.pod, &none, selector)?;
                fields::resource(selector, container, env.allocatable)?
            } else {
                continue;
            };
            self.put(&item.path, item.mode, value.into_bytes())?;
        }
        Ok(())
    }

    /// Tokens are for their user alone where the pod says who that is.
    fn token(&mut self, source: &ServiceAccountTokenProjection) -> Result<(), Error> {
        let key = TokenKey::of(source);
        let token = self.sources.tokens.get(&key).ok_or_else(|| Error::NoToken(key.audience.clone()))?;
        let user = sole_user(self.sources.env.pod);
        let grouped = self.sources.env.pod.spec.as_ref().is_some_and(|spec| super::fs_group(spec).is_some());
        let mode = (user.is_some() || grouped).then_some(0o600);
        self.put(&source.path, mode, token.clone().into_bytes())?;
        if let Some(file) = self.payload.get_mut(&source.path) {
            file.user = user.filter(|_| !grouped);
        }
        Ok(())
    }
}

/// The user that all containers of the pod run as, if they say so and agree.
fn sole_user(pod: &k8s_openapi::api::core::v1::Pod) -> Option<u32> {
    let spec = pod.spec.as_ref()?;
    let default = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let mut users = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .map(|container| container.security_context.as_ref().and_then(|context| context.run_as_user).or(default));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

#[cfg(test)]
mod tests;
