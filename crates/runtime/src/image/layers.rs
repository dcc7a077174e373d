//! Unpacked layers, by the digest of their uncompressed form, shared between images.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::error::{Attempt as _, Error, Result, blocking};
use crate::layout::{Layout, remove_directory, replace};
use crate::shim::Program;

/// Characters of the digest that name a layer: enough to be unique, few enough for many in one mount.
const NAME: usize = 24;

/// The unpacked files, in a layer's directory.
const FILES: &str = "fs";

/// `bytes inodes` of them.
const USAGE: &str = "usage";

/// Unfinished and doomed directories begin with it.
const TEMPORARY: char = '.';

/// What is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

/// The layers of an instance; cheap to clone.
#[derive(Clone)]
pub(crate) struct Layers {
    directory: PathBuf,
    program: Program,
    /// Layers that an image about to be recorded stands on, with the number of such images.
    held: Arc<Mutex<BTreeMap<String, usize>>>,
    /// One at a time for each layer.
    locks: Arc<Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Keeps layers from being collected.
pub(crate) struct Hold {
    layers: Layers,
    names: Vec<String>,
}

impl Layers {
    /// Clears away what an earlier run left unfinished.
    pub(super) fn open(layout: &Layout, program: Program) -> io::Result<Self> {
        let directory = layout.layers();
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
                remove_directory(&entry.path())?;
            }
        }
        Ok(Self { directory, program, held: Arc::default(), locks: Arc::default() })
    }

    /// The name of the layer with a digest.
    pub(crate) fn name(diff_id: &str) -> Result<String> {
        let hex = diff_id.strip_prefix("sha256:").filter(|hex| hex.len() == 64).unwrap_or_default();
        let name = hex.get(..NAME).filter(|_| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        name.map(str::to_owned)
            .ok_or_else(|| Error::Invalid(format!("layer digest {diff_id:?} is not a sha256 digest")))
    }

    /// What layers are relative to in a mount.
    pub(crate) fn base(&self) -> &Path {
        &self.directory
    }

    /// A layer's files, relative to the base.
    pub(crate) fn relative(name: &str) -> String {
        format!("{name}/{FILES}")
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.directory.join(name).is_dir()
    }

    pub(super) fn hold(&self, names: Vec<String>) -> Hold {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().for_each(|name| *held.entry(name.clone()).or_default() += 1);
        Hold { layers: self.clone(), names }
    }

    /// Unpacks a layer, unless it is there. Returns after the input has been read to its end, checked by its reader.
    /// Whoever loses interest says so through `stop` and waits still: what is half unpacked is then cleared away.
    pub(super) async fn add<R, F>(
        &self,
        diff_id: &str,
        input: impl FnOnce() -> F,
        stop: &CancellationToken,
    ) -> Result<()>
    where
        R: AsyncRead + Unpin,
        F: Future<Output = Result<R>>,
    {
        let name = Self::name(diff_id)?;
        let lock = self.lock(&name);
        let _guard = lock.lock().await;
        if self.has(&name) {
            return Ok(());
        }
        let temporary = self.directory.join(format!("{TEMPORARY}{name}"));
        let files = temporary.join(FILES);
        let what = || format!("unpacking layer {diff_id}");
        remove_directory(&temporary).and_then(|()| fs::create_dir_all(&files)).attempt(what)?;
        let result = match input().await {
            Ok(input) => self.unpack(&files, diff_id, input, stop).await,
            Err(e) => Err(e),
        };
        match result {
            Ok(usage) => {
                let text = format!("{} {}", usage.bytes, usage.inodes);
                replace(&temporary.join(USAGE), text.as_bytes()).attempt(what)?;
                fs::rename(&temporary, self.directory.join(&name)).attempt(what)
            }
            Err(e) => {
                blocking(move || remove_directory(&temporary).attempt(|| "clearing away a layer".into())).await?;
                Err(e)
            }
        }
    }

    async fn unpack(
        &self,
        files: &Path,
        diff_id: &str,
        mut input: impl AsyncRead + Unpin,
        stop: &CancellationToken,
    ) -> Result<Usage> {
        let what = || format!("unpacking layer {diff_id}");
        let mut command = tokio::process::Command::new(self.program.path());
        command.arg("unpack").arg(files).env_clear().kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().attempt(what)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                let copied = stop.run_until_cancelled(tokio::io::copy(&mut input, &mut stdin)).await;
                copied.unwrap_or_else(|| Err(io::Error::other("another layer could not be pulled")))?;
                stdin.shutdown().await?;
            }
            io::Result::Ok(())
        };
        let (fed, output) = tokio::join!(feed, child.wait_with_output());
        let output = output.attempt(what)?;
        if !output.status.success() {
            // What the input has to say, a failed download say, comes before what the unpacking made of it.
            if let Err(e) = fed
                && e.kind() != io::ErrorKind::BrokenPipe
            {
                return Err(e).attempt(what);
            }
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let ended = || format!("the unpacking program ended: {}", output.status);
            let message = if message.is_empty() { ended() } else { message };
            return Err(Error::Shim(format!("{}: {message}", what())));
        }
        fed.attempt(what)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (digest, usage) = text.trim().split_once(' ').unwrap_or_default();
        if digest != diff_id {
            return Err(Error::Invalid(format!("{}: its content has the digest {digest}", what())));
        }
        parse_usage(usage).ok_or_else(|| Error::Shim(format!("{}: no result", what())))
    }

    /// Makes sure that layers survive a loss of power.
    pub(super) async fn sync(&self) -> Result<()> {
        let directory = self.directory.clone();
        blocking(move || {
            let what = || "writing layers to disk".into();
            let file = fs::File::open(directory).attempt(what)?;
            nix::unistd::syncfs(&file).attempt(what)
        })
        .await
    }

    /// Removes layers that nothing stands on.
    pub(crate) async fn collect(&self, used: BTreeSet<String>) -> Result<()> {
        let layers = self.clone();
        blocking(move || {
            let what = || "removing unused layers".into();
            let mut doomed = Vec::new();
            {
                let held = layers.held.lock().unwrap_or_else(PoisonError::into_inner);
                for entry in fs::read_dir(&layers.directory).attempt(what)? {
                    let name = entry.attempt(what)?.file_name().to_string_lossy().into_owned();
                    if name.starts_with(TEMPORARY) || used.contains(&name) || held.contains_key(&name) {
                        continue;
                    }
                    let trash = layers.directory.join(format!("{TEMPORARY}removed-{name}"));
                    fs::rename(layers.directory.join(&name), &trash).attempt(what)?;
                    doomed.push(trash);
                }
            }
            doomed.iter().try_for_each(|trash| remove_directory(trash)).attempt(what)
        })
        .await
    }

    /// What all layers take.
    pub(crate) fn usage(&self) -> Usage {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let usages = entries.filter_map(|entry| parse_usage(&fs::read_to_string(entry.path().join(USAGE)).ok()?));
        usages.fold(Usage::default(), |sum, usage| Usage {
            bytes: sum.bytes + usage.bytes,
            inodes: sum.inodes + usage.inodes,
        })
    }

    fn lock(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(name.to_owned()).or_default().clone()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.layers.held.lock().unwrap_or_else(PoisonError::into_inner);
        for name in &self.names {
            if let Some(count) = held.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    held.remove(name);
                }
            }
        }
    }
}

fn parse_usage(text: &str) -> Option<Usage> {
    let (bytes, inodes) = text.trim().split_once(' ')?;
    Some(Usage { bytes: bytes.parse().ok()?, inodes: inodes.parse().ok()? })
}

/// Reads at most `limit` bytes, and refuses more.
pub(super) async fn read_bounded(input: impl AsyncRead + Unpin, limit: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes).await.attempt(|| format!("reading {what}"))?;
    if bytes.len() as u64 > limit {
        return Err(Error::Invalid(format!("{what} has more than {limit} bytes")));
    }
    Ok(bytes)
}
