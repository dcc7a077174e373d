//! Waiting for a log to grow, to be rotated, or to end with its container.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::fs::File;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use crate::registry::View;

/// Follows one container's log.
#[derive(Debug)]
pub struct Follow {
    /// An inotify descriptor: readable like a pipe when something happens in the log's directory.
    directory: pipe::Receiver,
    view: watch::Receiver<Arc<View>>,
    container: String,
}

impl Follow {
    /// Watches the directory of the log at `path` and the state of `container`, by id.
    pub fn new(path: &Path, view: watch::Receiver<Arc<View>>, container: String) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let events = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVE;
        inotify.add_watch(path.parent().unwrap_or(path), events)?;
        let directory = pipe::Receiver::from_owned_fd_unchecked(OwnedFd::from(inotify))?;
        Ok(Self { directory, view, container })
    }

    /// Whether the container writes no more.
    pub(super) fn ended(&mut self) -> bool {
        let closed = self.view.has_changed().is_err();
        let view = self.view.borrow_and_update();
        let found = view.observed.containers.iter().find(|container| container.id == self.container);
        closed || found.is_none_or(|container| container.exit().is_some())
    }

    /// The file that took the place of `open` at `path`, if one did.
    pub(super) async fn rotated(&self, path: &Path, open: &File) -> Option<File> {
        let next = File::open(path).await.ok()?;
        let (old, new) = (open.metadata().await.ok()?, next.metadata().await.ok()?);
        (old.ino() != new.ino()).then_some(next)
    }

    /// Waits until something may have changed.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            biased;
            _ = self.view.changed() => {}
            _ = self.directory.readable() => {
                // what happened does not matter: the file itself is looked at
                while self.directory.try_read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
            }
        }
    }
}
