//! Gives every namespace its `default` service account.

use informer::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::controller::{Controller, On, itself};
use crate::plan::{Change, Plan};
use crate::world::World;

const NAME: &str = "default";

pub const CONTROLLER: Controller = Controller {
    name: "serviceaccount-controller",
    watches: &[&On::<Namespace>(itself), &On::<ServiceAccount>(namespace_of)],
    step,
    concurrency: 4,
};

fn namespace_of(account: &ServiceAccount, _: &World, keys: &mut Vec<Key>) {
    if account.metadata.name.as_deref() == Some(NAME)
        && let Some(namespace) = &account.metadata.namespace
    {
        keys.push(Key::new(None, namespace));
    }
}

/// Whether the namespace exists and may be filled.
pub(super) fn is_open(world: &World, name: &str) -> bool {
    let namespace = world.get::<Namespace>(None, name);
    namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
}

fn step(key: &Key, world: &World, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    if is_open(world, key.name()) && world.get::<ServiceAccount>(Some(key.name()), NAME).is_none() {
        let metadata =
            ObjectMeta { name: Some(NAME.to_owned()), namespace: Some(key.name().to_owned()), ..ObjectMeta::default() };
        plan.change(Change::create(&ServiceAccount { metadata, ..ServiceAccount::default() }));
    }
    plan
}
