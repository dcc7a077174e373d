//! The one loop that runs a controller: feeds → queue → step → apply → catch up → step again.

mod apply;
mod ask;
mod queue;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SelectAll};
use futures::{FutureExt, StreamExt};
use host::Host;
use informer::Key;
use kube::Client;
use tokio::time::Instant;

use self::apply::{Applied, Expect};
use self::queue::Queue;
use crate::controller::Controller;
use crate::events::Recorder;
use crate::plan::{Answer, Query};
use crate::world::{Caches, Failure, World};

/// The first delay after a failed plan; doubles up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(5);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// How long the caches may take to show what a plan wrote before its key is stepped regardless.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// Rounds of queries one step may lead to before the key has to wait its turn again.
const QUERY_ROUNDS: usize = 4;
/// Plans in a row, without an empty one, after which a key has to wait: a controller that does not settle must not spin.
const RESTLESS: u32 = 20;
/// Plans that met a changed world and are tried again at once; later ones wait as after a failure.
const STALE_LIMIT: u32 = 3;

/// Runs one controller.
pub(crate) struct Driver {
    pub(crate) controller: &'static Controller,
    pub(crate) caches: Arc<Caches>,
    pub(crate) client: Client,
    pub(crate) host: Host,
    pub(crate) recorder: Recorder,
}

/// What is remembered of a key between its steps; forgotten when it settles.
#[derive(Debug, Clone)]
struct Memory {
    failures: u32,
    /// Plans in a row that changed something.
    plans: u32,
    failure: Option<Arc<Failure>>,
    nonce: u64,
}

/// The end of a piece of work.
enum Done {
    /// A step was made and its plan applied.
    Worked(Box<Worked>),
    /// The caches show what the key's plan wrote.
    CaughtUp(Key),
}

struct Worked {
    key: Key,
    memory: Memory,
    applied: Applied,
    /// The plan was empty.
    idle: bool,
    requeue_after: Option<Duration>,
}

#[derive(Default)]
struct State<'a> {
    queue: Queue,
    memories: BTreeMap<Key, Memory>,
    jobs: FuturesUnordered<BoxFuture<'a, Done>>,
    working: usize,
}

impl Driver {
    /// Runs until the host shuts down.
    pub(crate) async fn run(&self) {
        let shutdown = self.host.shutdown();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        self.caches.synced().await;
        let world = World::new(Arc::clone(&self.caches));
        let feeds = self.controller.watches.iter().map(|watch| watch.feed(world.clone()));
        let mut feeds: SelectAll<_> = feeds.collect();
        let mut state = State::default();
        loop {
            self.start_work(&world, &mut state);
            let due = state.queue.next_due();
            tokio::select! {
                biased;
                Some(done) = state.jobs.next(), if !state.jobs.is_empty() => self.take(done, &mut state),
                keys = feeds.next() => match keys {
                    Some(keys) => keys.into_iter().for_each(|key| state.queue.add(key)),
                    None => return,
                },
                () = until(due), if due.is_some() => state.queue.promote(Instant::now()),
            }
        }
    }

    fn start_work<'a>(&'a self, world: &'a World, state: &mut State<'a>) {
        while state.working < self.controller.concurrency
            && let Some(key) = state.queue.pop()
        {
            let memory = state.memories.get(&key).cloned().unwrap_or_else(|| self.fresh());
            state.working += 1;
            state.jobs.push(self.work(world, key, memory).map(|worked| Done::Worked(Box::new(worked))).boxed());
        }
    }

    fn fresh(&self) -> Memory {
        let mut nonce = [0; 8];
        self.host.entropy.fill(&mut nonce);
        Memory { failures: 0, plans: 0, failure: None, nonce: u64::from_le_bytes(nonce) }
    }

    /// One step, the rounds of queries it leads to, and the application of its plan.
    async fn work(&self, world: &World, key: Key, memory: Memory) -> Worked {
        let mut answers: BTreeMap<Query, Answer> = BTreeMap::new();
        for _ in 0..QUERY_ROUNDS {
            let world = world.with(std::mem::take(&mut answers), memory.failure.clone(), memory.nonce);
            let plan = (self.controller.step)(&key, &world, self.host.now());
            let (idle, requeue_after) = (plan.is_empty(), plan.requeue_after);
            if plan.batches.is_empty() && !plan.queries.is_empty() {
                match ask::ask(&self.client, plan.queries).await {
                    Ok(found) => answers = found,
                    Err(failure) => {
                        let applied = Applied { failure: Some(failure), ..Applied::default() };
                        return Worked { key, memory, applied, idle, requeue_after };
                    }
                }
                continue;
            }
            let applied = apply::apply(&self.client, &self.recorder, plan).await;
            return Worked { key, memory, applied, idle, requeue_after };
        }
        let applied = Applied { stale: true, ..Applied::default() };
        Worked { key, memory, applied, idle: false, requeue_after: None }
    }

    fn take<'a>(&'a self, done: Done, state: &mut State<'a>) {
        match done {
            Done::CaughtUp(key) => state.queue.done(&key),
            Done::Worked(worked) => {
                state.working -= 1;
                self.settle(*worked, state);
            }
        }
    }

    /// Decides when to step the key again.
    fn settle<'a>(&'a self, worked: Worked, state: &mut State<'a>) {
        let Worked { key, memory, applied, idle, requeue_after } = worked;
        let failed = applied.failure.is_some() || applied.stale;
        let now = Instant::now();
        if let Some(failure) = &applied.failure {
            tracing::debug!(controller = self.controller.name, %key, ?failure, "a plan failed");
        }
        if failed {
            let failures = memory.failures + 1;
            let at_once = applied.failure.is_none() && failures <= STALE_LIMIT;
            let failure = applied.failure.map(Arc::new).or(memory.failure);
            let nonce = if applied.uncertain { memory.nonce } else { self.fresh().nonce };
            state.memories.insert(key.clone(), Memory { failures, failure, nonce, ..memory });
            let delay = if at_once { Duration::ZERO } else { delay(failures) };
            state.queue.add_at(key.clone(), now + delay);
        } else if idle || applied.hopeless {
            state.memories.remove(&key);
        } else {
            let plans = memory.plans + 1;
            state.memories.insert(key.clone(), Memory { plans, ..self.fresh() });
            self.step_again(&key, plans, state);
        }
        if let Some(after) = requeue_after {
            state.queue.add_at(key.clone(), now + after);
        }
        if applied.expects.is_empty() {
            state.queue.done(&key);
        } else {
            state.jobs.push(self.catch_up(key, applied.expects).boxed());
        }
    }

    /// Steps a key again whose plan was applied: at once, unless that does not seem to end.
    fn step_again(&self, key: &Key, plans: u32, state: &mut State<'_>) {
        if plans < RESTLESS {
            state.queue.add(key.clone());
            return;
        }
        tracing::warn!(controller = self.controller.name, %key, plans, "does not settle");
        state.queue.add_at(key.clone(), Instant::now() + delay(plans - RESTLESS + 1));
    }

    /// Waits until the caches show what was written; the key stays out of the queue until then.
    async fn catch_up(&self, key: Key, expects: Vec<Expect>) -> Done {
        let all = async {
            for expect in &expects {
                match expect {
                    Expect::Seen { target, uid, revision } => self.caches.reached(target, uid, *revision).await,
                    Expect::Gone { target, uid } => self.caches.gone(target, uid).await,
                }
            }
        };
        if tokio::time::timeout(CATCH_UP_LIMIT, all).await.is_err() {
            tracing::warn!(controller = self.controller.name, %key, "caches do not show what was written, going on");
        }
        Done::CaughtUp(key)
    }
}

fn delay(failures: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(LONGEST_DELAY)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
