//! Which resource types the server serves.

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResource, APIResourceList};
use kube::Client;

use crate::resource::Resource;

/// A served type at its group's preferred version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    pub resource: Resource,
    pub namespaced: bool,
    pub verbs: Vec<String>,
}

impl Discovered {
    #[must_use]
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// Asks the server for all types, each at its group's preferred version, without subresources; by group, then plural.
///
/// # Errors
/// When the list of groups, or the types of any group, cannot be read: a partial answer would look like absence.
pub async fn discover(client: &Client) -> Result<Vec<Discovered>, kube::Error> {
    let groups = client.list_api_groups().await?.groups;
    let mut found = resources("", "v1", client.list_core_api_resources("v1").await?);
    let lists = groups.iter().filter_map(preferred).map(|(group, version)| async move {
        let list = client.list_api_group_resources(&format!("{group}/{version}")).await?;
        Ok::<_, kube::Error>(resources(group, version, list))
    });
    for list in join_all(lists).await {
        found.extend(list?);
    }
    found.sort_by(|a, b| a.resource.group.cmp(&b.resource.group).then(a.resource.plural.cmp(&b.resource.plural)));
    Ok(found)
}

fn preferred(group: &APIGroup) -> Option<(&str, &str)> {
    let version = group.preferred_version.as_ref().or_else(|| group.versions.first())?;
    Some((&group.name, &version.version))
}

fn resources(group: &str, version: &str, list: APIResourceList) -> Vec<Discovered> {
    let known = |resource: &APIResource| !resource.name.contains('/');
    let discovered = |resource: APIResource| Discovered {
        resource: Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            kind: resource.kind.into(),
            plural: resource.name.into(),
        },
        namespaced: resource.namespaced,
        verbs: resource.verbs,
    };
    list.resources.into_iter().filter(known).map(discovered).collect()
}
