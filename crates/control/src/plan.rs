//! What a controller wants done: changes in order, questions, events, and when to look again.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use informer::Metadata;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use serde_json::Value;

use crate::controller::Kind;
use crate::discovery::Discovered;
use crate::resource::{Resource, Target};

/// The outcome of one step. The empty plan means that the world is as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Changes of one batch are made at once; the next batch follows only when all of one succeeded.
    pub batches: Vec<Vec<Change>>,
    /// Answered live before the next step, which follows at once and sees the answers. Asked only by a plan without
    /// changes: after changes the caches have to catch up first.
    pub queries: BTreeSet<Query>,
    /// Recorded once all changes are made.
    pub events: Vec<Report>,
    /// Recorded whatever becomes of the changes: news of the last plan's failure.
    pub failed: Vec<Report>,
    /// Look again after this long even if nothing changes.
    pub requeue_after: Option<Duration>,
}

/// One write to the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub target: Target,
    pub action: Action,
    /// Recorded once the change is made.
    pub report: Option<Report>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The whole object.
    Create(Value),
    /// A merge patch; without subresource, or of `status` and the like.
    Patch {
        patch: Value,
        subresource: Option<&'static str>,
    },
    /// The whole object, which carries the resourceVersion it was computed from.
    Update {
        object: Value,
        subresource: Option<&'static str>,
    },
    Delete(Preconditions),
    /// All objects of the collection, one by one, as the server sees them.
    DeleteCollection,
}

/// What must be true of an object for its deletion to happen, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    pub uid: Option<String>,
    pub resource_version: Option<String>,
    /// `Background`, `Foreground` or `Orphan`; the type's default when `None`.
    pub propagation: Option<&'static str>,
    pub grace_seconds: Option<u32>,
}

/// A question that caches cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// The object as the server has it now.
    Get(Target),
    /// Some objects of a collection: their metadata, at most a page.
    List { resource: Resource, namespace: Option<String> },
    /// The resource types that the server serves now.
    Discover,
}

#[derive(Debug, Clone)]
pub enum Answer {
    Object(Option<Value>),
    /// The first objects, and how many more there are.
    List {
        first: Vec<Metadata>,
        more: u64,
    },
    Discovered(Vec<Discovered>),
}

/// An event to record about an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub regarding: ObjectReference,
    pub warning: bool,
    pub reason: &'static str,
    pub message: String,
}

impl Plan {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.queries.is_empty()
    }

    /// Adds a change in a batch of its own.
    pub fn change(&mut self, change: Change) {
        self.batches.push(vec![change]);
    }

    /// Adds changes that may be made at once, unless there are none.
    pub fn batch(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.batches.push(changes);
        }
    }

    pub fn normal<K: Kind>(&mut self, about: &K, reason: &'static str, message: impl Into<String>) {
        self.events.push(Report::normal(about, reason, message));
    }

    pub fn warning<K: Kind>(&mut self, about: &K, reason: &'static str, message: impl Into<String>) {
        self.events.push(Report::warning(about, reason, message));
    }

    /// Looks again after `delay`, or earlier if that is planned already.
    pub fn look_again(&mut self, delay: Duration) {
        self.requeue_after = Some(self.requeue_after.map_or(delay, |earlier| earlier.min(delay)));
    }
}

impl Report {
    #[must_use]
    pub fn normal<K: Kind>(about: &K, reason: &'static str, message: impl Into<String>) -> Self {
        Self { regarding: reference(about), warning: false, reason, message: message.into() }
    }

    #[must_use]
    pub fn warning<K: Kind>(about: &K, reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, ..Self::normal(about, reason, message) }
    }
}

impl Change {
    #[must_use]
    pub fn new(target: Target, action: Action) -> Self {
        Self { target, action, report: None }
    }

    /// Records `report` once the change is made.
    #[must_use]
    pub fn reporting(mut self, report: Report) -> Self {
        self.report = Some(report);
        self
    }

    #[must_use]
    pub fn create<K: Kind>(object: &K) -> Self {
        Self::new(Target::of(object), Action::Create(whole(object)))
    }

    /// Replaces the object, provided nobody changed it since.
    #[must_use]
    pub fn update<K: Kind>(object: &K) -> Self {
        Self::new(Target::of(object), Action::Update { object: whole(object), subresource: None })
    }

    /// Replaces the object's status, provided nobody changed the object since.
    #[must_use]
    pub fn status<K: Kind>(object: &K) -> Self {
        Self::new(Target::of(object), Action::Update { object: whole(object), subresource: Some("status") })
    }

    /// Merges `patch` into the object if it is still the same one; fields beside `metadata.uid` are the caller's.
    #[must_use]
    pub fn patch<K: Kind>(object: &K, mut patch: Value) -> Self {
        patch["metadata"]["uid"] = object.uid().into();
        Self::new(Target::of(object), Action::Patch { patch, subresource: None })
    }

    /// As [`Change::patch`], for the status.
    #[must_use]
    pub fn patch_status<K: Kind>(object: &K, mut patch: Value) -> Self {
        patch["metadata"]["uid"] = object.uid().into();
        Self::new(Target::of(object), Action::Patch { patch, subresource: Some("status") })
    }

    /// Deletes the object if it is still the same one.
    #[must_use]
    pub fn delete<K: Kind>(object: &K) -> Self {
        let preconditions = Preconditions { uid: object.uid(), ..Preconditions::default() };
        Self::new(Target::of(object), Action::Delete(preconditions))
    }

    /// What happens, in words: `create pods default/web-1`.
    #[must_use]
    pub fn verb(&self) -> String {
        match &self.action {
            Action::Create(_) => "create".to_owned(),
            Action::Patch { subresource: None, .. } => "patch".to_owned(),
            Action::Update { subresource: None, .. } => "update".to_owned(),
            Action::Patch { subresource: Some(part), .. } => format!("patch {part} of"),
            Action::Update { subresource: Some(part), .. } => format!("update {part} of"),
            Action::Delete(_) => "delete".to_owned(),
            Action::DeleteCollection => "delete all".to_owned(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.target)
    }
}

/// The reference by which an event names its object.
pub(crate) fn reference<K: Kind>(object: &K) -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: object.meta().name.clone(),
        namespace: object.meta().namespace.clone(),
        resource_version: object.meta().resource_version.clone(),
        uid: object.meta().uid.clone(),
        field_path: None,
    }
}

fn whole<K: Kind>(object: &K) -> Value {
    serde_json::to_value(object).expect("API types have string keys only")
}
