//! Pods that wait for a place: ready to be tried, backing off, or waiting for something to change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::plugins::{ClusterEvent, helps};
use crate::pod::PodInfo;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A pod that nothing helped is tried again after this long, in case we misjudged what helps.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

type Uid = Box<str>;
/// Higher priority first, then older pods, then by name.
type Order = (Reverse<i32>, Option<Timestamp>, Box<str>, Box<str>, Uid);

/// The pods without a place.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pods: BTreeMap<Uid, Waiting>,
    active: BTreeSet<(Order, Uid)>,
    /// Backing off, or waiting at most so long.
    timeline: BTreeSet<(Instant, Uid)>,
}

#[derive(Debug)]
struct Waiting {
    pod: Arc<PodInfo>,
    attempts: u32,
    /// Why it had no place at the last try.
    why: Option<String>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Active,
    /// Being bound.
    InFlight,
    /// Until its time comes.
    BackingOff(Instant),
    /// Until an event helps, or its time comes; with the end of the back-off it has to keep even so.
    Unschedulable {
        rejected_by: Vec<&'static str>,
        backoff: Instant,
        until: Instant,
    },
}

fn order(pod: &PodInfo) -> Order {
    (Reverse(pod.priority), pod.created, pod.namespace.clone(), pod.name.clone(), pod.uid.clone())
}

impl Queue {
    /// Adds a pod, or takes over its new form: a changed pod is worth a try at once.
    pub(crate) fn set(&mut self, pod: Arc<PodInfo>) {
        let uid = pod.uid.clone();
        let (attempts, why) = match self.pods.get_mut(&uid) {
            Some(Waiting { pod: known, state: State::InFlight, .. }) => {
                *known = pod;
                return;
            }
            Some(known) => (known.attempts, known.why.take()),
            None => (0, None),
        };
        self.remove(&uid);
        self.active.insert((order(&pod), uid.clone()));
        self.pods.insert(uid, Waiting { pod, attempts, why, state: State::Active });
    }

    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(waiting) = self.pods.remove(uid) else { return };
        self.unlink(uid, &waiting);
    }

    fn unlink(&mut self, uid: &str, waiting: &Waiting) {
        match &waiting.state {
            State::Active => {
                self.active.remove(&(order(&waiting.pod), uid.into()));
            }
            State::InFlight => {}
            State::BackingOff(until) | State::Unschedulable { until, .. } => {
                self.timeline.remove(&(*until, uid.into()));
            }
        }
    }

    pub(crate) fn get(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        self.pods.get(uid).map(|waiting| &waiting.pod)
    }

    /// The next pod to try; it counts as in flight from then on.
    pub(crate) fn pop(&mut self) -> Option<Arc<PodInfo>> {
        let (_, uid) = self.active.pop_first()?;
        let waiting = self.pods.get_mut(&uid)?;
        waiting.state = State::InFlight;
        waiting.attempts = waiting.attempts.saturating_add(1);
        Some(Arc::clone(&waiting.pod))
    }

    /// No node would do: wait until something changes that concerns these plugins. Returns whether `why` is news.
    pub(crate) fn reject(&mut self, uid: &str, rejected_by: Vec<&'static str>, why: &str, now: Instant) -> bool {
        let Some(waiting) = self.pods.get_mut(uid) else { return false };
        let (backoff, until) = (now + backoff(waiting.attempts), now + LONGEST_WAIT);
        waiting.state = State::Unschedulable { rejected_by, backoff, until };
        self.timeline.insert((until, uid.into()));
        let news = waiting.why.as_deref() != Some(why);
        waiting.why = Some(why.to_owned());
        news
    }

    /// The try failed for another reason than the cluster's state: try again after a while.
    pub(crate) fn back_off(&mut self, uid: &str, now: Instant) {
        let Some(waiting) = self.pods.get_mut(uid) else { return };
        let until = now + backoff(waiting.attempts);
        waiting.state = State::BackingOff(until);
        self.timeline.insert((until, uid.into()));
    }

    /// Gives the pods that `event` may help another try.
    pub(crate) fn happened(&mut self, event: ClusterEvent, now: Instant) {
        let helped = |waiting: &Waiting| match &waiting.state {
            State::Unschedulable { rejected_by, .. } => helps(event, rejected_by),
            _ => false,
        };
        let uids: Vec<Uid> =
            self.pods.iter().filter(|(_, waiting)| helped(waiting)).map(|(uid, _)| uid.clone()).collect();
        for uid in uids {
            self.retry(&uid, now);
        }
    }

    fn retry(&mut self, uid: &str, now: Instant) {
        let Some(mut waiting) = self.pods.remove(uid) else { return };
        self.unlink(uid, &waiting);
        waiting.state = match waiting.state {
            State::Unschedulable { backoff, .. } if backoff > now => {
                self.timeline.insert((backoff, uid.into()));
                State::BackingOff(backoff)
            }
            _ => {
                self.active.insert((order(&waiting.pod), uid.into()));
                State::Active
            }
        };
        self.pods.insert(uid.into(), waiting);
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.timeline.first().map(|(when, _)| *when)
    }

    /// Gives every pod whose time has come another try.
    pub(crate) fn promote(&mut self, now: Instant) {
        while let Some((when, uid)) = self.timeline.first().cloned()
            && when <= now
        {
            self.retry(&uid, now);
        }
    }
}

fn backoff(attempts: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;

    fn pod(name: &str, priority: i32) -> Arc<PodInfo> {
        let text =
            format!("{{metadata: {{name: {name}, uid: {name}}}, spec: {{priority: {priority}, containers: []}}}}");
        Arc::new(PodInfo::new(&serde_saphyr::from_str::<Pod>(&text).unwrap()))
    }

    fn names(queue: &mut Queue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).map(|pod| pod.name.to_string()).collect()
    }

    #[test]
    fn priority_comes_first() {
        let mut queue = Queue::default();
        for (name, priority) in [("b", 0), ("a", 0), ("urgent", 10)] {
            queue.set(pod(name, priority));
        }
        assert_eq!(names(&mut queue), ["urgent", "a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_pods_wait_for_what_helps_and_keep_their_back_off() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.set(pod("a", 0));
        queue.pop();
        assert!(queue.reject("a", vec!["TaintToleration"], "why", now), "it is news");
        queue.happened(ClusterEvent::PodGone, now);
        assert!(names(&mut queue).is_empty());
        queue.happened(ClusterEvent::Node, now);
        assert!(names(&mut queue).is_empty(), "it backs off");
        queue.promote(now + FIRST_BACKOFF);
        assert_eq!(names(&mut queue), ["a"]);
        assert!(!queue.reject("a", vec!["TaintToleration"], "why", now), "it was said before");
        queue.happened(ClusterEvent::Node, now + LONGEST_BACKOFF);
        assert_eq!(names(&mut queue), ["a"], "the back-off is over");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_waits_for_ever() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.set(pod("a", 0));
        queue.pop();
        queue.reject("a", vec![], "why", now);
        assert_eq!(queue.next_due(), Some(now + LONGEST_WAIT));
        queue.promote(now + LONGEST_WAIT);
        assert_eq!(names(&mut queue), ["a"]);
        queue.back_off("a", now);
        queue.remove("a");
        assert_eq!(queue.next_due(), None);
    }
}
