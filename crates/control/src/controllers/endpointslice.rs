//! Tells in endpoint slices which pods serve a service.

mod endpoints;
mod slices;
#[cfg(test)]
mod tests;

use informer::Key;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::controller::{Controller, On, itself, nothing};
use crate::plan::Plan;
use crate::selector::Matcher;
use crate::world::World;

pub const CONTROLLER: Controller = Controller {
    name: "endpointslice-controller",
    watches: &[
        &On::<Service>(itself),
        &On::<Pod>(services_of),
        &On::<EndpointSlice>(service_of_slice),
        &On::<Node>(nothing),
    ],
    step,
    concurrency: 5,
};

/// Marks a slice as one of a service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

fn services_of(pod: &Pod, world: &World, keys: &mut Vec<Key>) {
    let services = world.list_in::<Service>(pod.metadata.namespace.as_deref().unwrap_or_default());
    let selecting = services
        .iter()
        .filter(|service| selector(service).is_some_and(|selector| selector.matches(pod.metadata.labels.as_ref())));
    keys.extend(selecting.map(|service| informer::Object::key(&**service)));
}

fn service_of_slice(slice: &EndpointSlice, _: &World, keys: &mut Vec<Key>) {
    if is_ours(slice)
        && let Some(service) = label(slice, SERVICE_NAME)
    {
        keys.push(Key::new(slice.metadata.namespace.as_deref(), service));
    }
}

fn is_ours(slice: &EndpointSlice) -> bool {
    label(slice, MANAGED_BY) == Some(MANAGER)
}

fn label<'a>(slice: &'a EndpointSlice, name: &str) -> Option<&'a str> {
    slice.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

/// `None` for services whose endpoints are somebody else's business.
fn selector(service: &Service) -> Option<Matcher> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    spec.selector.as_ref().filter(|selector| !selector.is_empty()).map(Matcher::exact)
}

fn step(key: &Key, world: &World, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(service) = world.get::<Service>(key.namespace(), key.name()) else { return plan };
    let Some(selector) = selector(&service) else { return plan };
    if service.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let namespace = key.namespace().unwrap_or_default();
    let mut pods = world.list_in::<Pod>(namespace);
    pods.retain(|pod| selector.matches(pod.metadata.labels.as_ref()));
    let mut existing = world.list_in::<EndpointSlice>(namespace);
    existing.retain(|slice| is_ours(slice) && label(slice, SERVICE_NAME) == Some(key.name()));
    let families = endpoints::families(&service);
    for family in &families {
        let wanted = endpoints::wanted(&service, &pods, *family, world);
        let (same, rest) = existing.into_iter().partition(|slice| slice.address_type == family.name());
        existing = rest;
        slices::reconcile(&service, *family, wanted, same, world, &mut plan);
    }
    slices::delete(&existing, &mut plan);
    plan
}
