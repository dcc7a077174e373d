//! From single looks to a verdict: so many in a row. Pure.

use k8s_openapi::api::core::v1::Probe;

use super::{Kind, Outcome};

/// Counts outcomes of one probe of one container.
#[derive(Debug, Clone)]
pub struct Counter {
    success_threshold: u32,
    failure_threshold: u32,
    last: bool,
    run: u32,
    verdict: Option<bool>,
}

impl Counter {
    #[must_use]
    pub fn new(kind: Kind, probe: &Probe) -> Self {
        let threshold =
            |given: Option<i32>, default| given.and_then(|n| u32::try_from(n).ok()).unwrap_or(default).max(1);
        // a container is taken for alive and not for ready until its probes say otherwise
        let verdict = match kind {
            Kind::Liveness => Some(true),
            Kind::Readiness => Some(false),
            Kind::Startup => None,
        };
        Self {
            success_threshold: threshold(probe.success_threshold, 1),
            failure_threshold: threshold(probe.failure_threshold, 3),
            last: false,
            run: 0,
            verdict,
        }
    }

    /// Takes an outcome; returns the verdict if it changes.
    pub fn count(&mut self, outcome: &Outcome) -> Option<bool> {
        let success = match outcome {
            Outcome::Success => true,
            Outcome::Failure(_) => false,
            Outcome::Error(_) => return None,
        };
        self.run = if self.last == success { self.run + 1 } else { 1 };
        self.last = success;
        let needed = if success { self.success_threshold } else { self.failure_threshold };
        if self.run < needed || self.verdict == Some(success) {
            return None;
        }
        self.verdict = Some(success);
        Some(success)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `outcomes`: `+` success, `-` failure, `e` error; `expected`: the verdict after each, `.` for no change.
    fn check(kind: Kind, success: i32, failure: i32, outcomes: &str, expected: &str) {
        let probe = Probe { success_threshold: Some(success), failure_threshold: Some(failure), ..Default::default() };
        let mut counter = Counter::new(kind, &probe);
        let got: String = outcomes
            .chars()
            .map(|c| match c {
                '+' => Outcome::Success,
                '-' => Outcome::Failure(String::new()),
                _ => Outcome::Error(String::new()),
            })
            .map(|outcome| match counter.count(&outcome) {
                Some(true) => '+',
                Some(false) => '-',
                None => '.',
            })
            .collect();
        assert_eq!(got, expected, "{kind:?} {outcomes}");
    }

    #[test]
    fn verdicts() {
        check(Kind::Liveness, 1, 3, "+--+---", "......-");
        check(Kind::Readiness, 2, 1, "-+++-+", "..+.-.");
        check(Kind::Startup, 1, 2, "-+", ".+");
        check(Kind::Startup, 1, 2, "-e-", "..-");
    }
}
