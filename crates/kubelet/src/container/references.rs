//! What a pod refers to in the API, gathered before anything is built from it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Secret, Service, Volume};

/// Names of the ConfigMaps and Secrets that something refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub config_maps: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
}

/// The objects themselves. A name that is asked for and missing here does not exist in the pod's namespace.
#[derive(Debug, Clone, Default)]
pub struct References {
    pub config_maps: BTreeMap<String, Arc<ConfigMap>>,
    pub secrets: BTreeMap<String, Arc<Secret>>,
    /// Services of the pod's namespace.
    pub services: Vec<Arc<Service>>,
    /// `kubernetes` in `default`, which every container is told of.
    pub api: Option<Arc<Service>>,
}

impl Names {
    /// What `container`'s environment refers to.
    #[must_use]
    pub fn of_container(container: &Container) -> Self {
        let mut names = Self::default();
        for from in container.env_from.iter().flatten() {
            names.config_maps.extend(from.config_map_ref.iter().map(|source| source.name.clone()));
            names.secrets.extend(from.secret_ref.iter().map(|source| source.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            names.config_maps.extend(source.config_map_key_ref.iter().map(|key| key.name.clone()));
            names.secrets.extend(source.secret_key_ref.iter().map(|key| key.name.clone()));
        }
        names
    }

    /// What `volume` is made from.
    #[must_use]
    pub fn of_volume(volume: &Volume) -> Self {
        let mut names = Self::default();
        names.config_maps.extend(volume.config_map.iter().map(|source| source.name.clone()));
        names.secrets.extend(volume.secret.iter().filter_map(|source| source.secret_name.clone()));
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            names.config_maps.extend(source.config_map.iter().map(|source| source.name.clone()));
            names.secrets.extend(source.secret.iter().map(|source| source.name.clone()));
        }
        names
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.config_maps.is_empty() && self.secrets.is_empty()
    }

    pub fn extend(&mut self, other: Self) {
        self.config_maps.extend(other.config_maps);
        self.secrets.extend(other.secrets);
    }
}

/// All keys of a ConfigMap, text and binary alike.
pub fn config_map_entries(map: &ConfigMap) -> impl Iterator<Item = (&str, &[u8])> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.as_str(), value.as_bytes()));
    text.chain(map.binary_data.iter().flatten().map(entry))
}

/// All keys of a Secret.
pub fn secret_entries(secret: &Secret) -> impl Iterator<Item = (&str, &[u8])> {
    secret.data.iter().flatten().map(entry)
}

fn entry<'a>((key, value): (&'a String, &'a ByteString)) -> (&'a str, &'a [u8]) {
    (key.as_str(), value.0.as_slice())
}
