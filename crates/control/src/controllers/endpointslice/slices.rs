//! Fits endpoints into slices with as few changes as possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::endpoints::{Family, Wanted, is_headless};
use super::{MANAGED_BY, MANAGER, SERVICE_NAME};
use crate::controllers::owners::controller_reference;
use crate::names;
use crate::plan::{Change, Plan};
use crate::world::World;

/// Endpoints in one slice at most.
const CAPACITY: usize = 100;
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Plans what leads from the `existing` slices of one family to the `wanted` endpoints. There is always a slice.
pub(super) fn reconcile(
    service: &Service,
    family: Family,
    mut wanted: Wanted,
    existing: Vec<Arc<EndpointSlice>>,
    world: &World,
    plan: &mut Plan,
) {
    if wanted.is_empty() {
        wanted.push((Vec::new(), BTreeMap::new()));
    }
    let mut slices = Builder { service, family, world, number: 0, changes: Vec::new() };
    let mut unused = existing;
    for (ports, endpoints) in wanted {
        let (same, rest) = unused.into_iter().partition(|slice| same_ports(slice, &ports));
        unused = rest;
        slices.fill(&ports, endpoints, same);
    }
    // A slice with other ports is taken over by nobody: the ports of a slice are one for all its endpoints.
    plan.batch(slices.changes);
    delete(&unused, plan);
}

pub(super) fn delete(slices: &[Arc<EndpointSlice>], plan: &mut Plan) {
    plan.batch(
        slices
            .iter()
            .filter(|slice| slice.metadata.deletion_timestamp.is_none())
            .map(|slice| Change::delete(&**slice))
            .collect(),
    );
}

fn same_ports(slice: &EndpointSlice, ports: &[EndpointPort]) -> bool {
    slice.ports.as_deref().unwrap_or_default() == ports
}

struct Builder<'a> {
    service: &'a Service,
    family: Family,
    world: &'a World,
    number: u64,
    changes: Vec<Change>,
}

impl Builder<'_> {
    /// Keeps endpoints where they are, fills free room, and makes new slices for the rest.
    fn fill(&mut self, ports: &[EndpointPort], mut missing: BTreeMap<String, Endpoint>, same: Vec<Arc<EndpointSlice>>) {
        let mut kept: Vec<(Arc<EndpointSlice>, Vec<Endpoint>)> = Vec::new();
        for slice in same.into_iter().filter(|slice| slice.metadata.deletion_timestamp.is_none()) {
            let stay = slice.endpoints.iter().flatten().filter_map(|endpoint| missing.remove(pod_of(endpoint)));
            let stay: Vec<Endpoint> = stay.collect();
            kept.push((slice, stay));
        }
        let mut missing = missing.into_values();
        for (_, endpoints) in &mut kept {
            let room = CAPACITY.saturating_sub(endpoints.len());
            endpoints.extend(missing.by_ref().take(room));
        }
        let mut filled = kept.iter().filter(|(_, endpoints)| !endpoints.is_empty()).count();
        for (slice, endpoints) in kept {
            // One empty slice stays, so that the service is seen to have no endpoints.
            if endpoints.is_empty() && filled > 0 {
                self.changes.push(Change::delete(&*slice));
                continue;
            }
            filled = filled.max(1);
            self.update(&slice, endpoints);
        }
        loop {
            let endpoints: Vec<Endpoint> = missing.by_ref().take(CAPACITY).collect();
            if endpoints.is_empty() && filled > 0 {
                return;
            }
            filled += 1;
            self.create(ports, endpoints);
        }
    }

    fn update(&mut self, slice: &EndpointSlice, endpoints: Vec<Endpoint>) {
        let labels = self.labels();
        let mut changed = slice.clone();
        changed.endpoints = Some(endpoints);
        changed.metadata.labels = Some(labels);
        let same = slice.endpoints.as_deref().unwrap_or_default() == changed.endpoints.as_deref().unwrap_or_default();
        if !same || slice.metadata.labels != changed.metadata.labels {
            self.changes.push(Change::update(&changed));
        }
    }

    fn create(&mut self, ports: &[EndpointPort], endpoints: Vec<Endpoint>) {
        let meta = &self.service.metadata;
        let base = meta.name.as_deref().unwrap_or_default();
        // Families are planned apart and must not meet in a name.
        let owner = format!("{}/{}", meta.uid.as_deref().unwrap_or_default(), self.family.name());
        let name = loop {
            let name = names::child(base, &owner, self.world.nonce(), self.number);
            self.number += 1;
            if self.world.get::<EndpointSlice>(meta.namespace.as_deref(), &name).is_none() {
                break name;
            }
        };
        self.changes.push(Change::create(&EndpointSlice {
            metadata: ObjectMeta {
                name: Some(name),
                generate_name: Some(format!("{base}-")),
                namespace: meta.namespace.clone(),
                labels: Some(self.labels()),
                owner_references: Some(vec![controller_reference(self.service)]),
                ..ObjectMeta::default()
            },
            address_type: self.family.name().to_owned(),
            endpoints: Some(endpoints),
            ports: Some(ports.to_vec()),
        }));
    }

    /// The service's labels and our own.
    fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.service.metadata.labels.clone().unwrap_or_default();
        labels.remove(HEADLESS);
        if is_headless(self.service) {
            labels.insert(HEADLESS.to_owned(), String::new());
        }
        labels.insert(SERVICE_NAME.to_owned(), self.service.metadata.name.clone().unwrap_or_default());
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        labels
    }
}

fn pod_of(endpoint: &Endpoint) -> &str {
    endpoint.target_ref.as_ref().and_then(|target| target.name.as_deref()).unwrap_or_default()
}
