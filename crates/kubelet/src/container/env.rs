//! A container's environment.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod, PodStatus, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::references::{References, config_map_entries, secret_entries};
use super::{expand, fields, services};

/// Why an environment cannot be made; the words become the waiting message of the container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("configmap \"{0}\" not found")]
    NoConfigMap(String),
    #[error("secret \"{0}\" not found")]
    NoSecret(String),
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey { kind: &'static str, namespace: String, name: String, key: String },
    #[error(transparent)]
    Field(#[from] fields::Error),
    #[error("environment variable {0}: {1} is not supported by this kubelet")]
    Unsupported(String, &'static str),
}

/// What an environment is made from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    pub pod: &'a Pod,
    /// Newer than the object's: it has the addresses that the sandbox got.
    pub status: &'a PodStatus,
    pub references: &'a References,
    pub allocatable: &'a BTreeMap<String, Quantity>,
}

/// The environment of `container`: names in order of definition, then the Services that nothing overrides.
pub fn environment(sources: Sources<'_>, container: &Container) -> Result<Vec<(String, String)>, Error> {
    let services = service_variables(sources);
    let mut environment = Environment::default();
    add_sets(sources, container, &mut environment)?;
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) if !value.is_empty() => {
                let lookup = |name: &str| environment.get(name).or_else(|| services.get(name)).cloned();
                Some(expand::expand(value, lookup))
            }
            (_, Some(source)) => from_source(sources, container, &variable.name, source)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            environment.set(&variable.name, value);
        }
    }
    for (name, value) in services {
        if environment.get(&name).is_none() {
            environment.set(&name, value);
        }
    }
    Ok(environment.order.into_iter().map(|name| (name.clone(), environment.values[&name].clone())).collect())
}

#[derive(Default)]
struct Environment {
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Environment {
    fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name)
    }

    fn set(&mut self, name: &str, value: String) {
        if self.values.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }
}

fn service_variables(sources: Sources<'_>) -> BTreeMap<String, String> {
    let links = sources.pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
    let mut variables = services::variables(sources.references.api.iter().map(AsRef::as_ref));
    if links {
        variables.extend(services::variables(sources.references.services.iter().map(AsRef::as_ref)));
    }
    variables
}

/// Whole ConfigMaps and Secrets, with their prefixes.
fn add_sets(sources: Sources<'_>, container: &Container, environment: &mut Environment) -> Result<(), Error> {
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut add = |(key, value): (&str, &[u8])| {
            let name = format!("{prefix}{key}");
            if valid_name(&name) {
                environment.set(&name, String::from_utf8_lossy(value).into_owned());
            }
        };
        if let Some(source) = &from.config_map_ref {
            match sources.references.config_maps.get(&source.name) {
                Some(map) => map.data.iter().flatten().for_each(|(key, value)| add((key, value.as_bytes()))),
                None if source.optional.unwrap_or(false) => {}
                None => return Err(Error::NoConfigMap(source.name.clone())),
            }
        }
        if let Some(source) = &from.secret_ref {
            match sources.references.secrets.get(&source.name) {
                Some(secret) => secret_entries(secret).for_each(&mut add),
                None if source.optional.unwrap_or(false) => {}
                None => return Err(Error::NoSecret(source.name.clone())),
            }
        }
    }
    Ok(())
}

/// Variable names may hold anything printable but `=`.
fn valid_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'=')
}

/// The value of one reference; `None` where an optional one points nowhere.
fn from_source(
    sources: Sources<'_>,
    container: &Container,
    variable: &str,
    source: &EnvVarSource,
) -> Result<Option<String>, Error> {
    if let Some(selector) = &source.field_ref {
        return Ok(Some(fields::field(sources.pod, sources.status, &selector.field_path)?));
    }
    if let Some(selector) = &source.resource_field_ref {
        let container = container_of(sources.pod, container, selector)?;
        return Ok(Some(fields::resource(selector, container, sources.allocatable)?));
    }
    if let Some(selector) = &source.config_map_key_ref {
        let optional = selector.optional.unwrap_or(false);
        let Some(map) = sources.references.config_maps.get(&selector.name) else {
            return absent(optional, || Error::NoConfigMap(selector.name.clone()));
        };
        let value = config_map_entries(map).find(|(key, _)| *key == selector.key);
        return keyed(sources, "ConfigMap", (&selector.name, &selector.key, optional), value);
    }
    if let Some(selector) = &source.secret_key_ref {
        let optional = selector.optional.unwrap_or(false);
        let Some(secret) = sources.references.secrets.get(&selector.name) else {
            return absent(optional, || Error::NoSecret(selector.name.clone()));
        };
        let value = secret_entries(secret).find(|(key, _)| *key == selector.key);
        return keyed(sources, "Secret", (&selector.name, &selector.key, optional), value);
    }
    Err(Error::Unsupported(variable.to_owned(), "fileKeyRef"))
}

fn absent(optional: bool, error: impl FnOnce() -> Error) -> Result<Option<String>, Error> {
    if optional { Ok(None) } else { Err(error()) }
}

fn keyed(
    sources: Sources<'_>,
    kind: &'static str,
    (name, key, optional): (&str, &str, bool),
    value: Option<(&str, &[u8])>,
) -> Result<Option<String>, Error> {
    match value {
        Some((_, value)) => Ok(Some(String::from_utf8_lossy(value).into_owned())),
        None => absent(optional, || Error::NoKey {
            kind,
            namespace: sources.pod.metadata.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
            key: key.to_owned(),
        }),
    }
}

/// The container that a resource reference names; the referring one by default.
pub(crate) fn container_of<'a>(
    pod: &'a Pod,
    own: &'a Container,
    selector: &ResourceFieldSelector,
) -> Result<&'a Container, fields::Error> {
    let Some(name) = selector.container_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(own);
    };
    let spec = pod.spec.as_ref();
    let all = spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    all.into_iter().find(|container| container.name == name).ok_or_else(|| fields::Error::NoContainer(name.to_owned()))
}

#[cfg(test)]
mod tests;
