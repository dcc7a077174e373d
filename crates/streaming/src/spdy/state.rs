//! What the driver, the connection handle and the streams share.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::Notify;

use super::connection::Side;
use super::frame::{Control, INITIAL_WINDOW, Reset, WINDOW_LIMIT, data};
use super::header::{Deflater, Headers};

/// Streams that may exist on a connection at a time.
const STREAM_LIMIT: usize = 1024;
/// Bytes queued for sending before writers wait.
pub(super) const QUEUE_LIMIT: usize = 256 * 1024;

pub(super) struct Shared {
    state: Mutex<State>,
    /// There may be something to send.
    pub(super) sender: Notify,
    /// There may be room for what was received or for answers.
    pub(super) receiver: Notify,
    /// A stream of the peer may wait.
    pub(super) arrivals: Notify,
    /// Handles and streams alive; none left closes the connection.
    pub(super) holders: AtomicUsize,
}

impl Shared {
    pub(super) fn new(side: Side) -> Self {
        let state = Mutex::new(State::new(side));
        let (sender, receiver, arrivals) = (Notify::new(), Notify::new(), Notify::new());
        Self { state, sender, receiver, arrivals, holders: AtomicUsize::new(0) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what was decided under the lock and lets the driver send it.
    pub(super) fn send(&self, state: &mut State, frame: &Control) {
        state.enqueue(frame);
        self.sender.notify_one();
    }

    /// No more streams, no more writes; what is queued is still sent.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.wake_all();
        self.sender.notify_one();
        self.receiver.notify_one();
        self.arrivals.notify_one();
    }
}

pub(super) struct State {
    pub(super) slots: BTreeMap<u32, Slot>,
    pub(super) offered: VecDeque<(u32, Headers)>,
    pub(super) queue: VecDeque<Bytes>,
    pub(super) queued: usize,
    deflater: Deflater,
    side: Side,
    next: u32,
    last_of_peer: u32,
    /// The peer counts windows; one that never said so is sent to without limit.
    peer_counts: bool,
    initial_credit: i64,
    /// The connection's bytes are gone.
    pub(super) ended: bool,
    /// This side closes.
    pub(super) closing: bool,
}

/// One stream.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) received: VecDeque<Bytes>,
    /// Bytes in `received`.
    pub(super) held: usize,
    /// Bytes read and not yet credited to the peer.
    consumed: u32,
    credit: i64,
    pub(super) reset: bool,
    pub(super) replied: bool,
    pub(super) peer_finished: bool,
    pub(super) finished: bool,
    /// Nobody reads any more.
    pub(super) abandoned: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Slot {
    pub(super) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Bytes that may still be received.
    pub(super) fn room(&self) -> usize {
        if self.abandoned || self.reset { usize::MAX } else { (INITIAL_WINDOW as usize).saturating_sub(self.held) }
    }

    fn done(&self) -> bool {
        self.abandoned && (self.reset || (self.finished && self.peer_finished))
    }
}

impl State {
    fn new(side: Side) -> Self {
        Self {
            slots: BTreeMap::new(),
            offered: VecDeque::new(),
            queue: VecDeque::new(),
            queued: 0,
            deflater: Deflater::new(),
            side,
            next: side.first_stream(),
            last_of_peer: 0,
            peer_counts: false,
            initial_credit: i64::from(INITIAL_WINDOW),
            ended: false,
            closing: false,
        }
    }

    pub(super) fn enqueue(&mut self, frame: &Control) {
        match frame.encode(&mut self.deflater) {
            Ok(bytes) => self.enqueue_bytes(bytes),
            Err(error) => tracing::warn!(%error, "a frame was not sent"),
        }
    }

    fn enqueue_bytes(&mut self, bytes: Bytes) {
        if self.ended {
            return;
        }
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    pub(super) fn wake_all(&mut self) {
        self.slots.values_mut().for_each(Slot::wake);
    }

    /// Takes an id for a stream of our own.
    pub(super) fn open(&mut self) -> Result<u32, super::Error> {
        if self.ended || self.closing {
            return Err(super::Error::Closed);
        }
        if self.slots.len() >= STREAM_LIMIT || self.next > i32::MAX as u32 {
            return Err(super::Error::Streams);
        }
        let id = self.next;
        self.next += 2;
        self.slots.insert(id, Slot { credit: self.initial_credit, ..Slot::default() });
        Ok(id)
    }

    /// How many bytes of `wanted` the stream may send now.
    pub(super) fn may_send(&self, slot: &Slot, wanted: usize) -> usize {
        if self.queued >= QUEUE_LIMIT {
            0
        } else if self.peer_counts {
            wanted.min(usize::try_from(slot.credit).unwrap_or(0))
        } else {
            wanted
        }
    }

    pub(super) fn send_data(&mut self, id: u32, fin: bool, payload: &[u8]) {
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.credit -= i64::try_from(payload.len()).unwrap_or(i64::MAX);
            slot.finished |= fin;
        }
        self.enqueue_bytes(data(id, fin, payload));
        self.forget_if_done(id);
    }

    /// Bytes of the stream were taken; the peer gets its window back in halves.
    pub(super) fn consumed(&mut self, id: u32, bytes: usize) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.consumed = slot.consumed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        if slot.consumed >= INITIAL_WINDOW / 2 && !slot.peer_finished {
            let delta = std::mem::take(&mut slot.consumed);
            self.enqueue(&Control::WindowUpdate { stream: id, delta });
        }
    }

    pub(super) fn forget_if_done(&mut self, id: u32) {
        if self.slots.get(&id).is_some_and(Slot::done) {
            self.slots.remove(&id);
        }
    }

    /// Payload of a data frame; returns whether anybody takes it.
    pub(super) fn receive(&mut self, id: u32, payload: Bytes) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        if slot.peer_finished || slot.reset {
            return;
        }
        if slot.abandoned {
            self.consumed(id, payload.len());
            return;
        }
        slot.held += payload.len();
        slot.received.push_back(payload);
        if let Some(waker) = slot.reader.take() {
            waker.wake();
        }
    }

    pub(super) fn peer_finished(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.peer_finished = true;
        if let Some(waker) = slot.reader.take() {
            waker.wake();
        }
        self.forget_if_done(id);
    }

    pub(super) fn handle(&mut self, frame: Control) {
        match frame {
            Control::SynStream { stream, fin, unidirectional, headers } => {
                self.syn_stream(stream, fin, unidirectional, headers);
            }
            Control::SynReply { stream, fin, .. } => self.syn_reply(stream, fin),
            Control::RstStream { stream, .. } => self.reset_by_peer(stream),
            Control::Settings { initial_window } => self.settings(initial_window),
            Control::Ping { id } if id % 2 == self.side.peer().first_stream() % 2 => {
                self.enqueue(&Control::Ping { id });
            }
            Control::Headers { stream, fin: true, .. } => self.peer_finished(stream),
            Control::WindowUpdate { stream, delta } => self.window_update(stream, delta),
            Control::Ping { .. } | Control::Headers { .. } | Control::GoAway { .. } | Control::Unknown => {}
        }
    }

    fn syn_stream(&mut self, id: u32, fin: bool, unidirectional: bool, headers: Headers) {
        let expected = id % 2 == self.side.peer().first_stream() % 2 && id > self.last_of_peer;
        if !expected {
            return self.enqueue(&Control::RstStream { stream: id, code: Reset::Protocol as u32 });
        }
        self.last_of_peer = id;
        if self.slots.len() >= STREAM_LIMIT || self.closing {
            return self.enqueue(&Control::RstStream { stream: id, code: Reset::Refused as u32 });
        }
        let credit = self.initial_credit;
        let slot = Slot { credit, peer_finished: fin, finished: unidirectional, replied: true, ..Slot::default() };
        self.slots.insert(id, slot);
        self.offered.push_back((id, headers));
    }

    fn syn_reply(&mut self, id: u32, fin: bool) {
        match self.slots.get_mut(&id) {
            Some(slot) => {
                slot.replied = true;
                slot.wake();
            }
            None => self.enqueue(&Control::RstStream { stream: id, code: Reset::InvalidStream as u32 }),
        }
        if fin {
            self.peer_finished(id);
        }
    }

    fn reset_by_peer(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.reset = true;
        slot.wake();
        self.forget_if_done(id);
    }

    /// Answered by a server in kind, before any reply to a stream, so that both ends know to count before they send.
    fn settings(&mut self, initial_window: Option<u32>) {
        if self.side == Side::Server && !self.peer_counts {
            self.enqueue(&Control::Settings { initial_window: Some(INITIAL_WINDOW) });
        }
        self.peer_counts = true;
        let Some(size) = initial_window.map(i64::from) else { return };
        let change = size - self.initial_credit;
        self.initial_credit = size;
        for slot in self.slots.values_mut() {
            slot.credit = slot.credit.saturating_add(change).min(WINDOW_LIMIT);
            slot.wake();
        }
    }

    fn window_update(&mut self, id: u32, delta: u32) {
        self.peer_counts = true;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.credit = slot.credit.saturating_add(i64::from(delta)).min(WINDOW_LIMIT);
        slot.wake();
    }

    pub(super) fn goaway(&mut self) {
        let last = self.last_of_peer;
        self.enqueue(&Control::GoAway { last, code: 0 });
    }
}
