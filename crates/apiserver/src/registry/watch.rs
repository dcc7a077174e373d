//! Watches: events as a stream of JSON lines, or of protobuf frames.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use host::Shutdown;
use serde_json::json;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Registry, Scope, View};
use crate::cache::{Cache, Entry, Event, Filter, Shown, Subscription};
use crate::error::{Error, Result};
use crate::parameters::{Freshness, ListOptions};

/// Longest watch, whatever the caller asks for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Watches without a timeout end after this and up to twice this time, so that clients spread over servers.
const SHORTEST: Duration = Duration::from_secs(1800);
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A last bookmark is sent so long before the end.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// An open watch of one client.
struct Watching {
    cache: Arc<Cache>,
    filter: Filter,
    view: View,
    subscription: Subscription,
    /// Objects of the initial state that are still to be sent.
    initial: VecDeque<Arc<Entry>>,
    /// The client wants to know where the initial state ends.
    announce_end: bool,
    bookmarks: Option<Interval>,
    /// What was sent last stands for all changes up to here.
    revision: u64,
    deadline: Instant,
    last_call: bool,
    shutdown: Shutdown,
    ended: bool,
}

/// What comes next on a watch.
enum Next {
    Event(Arc<Event>),
    Bookmark,
    End,
}

impl Registry {
    /// The lines of a watch, as they come.
    pub(crate) async fn watch(
        &self,
        scope: &Scope<'_>,
        filter: Filter,
        view: View,
        options: &ListOptions,
    ) -> Result<BoxStream<'static, Bytes>> {
        let subscription = match self.subscribe(scope, &filter, options).await {
            Ok(subscription) => subscription,
            // Clients look for a revision that is gone in the stream, not in the status line.
            Err(error) if error.reason() == "Expired" => {
                return Ok(futures::stream::iter([view.failure(&error)]).boxed());
            }
            Err(error) => return Err(error),
        };
        let timeout = options
            .timeout_seconds
            .map_or_else(|| SHORTEST.mul_f64(1.0 + self.host.entropy.fraction()), Duration::from_secs)
            .min(LONGEST);
        let initial = subscription.initial.as_ref().filter(|_| options.send_initial_events != Some(false));
        let initial = initial.map(|objects| select(objects, &filter)).unwrap_or_default();
        let watching = Watching {
            cache: self.cache.clone(),
            revision: subscription.revision,
            initial,
            announce_end: options.send_initial_events == Some(true) && options.bookmarks,
            bookmarks: options.bookmarks.then(bookmark_interval),
            filter,
            view,
            subscription,
            deadline: Instant::now() + timeout,
            last_call: !options.bookmarks || timeout <= BOOKMARK_BEFORE_END,
            shutdown: self.host.shutdown(),
            ended: false,
        };
        let next = |mut watching: Watching| async move { Some((watching.next_frame().await?, watching)) };
        Ok(futures::stream::unfold(watching, next).boxed())
    }

    async fn subscribe(&self, scope: &Scope<'_>, filter: &Filter, options: &ListOptions) -> Result<Subscription> {
        let initial = options.send_initial_events;
        match options.freshness {
            Freshness::NotOlderThan(revision) | Freshness::Exact(revision) => {
                self.cache.wait(revision).await?;
                if initial == Some(true) {
                    return Ok(scope.resource.watch(filter));
                }
                scope.resource.watch_after(revision, filter).map_err(|error| Error::expired(error.to_string()))
            }
            Freshness::Any => Ok(scope.resource.watch(filter)),
            Freshness::Latest => {
                self.cache.fresh().await?;
                Ok(scope.resource.watch(filter))
            }
        }
    }
}

fn select(objects: &crate::cache::Sorted, filter: &Filter) -> VecDeque<Arc<Entry>> {
    let prefix = filter.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
    objects.under(&prefix).filter(|entry| filter.matches(entry)).cloned().collect()
}

fn bookmark_interval() -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARK_EVERY, BOOKMARK_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Watching {
    /// The next line; `None` at the end.
    async fn next_frame(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        match self.try_next().await {
            Ok(next) => next,
            Err(error) => {
                self.ended = true;
                Some(self.view.failure(&error))
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>> {
        if let Some(entry) = self.initial.pop_front() {
            return self.view.frame(Shown::Added, &entry).map(Some);
        }
        self.subscription.initial = None;
        if std::mem::take(&mut self.announce_end) {
            return self.bookmark(self.revision, true).map(Some);
        }
        loop {
            match self.next().await {
                Next::End => return Ok(None),
                Next::Bookmark => {
                    if let Some(bytes) = self.progress()? {
                        return Ok(Some(bytes));
                    }
                }
                Next::Event(event) => {
                    if let Some(bytes) = self.show(&event)? {
                        return Ok(Some(bytes));
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Next {
        if let Some(event) = self.subscription.backlog.pop_front() {
            return Next::Event(event);
        }
        let wake = if self.last_call { self.deadline } else { self.deadline - BOOKMARK_BEFORE_END };
        let tick = async {
            match &mut self.bookmarks {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            event = self.subscription.events.recv() => event.map_or(Next::End, Next::Event),
            () = tick => Next::Bookmark,
            () = tokio::time::sleep_until(wake) => {
                if std::mem::replace(&mut self.last_call, true) { Next::End } else { Next::Bookmark }
            }
            () = self.shutdown.cancelled() => Next::End,
        }
    }

    /// The line for an event, if it concerns this watch.
    fn show(&mut self, event: &Event) -> Result<Option<Bytes>> {
        self.revision = self.revision.max(event.revision());
        let Some(shown) = event.shown_to(&self.filter) else { return Ok(None) };
        let view = &self.view;
        event.rendered(shown, view.number(), |entry| view.frame(shown, entry)).map(Some)
    }

    /// A bookmark, unless events are waiting, which say more. The revision is read before the queue: everything up to it
    /// has been put in.
    fn progress(&mut self) -> Result<Option<Bytes>> {
        let revision = self.cache.progress().max(self.revision);
        match self.subscription.events.try_recv() {
            Ok(event) => {
                self.subscription.backlog.push_back(event);
                Ok(None)
            }
            Err(_) => {
                self.revision = revision;
                self.bookmark(revision, false).map(Some)
            }
        }
    }

    fn bookmark(&self, revision: u64, end_of_initial: bool) -> Result<Bytes> {
        let mut metadata = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if end_of_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        self.view.bookmark(metadata)
    }
}
