//! The CRI services over the engine.

mod images;
mod own;
mod runtime;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;

pub(crate) use own::{LoadRequest, LoadResponse, OwnClient, OwnServer};

/// Serves both services; cheap to clone.
#[derive(Clone)]
pub(crate) struct Server(pub(crate) Arc<Engine>);

/// Whether every label that is asked for is there.
fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether an id is what a filter asks for: all of it or its beginning.
fn names(filter: &str, id: &str) -> bool {
    id.starts_with(filter)
}
