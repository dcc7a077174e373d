//! The way to the one writer: a thread that groups what is waiting, or the calling task itself.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{mpsc, oneshot};

use super::OpenError;
use super::engine::Engine;
use super::plan::{Operation, Outcome};
use crate::Error;

/// How many requests may wait; more wait outside.
const QUEUE: usize = 4096;
/// The most requests, and about the most bytes, of one group.
const GROUP: usize = 1024;
const GROUP_BYTES: usize = 8 << 20;

/// Submits operations to the engine.
#[derive(Clone)]
pub(super) enum Writer {
    /// For disks that never make anyone wait: commits in the calling task, one operation at a time.
    Inline(Arc<Mutex<Engine>>),
    /// callers --operations--> writer thread
    Thread(mpsc::Sender<Request>),
}

/// A [`Writer`] that does not keep the store open.
pub(super) enum WeakWriter {
    Inline(Weak<Mutex<Engine>>),
    Thread(mpsc::WeakSender<Request>),
}

pub(super) struct Request {
    operation: Operation,
    reply_tx: oneshot::Sender<Result<Outcome, Error>>,
}

impl Writer {
    pub(super) fn inline(engine: Engine) -> Self {
        Self::Inline(Arc::new(Mutex::new(engine)))
    }

    pub(super) fn thread(engine: Engine) -> Result<Self, OpenError> {
        let (requests_tx, requests_rx) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(engine, requests_rx))
            .map_err(|e| OpenError::failed("start the store's writer", e))?;
        Ok(Self::Thread(requests_tx))
    }

    pub(super) fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_))
    }

    pub(super) fn downgrade(&self) -> WeakWriter {
        match self {
            Self::Inline(engine) => WeakWriter::Inline(Arc::downgrade(engine)),
            Self::Thread(requests_tx) => WeakWriter::Thread(requests_tx.downgrade()),
        }
    }

    /// Has the operation done, durably, and published.
    pub(super) async fn submit(&self, operation: Operation) -> Result<Outcome, Error> {
        match self {
            Self::Inline(engine) => engine.lock().unwrap_or_else(PoisonError::into_inner).commit_one(operation),
            Self::Thread(requests_tx) => {
                let (reply_tx, reply_rx) = oneshot::channel();
                requests_tx.send(Request { operation, reply_tx }).await.map_err(|_| Error::Closed)?;
                reply_rx.await.map_err(|_| Error::Closed)?
            }
        }
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_inline() { "Writer::Inline" } else { "Writer::Thread" })
    }
}

impl WeakWriter {
    pub(super) fn upgrade(&self) -> Option<Writer> {
        match self {
            Self::Inline(engine) => engine.upgrade().map(Writer::Inline),
            Self::Thread(requests_tx) => requests_tx.upgrade().map(Writer::Thread),
        }
    }
}

/// Commits what is waiting, a group at a time, until every sender is gone; sweeps while nothing waits.
fn run(mut engine: Engine, mut requests_rx: mpsc::Receiver<Request>) {
    let mut sweeping = true;
    loop {
        let first = if sweeping { requests_rx.try_recv().ok() } else { requests_rx.blocking_recv() };
        match first {
            Some(first) => {
                commit(&mut engine, group(first, &mut requests_rx));
                sweeping = engine.has_garbage();
            }
            None if sweeping => sweeping = engine.sweep(),
            None => return,
        }
    }
}

fn group(first: Request, requests_rx: &mut mpsc::Receiver<Request>) -> Vec<Request> {
    let mut bytes = first.operation.weight();
    let mut group = vec![first];
    while group.len() < GROUP && bytes < GROUP_BYTES {
        let Ok(request) = requests_rx.try_recv() else { break };
        bytes += request.operation.weight();
        group.push(request);
    }
    group
}

fn commit(engine: &mut Engine, group: Vec<Request>) {
    let (operations, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|r| (r.operation, r.reply_tx)).unzip();
    for (reply_tx, outcome) in replies.into_iter().zip(engine.commit(operations)) {
        // A caller that went away does not want to know.
        let _ = reply_tx.send(outcome);
    }
}
