//! Processes run in containers beside the first one, and clients attached to the first one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use shim::protocol::{Answer, Event, Request, Streams};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Attempt as _, Error, Result};
use crate::shim::{Events, unexpected};
use crate::spec;
use crate::terminal::Terminal;

/// What a process has left in its pipes is read for this long after its end: others may hold them open for ever.
pub(crate) const REST: Duration = Duration::from_secs(2);

/// Our ends of a process's streams.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) stdin: Option<pipe::Sender>,
    pub(crate) stdout: Option<pipe::Receiver>,
    pub(crate) stderr: Option<pipe::Receiver>,
    pub(crate) terminal: Option<Terminal>,
}

/// A process that has been started; dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) ends: Ends,
    events: Events,
}

impl Process {
    /// Starts a process in a running container.
    pub(crate) async fn start(
        engine: &Engine,
        container: &Container,
        args: Vec<String>,
        streams: Streams,
        tty: bool,
    ) -> Result<Self> {
        let what = || format!("failed to exec in container {:?}", container.id);
        if !container.is_running() {
            return Err(Error::Precondition(format!("{}: the container is not running", what())));
        }
        let sandbox = engine.sandbox(&container.sandbox)?;
        let process = Box::new(spec::further(&container.record().process, args, tty)?);
        let wanted = if tty { Streams::default() } else { streams };
        let (mut ends, carried) = pipes(wanted).attempt(what)?;
        let request = Request::Exec { container: container.id.clone(), process, streams: wanted };
        let opened = sandbox.shim.open(request, carried).await;
        let (answer, descriptors, events) = opened.map_err(|e| Error::Shim(format!("{}: {}", what(), e.words())))?;
        if answer != Answer::Executing {
            return Err(unexpected(&answer));
        }
        ends.terminal = descriptors.into_iter().next().map(Terminal::new).transpose().attempt(what)?;
        Ok(Self { ends, events })
    }

    /// Waits for the end: the exit code, with 128 and the number for a signal.
    pub(crate) async fn wait(&mut self) -> Result<i32> {
        match self.events.next().await {
            Some(Event::Ended { code }) => Ok(code),
            _ => Err(Error::Shim("the sandbox ended before the process did".into())),
        }
    }
}

/// What a command printed, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: i32,
}

/// Runs a command and waits for it, at most `limit`.
pub(crate) async fn run(
    engine: &Engine,
    container: &Container,
    args: Vec<String>,
    limit: Option<Duration>,
) -> Result<Output> {
    let work = async {
        let streams = Streams { stdin: false, stdout: true, stderr: true };
        let mut process = Process::start(engine, container, args, streams, false).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out, error) = (process.ends.stdout.take(), process.ends.stderr.take());
        let code = {
            let read = async { tokio::join!(collect(out, &mut stdout), collect(error, &mut stderr)) };
            tokio::pin!(read);
            let mut read_all = false;
            let end = process.wait();
            tokio::pin!(end);
            let code = loop {
                tokio::select! {
                    biased;
                    _ = &mut read, if !read_all => read_all = true,
                    code = &mut end => break code?,
                }
            };
            if !read_all {
                // What is not there by now is somebody else's.
                let _ = tokio::time::timeout(REST, read).await;
            }
            code
        };
        Ok(Output { stdout, stderr, code })
    };
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let id = &container.id;
        Err(Error::Timeout(format!("failed to exec in container {id:?}: timeout {limit:?} exceeded")))
    })
}

/// Reads to the end; what exceeds the limit is dropped, and the writer goes on.
async fn collect(reader: Option<impl AsyncRead + Unpin>, out: &mut Vec<u8>) {
    let Some(mut reader) = reader else { return };
    let mut chunk = vec![0; 16 << 10];
    while let Ok(read) = reader.read(&mut chunk).await {
        if read == 0 {
            return;
        }
        let room = cri::MAX_EXEC_OUTPUT - out.len();
        out.extend_from_slice(&chunk[..read.min(room)]);
    }
}

/// Copies a container's output to us, and gives us its stdin.
pub(crate) async fn attach(engine: &Engine, container: &Container, streams: Streams) -> Result<Ends> {
    let what = || format!("attaching to container {:?}", container.id);
    if !container.is_running() {
        return Err(Error::Precondition(format!("{}: it is not running", what())));
    }
    let sandbox = engine.sandbox(&container.sandbox)?;
    let outputs = Streams { stdin: false, ..streams };
    let (mut ends, carried) = pipes(outputs).attempt(what)?;
    let request = Request::Attach { container: container.id.clone(), streams };
    let (answer, descriptors) = sandbox.shim.exchange(request, carried).await?;
    let end = descriptors.into_iter().next();
    match (answer, end) {
        (Answer::Attached { stdin: true, .. }, Some(end)) => {
            ends.stdin = Some(pipe::Sender::from_owned_fd(end).attempt(what)?);
        }
        (Answer::Attached { terminal: true, .. }, Some(end)) => {
            ends.terminal = Some(Terminal::new(end).attempt(what)?);
        }
        (Answer::Attached { .. }, _) => {}
        (answer, _) => return Err(unexpected(&answer)),
    }
    Ok(ends)
}

/// Our ends of pipes, and the others, in the order of the streams.
fn pipes(wanted: Streams) -> io::Result<(Ends, Vec<OwnedFd>)> {
    let (mut ends, mut carried) = (Ends::default(), Vec::new());
    if wanted.stdin {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
        ends.stdin = Some(pipe::Sender::from_owned_fd(writer)?);
        carried.push(reader);
    }
    for (wanted, end) in [(wanted.stdout, &mut ends.stdout), (wanted.stderr, &mut ends.stderr)] {
        if wanted {
            let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
            *end = Some(pipe::Receiver::from_owned_fd(reader)?);
            carried.push(writer);
        }
    }
    Ok((ends, carried))
}
