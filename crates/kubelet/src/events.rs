//! Events: what happened to a pod or the node, in words, counted when it happens again.

use std::collections::BTreeMap;

use host::{Host, OnEnd};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, Node, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::mpsc;

/// Events that wait to be written; more are dropped.
const QUEUE: usize = 1000;
/// Events that are remembered for counting.
const MEMORY: usize = 4096;
/// Events of one object that are written at once, and how long it takes until one more may be.
const BURST: i64 = 25;
const REFILL: SignedDuration = SignedDuration::from_secs(300);

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Normal,
    Warning,
}

/// Takes events and writes them to the API in the background; cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Note>,
}

#[derive(Debug, Clone)]
struct Note {
    object: ObjectReference,
    level: Level,
    reason: &'static str,
    message: String,
}

impl Recorder {
    /// Starts the writer.
    #[must_use]
    pub fn start(client: kube::Client, node: String, host: &Host) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        let writer = Writer { client, node, host: host.clone(), known: BTreeMap::new(), budgets: BTreeMap::new() };
        host.tasks.spawn("kubelet events", OnEnd::Expected, writer.run(notes));
        Self { queue }
    }

    /// Records something about a pod, or about one of its containers where `container` names its field.
    pub fn pod(&self, pod: &Pod, field: Option<String>, level: Level, reason: &'static str, message: String) {
        let object = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: field,
        };
        self.note(object, level, reason, message);
    }

    pub fn node(&self, node: &Node, level: Level, reason: &'static str, message: String) {
        let object = ObjectReference {
            kind: Some("Node".into()),
            name: node.metadata.name.clone(),
            // upstream's events about nodes carry the node's name here
            uid: node.metadata.name.clone(),
            ..Default::default()
        };
        self.note(object, level, reason, message);
    }

    fn note(&self, object: ObjectReference, level: Level, reason: &'static str, message: String) {
        if self.queue.try_send(Note { object, level, reason, message }).is_err() {
            tracing::debug!(reason, "an event is dropped, too many are waiting");
        }
    }
}

/// What makes two notes the same event.
type Key = (Option<String>, Option<String>, Level, &'static str, String);

struct Known {
    name: String,
    count: i32,
    last: Timestamp,
}

struct Budget {
    spent: i64,
    since: Timestamp,
}

struct Writer {
    client: kube::Client,
    node: String,
    host: Host,
    known: BTreeMap<Key, Known>,
    budgets: BTreeMap<Option<String>, Budget>,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        let shutdown = self.host.shutdown();
        loop {
            let note = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                note = notes.recv() => note,
            };
            let Some(note) = note else { return };
            if let Err(error) = self.write(note).await {
                tracing::debug!(%error, "writing an event");
            }
        }
    }

    async fn write(&mut self, note: Note) -> Result<(), kube::Error> {
        let now = self.host.now();
        let object = &note.object;
        let key = (object.uid.clone(), object.field_path.clone(), note.level, note.reason, note.message.clone());
        self.forget_old();
        if !self.affordable(&object.uid, now) {
            return Ok(());
        }
        let namespace = object.namespace.clone().unwrap_or_else(|| "default".into());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Some(known) = self.known.get_mut(&key) {
            known.count = known.count.saturating_add(1);
            known.last = now;
            let patch = json!({"count": known.count, "lastTimestamp": Time(now)});
            match api.patch(&known.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(error) if missing(&error) => {}
                result => return result.map(drop),
            }
        }
        let event = self.event(&note, &namespace, now);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.known.insert(key, Known { name, count: 1, last: now });
        Ok(())
    }

    fn event(&self, note: &Note, namespace: &str, now: Timestamp) -> Event {
        let level = match note.level {
            Level::Normal => "Normal",
            Level::Warning => "Warning",
        };
        let object = note.object.name.clone().unwrap_or_default();
        let source = EventSource { component: Some("kubelet".into()), host: Some(self.node.clone()) };
        Event {
            metadata: ObjectMeta {
                // the time alone may repeat on a virtual clock
                name: Some(format!("{object}.{:x}{}", now.as_nanosecond(), self.host.entropy.suffix(3))),
                namespace: Some(namespace.to_owned()),
                ..Default::default()
            },
            involved_object: note.object.clone(),
            reason: Some(note.reason.to_owned()),
            message: Some(note.message.clone()),
            type_: Some(level.to_owned()),
            count: Some(1),
            first_timestamp: Some(Time(now)),
            last_timestamp: Some(Time(now)),
            source: Some(source),
            reporting_component: Some("kubelet".into()),
            reporting_instance: Some(self.node.clone()),
            ..Default::default()
        }
    }

    fn forget_old(&mut self) {
        if self.known.len() >= MEMORY {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.known.remove(&key));
        }
        if self.budgets.len() >= MEMORY {
            self.budgets.clear();
        }
    }

    /// Whether one more event about `uid` may be written.
    fn affordable(&mut self, uid: &Option<String>, now: Timestamp) -> bool {
        let budget = self.budgets.entry(uid.clone()).or_insert(Budget { spent: 0, since: now });
        let regained = now.duration_since(budget.since).as_secs() / REFILL.as_secs();
        if regained > 0 {
            budget.spent = (budget.spent - regained).max(0);
            budget.since = now;
        }
        let affordable = budget.spent < BURST;
        budget.spent += i64::from(affordable);
        affordable
    }
}

pub(crate) fn missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
