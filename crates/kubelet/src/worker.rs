//! The worker of one pod: looks, decides by the pure step, and carries the actions out.
//!
//! Operations run beside the loop, so that a slow image pull does not hold up a deletion; each ends in a [`Done`], after
//! which the runtime is looked at again before the next step.

mod containers;
mod finish;
mod mounts;
mod probers;
mod publish;
mod sandbox;
mod volumes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{AbortHandle, AbortRegistration, Abortable, BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use crate::context::Context;
use crate::events::Level;
use crate::objects::{Objects, SharedTokens};
use crate::pod::desired::Desired;
use crate::pod::memory::{Doom, Memory, StartError, Volumes};
use crate::pod::observed::Observed;
use crate::pod::status::{self, Sources};
use crate::pod::step::{self, Action};
use crate::probe::Report;
use crate::registry::View;
use crate::volume;
use probers::Probers;
use publish::Publisher;

/// How long to wait before asking a runtime again that did not answer.
const OBSERVE_RETRY: Duration = Duration::from_secs(1);
/// Delays between tries of volumes and sandboxes.
const FIRST_RETRY: SignedDuration = SignedDuration::from_millis(500);
const LAST_RETRY: SignedDuration = SignedDuration::from_secs(60);

/// What the API says about a pod.
#[derive(Debug, Clone)]
pub struct Update {
    pub desired: Arc<Desired>,
    /// The object is gone from the API.
    pub gone: bool,
}

/// How an operation ended.
enum Done {
    Mounted(Result<SharedTokens, String>),
    Refreshed(Result<SharedTokens, String>),
    Unmounted(Result<(), volume::Error>),
    Sandbox(Result<(), String>),
    Started { name: String, result: Result<(), Option<containers::Failure>> },
    Stopped { id: String, grace: i64 },
    Removed { id: String },
    Published(Result<Box<Pod>, kube::Error>),
    Finished(Result<(), String>),
}

enum Event {
    Update,
    Done(Done),
    Woken,
    Report(Report),
    Content,
    Timer,
}

/// The worker of one pod.
pub struct Worker {
    context: Arc<Context>,
    desired: Arc<Desired>,
    observed: Observed,
    memory: Memory,
    status: PodStatus,
    objects: Objects,
    tokens: SharedTokens,
    /// Whether the content of volumes may be out of date.
    stale: bool,
    refreshing: bool,
    finishing: bool,
    over: bool,
    failures: u32,
    again: Option<Timestamp>,
    publisher: Publisher,
    probers: Probers,
    reports: mpsc::Receiver<Report>,
    /// Operations that are given up when the pod has to go.
    waiting: BTreeMap<&'static str, AbortHandle>,
    operations: FuturesUnordered<BoxFuture<'static, Done>>,
    updates: watch::Receiver<Update>,
    woken: Arc<Notify>,
    view: watch::Sender<Arc<View>>,
}

impl Worker {
    #[must_use]
    pub fn new(context: Arc<Context>, updates: watch::Receiver<Update>, woken: Arc<Notify>) -> Self {
        let update = updates.borrow().clone();
        let desired = update.desired;
        let (sender, reports) = mpsc::channel(16);
        let recorded = desired.pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
        let memory = Memory {
            started_at: Some(recorded.unwrap_or_else(|| context.host.now())),
            forgotten: update.gone,
            ..Default::default()
        };
        Self {
            objects: Objects::new(context.options.informers.0.clone(), desired.namespace()),
            view: context.registry.add(desired.uid(), desired.pod.clone()),
            probers: Probers::new(context.clone(), sender),
            observed: Observed::default(),
            memory,
            status: desired.pod.status.clone().unwrap_or_default(),
            tokens: SharedTokens::default(),
            stale: false,
            refreshing: false,
            finishing: false,
            over: false,
            failures: 0,
            again: None,
            publisher: Publisher::default(),
            reports,
            waiting: BTreeMap::new(),
            operations: FuturesUnordered::new(),
            updates,
            woken,
            context,
            desired,
        }
    }

    /// Works until nothing is left of the pod, or until shutdown, which leaves the pod running.
    pub async fn run(mut self) {
        let shutdown = self.context.host.shutdown();
        let uid = self.desired.uid().to_owned();
        let context = self.context.clone();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.work() => {}
        }
        context.registry.remove(&uid);
    }

    async fn work(&mut self) {
        self.watch_objects();
        self.observe().await;
        loop {
            self.turn();
            if self.over {
                return;
            }
            let event = self.wait().await;
            self.handle(event).await;
        }
    }

    /// Looks at the runtime, however long it takes until it answers.
    async fn observe(&mut self) {
        loop {
            match self.context.runtime.observe(self.desired.uid(), &self.observed).await {
                Ok(observed) => {
                    self.observed = observed;
                    return;
                }
                Err(status) => tracing::warn!(pod = self.desired.label(), %status, "looking at the runtime"),
            }
            tokio::time::sleep(OBSERVE_RETRY).await;
        }
    }

    async fn wait(&mut self) -> Event {
        let timer = self.deadline();
        let Self { updates, operations, woken, reports, objects, .. } = self;
        tokio::select! {
            biased;
            Ok(()) = updates.changed() => Event::Update,
            Some(done) = operations.next(), if !operations.is_empty() => Event::Done(done),
            () = woken.notified() => Event::Woken,
            Some(report) = reports.recv() => Event::Report(report),
            () = objects.changed() => Event::Content,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    /// When to look again if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        let rotation = self.tokens.values().map(|token| token.rotate_at).min().filter(|_| self.shows_content());
        let at = [self.again, self.publisher.retry_at, rotation].into_iter().flatten().min()?;
        let wait = Duration::try_from(at.duration_since(self.context.host.now())).unwrap_or_default();
        Some(Instant::now() + wait.max(Duration::from_millis(1)))
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Update => self.take_update(),
            Event::Done(done) => self.finish_operation(done).await,
            Event::Woken => self.observe().await,
            Event::Report(report) => self.probers.take(&mut self.memory, &report),
            Event::Content => {
                self.stale = true;
                // what was missing may be there now
                self.memory.retry_at = None;
            }
            Event::Timer => self.stale |= self.tokens.values().any(|token| token.rotate_at <= self.context.host.now()),
        }
    }

    fn take_update(&mut self) {
        let update = self.updates.borrow_and_update().clone();
        self.memory.forgotten |= update.gone;
        self.adopt(update.desired);
        if self.desired.deleted() || self.memory.forgotten {
            // what only leads up is given up, and nothing that failed on the way delays the way down
            std::mem::take(&mut self.waiting).values().for_each(AbortHandle::abort);
            self.memory.retry_at = None;
            self.failures = 0;
        }
    }

    /// Whether there are volumes whose content can be brought up to date now.
    fn shows_content(&self) -> bool {
        let ending = self.desired.deleted() || self.memory.forgotten;
        self.memory.volumes == Volumes::Mounted && !self.refreshing && !ending
    }

    /// Takes a newer version of the object.
    fn adopt(&mut self, desired: Arc<Desired>) {
        if publish::revision(&desired.pod) < publish::revision(&self.desired.pod) {
            return;
        }
        self.stale |= desired.pod.metadata.labels != self.desired.pod.metadata.labels
            || desired.pod.metadata.annotations != self.desired.pod.metadata.annotations;
        self.desired = desired;
        self.watch_objects();
    }

    /// Computes the status and the next step, and starts what they ask for.
    fn turn(&mut self) {
        let now = self.context.host.now();
        self.probers.sync(&self.desired, &self.observed, &mut self.memory, self.context.facts.ips.first().copied());
        self.status = status::status(Sources {
            desired: &self.desired,
            observed: &self.observed,
            memory: &self.memory,
            node: &self.context.facts,
            now,
        });
        self.show();
        self.publish(now);
        let step = step::step(&self.desired, &self.observed, &self.memory, now);
        self.again = step.again;
        for action in step.actions {
            self.act(action, now);
        }
        if self.stale && self.shows_content() {
            self.refresh_volumes();
        }
    }

    fn show(&self) {
        let pod = Arc::new(Pod { status: Some(self.status.clone()), ..(*self.desired.pod).clone() });
        self.view.send_replace(Arc::new(View { pod, observed: self.observed.clone() }));
    }

    fn act(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::MountVolumes => self.mount_volumes(),
            Action::UnmountVolumes => self.unmount_volumes(),
            Action::CreateSandbox { attempt } => self.create_sandbox(attempt),
            Action::StopSandbox { id } => self.stop_sandbox(id),
            Action::RemoveSandbox { id } => self.remove_sandbox(id),
            Action::StartContainer { name, attempt } => self.start_container(name, attempt, now),
            Action::StopContainer { id, name, grace, why } => self.stop_container(id, &name, grace, why),
            Action::RemoveContainer { id, name } => self.remove_container(id, &name),
            Action::AnnounceRestart { name, container } => self.announce_restart(&name, container),
            Action::AnnouncePull { name } => self.announce_pull(&name),
            Action::Fail(doom) => {
                self.doom(doom);
                self.again = Some(now);
            }
            Action::Finish => self.finish(),
        }
    }

    /// Ends the pod for a reason of the node's own. That its own deadline has passed is nothing to warn of.
    fn doom(&mut self, doom: Doom) {
        let level = if doom.reason == "DeadlineExceeded" { Level::Normal } else { Level::Warning };
        self.context.pod_event(&self.desired, level, doom.reason, doom.message.clone());
        self.memory.doom = Some(doom);
    }

    fn run_operation(&self, operation: impl Future<Output = Done> + Send + 'static) {
        self.operations.push(operation.boxed());
    }

    /// Takes the end of an operation. The runtime is looked at first: what the operation did must be known before
    /// anything is decided without it.
    async fn finish_operation(&mut self, done: Done) {
        let touched =
            matches!(done, Done::Sandbox(_) | Done::Started { .. } | Done::Stopped { .. } | Done::Removed { .. });
        if touched {
            self.observe().await;
        }
        let now = self.context.host.now();
        match done {
            Done::Mounted(result) => self.mounted(result, now),
            Done::Refreshed(result) => self.refreshed(result, now),
            Done::Unmounted(result) => self.unmounted(result, now),
            Done::Sandbox(result) => {
                self.memory.sandbox_busy = false;
                self.settle(result.map_err(|why| (Some("FailedCreatePodSandBox"), why)), now);
            }
            Done::Started { name, result } => self.started(&name, result, now),
            Done::Stopped { id, grace } => {
                if self.memory.stopping.get(&id).is_some_and(|given| *given == grace) {
                    self.memory.stopping.remove(&id);
                }
            }
            Done::Removed { id } => {
                self.memory.removing.remove(&id);
            }
            Done::Published(result) => self.published(result, now),
            Done::Finished(result) => self.finished(result, now),
        }
    }

    fn started(&mut self, name: &str, result: Result<(), Option<containers::Failure>>, now: Timestamp) {
        self.memory.starting = None;
        let memory = self.memory.of_mut(name);
        match result {
            Ok(()) => {
                memory.error = None;
                memory.pulls.reset();
            }
            // given up because the pod ends
            Err(None) => {}
            Err(Some(failure)) => {
                let error = StartError { reason: failure.reason, message: failure.message, at: now };
                if error.is_pull() {
                    memory.pulls.advance(now, now);
                }
                memory.error = Some(error);
            }
        }
    }

    /// Takes the end of something that the whole pod depends on: a failure is told and tried again later.
    fn settle(&mut self, result: Result<(), (Option<&'static str>, String)>, now: Timestamp) {
        let Err((reason, why)) = result else {
            self.failures = 0;
            self.memory.retry_at = None;
            return;
        };
        tracing::debug!(pod = self.desired.label(), why, "an operation on a pod failed");
        if let Some(reason) = reason {
            self.context.pod_event(&self.desired, Level::Warning, reason, why);
        }
        let delay = (FIRST_RETRY * (1 << self.failures.min(10))).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        self.memory.retry_at = now.saturating_add(delay).ok();
    }

    /// What ends an operation early when the pod has to go.
    fn abortion(&mut self, what: &'static str) -> AbortRegistration {
        let (handle, registration) = AbortHandle::new_pair();
        self.waiting.insert(what, handle);
        registration
    }

    fn abortable<F>(&mut self, name: String, start: F)
    where
        F: Future<Output = Result<(), containers::Failure>> + Send + 'static,
    {
        let registration = self.abortion("start");
        self.run_operation(Abortable::new(start, registration).map(|result| {
            let result = match result {
                Ok(result) => result.map_err(Some),
                Err(_) => Err(None),
            };
            Done::Started { name, result }
        }));
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
