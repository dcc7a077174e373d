//! Who is served when there is more to do than can be done.

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{Exchange, Layer, Next, Response};
use crate::error::{Error, Result};
use crate::user::MASTERS;

/// Bounds on requests that are served at once. Those above it are refused, except for the masters' and lasting ones.
pub struct MaxInFlight {
    reading: Semaphore,
    mutating: Semaphore,
}

impl MaxInFlight {
    #[must_use]
    pub fn new(reading: usize, mutating: usize) -> Self {
        Self { reading: Semaphore::new(reading), mutating: Semaphore::new(mutating) }
    }
}

#[async_trait]
impl Layer for MaxInFlight {
    fn name(&self) -> &'static str {
        "fairness"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        if exchange.info.is_long_running() || exchange.user.is_in(MASTERS) {
            return next.run(exchange).await;
        }
        let pool = if exchange.info.verb.is_mutating() { &self.mutating } else { &self.reading };
        let Ok(_permit) = pool.try_acquire() else {
            return Err(Error::too_many_requests("Too many requests, please try again later.", 1));
        };
        next.run(exchange).await
    }
}
