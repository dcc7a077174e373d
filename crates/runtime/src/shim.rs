//! The runtime's side of shims: the program, starting one, and talking to it.

mod program;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use shim::frame::{self, Reader};
use shim::protocol::{Answer, Event, Hello, Request, Running, SANDBOX, SOCKET, VERSIONS, Welcome};
use shim::spec;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

pub(crate) use program::Program;

use crate::crash::point;
use crate::error::{Attempt as _, Error, Result, blocking};

/// A shim answers requests at once, but for starts, which wait for mounts, and shutdowns.
const PATIENCE: Duration = Duration::from_secs(60);

/// The file in a sandbox's directory that its shim keeps locked, from before it is started until after its end.
const LOCK: &str = "lock";

/// How long a shim that an earlier run has started may need until it serves; and between two looks.
const ARRIVAL: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(2);

/// A shim, by the directory of its sandbox. Each request has a connection of its own.
#[derive(Clone, Debug)]
pub(crate) struct Shim(PathBuf);

impl Shim {
    /// Starts a shim that holds a sandbox.
    pub(crate) async fn start(program: &Path, directory: PathBuf, sandbox: &spec::Sandbox) -> Result<Self> {
        let what = || format!("starting the shim of sandbox {}", sandbox.id);
        let bytes = serde_json::to_vec(sandbox).attempt(what)?;
        crate::layout::replace(&directory.join(SANDBOX), &bytes).attempt(what)?;
        let lock = File::create(directory.join(LOCK)).attempt(what)?;
        lock.try_lock().attempt(what)?;
        let mut command = tokio::process::Command::new(program);
        command.arg("run").arg(&directory).env_clear().kill_on_drop(true);
        command.stdin(Stdio::from(lock)).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = tokio::time::timeout(PATIENCE, command.output()).await.attempt(what)?.attempt(what)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(Error::Shim(format!("{}: {message}", what())));
        }
        Ok(Self(directory))
    }

    /// The shim that may be found at a sandbox's directory.
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Asks for something that is done at once.
    pub(crate) async fn call(&self, request: Request) -> Result<Answer> {
        self.exchange(request, Vec::new()).await.map(|(answer, _)| answer)
    }

    /// Asks for something with descriptors in either direction.
    pub(crate) async fn exchange(&self, request: Request, carried: Vec<OwnedFd>) -> Result<(Answer, Vec<OwnedFd>)> {
        let directory = self.0.clone();
        blocking(move || {
            let mut connection = Connection::open(&directory)?;
            connection.ask(&request, carried)
        })
        .await
    }

    /// Asks for something that is followed by events.
    pub(crate) async fn open(&self, request: Request, carried: Vec<OwnedFd>) -> Result<(Answer, Vec<OwnedFd>, Events)> {
        let directory = self.0.clone();
        let (answer, descriptors, connection) = blocking(move || {
            let mut connection = Connection::open(&directory)?;
            let (answer, descriptors) = connection.ask(&request, carried)?;
            connection.stream.set_nonblocking(true).attempt(|| "talking to a shim".into())?;
            Ok((answer, descriptors, connection))
        })
        .await?;
        let stream = tokio::net::UnixStream::from_std(connection.stream).attempt(|| "talking to a shim".into())?;
        Ok((answer, descriptors, Events { stream, reader: connection.reader }))
    }

    /// What the shim holds, and what happens to it from then on.
    pub(crate) async fn watch(&self) -> Result<Found> {
        match self.open(Request::Watch, Vec::new()).await? {
            (Answer::State { containers }, _, events) => Ok((containers, events)),
            (answer, ..) => Err(unexpected(&answer)),
        }
    }
}

/// What a shim holds, and what happens to it from then on.
pub(crate) type Found = (Vec<Running>, Events);

impl Shim {
    /// Finds the shim that an earlier run has started, even if it does not serve yet; none when there is no shim.
    ///
    /// # Errors
    /// When it speaks none of our versions.
    pub(crate) async fn find(&self) -> Result<Option<Found>> {
        let patience = Instant::now() + ARRIVAL;
        loop {
            match self.watch().await {
                Ok(found) => return Ok(Some(found)),
                Err(e @ Error::Version(_)) => return Err(e),
                Err(_) if !self.is_there() => return Ok(None),
                Err(e) if Instant::now() > patience => {
                    tracing::warn!(sandbox = name(&self.0), error = e.words(), "a shim does not answer");
                    return Ok(None);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Ends the shim, and with it everything in the sandbox. One that is not there is no error.
    pub(crate) async fn end(&self) -> Result<()> {
        let patience = Instant::now() + PATIENCE;
        loop {
            // One that is on its way does not answer yet, one that has ended does not any more.
            let asked = self.call(Request::Shutdown).await;
            if !self.is_there() {
                return Ok(());
            }
            if Instant::now() > patience {
                asked?;
                return Err(Error::Timeout(format!("the shim of sandbox {} does not end", name(&self.0))));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether there is a shim, or one on its way. Those of earlier releases hold no lock, but can be connected to.
    fn is_there(&self) -> bool {
        let lock = File::open(self.0.join(LOCK)).map(|file| file.try_lock());
        matches!(lock, Ok(Err(TryLockError::WouldBlock))) || connect(&self.0).is_ok()
    }
}

/// What was not to be answered.
pub(crate) fn unexpected(answer: &Answer) -> Error {
    Error::Shim(format!("the shim gave an answer that does not belong to the request: {answer:?}"))
}

/// Events of a shim. Dropping it ends what was asked for.
#[derive(Debug)]
pub(crate) struct Events {
    stream: tokio::net::UnixStream,
    reader: Reader,
}

impl Events {
    /// The next event; none when the shim is gone. Nothing is lost when it is not awaited to the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let mut chunk = [0; 4096];
        loop {
            match self.reader.take::<Event>() {
                Ok(Some((event, _))) => return Some(event),
                Ok(None) => {}
                Err(_) => return None,
            }
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.reader.push(&chunk[..read]),
            }
        }
    }
}

/// A connection whose version is settled.
struct Connection {
    stream: UnixStream,
    reader: Reader,
}

impl Connection {
    fn open(directory: &Path) -> Result<Self> {
        let what = || format!("connecting to the shim of sandbox {}", name(directory));
        let stream = connect(directory).attempt(what)?;
        stream.set_read_timeout(Some(PATIENCE)).attempt(what)?;
        stream.set_write_timeout(Some(PATIENCE)).attempt(what)?;
        let mut reader = Reader::default();
        frame::send::<_, OwnedFd>(&stream, &Hello { versions: VERSIONS.to_vec() }, &[]).attempt(what)?;
        match frame::receive(&stream, &mut reader).attempt(what)?.0 {
            Welcome::Speak { .. } => Ok(Self { stream, reader }),
            Welcome::Refused { message } => Err(Error::Version(format!("{}: {message}", what()))),
        }
    }

    fn ask(&mut self, request: &Request, carried: Vec<OwnedFd>) -> Result<(Answer, Vec<OwnedFd>)> {
        let what = || "talking to a shim".into();
        frame::send(&self.stream, request, &carried).attempt(what)?;
        point("a shim has been asked");
        drop(carried);
        match frame::receive(&self.stream, &mut self.reader).attempt(what)? {
            (Answer::Failed { message }, _) => Err(Error::Shim(message)),
            answer => Ok(answer),
        }
    }
}

/// Goes through the directory's descriptor: socket addresses are short, paths are not.
fn connect(directory: &Path) -> io::Result<UnixStream> {
    let directory: File =
        OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(directory)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()))
}

fn name(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
