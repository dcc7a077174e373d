//! What a resource does differently from all others. Every method has a default; only about twenty kinds need a strategy.
//!
//! Objects given to strategies are in their storage version, with defaults applied, in canonical field order. The registry
//! itself does what is common: names, uid, timestamps, generation 1, finalizers, the split between an object and its
//! `/status`, managed fields.

mod admissionregistration;
mod apiservice;
mod autoscaler;
mod certificates;
mod claim;
mod configmap;
mod controllerrevision;
mod coordination;
mod cronjob;
mod daemonset;
mod definition;
mod deployment;
mod difference;
mod disruptionbudget;
mod endpoints;
mod endpointslice;
mod event;
mod field;
mod flowcontrol;
mod internal;
mod job;
mod json;
mod keypair;
mod labels;
mod limitrange;
mod list;
mod migration;
mod namespace;
mod networking;
mod node;
mod persistentvolume;
mod pod;
mod podtemplate;
mod rbac;
mod reference;
mod replicaset;
mod replicationcontroller;
mod resource;
mod resourcequota;
mod resources;
mod rules;
mod runtimeclass;
mod scheduling;
mod secret;
mod service;
mod serviceaccount;
mod shown;
mod source;
mod statefulset;
mod status;
mod storage;
mod storageversion;
mod structs;
mod webhook;
mod workload;

use futures::future::BoxFuture;
use jiff::Timestamp;
use object::field::ErrorList;
use serde_json::Value;

use crate::allocator::Allocators;
use crate::error::Result;
use crate::objects::Objects;
use crate::pipeline::Warnings;
use crate::user::User;

/// What a strategy may look at beside the object.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub host: &'a host::Host,
    pub user: &'a User,
    /// Empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// `status`, `scale`, `resize`, …; empty when the object itself is written.
    pub subresource: &'a str,
    /// Nothing may be kept: neither written nor reserved.
    pub dry_run: bool,
    /// Reading other objects; as fresh as the watch cache.
    pub objects: &'a Objects,
    /// Cluster addresses and node ports.
    pub allocators: &'a Allocators,
    /// What the caller is told beside the answer.
    pub warnings: &'a Warnings,
}

/// What becomes of dependents when the request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    Background,
    Orphan,
    /// Dependents are none of the garbage collector's business.
    Unsupported,
}

/// What a write holds of a shared pool (addresses, ports) until its outcome is known.
///
/// Dropping it gives back what this write took; [`Reservation::commit`] gives back what the write no longer needs.
pub trait Reservation: Send {
    fn commit(self: Box<Self>);
}

/// The behaviour of one kind.
pub trait Strategy: Send + Sync + 'static {
    /// Makes an object that a client has sent into one that may be created: fields that only the server sets are reset.
    fn prepare_create(&self, cx: &Context<'_>, object: &mut Value) {
        let _ = (cx, object);
    }

    /// The same for an update: fields that this endpoint does not write are taken from `old`.
    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        let _ = (cx, object, old);
    }

    fn validate(&self, cx: &Context<'_>, object: &Value) -> ErrorList {
        let _ = (cx, object);
        ErrorList::new()
    }

    /// Unlike [`Strategy::validate`] this is all that runs on an update; call `validate` where the whole is to be checked.
    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let _ = old;
        self.validate(cx, object)
    }

    /// What the caller should know although the write succeeds. `old` is set on update.
    fn warnings(&self, cx: &Context<'_>, object: &Value, old: Option<&Value>) -> Vec<String> {
        let _ = (cx, object, old);
        Vec::new()
    }

    /// Takes what the object needs from shared pools and writes it into the object; runs after `prepare_…`, before
    /// validation, on create and update (`old` set).
    ///
    /// # Errors
    /// When a pool is empty, or what the object asks for is taken: usually `Error::invalid`.
    fn reserve<'a>(
        &'a self,
        cx: &'a Context<'_>,
        object: &'a mut Value,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Reservation>>>> {
        let _ = (cx, object, old);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Gives back what a deleted object had reserved.
    fn released(&self, cx: &Context<'_>, object: &Value) {
        let _ = (cx, object);
    }

    /// What is wrong with `name`; with `prefix`, it is a `generateName` to which five characters will be added.
    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        object::names::dns1123_subdomain(&without_final_dash(name, prefix))
    }

    /// The same where the name must follow from what stands in the object.
    fn check_name_of(&self, object: &Value, name: &str, prefix: bool) -> Vec<String> {
        let _ = object;
        self.check_name(name, prefix)
    }

    /// Whether a PUT creates an object that is not there.
    fn allows_create_on_update(&self) -> bool {
        false
    }

    /// Whether an update without a resourceVersion overwrites whatever is there.
    fn allows_unconditional_update(&self) -> bool {
        true
    }

    /// Whether an object's status is accepted with its creation; otherwise the registry drops it.
    fn keeps_status_on_create(&self) -> bool {
        false
    }

    /// Whether a subresource other than `status` writes the status; for others the registry keeps the old one.
    fn writes_status(&self, subresource: &str) -> bool {
        let _ = subresource;
        false
    }

    /// Whether `metadata.generation` counts changes of what stands outside of metadata and status.
    fn tracks_generation(&self) -> bool {
        false
    }

    /// The grace period of a delete in seconds; `None` when objects go at once. `requested` is the caller's wish.
    /// May change the object, which is then written with its deletion timestamp.
    fn grace_period(&self, cx: &Context<'_>, object: &mut Value, requested: Option<i64>) -> Option<i64> {
        let _ = (cx, object, requested);
        None
    }

    /// Whether the object, marked as deleted and without grace or finalizers in `metadata`, may go now. Namespaces wait
    /// for `spec.finalizers`.
    fn may_go(&self, object: &Value) -> bool {
        let _ = object;
        true
    }

    /// Marks an object whose deletion has begun but must wait (a namespace becomes `Terminating`).
    fn mark_deleted(&self, cx: &Context<'_>, object: &mut Value) {
        let _ = (cx, object);
    }

    fn collection(&self) -> Collection {
        Collection::Background
    }

    /// How long an object lives.
    fn time_to_live(&self) -> Option<std::time::Duration> {
        None
    }

    /// Whether DELETE answers with the object instead of a `Status`.
    fn returns_deleted(&self) -> bool {
        false
    }
}

/// The strategy of kinds that do nothing differently.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Strategy for Plain {}

/// A name as it may be checked: a prefix may end in a dash, which the added characters follow. As upstream, the dash and
/// what stands before it are not looked at.
#[must_use]
pub fn without_final_dash(name: &str, prefix: bool) -> std::borrow::Cow<'_, str> {
    match name.strip_suffix('-') {
        Some(start) if prefix && !start.is_empty() => {
            let mut start = start.to_owned();
            start.pop();
            start.push('a');
            start.into()
        }
        _ => name.into(),
    }
}

/// The strategy of a kind, whatever its version.
#[must_use]
pub fn of(group: &str, kind: &str) -> &'static dyn Strategy {
    list::STRATEGIES.iter().find(|(g, k, _)| (*g, *k) == (group, kind)).map_or(&Plain, |(_, _, strategy)| *strategy)
}

#[cfg(test)]
mod tests;
