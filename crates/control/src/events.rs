//! Records events, merging repeats as upstream does, so that a crash loop costs one object and not thousands.

mod correlate;

use std::sync::Arc;

use host::{Host, OnEnd};
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::correlate::{Correlator, Merged};
use crate::plan::Report;

/// Events that wait to be written; more are dropped, as events are best effort.
const BACKLOG: usize = 1000;
/// Where events about cluster-scoped objects live.
const CLUSTER_NAMESPACE: &str = "default";

/// Records events in the background; cheap to clone. Never blocks and never fails: events are best effort.
#[derive(Debug, Clone)]
pub struct Recorder {
    sender: mpsc::Sender<(Timestamp, Arc<Source>, Report)>,
    source: Arc<Source>,
    host: Host,
}

/// Who says it.
#[derive(Debug)]
struct Source {
    component: String,
    node: Option<String>,
}

impl Recorder {
    /// Starts a writer for events of `component` (`deployment-controller`).
    #[must_use]
    pub fn new(client: Client, host: &Host, component: &str) -> Self {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let writer = Writer { client, host: host.clone(), correlator: Correlator::default() };
        host.tasks.spawn("event recorder", OnEnd::Expected, writer.run(receiver));
        let source = Arc::new(Source { component: component.to_owned(), node: None });
        Self { sender, source, host: host.clone() }
    }

    /// The same writer, for another component, on a node if it has one.
    #[must_use]
    pub fn of(&self, component: &str, node: Option<&str>) -> Self {
        let source = Arc::new(Source { component: component.to_owned(), node: node.map(str::to_owned) });
        Self { source, ..self.clone() }
    }

    pub fn record(&self, report: Report) {
        if self.sender.try_send((self.host.now(), Arc::clone(&self.source), report)).is_err() {
            tracing::debug!("dropping an event: too many wait to be written");
        }
    }
}

struct Writer {
    client: Client,
    host: Host,
    correlator: Correlator,
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::Receiver<(Timestamp, Arc<Source>, Report)>) {
        let shutdown = self.host.shutdown();
        loop {
            let (now, source, report) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                next = receiver.recv() => match next {
                    Some(next) => next,
                    None => return,
                },
            };
            if let Err(error) = self.write(now, &source, report).await {
                tracing::debug!(%error, "cannot record an event");
            }
        }
    }

    async fn write(&mut self, now: Timestamp, source: &Source, report: Report) -> Result<(), kube::Error> {
        let Some(merged) = self.correlator.take(now, &source.component, report) else { return Ok(()) };
        if let Some(name) = &merged.name {
            match self.client.request::<Value>(count(now, name, &merged)?).await {
                Ok(_) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let event = self.event(now, source, &merged);
        let name = event.metadata.name.clone().unwrap_or_default();
        let body = serde_json::to_vec(&event).map_err(kube::Error::SerdeError)?;
        let request = Request::post(path(&merged))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await?;
        self.correlator.written(&merged, name);
        Ok(())
    }

    fn event(&self, now: Timestamp, source: &Source, merged: &Merged) -> Event {
        let mut unique = [0; 8];
        self.host.entropy.fill(&mut unique);
        let about = &merged.report.regarding;
        Event {
            metadata: ObjectMeta {
                name: Some(format!(
                    "{}.{:016x}",
                    about.name.as_deref().unwrap_or_default(),
                    u64::from_be_bytes(unique)
                )),
                namespace: Some(namespace(merged).to_owned()),
                ..ObjectMeta::default()
            },
            count: Some(merged.count),
            first_timestamp: Some(Time(merged.first)),
            last_timestamp: Some(Time(now)),
            involved_object: about.clone(),
            message: Some(merged.report.message.clone()),
            reason: Some(merged.report.reason.to_owned()),
            reporting_component: Some(source.component.clone()),
            reporting_instance: Some(source.node.clone().unwrap_or_default()),
            source: Some(EventSource { component: Some(source.component.clone()), host: source.node.clone() }),
            type_: Some(if merged.report.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }
}

fn namespace(merged: &Merged) -> &str {
    let namespace = merged.report.regarding.namespace.as_deref();
    namespace.filter(|namespace| !namespace.is_empty()).unwrap_or(CLUSTER_NAMESPACE)
}

fn path(merged: &Merged) -> String {
    format!("/api/v1/namespaces/{}/events", namespace(merged))
}

/// The request that counts one more of an event that is there already.
fn count(now: Timestamp, name: &str, merged: &Merged) -> Result<Request<Vec<u8>>, kube::Error> {
    let patch = json!({"count": merged.count, "lastTimestamp": Time(now), "message": merged.report.message});
    Request::patch(format!("{}/{name}", path(merged)))
        .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
        .body(patch.to_string().into_bytes())
        .map_err(kube::Error::HttpError)
}
