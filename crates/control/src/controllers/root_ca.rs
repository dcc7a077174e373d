//! Publishes the certificate authority of the API server in every namespace, for pods to verify it.

use std::collections::BTreeMap;

use informer::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::serviceaccount::is_open;
use crate::controller::{Controller, On, itself};
use crate::plan::{Change, Plan};
use crate::world::World;

const NAME: &str = "kube-root-ca.crt";
const FIELD: &str = "ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";
const DESCRIPTION_TEXT: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal \
    endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across \
    distributions of Kubernetes clusters.";

/// Idle as long as the manager is not told the authority.
pub const CONTROLLER: Controller = Controller {
    name: "root-ca-certificate-publisher-controller",
    watches: &[&On::<Namespace>(itself), &On::<ConfigMap>(namespace_of)],
    step,
    concurrency: 4,
};

fn namespace_of(map: &ConfigMap, _: &World, keys: &mut Vec<Key>) {
    if map.metadata.name.as_deref() == Some(NAME)
        && let Some(namespace) = &map.metadata.namespace
    {
        keys.push(Key::new(None, namespace));
    }
}

fn step(key: &Key, world: &World, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(authority) = &world.settings().root_ca else { return plan };
    if !is_open(world, key.name()) {
        return plan;
    }
    let data = BTreeMap::from([(FIELD.to_owned(), authority.clone())]);
    let described = BTreeMap::from([(DESCRIPTION.to_owned(), DESCRIPTION_TEXT.to_owned())]);
    match world.get::<ConfigMap>(Some(key.name()), NAME) {
        None => plan.change(Change::create(&ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                namespace: Some(key.name().to_owned()),
                annotations: Some(described),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        })),
        Some(map) if map.data.as_ref() != Some(&data) || lacks(&map, &described) => {
            let mut changed = (*map).clone();
            changed.data = Some(data);
            changed.metadata.annotations.get_or_insert_default().extend(described);
            plan.change(Change::update(&changed));
        }
        Some(_) => {}
    }
    plan
}

fn lacks(map: &ConfigMap, annotations: &BTreeMap<String, String>) -> bool {
    let own = map.metadata.annotations.as_ref();
    annotations.iter().any(|(key, value)| own.and_then(|own| own.get(key)) != Some(value))
}
