//! Moves frames between the connection's bytes and the shared state.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::frame::{Control, HEAD, Head};
use super::header::Inflater;
use super::state::{QUEUE_LIMIT, Shared};
use crate::Error;

/// How long the peer may take to hang up after everything was sent; without reading on, a reset could overtake data.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes of a data frame that are moved at a time.
const CHUNK: usize = 16 * 1024;
/// Bytes handed to the transport before looking at the queue again.
const BATCH: usize = 64 * 1024;

/// Runs the connection until it ends on either side.
pub(super) async fn drive<I: AsyncRead + AsyncWrite + Send>(io: I, shared: Arc<Shared>) -> Result<(), Error> {
    let _ended = Ended(Arc::clone(&shared));
    let (reader, writer) = tokio::io::split(io);
    let mut receive = std::pin::pin!(receive(BufReader::with_capacity(CHUNK, reader), &shared));
    let sent = tokio::select! {
        biased;
        received = &mut receive => return received,
        sent = send(writer, &shared) => sent,
    };
    sent.map_err(|source| Error::Io { attempt: "sending frames", source })?;
    // What comes now is discarded; an error of a connection that is finished is none.
    let _ = tokio::time::timeout(LINGER, receive).await;
    Ok(())
}

/// Tells everybody when the driver is gone, even when it was dropped.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        state.wake_all();
        self.0.arrivals.notify_one();
    }
}

/// Sends what is queued; ends when the connection is closing and the queue is empty.
async fn send<W: AsyncWrite + Unpin>(mut writer: W, shared: &Shared) -> io::Result<()> {
    loop {
        let (batch, closing) = take_batch(shared);
        if !batch.is_empty() {
            for frame in batch {
                writer.write_all(&frame).await?;
            }
            shared.receiver.notify_one();
            continue;
        }
        writer.flush().await?;
        if closing {
            break;
        }
        shared.sender.notified().await;
    }
    let last = {
        let mut state = shared.lock();
        state.goaway();
        state.ended = true;
        state.queued = 0;
        std::mem::take(&mut state.queue)
    };
    for frame in last {
        writer.write_all(&frame).await?;
    }
    writer.shutdown().await
}

fn take_batch(shared: &Shared) -> (Vec<Bytes>, bool) {
    let mut state = shared.lock();
    let was_full = state.queued >= QUEUE_LIMIT;
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH
        && let Some(frame) = state.queue.pop_front()
    {
        size += frame.len();
        batch.push(frame);
    }
    state.queued -= size;
    if was_full && state.queued < QUEUE_LIMIT {
        state.wake_all();
    }
    (batch, state.closing)
}

/// Receives frames until the peer hangs up.
async fn receive<R: AsyncRead + Unpin>(mut reader: R, shared: &Shared) -> Result<(), Error> {
    let mut inflater = Inflater::new();
    let cut = |source| Error::Io { attempt: "receiving frames", source };
    while let Some(head) = read_head(&mut reader).await.map_err(cut)? {
        match Head::decode(head)? {
            Head::Data { stream, fin, length } => {
                receive_data(&mut reader, shared, stream, length).await.map_err(cut)?;
                if fin {
                    shared.lock().peer_finished(stream);
                }
            }
            Head::Control { kind, flags, length } => {
                let mut payload = vec![0; length];
                reader.read_exact(&mut payload).await.map_err(cut)?;
                let frame = Control::decode(kind, flags, &payload, &mut inflater)?;
                answerable(shared).await;
                shared.lock().handle(frame);
                shared.sender.notify_one();
                shared.arrivals.notify_one();
            }
        }
    }
    Ok(())
}

/// The next head, or `None` at the end between two frames.
async fn read_head<R: AsyncRead + Unpin>(reader: &mut R) -> io::Result<Option<[u8; HEAD]>> {
    let mut head = [0; HEAD];
    let first = reader.read(&mut head).await?;
    if first == 0 {
        return Ok(None);
    }
    reader.read_exact(head.get_mut(first..).unwrap_or_default()).await?;
    Ok(Some(head))
}

async fn receive_data<R: AsyncRead + Unpin>(
    reader: &mut R,
    shared: &Shared,
    stream: u32,
    length: usize,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let room = room(shared, stream).await.min(left).min(CHUNK);
        let mut chunk = BytesMut::with_capacity(room);
        let mut limited = (&mut *reader).take(room as u64);
        if limited.read_buf(&mut chunk).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= chunk.len();
        shared.lock().receive(stream, chunk.freeze());
        shared.sender.notify_one();
    }
    Ok(())
}

/// Waits until the stream takes more bytes; a peer that overruns its window waits here.
async fn room(shared: &Shared, stream: u32) -> usize {
    loop {
        {
            let state = shared.lock();
            let room = state.slots.get(&stream).map_or(usize::MAX, super::state::Slot::room);
            if state.closing {
                return usize::MAX;
            }
            if room > 0 {
                return room;
            }
        }
        shared.receiver.notified().await;
    }
}

/// Waits until an answer could be queued, so that a peer that asks without reading does not grow the queue.
async fn answerable(shared: &Shared) {
    loop {
        {
            let state = shared.lock();
            if state.queued < QUEUE_LIMIT || state.closing {
                return;
            }
        }
        shared.receiver.notified().await;
    }
}
