//! What is known of the nodes, in columns, so that a look at all of them touches little memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::pod::{HostPort, PodInfo};
use crate::requests::Requests;

type Labels = BTreeMap<String, String>;

/// The nodes and what is placed on them. Changed incrementally: a change costs what changed.
///
/// Nodes have dense positions, which change when a node is removed.
#[derive(Debug, Default)]
pub struct Snapshot {
    positions: BTreeMap<Arc<str>, usize>,
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) unschedulable: Vec<bool>,
    pub(crate) allocatable: Amounts,
    pub(crate) requested: Amounts,
    /// CPU and memory with defaults for pods that name none.
    pub(crate) nonzero: Vec<(i64, i64)>,
    /// Index into `taint_sets`.
    pub(crate) taints: Vec<usize>,
    pub(crate) taint_sets: Vec<Vec<Taint>>,
    pub(crate) labels: Vec<Arc<Labels>>,
    pub(crate) ports: Vec<BTreeMap<HostPort, u32>>,
    /// Sizes in bytes of the images a node has, by name.
    pub(crate) images: Vec<BTreeMap<Box<str>, i64>>,
    /// On how many nodes an image is.
    pub(crate) image_spread: BTreeMap<Box<str>, usize>,
    placed: BTreeMap<Box<str>, Placed>,
    by_node: BTreeMap<Arc<str>, BTreeSet<Box<str>>>,
}

/// A pod on a node, or on its way there.
#[derive(Debug)]
struct Placed {
    node: Arc<str>,
    pod: Arc<PodInfo>,
}

/// One amount for each node, by resource.
#[derive(Debug, Default)]
pub(crate) struct Amounts {
    pub(crate) cpu: Vec<i64>,
    pub(crate) memory: Vec<i64>,
    pub(crate) ephemeral: Vec<i64>,
    pub(crate) pods: Vec<i64>,
    pub(crate) scalars: Vec<BTreeMap<Box<str>, i64>>,
}

impl Amounts {
    fn push(&mut self, requests: Requests, pods: i64) {
        self.cpu.push(requests.cpu);
        self.memory.push(requests.memory);
        self.ephemeral.push(requests.ephemeral);
        self.pods.push(pods);
        self.scalars.push(requests.scalars);
    }

    fn set(&mut self, node: usize, requests: Requests, pods: i64) {
        self.cpu[node] = requests.cpu;
        self.memory[node] = requests.memory;
        self.ephemeral[node] = requests.ephemeral;
        self.pods[node] = pods;
        self.scalars[node] = requests.scalars;
    }

    fn add(&mut self, node: usize, requests: &Requests, sign: i64) {
        self.cpu[node] += sign * requests.cpu;
        self.memory[node] += sign * requests.memory;
        self.ephemeral[node] += sign * requests.ephemeral;
        self.pods[node] += sign;
        for (name, amount) in &requests.scalars {
            *self.scalars[node].entry(name.clone()).or_default() += sign * amount;
        }
    }

    fn swap_remove(&mut self, node: usize) {
        self.cpu.swap_remove(node);
        self.memory.swap_remove(node);
        self.ephemeral.swap_remove(node);
        self.pods.swap_remove(node);
        self.scalars.swap_remove(node);
    }
}

impl Snapshot {
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of the node at `position`.
    #[must_use]
    pub fn name(&self, position: usize) -> &Arc<str> {
        &self.names[position]
    }

    /// Adds or updates a node.
    pub fn set_node(&mut self, node: &Node) {
        let Some(name) = node.metadata.name.as_deref() else { return };
        let position = match self.positions.get(name) {
            Some(position) => *position,
            None => self.add_node(name),
        };
        self.describe(position, node);
    }

    fn add_node(&mut self, name: &str) -> usize {
        let (name, position): (Arc<str>, _) = (name.into(), self.names.len());
        self.positions.insert(Arc::clone(&name), position);
        self.names.push(Arc::clone(&name));
        self.unschedulable.push(false);
        self.allocatable.push(Requests::default(), 0);
        self.requested.push(Requests::default(), 0);
        self.nonzero.push((0, 0));
        self.taints.push(0);
        self.labels.push(Arc::default());
        self.ports.push(BTreeMap::new());
        self.images.push(BTreeMap::new());
        // Pods may be known before their node is.
        let waiting: Vec<Arc<PodInfo>> = self.pods_on(&name);
        waiting.iter().for_each(|pod| self.count(position, pod, 1));
        position
    }

    fn pods_on(&self, node: &str) -> Vec<Arc<PodInfo>> {
        let uids = self.by_node.get(node).into_iter().flatten();
        uids.filter_map(|uid| self.placed.get(uid)).map(|placed| Arc::clone(&placed.pod)).collect()
    }

    fn describe(&mut self, position: usize, node: &Node) {
        let (spec, status) = (node.spec.clone().unwrap_or_default(), node.status.clone().unwrap_or_default());
        let pods = status.allocatable.as_ref().and_then(|list| list.get("pods")).map_or(0, whole);
        self.allocatable.set(position, Requests::of(status.allocatable.as_ref()), pods);
        self.unschedulable[position] = spec.unschedulable == Some(true);
        self.taints[position] = self.intern(spec.taints.unwrap_or_default());
        let labels = node.metadata.labels.clone().unwrap_or_default();
        if *self.labels[position] != labels {
            self.labels[position] = Arc::new(labels);
        }
        let images = status.images.into_iter().flatten().flat_map(|image| {
            let size = image.size_bytes.unwrap_or(0);
            image.names.into_iter().flatten().map(move |name| (name.into_boxed_str(), size))
        });
        self.set_images(position, images.collect());
    }

    /// Nodes have few different sets of taints: verdicts are computed once for each.
    fn intern(&mut self, taints: Vec<Taint>) -> usize {
        let same = |set: &Vec<Taint>| {
            set.len() == taints.len()
                && set.iter().zip(&taints).all(|(a, b)| (&a.key, &a.value, &a.effect) == (&b.key, &b.value, &b.effect))
        };
        self.taint_sets.iter().position(same).unwrap_or_else(|| {
            self.taint_sets.push(taints);
            self.taint_sets.len() - 1
        })
    }

    fn set_images(&mut self, position: usize, images: BTreeMap<Box<str>, i64>) {
        if self.images[position] == images {
            return;
        }
        let old = std::mem::take(&mut self.images[position]);
        for name in old.keys() {
            if let Some(count) = self.image_spread.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.image_spread.remove(name);
                }
            }
        }
        for name in images.keys() {
            *self.image_spread.entry(name.clone()).or_default() += 1;
        }
        self.images[position] = images;
    }

    /// Removes a node; pods on it stay known until they are removed themselves.
    pub fn remove_node(&mut self, name: &str) {
        let Some(position) = self.positions.remove(name) else { return };
        self.set_images(position, BTreeMap::new());
        self.names.swap_remove(position);
        self.unschedulable.swap_remove(position);
        self.allocatable.swap_remove(position);
        self.requested.swap_remove(position);
        self.nonzero.swap_remove(position);
        self.taints.swap_remove(position);
        self.labels.swap_remove(position);
        self.ports.swap_remove(position);
        self.images.swap_remove(position);
        if let Some(moved) = self.names.get(position) {
            self.positions.insert(Arc::clone(moved), position);
        }
    }

    /// Counts `pod` on `node`, from wherever it was before.
    pub fn place(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.remove_pod(&pod.uid);
        let node: Arc<str> = node.into();
        self.by_node.entry(Arc::clone(&node)).or_default().insert(pod.uid.clone());
        if let Some(position) = self.positions.get(&node).copied() {
            self.count(position, &pod, 1);
        }
        self.placed.insert(pod.uid.clone(), Placed { node, pod });
    }

    /// The node a pod is counted on.
    #[must_use]
    pub fn place_of(&self, uid: &str) -> Option<&str> {
        self.placed.get(uid).map(|placed| &*placed.node)
    }

    /// Ends the counting of a pod. Returns whether it was counted.
    pub fn remove_pod(&mut self, uid: &str) -> bool {
        let Some(Placed { node, pod }) = self.placed.remove(uid) else { return false };
        if let Some(uids) = self.by_node.get_mut(&node) {
            uids.remove(uid);
            if uids.is_empty() {
                self.by_node.remove(&node);
            }
        }
        if let Some(position) = self.positions.get(&node).copied() {
            self.count(position, &pod, -1);
        }
        true
    }

    fn count(&mut self, position: usize, pod: &PodInfo, sign: i64) {
        self.requested.add(position, &pod.requests, sign);
        self.nonzero[position].0 += sign * pod.nonzero.0;
        self.nonzero[position].1 += sign * pod.nonzero.1;
        let ports = &mut self.ports[position];
        for port in &pod.ports {
            if sign > 0 {
                *ports.entry(port.clone()).or_default() += 1;
            } else if let Some(count) = ports.get_mut(port) {
                *count -= 1;
                if *count == 0 {
                    ports.remove(port);
                }
            }
        }
    }

    /// Whether `node` has a pod of lower priority than `priority`.
    pub(crate) fn has_lower_priority(&self, position: usize, priority: i32) -> bool {
        let uids = self.by_node.get(&self.names[position]).into_iter().flatten();
        uids.filter_map(|uid| self.placed.get(uid)).any(|placed| placed.pod.priority < priority)
    }
}

fn whole(quantity: &Quantity) -> i64 {
    object::Quantity::parse(&quantity.0).map_or(0, |quantity| quantity.value())
}
