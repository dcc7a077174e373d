//! What the strategies accept and refuse: small objects, defaulted as the server defaults them.

mod extension;
mod gated;
mod grace;
mod pods;
mod services;
mod small;
mod workloads;

use std::sync::Arc;

use futures::FutureExt;
use host::Host;
use jiff::Timestamp;
use object::field::ErrorList;
use serde_json::Value;

use super::{Context, Reservation, Strategy, of};
use crate::allocator::{Allocators, NODE_PORTS};
use crate::cache::Cache;
use crate::objects::Objects;
use crate::pipeline::Warnings;
use crate::storage::Storage;
use crate::user::User;

/// A server's surroundings, without the server.
struct Bench {
    host: Host,
    user: User,
    objects: Objects,
    allocators: Allocators,
    warnings: Warnings,
}

impl Bench {
    /// With these Service ranges. Needs a runtime.
    fn new(cidrs: &[&str]) -> Self {
        let host = Host::simulated(Timestamp::UNIX_EPOCH, 1);
        let store = store::Embedded::memory(&host).expect("a store in memory");
        let storage = Storage::new(Arc::new(store));
        let cache = Cache::new(storage.clone());
        let cidrs: Vec<_> = cidrs.iter().map(|cidr| (*cidr).to_owned()).collect();
        Self {
            objects: Objects::new(cache, Arc::new(schema::Table::builtin())),
            allocators: Allocators::new(&cidrs, NODE_PORTS, storage, &schema::Table::builtin()).expect("ranges"),
            user: User::loopback(),
            warnings: Warnings::default(),
            host,
        }
    }

    fn context<'a>(&'a self, subresource: &'a str) -> Context<'a> {
        Context {
            now: self.host.now(),
            host: &self.host,
            user: &self.user,
            namespace: "default",
            subresource,
            dry_run: false,
            objects: &self.objects,
            allocators: &self.allocators,
            warnings: &self.warnings,
        }
    }

    /// What becomes of a creation: the object as it would be stored, and what is wrong with it.
    fn create(&self, kind: &str, yaml: &str) -> (Value, Vec<String>) {
        let (strategy, mut object) = (strategy(kind), parse(kind, yaml));
        let context = self.context("");
        strategy.prepare_create(&context, &mut object);
        let reserved = now(strategy.reserve(&context, &mut object, None));
        let errors = outcome(reserved, strategy.validate(&context, &object));
        (object, errors)
    }

    /// The same for an update of `old`, which is stored.
    fn update(&self, kind: &str, subresource: &str, old: &Value, yaml: &str) -> (Value, Vec<String>) {
        let (strategy, mut object) = (strategy(kind), parse(kind, yaml));
        let context = self.context(subresource);
        strategy.prepare_update(&context, &mut object, old);
        let reserved = now(strategy.reserve(&context, &mut object, Some(old)));
        let errors = outcome(reserved, strategy.validate_update(&context, &object, old));
        (object, errors)
    }
}

/// What a future gives that has nothing to wait for: the store is in memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing to wait for")
}

/// All that is wrong; what was reserved is kept if nothing is.
fn outcome(reserved: crate::error::Result<Option<Box<dyn Reservation>>>, errors: ErrorList) -> Vec<String> {
    match reserved {
        Err(error) => vec![error.status().message.clone()],
        Ok(reservation) => {
            if let Some(reservation) = reservation.filter(|_| errors.is_empty()) {
                reservation.commit();
            }
            errors.iter().map(ToString::to_string).collect()
        }
    }
}

/// The strategy of a type such as `core.v1.Pod`.
fn strategy(kind: &str) -> &'static dyn Strategy {
    let gvk = schema::Type::builtin(kind).and_then(|ty| ty.get().gvk.clone()).expect("a kind");
    of(&gvk.group, &gvk.kind)
}

fn parse(kind: &str, yaml: &str) -> Value {
    let ty = schema::Type::builtin(kind).expect("a kind");
    let decoded = schema::decode(&ty, yaml.as_bytes(), schema::Format::Yaml);
    let mut object = decoded.unwrap_or_else(|e| panic!("{e}: {yaml}")).value;
    let metadata = super::field::object_at(&mut object, "metadata");
    for (field, value) in [("name", "x"), ("namespace", "default"), ("uid", "0-1")] {
        metadata.entry(field).or_insert_with(|| value.into());
    }
    schema::default(&ty, &mut object);
    object
}

/// Runs a check inside of a runtime, which the store wants.
fn with_bench(test: impl FnOnce(&Bench)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { test(&Bench::new(&["10.43.0.0/24"])) });
}

#[track_caller]
fn check(kind: &str, yaml: &str, errors: &[&str]) {
    let mut found = Vec::new();
    with_bench(|bench| found = bench.create(kind, yaml).1);
    assert_eq!(found, errors, "{yaml}");
}

#[track_caller]
fn check_update(kind: &str, subresource: &str, old: &str, new: &str, errors: &[&str]) {
    let mut found = Vec::new();
    with_bench(|bench| {
        let (old, wrong) = bench.create(kind, old);
        assert_eq!(wrong, [""; 0], "the old object is refused");
        found = bench.update(kind, subresource, &old, new).1;
    });
    assert_eq!(found, errors, "{new}");
}
