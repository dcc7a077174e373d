//! A small world in memory for controllers: applies their plans and steps them again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use informer::{Cache, Key, Metadata, Writer};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::controller::{Controller, Kind};
use crate::discovery::Discovered;
use crate::plan::{Action, Answer, Change, Plan, Query, Report};
use crate::resource::{Resource, Target};
use crate::world::{Caches, Failure, Settings, World};

/// One type's objects.
pub(crate) trait Table: Send + Sync {
    fn resource(&self) -> Resource;
    fn put(&self, object: &Value);
    fn remove(&self, namespace: Option<&str>, name: &str, revision: u64);
    fn all(&self) -> Vec<Value>;
}

impl<K: Kind> Table for (Writer<K>, Cache<K>) {
    fn resource(&self) -> Resource {
        Resource::of::<K>()
    }

    fn put(&self, object: &Value) {
        let decoded = serde_json::from_value(object.clone());
        self.0.apply(decoded.unwrap_or_else(|error| panic!("cannot decode {object}: {error}")));
    }

    fn remove(&self, namespace: Option<&str>, name: &str, revision: u64) {
        let Some(last) = self.1.get(namespace, name) else { return };
        let mut last = (*last).clone();
        kube::Resource::meta_mut(&mut last).resource_version = Some(revision.to_string());
        self.0.remove(&last);
    }

    fn all(&self) -> Vec<Value> {
        self.1.list().iter().map(|object| serde_json::to_value(&**object).unwrap()).collect()
    }
}

pub(crate) struct Sim {
    controllers: Vec<&'static Controller>,
    caches: Arc<Caches>,
    revision: u64,
    pub(crate) now: Timestamp,
    nonce: u64,
    /// Every event recorded so far, in short.
    pub(crate) events: Vec<String>,
    /// Creations that are refused, by plural, with the server's words.
    pub(crate) refused: BTreeMap<&'static str, &'static str>,
}

impl Sim {
    /// A world for `controllers` with the objects of a YAML list.
    pub(crate) fn new(controllers: &[&'static Controller], world: &str) -> Self {
        let mut caches = Caches::new(Settings { root_ca: Some("CA".into()) });
        for watch in controllers.iter().flat_map(|controller| controller.watches) {
            watch.simulate(&mut caches);
        }
        let mut sim = Self {
            controllers: controllers.to_vec(),
            caches: Arc::new(caches),
            revision: 1000,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            nonce: 0,
            events: Vec::new(),
            refused: BTreeMap::new(),
        };
        let objects: Vec<Value> = serde_saphyr::from_str(world).unwrap();
        objects.into_iter().for_each(|object| sim.add(object));
        sim
    }

    /// Steps one of the controllers only.
    pub(crate) fn only(&mut self, controller: &'static Controller) {
        self.controllers = vec![controller];
    }

    pub(crate) fn world(&self) -> World {
        World::new(Arc::clone(&self.caches))
    }

    /// Adds an object as it stands, with a uid and a creation time if it has none.
    pub(crate) fn add(&mut self, mut object: Value) {
        let meta = &mut object["metadata"];
        let name = meta["name"].as_str().unwrap().to_owned();
        let defaults = [("uid", json!(format!("uid-{name}"))), ("creationTimestamp", json!("2025-12-31T00:00:00Z"))];
        for (field, value) in defaults {
            if meta[field].is_null() {
                meta[field] = value;
            }
        }
        self.put(object);
    }

    fn put(&mut self, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let kind = object["kind"].as_str().unwrap_or_else(|| panic!("no kind in {object}")).to_owned();
        let table = self.caches.tables.values().find(|table| table.resource().kind == kind);
        if let Some(table) = table {
            table.put(&object);
        }
        if self.caches.has_graph() {
            self.put_into_graph(&kind, object);
        }
    }

    fn put_into_graph(&self, kind: &str, object: Value) {
        let of = discovered(kind, !object["metadata"]["namespace"].is_null());
        let graph = self.world().graph().clone();
        let mut types: Vec<Arc<Discovered>> = graph.uids().iter().filter_map(|uid| Some(graph.node(uid)?.of)).collect();
        types.push(Arc::clone(&of));
        graph.set_types(&types);
        graph.apply(&of, Arc::new(serde_json::from_value(object).unwrap()));
    }

    /// The object; in short `find("pods", "ns", "name")`.
    pub(crate) fn get(&self, target: &Target) -> Option<Value> {
        let key = (target.resource.group.to_string(), target.resource.plural.to_string());
        let all = match self.caches.tables.get(&key) {
            Some(table) => table.all(),
            None if self.caches.has_graph() => self.graph_objects(&target.resource),
            None => return None,
        };
        let namespace = target.namespace.as_deref();
        let matches = |object: &&Value| {
            object["metadata"]["name"].as_str() == Some(&target.name)
                && object["metadata"]["namespace"].as_str() == namespace
        };
        all.iter().find(matches).cloned()
    }

    fn graph_objects(&self, resource: &Resource) -> Vec<Value> {
        let graph = self.world().graph().clone();
        let nodes = graph.uids().into_iter().filter_map(|uid| graph.node(&uid));
        let of_type = nodes.filter(|node| node.of.resource == *resource);
        of_type
            .map(|node| {
                let mut object = serde_json::to_value(&*node.object).unwrap();
                object["kind"] = node.of.resource.kind.to_string().into();
                object
            })
            .collect()
    }

    pub(crate) fn all<K: Kind>(&self) -> Vec<Arc<K>> {
        self.world().list::<K>()
    }

    /// Changes all objects of a type.
    pub(crate) fn edit<K: Kind>(&mut self, change: impl Fn(&mut K)) {
        for object in self.all::<K>() {
            let mut object = (*object).clone();
            change(&mut object);
            let mut value = serde_json::to_value(&object).unwrap();
            value["kind"] = K::kind(&()).into_owned().into();
            self.put(value);
        }
    }

    /// One step of one controller, its queries answered.
    pub(crate) fn step(&self, controller: &Controller, key: &Key, failure: Option<Arc<Failure>>) -> Plan {
        let mut answers = BTreeMap::new();
        for _ in 0..4 {
            let world = self.world().with(std::mem::take(&mut answers), failure.clone(), self.nonce);
            let plan = (controller.step)(key, &world, self.now);
            if plan.queries.is_empty() || !plan.batches.is_empty() {
                return plan;
            }
            answers = plan.queries.into_iter().map(|query| (query.clone(), self.answer(&query))).collect();
        }
        panic!("{} asks without end", controller.name);
    }

    fn answer(&self, query: &Query) -> Answer {
        match query {
            Query::Get(target) => Answer::Object(self.get(target)),
            Query::List { resource, namespace } => {
                let key = (resource.group.to_string(), resource.plural.to_string());
                let all = self.caches.tables.get(&key).map(|table| table.all()).unwrap_or_default();
                let own =
                    all.into_iter().filter(|object| object["metadata"]["namespace"].as_str() == namespace.as_deref());
                let first: Vec<Metadata> = own.map(|object| serde_json::from_value(object).unwrap()).collect();
                Answer::List { first, more: 0 }
            }
            Query::Discover => Answer::Discovered(
                self.caches
                    .tables
                    .values()
                    .map(|table| {
                        let resource = table.resource();
                        let namespaced = resource.kind != "Namespace" && resource.kind != "Node";
                        let verbs = ["delete", "deletecollection", "list"].map(str::to_owned).to_vec();
                        Discovered { resource, namespaced, verbs }
                    })
                    .collect(),
            ),
        }
    }

    /// Steps every controller for every key once and applies the plans. Returns what was done, in short.
    pub(crate) fn round(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        for controller in self.controllers.clone() {
            let world = self.world();
            let keys: BTreeSet<Key> = controller.watches.iter().flat_map(|watch| watch.keys(&world)).collect();
            for key in keys {
                let plan = self.step(controller, &key, None);
                let failure = self.apply(plan, &mut done);
                if failure.is_some() {
                    let plan = self.step(controller, &key, failure.map(Arc::new));
                    self.apply(plan, &mut done);
                }
            }
        }
        done
    }

    /// Rounds until nothing is left to do, at most `limit`. Returns everything that was done.
    pub(crate) fn settle(&mut self, limit: usize) -> Vec<String> {
        let mut all = Vec::new();
        for _ in 0..limit {
            let done = self.round();
            if done.is_empty() {
                return all;
            }
            all.extend(done);
        }
        panic!("not settled after {limit} rounds: {all:#?}");
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    fn apply(&mut self, plan: Plan, done: &mut Vec<String>) -> Option<Failure> {
        self.nonce += 1;
        plan.failed.iter().for_each(|report| self.record(report));
        for change in plan.batches.into_iter().flatten() {
            if let (Action::Create(_), Some(message)) =
                (&change.action, self.refused.get(&*change.target.resource.plural))
            {
                let (verb, message, reason) = (change.verb(), (*message).to_owned(), "Forbidden".to_owned());
                return Some(Failure { verb, target: change.target, message, reason });
            }
            done.push(change.to_string());
            if let Some(report) = &change.report {
                self.record(report);
            }
            self.make(change);
        }
        plan.events.iter().for_each(|report| self.record(report));
        None
    }

    fn record(&mut self, report: &Report) {
        let kind = if report.warning { "Warning" } else { "Normal" };
        self.events.push(format!("{kind} {} {}", report.reason, report.message));
    }

    fn make(&mut self, change: Change) {
        let kind = change.target.resource.kind.to_string();
        let old = self.get(&change.target);
        let mut new = match change.action {
            Action::Create(mut object) => {
                assert!(old.is_none(), "{} is there already", change.target);
                object["metadata"]["uid"] = format!("uid-{}", change.target.name).into();
                object["metadata"]["creationTimestamp"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
                object["metadata"]["generation"] = 1.into();
                object
            }
            Action::Update { object, subresource } => updated(old.expect("an update's object"), object, subresource),
            Action::Patch { patch, .. } => {
                let mut object = old.expect("a patch's object");
                merge(&mut object, patch);
                object
            }
            Action::Delete(how) => {
                if how.propagation == Some("Foreground") {
                    let mut object = old.expect("a deletion's object");
                    merge(&mut object, json!({"kind": kind, "metadata": {"finalizers": ["foregroundDeletion"]}}));
                    self.put(object);
                }
                return self.delete(&change.target);
            }
            Action::DeleteCollection => {
                let key = (change.target.resource.group.to_string(), change.target.resource.plural.to_string());
                let all = self.caches.tables[&key].all();
                for object in all
                    .iter()
                    .filter(|object| object["metadata"]["namespace"].as_str() == change.target.namespace.as_deref())
                {
                    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                    self.delete(&Target { name, ..change.target.clone() });
                }
                return;
            }
        };
        new["kind"] = kind.into();
        let meta = &new["metadata"];
        let held = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
        let leaving = !meta["deletionTimestamp"].is_null();
        if leaving
            && !held(&meta["finalizers"])
            && !held(&new["spec"]["finalizers"])
            && change.target.resource.kind != "Pod"
        {
            return self.remove(&change.target);
        }
        self.put(new);
    }

    /// Deletes an object, or marks it as being deleted when finalizers hold it.
    pub(crate) fn delete(&mut self, target: &Target) {
        let Some(mut object) = self.get(target) else { return };
        if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            return self.remove(target);
        }
        object["metadata"]["deletionTimestamp"] = self.now.to_string().into();
        object["kind"] = target.resource.kind.to_string().into();
        self.put(object);
    }

    fn remove(&mut self, target: &Target) {
        self.revision += 1;
        let key = (target.resource.group.to_string(), target.resource.plural.to_string());
        let object = self.get(target);
        if let Some(table) = self.caches.tables.get(&key) {
            table.remove(target.namespace.as_deref(), &target.name, self.revision);
        }
        if self.caches.has_graph()
            && let Some(object) = object
        {
            self.world().graph().remove(&serde_json::from_value(object).unwrap());
        }
    }
}

/// A type as the graph knows it; all are in the core group.
pub(crate) fn discovered(kind: &str, namespaced: bool) -> Arc<Discovered> {
    let plural = format!("{}s", kind.to_lowercase());
    let resource =
        Resource { group: "".into(), version: "v1".into(), kind: kind.to_owned().into(), plural: plural.into() };
    Arc::new(Discovered { resource, namespaced, verbs: Vec::new() })
}

/// A PUT: the status changes only through its subresource, and a changed spec is a new generation.
fn updated(old: Value, mut new: Value, subresource: Option<&str>) -> Value {
    if subresource == Some("status") {
        return json!({"metadata": old["metadata"], "spec": old["spec"], "status": new["status"]});
    }
    if new["spec"] != old["spec"]
        && let Some(generation) = old["metadata"]["generation"].as_i64()
    {
        new["metadata"]["generation"] = (generation + 1).into();
    }
    new["status"] = old["status"].clone();
    if new["status"].is_null() {
        new.as_object_mut().unwrap().remove("status");
    }
    new
}

fn merge(object: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *object = patch;
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            if let Some(object) = object.as_object_mut() {
                object.remove(&name);
            }
        } else {
            merge(&mut object[&name], value);
        }
    }
}
