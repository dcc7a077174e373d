//! Who is served when there is more to do than can be done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Exchange, Layer, Next, Response};
use crate::body::Body;
use crate::error::{Error, Result};
use crate::user::MASTERS;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// How many bodies may be under way for each mutating request that may be served.
const ARRIVING: usize = 4;

/// Bounds on requests that are served at once. Those above it are refused, except for the masters' and lasting ones.
pub struct MaxInFlight {
    reading: Arc<Semaphore>,
    mutating: Arc<Semaphore>,
    /// Requests whose body is under way.
    arriving: Arc<Semaphore>,
}

/// The place of a request among those that are served at once.
#[derive(Debug, Default)]
pub struct Slot(Option<Held>);

#[derive(Debug)]
struct Held {
    pool: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
    /// Given back at the end, or when the body has not arrived yet.
    _permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Reads a body. While it is under way the place is others': a client that sends slowly keeps nobody out.
    ///
    /// # Errors
    /// 413 when it is too long, 408 when it takes too long, 429 when there are too many of them or no place is left.
    pub(crate) async fn read(&mut self, body: Body, limit: usize) -> Result<Bytes> {
        if body.is_at_hand() {
            return body.read(limit).await;
        }
        let full = || Error::too_many_requests("Too many requests, please try again later.", 1);
        let held = self.0.take();
        let arriving = held.as_ref().map(|held| held.arriving.clone().try_acquire_owned().map_err(|_| full()));
        let _arriving = arriving.transpose()?;
        let pool = held.map(|Held { pool, arriving, .. }| (pool, arriving));
        let read = tokio::time::timeout(ARRIVAL, body.read(limit)).await;
        let bytes = read.map_err(|_| Error::slow_body())??;
        if let Some((pool, arriving)) = pool {
            let _permit = pool.clone().try_acquire_owned().map_err(|_| full())?;
            self.0 = Some(Held { pool, arriving, _permit });
        }
        Ok(bytes)
    }
}

impl MaxInFlight {
    #[must_use]
    pub fn new(reading: usize, mutating: usize) -> Self {
        let pool = |places| Arc::new(Semaphore::new(places));
        Self { reading: pool(reading), mutating: pool(mutating), arriving: pool(ARRIVING * mutating) }
    }
}

#[async_trait]
impl Layer for MaxInFlight {
    fn name(&self) -> &'static str {
        "fairness"
    }

    async fn call(&self, mut exchange: Exchange, next: Next<'_>) -> Result<Response> {
        if exchange.info.is_long_running() || exchange.user.is_in(MASTERS) {
            return next.run(exchange).await;
        }
        let pool = if exchange.info.verb.is_mutating() { &self.mutating } else { &self.reading };
        let Ok(_permit) = pool.clone().try_acquire_owned() else {
            return Err(Error::too_many_requests("Too many requests, please try again later.", 1));
        };
        exchange.slot = Slot(Some(Held { pool: pool.clone(), arriving: self.arriving.clone(), _permit }));
        next.run(exchange).await
    }
}
