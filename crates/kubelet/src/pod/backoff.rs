//! Back-off of container restarts and image pulls: 10 s doubling to 5 min, forgotten after 10 quiet minutes.

use jiff::{SignedDuration, Timestamp};

/// The first delay.
pub const INITIAL: SignedDuration = SignedDuration::from_secs(10);
/// The longest delay.
pub const MAX: SignedDuration = SignedDuration::from_secs(300);
/// After this much time without a failure the sequence starts over.
const FORGET: SignedDuration = SignedDuration::from_secs(600);

/// How long the next attempt after a failure has to wait. The attempt after the very first failure does not wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    entry: Option<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    delay: SignedDuration,
    updated: Timestamp,
}

impl Backoff {
    /// No failure yet.
    pub const NONE: Self = Self { entry: None };

    /// The delay that applies to a failure at `failed`.
    #[must_use]
    pub fn delay(&self, failed: Timestamp) -> Option<SignedDuration> {
        self.entry.filter(|entry| !entry.forgotten(failed)).map(|entry| entry.delay)
    }

    /// When an attempt after the failure at `failed` may be made, if that lies after `now`.
    #[must_use]
    pub fn until(&self, failed: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let end = failed.saturating_add(self.delay(failed)?).ok()?;
        (end > now).then_some(end)
    }

    /// Records that an attempt is made at `now` after the failure at `failed`.
    pub fn advance(&mut self, failed: Timestamp, now: Timestamp) {
        let delay = self.delay(failed).map_or(INITIAL, |delay| (delay * 2).min(MAX));
        self.entry = Some(Entry { delay, updated: now });
    }

    pub fn reset(&mut self) {
        self.entry = None;
    }
}

impl Entry {
    fn forgotten(&self, at: Timestamp) -> bool {
        at.duration_since(self.updated) > FORGET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn delays_double_to_five_minutes() {
        let mut backoff = Backoff::default();
        let mut now = 1000;
        let mut delays = Vec::new();
        for _ in 0..8 {
            let failed = at(now);
            let wait = backoff.until(failed, failed).map_or(0, |end| end.as_second() - now);
            delays.push(wait);
            now += wait;
            backoff.advance(failed, at(now));
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn ten_quiet_minutes_start_over() {
        let mut backoff = Backoff::default();
        backoff.advance(at(0), at(0));
        backoff.advance(at(1), at(11));
        assert_eq!(backoff.delay(at(20)), Some(INITIAL * 2));
        assert_eq!(backoff.delay(at(612)), None);
        backoff.advance(at(612), at(612));
        assert_eq!(backoff.delay(at(613)), Some(INITIAL));
    }
}
