//! Applies a plan's changes and says what the caches must show before its key may be stepped again.

use std::time::Duration;

use futures::StreamExt;
use http::{Method, Request};
use kube::Client;
use kube::core::Status;
use serde_json::{Value, json};

use crate::events::Recorder;
use crate::plan::{Action, Change, Plan, Preconditions};
use crate::resource::Target;
use crate::world::Failure;

/// How long one request may take before its outcome counts as unknown.
pub(super) const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// Changes of one batch in flight at the same time.
const IN_FLIGHT: usize = 16;
/// Live reads tried to settle an unknown outcome.
const SETTLE_TRIES: u32 = 6;

/// What a cache must show.
#[derive(Debug)]
pub(super) enum Expect {
    /// The object at this revision or a newer one.
    Seen { target: Target, uid: String, revision: u64 },
    /// The object deleted or being deleted.
    Gone { target: Target, uid: String },
}

/// What became of a plan.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) expects: Vec<Expect>,
    /// The first refusal.
    pub(super) failure: Option<Failure>,
    /// Something was not as the step believed, or its outcome had to be found out: step again once caches caught up.
    pub(super) stale: bool,
    /// A creation may still arrive at the server: the next plan must use the same names, so that it collides.
    pub(super) uncertain: bool,
    /// Something can never succeed, as a creation in a namespace that is being deleted.
    pub(super) hopeless: bool,
}

/// Why a change was not made, or may not have been.
enum Refusal {
    /// The object is not as the step believed, or nobody knows whether the change was made: ask.
    Ask,
    Hopeless,
    Refused(Box<Status>),
}

pub(super) async fn apply(client: &Client, recorder: &Recorder, plan: Plan) -> Applied {
    let mut applied = Applied::default();
    plan.failed.into_iter().for_each(|report| recorder.record(report));
    for batch in plan.batches {
        let outcomes = futures::stream::iter(batch)
            .map(|change| async move { (make(client, &change).await, change) })
            .buffered(IN_FLIGHT)
            .collect::<Vec<_>>()
            .await;
        for (outcome, change) in outcomes {
            take(client, recorder, &mut applied, outcome, change).await;
        }
        if applied.failure.is_some() || applied.stale || applied.hopeless {
            break;
        }
    }
    if applied.failure.is_none() && !applied.stale && !applied.hopeless {
        plan.events.into_iter().for_each(|report| recorder.record(report));
    }
    applied
}

async fn take(
    client: &Client,
    recorder: &Recorder,
    applied: &mut Applied,
    outcome: Result<Option<Expect>, Refusal>,
    change: Change,
) {
    match outcome {
        Ok(expect) => {
            applied.expects.extend(expect);
            if let Some(report) = change.report {
                recorder.record(report);
            }
        }
        Err(Refusal::Ask) => {
            let settled = settle(client, &change).await;
            applied.stale = true;
            applied.uncertain |= settled.is_none() && matches!(change.action, Action::Create(_));
            applied.expects.extend(settled);
        }
        Err(Refusal::Hopeless) => applied.hopeless = true,
        Err(Refusal::Refused(status)) => {
            let verb = change.verb();
            let failure = Failure { verb, target: change.target, message: status.message, reason: status.reason };
            applied.failure.get_or_insert(failure);
        }
    }
}

async fn make(client: &Client, change: &Change) -> Result<Option<Expect>, Refusal> {
    let request = request(change).map_err(|error| Refusal::Refused(Box::new(invalid(&error))))?;
    let answer = tokio::time::timeout(REQUEST_LIMIT, client.request::<Value>(request)).await;
    match answer {
        Ok(Ok(object)) => Ok(expectation(change, &object)),
        Ok(Err(kube::Error::Api(status))) => refusal(change, status),
        Ok(Err(_)) | Err(_) => Err(Refusal::Ask),
    }
}

fn invalid(error: &http::Error) -> Status {
    Status { message: format!("cannot build the request: {error}"), reason: "BadRequest".into(), ..Status::default() }
}

fn refusal(change: &Change, status: Box<Status>) -> Result<Option<Expect>, Refusal> {
    match (&change.action, status.code) {
        (Action::Delete(preconditions), 404) => Ok(gone(change, preconditions.uid.as_deref())),
        (Action::Create(_), 403) if in_terminating_namespace(&status) => Err(Refusal::Hopeless),
        (Action::Create(_) | Action::DeleteCollection, 404) => Err(Refusal::Refused(status)),
        (_, 404 | 409) => Err(Refusal::Ask),
        _ => Err(Refusal::Refused(status)),
    }
}

fn in_terminating_namespace(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

fn request(change: &Change) -> Result<Request<Vec<u8>>, http::Error> {
    let target = &change.target;
    let collection = target.resource.path(target.namespace.as_deref());
    let object = format!("{collection}/{}", target.name);
    let below = |part: &Option<&str>| part.map_or_else(|| object.clone(), |part| format!("{object}/{part}"));
    match &change.action {
        Action::Create(body) => send(Method::POST, &collection, "application/json", body),
        Action::Update { object: body, subresource } => {
            send(Method::PUT, &below(subresource), "application/json", body)
        }
        Action::Patch { patch, subresource } => {
            send(Method::PATCH, &below(subresource), "application/merge-patch+json", patch)
        }
        Action::Delete(preconditions) => send(Method::DELETE, &object, "application/json", &options(preconditions)),
        Action::DeleteCollection => {
            let options = options(&Preconditions { propagation: Some("Background"), ..Preconditions::default() });
            send(Method::DELETE, &collection, "application/json", &options)
        }
    }
}

fn send(method: Method, path: &str, content: &str, body: &Value) -> Result<Request<Vec<u8>>, http::Error> {
    let builder = Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, content);
    builder.header(http::header::ACCEPT, "application/json").body(body.to_string().into_bytes())
}

/// The body of a DELETE request.
fn options(preconditions: &Preconditions) -> Value {
    let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
    if let Some(propagation) = preconditions.propagation {
        options["propagationPolicy"] = propagation.into();
    }
    if let Some(seconds) = preconditions.grace_seconds {
        options["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(uid) = &preconditions.uid {
        options["preconditions"]["uid"] = uid.as_str().into();
    }
    if let Some(version) = &preconditions.resource_version {
        options["preconditions"]["resourceVersion"] = version.as_str().into();
    }
    options
}

/// What the caches must show after a change that was answered with `object`.
fn expectation(change: &Change, object: &Value) -> Option<Expect> {
    let meta = &object["metadata"];
    let deletes = matches!(change.action, Action::Delete(_));
    let leaving = !meta["deletionTimestamp"].is_null();
    match &change.action {
        Action::DeleteCollection => None,
        Action::Delete(preconditions) if !leaving => {
            gone(change, meta["uid"].as_str().or(preconditions.uid.as_deref()))
        }
        _ => {
            let (uid, revision) = (meta["uid"].as_str()?, informer::parse_revision(meta["resourceVersion"].as_str()));
            let target = Target { name: meta["name"].as_str()?.to_owned(), ..change.target.clone() };
            // An update that takes the last finalizer from a leaving object deletes it: wait for the end instead.
            if leaving && !deletes && meta["finalizers"].as_array().is_none_or(Vec::is_empty) {
                return Some(Expect::Gone { target, uid: uid.to_owned() });
            }
            Some(Expect::Seen { target, uid: uid.to_owned(), revision })
        }
    }
}

fn gone(change: &Change, uid: Option<&str>) -> Option<Expect> {
    Some(Expect::Gone { target: change.target.clone(), uid: uid?.to_owned() })
}

/// Finds out by a live read what is true of a change's target, and expects the caches to show that.
async fn settle(client: &Client, change: &Change) -> Option<Expect> {
    let uid = match &change.action {
        Action::Delete(preconditions) => preconditions.uid.as_deref(),
        Action::Patch { patch: body, .. } | Action::Update { object: body, .. } => body["metadata"]["uid"].as_str(),
        Action::Create(_) | Action::DeleteCollection => None,
    };
    let mut delay = Duration::from_millis(50);
    for _ in 0..SETTLE_TRIES {
        match read(client, &change.target).await {
            Ok(Some(live)) => return seen(&change.target, &live),
            Ok(None) => return gone(change, uid),
            Err(_) => tokio::time::sleep(delay).await,
        }
        delay *= 4;
    }
    None
}

fn seen(target: &Target, live: &Value) -> Option<Expect> {
    let meta = &live["metadata"];
    let revision = informer::parse_revision(meta["resourceVersion"].as_str());
    Some(Expect::Seen { target: target.clone(), uid: meta["uid"].as_str()?.to_owned(), revision })
}

/// The live object; `None` when the server has none.
pub(super) async fn read(client: &Client, target: &Target) -> Result<Option<Value>, kube::Error> {
    let path = format!("{}/{}", target.resource.path(target.namespace.as_deref()), target.name);
    let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    match client.request(request).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
