//! The outer frame: nothing that goes wrong inside ends the connection, every request is counted and waited for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use http::{HeaderValue, header};

use super::{Exchange, Layer, Next, Response};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::respond;

/// Turns a panic into a 500.
pub struct PanicRecovery;

#[async_trait]
impl Layer for PanicRecovery {
    fn name(&self) -> &'static str {
        "panic-recovery"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        let info = exchange.info.clone();
        match AssertUnwindSafe(next.run(exchange)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::error!(verb = %info.verb, path = info.path, "serving a request panicked");
                Err(Error::internal("the server failed while serving the request; its log says more"))
            }
        }
    }
}

/// Tells caches that nothing here may be kept.
pub struct CacheControl;

#[async_trait]
impl Layer for CacheControl {
    fn name(&self) -> &'static str {
        "cache-control"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        let mut response = respond::settle(exchange, next).await;
        let headers = response.headers_mut();
        if !headers.contains_key(header::CACHE_CONTROL) {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        }
        Ok(response)
    }
}

/// Counts and times requests.
pub struct Tracking {
    pub metrics: Arc<Metrics>,
}

#[async_trait]
impl Layer for Tracking {
    fn name(&self) -> &'static str {
        "tracking"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        let info = exchange.info.clone();
        let started = tokio::time::Instant::now();
        let _inflight = self.metrics.begin(&info);
        let response = respond::settle(exchange, next).await;
        self.metrics.count(&info, response.status(), started.elapsed());
        Ok(response)
    }
}
