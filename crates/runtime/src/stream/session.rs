//! Exec and attach sessions: a client's streams joined with a process's.

use std::sync::Arc;

use futures::FutureExt as _;
use host::Tasks;
use http::Request;
use hyper::body::Incoming;
use shim::protocol::{Request as ShimRequest, Streams};
use streaming::{Exit, Reader, Session, Writer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::Accepted;
use crate::container::Container;
use crate::engine::Engine;
use crate::error::Result;
use crate::exec::{self, Ends, Process};
use crate::terminal::Terminal;

/// Accepts an exec session.
pub(super) fn exec(
    engine: Arc<Engine>,
    exec: cri::ExecRequest,
    request: &mut Request<Incoming>,
    tasks: &Tasks,
) -> Result<Accepted, streaming::Error> {
    let wanted = streaming::Streams { stdin: exec.stdin, stdout: exec.stdout, stderr: exec.stderr, tty: exec.tty };
    let accepted = streaming::accept(request, wanted, tasks)?;
    let work = async move {
        match accepted.session.await {
            Ok(session) => run_exec(&engine, exec, session).await,
            Err(e) => tracing::debug!(error = %e, "opening an exec session"),
        }
    };
    Ok((accepted.response, work.boxed()))
}

/// Accepts an attach session.
pub(super) fn attach(
    engine: Arc<Engine>,
    attach: cri::AttachRequest,
    request: &mut Request<Incoming>,
    tasks: &Tasks,
) -> Result<Accepted, streaming::Error> {
    let wanted =
        streaming::Streams { stdin: attach.stdin, stdout: attach.stdout, stderr: attach.stderr, tty: attach.tty };
    let accepted = streaming::accept(request, wanted, tasks)?;
    let work = async move {
        match accepted.session.await {
            Ok(session) => run_attach(&engine, attach, session).await,
            Err(e) => tracing::debug!(error = %e, "opening an attach session"),
        }
    };
    Ok((accepted.response, work.boxed()))
}

async fn run_exec(engine: &Arc<Engine>, exec: cri::ExecRequest, mut session: Session) {
    let streams = Streams { stdin: exec.stdin, stdout: exec.stdout, stderr: exec.stderr };
    let started = match engine.container(&exec.container_id) {
        Ok(container) => Process::start(engine, &container, exec.cmd, streams, exec.tty).await,
        Err(e) => Err(e),
    };
    let mut process = match started {
        Ok(process) => process,
        Err(e) => return fail(session, e.words()).await,
    };
    let ends = std::mem::take(&mut process.ends);
    let closed = session.closed.clone();
    let joined = Joined::new(&mut session, ends);
    let code = {
        let (outputs, inputs) = joined.parts();
        tokio::pin!(outputs, inputs);
        let end = process.wait();
        tokio::pin!(end);
        let (mut outputs_done, mut inputs_done) = (false, false);
        let code = loop {
            tokio::select! {
                biased;
                // Dropping the process kills it.
                () = closed.cancelled() => return,
                () = &mut outputs, if !outputs_done => outputs_done = true,
                () = &mut inputs, if !inputs_done => inputs_done = true,
                code = &mut end => break code,
            }
        };
        if !outputs_done {
            let _ = tokio::time::timeout(exec::REST, outputs).await;
        }
        code
    };
    let exit = match code {
        Ok(0) => Exit::Success,
        Ok(code) => Exit::Code(code),
        Err(e) => Exit::Failure(e.words()),
    };
    finish(session, exit).await;
}

async fn run_attach(engine: &Arc<Engine>, attach: cri::AttachRequest, mut session: Session) {
    let streams = Streams { stdin: attach.stdin, stdout: attach.stdout, stderr: attach.stderr && !attach.tty };
    let container = match engine.container(&attach.container_id) {
        Ok(container) => container,
        Err(e) => return fail(session, e.words()).await,
    };
    let mut ends = match exec::attach(engine, &container, streams).await {
        Ok(ends) => ends,
        Err(e) => return fail(session, e.words()).await,
    };
    let closed = session.closed.clone();
    // The shim reads a terminal and copies what it shows; only typing goes to it directly.
    let typed = ends.terminal.take();
    let output = ends.stdout.take();
    let sizes = typed.clone();
    let stdin = session.stdin.take();
    let resize = std::mem::replace(&mut session.resize, tokio::sync::mpsc::channel(1).1);
    let input = async {
        match typed {
            Some(terminal) => copy(stdin, Some(terminal)).await,
            None => copy(stdin, ends.stdin.take()).await,
        }
        close_stdin(engine, &container, attach.stdin).await;
        std::future::pending::<()>().await;
    };
    let outputs = async {
        tokio::join!(copy(output, session.stdout.take()), copy(ends.stderr.take(), session.stderr.take()));
        if !attach.stdout && !attach.stderr {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = closed.cancelled() => return,
        () = outputs => {}
        () = ended(&container) => {}
        () = input => {}
        () = resizes(resize, sizes) => {}
    }
    finish(session, Exit::Success).await;
}

/// Waits for the end of a container, with some time for the last of its output.
async fn ended(container: &Container) {
    container.ended().await;
    tokio::time::sleep(exec::REST).await;
}

/// A container that takes stdin once has its closed when the client has closed its.
async fn close_stdin(engine: &Engine, container: &Container, wanted: bool) {
    let once = container.record().config.is_some_and(|config| config.stdin_once);
    if !wanted || !once {
        return;
    }
    if let Ok(sandbox) = engine.sandbox(&container.sandbox) {
        // A container that has ended has no stdin.
        let _ = sandbox.shim.call(ShimRequest::CloseStdin { container: container.id.clone() }).await;
    }
}

/// A client's streams and a process's.
struct Joined {
    stdin: Option<Reader>,
    stdout: Option<Writer>,
    stderr: Option<Writer>,
    resize: tokio::sync::mpsc::Receiver<streaming::TerminalSize>,
    ends: Ends,
}

impl Joined {
    /// Takes the streams out of a session, which keeps its status.
    fn new(session: &mut Session, ends: Ends) -> Self {
        Self {
            stdin: session.stdin.take(),
            stdout: session.stdout.take(),
            stderr: session.stderr.take(),
            resize: std::mem::replace(&mut session.resize, tokio::sync::mpsc::channel(1).1),
            ends,
        }
    }

    /// What copies output, and what copies input; both end with their sources.
    fn parts(self) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
        let Self { stdin, stdout, stderr, resize, ends } = self;
        let (shown, typed, sizes) = (ends.terminal.clone(), ends.terminal.clone(), ends.terminal);
        let outputs = async move {
            match shown {
                Some(terminal) => copy(Some(terminal), stdout).await,
                None => drop(tokio::join!(copy(ends.stdout, stdout), copy(ends.stderr, stderr))),
            }
        };
        let inputs = async move {
            let input = async move {
                match typed {
                    Some(terminal) => copy(stdin, Some(terminal)).await,
                    None => copy(stdin, ends.stdin).await,
                }
            };
            tokio::join!(input, resizes(resize, sizes));
        };
        (outputs, inputs)
    }
}

async fn resizes(mut sizes: tokio::sync::mpsc::Receiver<streaming::TerminalSize>, terminal: Option<Terminal>) {
    if let Some(terminal) = terminal {
        while let Some(size) = sizes.recv().await {
            terminal.resize(size);
        }
    }
    std::future::pending::<()>().await;
}

/// Copies until either end closes, and closes the writer.
pub(super) async fn copy(reader: Option<impl AsyncRead + Unpin>, writer: Option<impl AsyncWrite + Unpin>) {
    let (Some(mut reader), Some(mut writer)) = (reader, writer) else { return };
    // Either side may leave at any time; how it ended is told by the status.
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
    let _ = writer.shutdown().await;
}

async fn fail(session: Session, message: String) {
    finish(session, Exit::Failure(message)).await;
}

async fn finish(session: Session, exit: Exit) {
    let Session { status, stdout, stderr, .. } = session;
    drop((stdout, stderr));
    status.finish(exit).await;
}
