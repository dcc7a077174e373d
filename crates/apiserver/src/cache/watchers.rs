//! Who watches a resource, found by what changed, so that a change of one node's pod wakes that node's kubelet only.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::entry::Entry;
use super::event::Event;
use super::filter::Filter;

/// Events a watcher may be behind. A slower one is cut and starts again from the last revision it saw.
const QUEUE: usize = 8192;

/// What narrows a watch the most.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Trigger {
    Everything,
    Namespace(Box<str>),
    /// In any namespace.
    Name(Box<str>),
    /// The resource's trigger field has this value.
    Field(Box<str>),
}

/// The open watches of one resource.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_trigger: HashMap<Trigger, Vec<mpsc::Sender<Arc<Event>>>>,
    /// The number of the selectable field that watches are found by, if the resource has one.
    field: Option<usize>,
}

impl Watchers {
    pub(super) fn new(field: Option<usize>) -> Self {
        Self { by_trigger: HashMap::new(), field }
    }

    pub(super) fn add(&mut self, filter: &Filter) -> mpsc::Receiver<Arc<Event>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.by_trigger.entry(self.trigger(filter)).or_default().push(sender);
        receiver
    }

    /// Hands the event to those it may concern; drops those that are gone or too far behind.
    pub(super) fn send(&mut self, event: &Arc<Event>) {
        if self.by_trigger.is_empty() {
            return;
        }
        self.send_to(&Trigger::Everything, event);
        let (current, previous) = (event.current(), event.previous());
        if let Some(entry) = current.or(previous) {
            self.send_to(&Trigger::Namespace(entry.namespace().into()), event);
            self.send_to(&Trigger::Name(entry.name().into()), event);
        }
        let Some(index) = self.field else { return };
        let value = |entry: Option<&Arc<Entry>>| entry.and_then(|entry| entry.field(index)).map(Box::<str>::from);
        let (new, old) = (value(current), value(previous));
        if let Some(old) = old.filter(|old| new.as_ref() != Some(old)) {
            self.send_to(&Trigger::Field(old), event);
        }
        if let Some(new) = new {
            self.send_to(&Trigger::Field(new), event);
        }
    }

    /// Ends every watch.
    pub(super) fn cut(&mut self) {
        self.by_trigger.clear();
    }

    fn send_to(&mut self, trigger: &Trigger, event: &Arc<Event>) {
        let Some(senders) = self.by_trigger.get_mut(trigger) else { return };
        senders.retain(|sender| match sender.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(_)) => {
                tracing::warn!(key = event.key(), behind = QUEUE, "cutting a watcher that reads too slowly");
                false
            }
        });
        if senders.is_empty() {
            self.by_trigger.remove(trigger);
        }
    }

    fn trigger(&self, filter: &Filter) -> Trigger {
        if let Some(name) = &filter.name {
            return Trigger::Name(name.clone());
        }
        if let Some(value) = self.field.and_then(|index| filter.exact(index)) {
            return Trigger::Field(value.into());
        }
        filter.namespace.clone().map_or(Trigger::Everything, Trigger::Namespace)
    }

    pub(super) fn count(&self) -> usize {
        self.by_trigger.values().map(Vec::len).sum()
    }
}
