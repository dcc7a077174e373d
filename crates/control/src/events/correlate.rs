//! Which events are repeats of one another: upstream's spam filter, aggregation of similar events, and counting of equal ones.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::plan::Report;

/// Keys remembered; when there are more, the least recently used half is forgotten.
const REMEMBERED: usize = 4096;
/// Events of one component about one object at once, and the time in which one more becomes possible.
const BURST: f64 = 25.0;
const REFILL: SignedDuration = SignedDuration::from_mins(5);
/// Similar events (differing in message only) within the window before they are merged into one.
const SIMILAR: usize = 10;
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
const MERGED_PREFIX: &str = "(combined from similar events): ";

/// An event to write: a new object, or one more count of the object `name`.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) report: Report,
    pub(super) count: i32,
    pub(super) first: Timestamp,
    pub(super) name: Option<String>,
    key: String,
}

#[derive(Debug, Default)]
pub(super) struct Correlator {
    buckets: BTreeMap<String, Bucket>,
    similar: BTreeMap<String, Similar>,
    counts: BTreeMap<String, Counted>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

#[derive(Debug)]
struct Similar {
    messages: Vec<String>,
    at: Timestamp,
}

#[derive(Debug)]
struct Counted {
    count: i32,
    first: Timestamp,
    name: Option<String>,
    at: Timestamp,
}

impl Correlator {
    /// What to write for `report`; `None` when the component says too much about the object.
    pub(super) fn take(&mut self, now: Timestamp, component: &str, mut report: Report) -> Option<Merged> {
        let about = &report.regarding;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let object = [component, &text(&about.kind), &text(&about.namespace), &text(&about.name), &text(&about.uid)]
            .join("\u{0}");
        if !self.admit(now, &object) {
            return None;
        }
        let kind = format!("{object}\u{0}{}\u{0}{}", report.warning, report.reason);
        let merged = self.is_one_of_many(now, &kind, &report.message);
        let key = if merged { kind } else { format!("{kind}\u{0}{}", report.message) };
        if merged {
            report.message.insert_str(0, MERGED_PREFIX);
        }
        forget(&mut self.counts, |counted| counted.at);
        let counted = self.counts.entry(key.clone()).or_insert(Counted { count: 0, first: now, name: None, at: now });
        counted.count = counted.count.saturating_add(1);
        counted.at = now;
        Some(Merged { report, count: counted.count, first: counted.first, name: counted.name.clone(), key })
    }

    /// The event was created under `name`; repeats count there.
    pub(super) fn written(&mut self, merged: &Merged, name: String) {
        if let Some(counted) = self.counts.get_mut(&merged.key) {
            counted.name = Some(name);
        }
    }

    fn admit(&mut self, now: Timestamp, object: &str) -> bool {
        forget(&mut self.buckets, |bucket| bucket.at);
        let bucket = self.buckets.entry(object.to_owned()).or_insert(Bucket { tokens: BURST, at: now });
        let refilled = now.duration_since(bucket.at).as_secs_f64() / REFILL.as_secs_f64();
        bucket.tokens = (bucket.tokens + refilled).min(BURST);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    fn is_one_of_many(&mut self, now: Timestamp, kind: &str, message: &str) -> bool {
        forget(&mut self.similar, |similar| similar.at);
        let similar = self.similar.entry(kind.to_owned()).or_insert(Similar { messages: Vec::new(), at: now });
        if now.duration_since(similar.at) > WINDOW {
            similar.messages.clear();
        }
        similar.at = now;
        if !similar.messages.iter().any(|known| known == message) && similar.messages.len() < SIMILAR {
            similar.messages.push(message.to_owned());
        }
        similar.messages.len() >= SIMILAR
    }
}

/// Keeps `entries` bounded.
fn forget<T>(entries: &mut BTreeMap<String, T>, at: impl Fn(&T) -> Timestamp) {
    if entries.len() < REMEMBERED {
        return;
    }
    let mut times: Vec<Timestamp> = entries.values().map(&at).collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    entries.retain(|_, entry| at(entry) > median);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(message: &str) -> Report {
        Report { regarding: Default::default(), warning: false, reason: "Tested", message: message.to_owned() }
    }

    #[test]
    fn equal_events_count() {
        let (mut correlator, now) = (Correlator::default(), Timestamp::UNIX_EPOCH);
        let first = correlator.take(now, "c", report("same")).unwrap();
        assert_eq!((first.count, &first.name), (1, &None));
        correlator.written(&first, "event-1".into());
        let second = correlator.take(now, "c", report("same")).unwrap();
        assert_eq!((second.count, second.name.as_deref()), (2, Some("event-1")));
        assert_eq!(correlator.take(now, "c", report("other")).unwrap().count, 1);
    }

    #[test]
    fn many_similar_events_become_one() {
        let (mut correlator, now) = (Correlator::default(), Timestamp::UNIX_EPOCH);
        let messages: Vec<String> =
            (0..12).map(|n| correlator.take(now, "c", report(&n.to_string())).unwrap().report.message).collect();
        assert_eq!(messages[8], "8");
        assert_eq!(messages[11], format!("{MERGED_PREFIX}11"));
    }

    #[test]
    fn a_chatterer_is_silenced_and_recovers() {
        let (mut correlator, now) = (Correlator::default(), Timestamp::UNIX_EPOCH);
        let told = (0..40).filter(|_| correlator.take(now, "c", report("same")).is_some()).count();
        assert_eq!(told, 25);
        assert!(correlator.take(now + REFILL, "c", report("same")).is_some());
        assert!(correlator.take(now + REFILL, "c", report("same")).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut correlator = Correlator::default();
        for n in 0..10_000_i32 {
            let now = Timestamp::from_second(i64::from(n)).unwrap();
            correlator.take(now, &n.to_string(), report("m"));
        }
        assert!(correlator.counts.len() <= REMEMBERED && correlator.buckets.len() <= REMEMBERED);
    }
}
