//! The scheduler as a role: keeps snapshot and queue current, decides, binds, and tells.

mod bind;

use std::sync::Arc;

use async_trait::async_trait;
use control::election::{Candidate, Ended};
use control::events::Recorder;
use control::{Report, pods};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use host::{Host, Ready, Role, RoleError};
use informer::{Change, Changes, Informers};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use tokio::time::Instant;

use self::bind::{Binder, Bound};
use crate::cycle::{Decision, schedule};
use crate::explain::explain;
use crate::plugins::{ClusterEvent, held_back};
use crate::pod::PodInfo;
use crate::queue::Queue;
use crate::snapshot::Snapshot;

/// Pods decided on before changes of the cluster are looked at again.
const ROUND: usize = 64;
/// Bindings on their way at the same time.
const BINDINGS: usize = 100;

/// Whose pods a scheduler places and as whom it acts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pods name their scheduler; others are left alone.
    pub scheduler_name: String,
    /// `None`: act without asking; for a cluster that can only have one scheduler.
    pub candidate: Option<Candidate>,
}

impl Default for Options {
    fn default() -> Self {
        Self { scheduler_name: "default-scheduler".to_owned(), candidate: None }
    }
}

/// Places pods on nodes.
#[derive(Debug)]
pub struct Scheduler {
    informers: Informers,
    options: Options,
}

impl Scheduler {
    /// The lease that schedulers compete for.
    pub const LEASE: &'static str = "kube-scheduler";

    #[must_use]
    pub fn new(informers: Informers, options: Options) -> Self {
        Self { informers, options }
    }

    async fn work(&self, host: &Host) {
        let client = self.informers.client().clone();
        let recorder = Recorder::new(client.clone(), host, &self.options.scheduler_name);
        let (pods, nodes) = (self.informers.of::<Pod>(), self.informers.of::<Node>());
        let ours = &self.options.scheduler_name;
        let shutdown = host.shutdown();
        let work = async {
            nodes.synced().await;
            pods.synced().await;
            let (mut pods, mut nodes) = (pods.subscribe(), nodes.subscribe());
            let binder = Binder { client, recorder };
            let mut state = State::default();
            let mut bindings: FuturesUnordered<BoxFuture<'_, Bound>> = FuturesUnordered::new();
            loop {
                state.take_nodes(Changes::take(&mut nodes));
                state.take_pods(Changes::take(&mut pods), ours);
                state.decide(&binder, host.now(), &mut bindings);
                let due = state.queue.next_due();
                tokio::select! {
                    biased;
                    Some(change) = nodes.next() => state.take_nodes(vec![change]),
                    Some(change) = pods.next() => state.take_pods(vec![change], ours),
                    Some(bound) = bindings.next(), if !bindings.is_empty() => state.take_bound(bound),
                    () = until(due), if due.is_some() => {}
                    // More pods wait than one round decides on.
                    () = tokio::task::yield_now(), if state.more => {}
                }
                state.queue.promote(Instant::now());
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

#[async_trait]
impl Role for Scheduler {
    fn name(&self) -> &'static str {
        "scheduler"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        ready.done();
        let work = self.work(&host);
        let ended = match &self.options.candidate {
            Some(candidate) => candidate.lead_until_shutdown(self.informers.client(), &host, work).await,
            None => {
                work.await;
                Ended::Finished
            }
        };
        match ended {
            Ended::Finished => Ok(()),
            Ended::Lost => Err(RoleError::new("leading the scheduling", "the lease was lost")
                .next("another scheduler has taken over; this one may be started again")),
        }
    }
}

/// What the scheduler knows.
#[derive(Default)]
struct State {
    snapshot: Snapshot,
    queue: Queue,
    /// Where the next search begins.
    start: usize,
    /// Whether pods wait that the last round left.
    more: bool,
}

impl State {
    fn take_nodes(&mut self, changes: Vec<Change<Node>>) {
        let mut helpful = false;
        for change in changes {
            match &change {
                Change::Applied { old, new } => {
                    helpful |= old.as_ref().is_none_or(|old| concerns_pods(old, new));
                    self.snapshot.set_node(new);
                }
                Change::Deleted(last) => self.snapshot.remove_node(last.metadata.name.as_deref().unwrap_or_default()),
            }
        }
        if helpful {
            self.queue.happened(ClusterEvent::Node, Instant::now());
        }
    }

    fn take_pods(&mut self, changes: Vec<Change<Pod>>, ours: &str) {
        let mut freed = false;
        for change in changes {
            match change {
                Change::Applied { old, new } => freed |= self.take_pod(old.as_deref(), &new, ours),
                Change::Deleted(last) => freed |= self.forget(last.metadata.uid.as_deref().unwrap_or_default()),
            }
        }
        if freed {
            self.queue.happened(ClusterEvent::PodGone, Instant::now());
        }
    }

    /// Returns whether the pod's end freed a place.
    fn take_pod(&mut self, old: Option<&Pod>, pod: &Pod, ours: &str) -> bool {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if pods::is_finished(pod) {
            return self.forget(uid);
        }
        if let Some(node) = pods::node_name(pod) {
            self.queue.remove(uid);
            // What a bound pod asks for rarely changes: its status, often.
            if self.snapshot.place_of(uid) != Some(node) || old.is_none_or(|old| old.spec != pod.spec) {
                self.snapshot.place(Arc::new(PodInfo::new(pod)), node);
            }
            return false;
        }
        let spec = pod.spec.as_ref();
        let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref()).unwrap_or("default-scheduler");
        if scheduler != ours || pods::is_leaving(pod) {
            self.queue.remove(uid);
            return false;
        }
        let unchanged = old.is_some_and(|old| old.spec == pod.spec && old.metadata.uid == pod.metadata.uid);
        let info = PodInfo::new(pod);
        if held_back(&info).is_some() {
            self.queue.remove(uid);
        } else if !unchanged || self.queue.get(uid).is_none() {
            self.queue.set(Arc::new(info));
        }
        false
    }

    fn forget(&mut self, uid: &str) -> bool {
        self.queue.remove(uid);
        self.snapshot.remove_pod(uid)
    }

    /// Decides on the pods that are due, as many as one round takes.
    fn decide<'a>(
        &mut self,
        binder: &'a Binder,
        now: Timestamp,
        bindings: &mut FuturesUnordered<BoxFuture<'a, Bound>>,
    ) {
        self.more = false;
        for _ in 0..ROUND {
            if bindings.len() >= BINDINGS {
                return;
            }
            let Some(pod) = self.queue.pop() else { return };
            match schedule(&pod, &self.snapshot, self.start) {
                Decision::Place { node, examined } => {
                    self.start = (self.start + examined) % self.snapshot.len().max(1);
                    let name = Arc::clone(self.snapshot.name(node));
                    // Assumed: the next decisions count it, though the server does not know yet.
                    self.snapshot.place(Arc::clone(&pod), &name);
                    bindings.push(Box::pin(binder.bind(pod, name)));
                }
                Decision::Reject(rejection) => {
                    let message = explain(&rejection);
                    let news = self.queue.reject(&pod.uid, rejection.plugins, &message, Instant::now());
                    binder.warn(&pod, &message);
                    if news {
                        bindings.push(Box::pin(binder.tell(pod, now, message)));
                    }
                }
            }
        }
        self.more = true;
    }

    fn take_bound(&mut self, bound: Bound) {
        match bound {
            // The watch will show the pod in its place.
            Bound::Done => {}
            Bound::Gone(pod) => {
                self.forget(&pod.uid);
            }
            Bound::Failed(pod) => {
                let freed = self.snapshot.remove_pod(&pod.uid);
                self.queue.back_off(&pod.uid, Instant::now());
                if freed {
                    self.queue.happened(ClusterEvent::PodGone, Instant::now());
                }
            }
        }
    }
}

/// Whether a node changed in a way that may give a pod a place: its heartbeats do not.
fn concerns_pods(old: &Node, new: &Node) -> bool {
    let allocatable = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    let spec = |node: &Node| {
        let spec = node.spec.as_ref();
        (spec.and_then(|spec| spec.taints.clone()), spec.and_then(|spec| spec.unschedulable))
    };
    allocatable(old) != allocatable(new) || spec(old) != spec(new) || old.metadata.labels != new.metadata.labels
}

/// An event about a pod that the scheduler knows in short.
fn report(pod: &PodInfo, warning: bool, reason: &'static str, message: String) -> Report {
    let regarding = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(pod.name.to_string()),
        namespace: Some(pod.namespace.to_string()),
        uid: Some(pod.uid.to_string()),
        ..Default::default()
    };
    Report { regarding, warning, reason, message }
}
