//! Exponential back-off with jitter from the host's entropy.

use std::time::Duration;

use host::Entropy;

/// Doubling delays from `first` to `limit`, each stretched by up to the same again, so that many clients spread out.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    #[must_use]
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, next: first }
    }

    /// The delay before the next try.
    pub fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.limit);
        delay.mul_f64(1.0 + entropy.fraction())
    }

    /// A success: the next failure starts from the beginning.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::SeededEntropy;

    #[test]
    fn delays_double_up_to_the_limit_and_start_again_after_a_success() {
        let entropy = SeededEntropy::new(1);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let base = [100, 200, 400, 800, 1000, 1000].map(Duration::from_millis);
        for expected in base {
            let delay = backoff.next(&entropy);
            assert!(delay >= expected && delay < expected * 2, "{delay:?} is not about {expected:?}");
        }
        backoff.reset();
        assert!(backoff.next(&entropy) < Duration::from_millis(200));
    }
}
