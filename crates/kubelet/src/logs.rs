//! Containers' logs: files of lines with a time, a stream and a tag, as every CRI runtime writes them.

pub mod follow;
pub mod line;
pub mod rotate;

use std::io::{self, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, BufReader};
use tokio::sync::mpsc;

use follow::Follow;

/// Most bytes of one line; longer ones are shown in pieces.
const MAX_LINE: u64 = 1 << 20;
/// How much is read at once while looking for the start of the tail.
const BLOCK: u64 = 64 << 10;

/// Which part of a log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub follow: bool,
    pub timestamps: bool,
    pub since: Option<Timestamp>,
    /// Last lines only.
    pub tail: Option<u64>,
    /// Bytes of output.
    pub limit: Option<u64>,
    /// `Stdout`, `Stderr`; everything otherwise.
    pub stream: Option<line::Stream>,
}

/// Sends what `query` asks for of the log at `path`. With `follow`, goes on over rotations until the container's end,
/// which `follow` reports; ends early when nobody takes the output any more.
pub async fn stream(path: &Path, query: &Query, follow: Option<Follow>, out: mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut file = File::open(path).await?;
    if let Some(lines) = query.tail {
        let start = tail_start(&mut file, lines).await?;
        file.seek(SeekFrom::Start(start)).await?;
    }
    let mut printer = Printer { query, left: query.limit, out };
    let mut reader = BufReader::new(file);
    let Some(mut follow) = follow.filter(|_| query.follow) else {
        return printer.drain(&mut reader).await.map(drop);
    };
    loop {
        // whether the container ended is asked before the rest is read, so that its last words are not missed
        let ended = follow.ended();
        if !printer.drain(&mut reader).await? {
            return Ok(());
        }
        if let Some(next) = follow.rotated(path, reader.get_ref()).await {
            printer.drain(&mut reader).await?;
            reader = BufReader::new(next);
            continue;
        }
        if ended || printer.out.is_closed() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = printer.out.closed() => return Ok(()),
            () = follow.changed() => {}
        }
    }
}

/// The last `lines` lines of output, at most `bytes` of it.
pub async fn tail(path: &Path, lines: usize, bytes: usize) -> io::Result<String> {
    let (out, mut pieces) = mpsc::channel::<Bytes>(16);
    let query = Query { tail: Some(lines as u64), ..Default::default() };
    let collect = async {
        let mut text = Vec::new();
        while let Some(piece) = pieces.recv().await {
            text.extend_from_slice(&piece);
        }
        text
    };
    let (result, text) = tokio::join!(stream(path, &query, None, out), collect);
    result?;
    let start = text.len().saturating_sub(bytes);
    Ok(String::from_utf8_lossy(&text[start..]).into_owned())
}

struct Printer<'a> {
    query: &'a Query,
    left: Option<u64>,
    out: mpsc::Sender<Bytes>,
}

impl Printer<'_> {
    /// Prints up to the end of the file. Returns whether more is wanted.
    async fn drain(&mut self, reader: &mut BufReader<File>) -> io::Result<bool> {
        let mut raw = Vec::new();
        loop {
            raw.clear();
            let read = reader.take(MAX_LINE).read_until(b'\n', &mut raw).await?;
            if read == 0 {
                return Ok(true);
            }
            if raw.last() != Some(&b'\n') && read < MAX_LINE as usize {
                // a line that is still being written is read again once it is whole
                let back = i64::try_from(read).unwrap_or(0);
                reader.seek(SeekFrom::Current(-back)).await?;
                return Ok(true);
            }
            if !self.print(&raw).await {
                return Ok(false);
            }
        }
    }

    /// Prints one line. Returns whether more is wanted.
    async fn print(&mut self, raw: &[u8]) -> bool {
        let Some(line) = line::parse(raw) else { return true };
        let too_old = self.query.since.is_some_and(|since| line.time.is_some_and(|time| time < since));
        if too_old || self.query.stream.is_some_and(|stream| stream != line.stream) {
            return true;
        }
        let mut text = Vec::with_capacity(raw.len());
        if self.query.timestamps {
            text.extend_from_slice(line.stamp);
            text.push(b' ');
        }
        text.extend_from_slice(line.text);
        if !line.partial {
            text.push(b'\n');
        }
        if let Some(left) = &mut self.left {
            text.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= text.len() as u64;
        }
        let sent = text.is_empty() || self.out.send(text.into()).await.is_ok();
        sent && self.left != Some(0)
    }
}

/// Where the last `lines` lines start.
async fn tail_start(file: &mut File, lines: u64) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(end);
    }
    let (mut position, mut seen) = (end, 0);
    let mut block = Vec::new();
    while position > 0 {
        let start = position.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start)).await?;
        block.clear();
        (&mut *file).take(position - start).read_to_end(&mut block).await?;
        for (index, byte) in block.iter().enumerate().rev() {
            let place = start + index as u64;
            // the newline that ends the file ends its last line and starts none
            if *byte == b'\n' && place + 1 != end {
                seen += 1;
                if seen == lines {
                    return Ok(place + 1);
                }
            }
        }
        position = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
