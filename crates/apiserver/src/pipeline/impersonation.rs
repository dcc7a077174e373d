//! Acting as somebody else.

use async_trait::async_trait;

use super::{Exchange, Layer, Next, Response};
use crate::error::{About, Error, Result};

const HEADERS: &str = "impersonate-";

/// Where `Impersonate-User` and its kin are handled. They are not supported yet; ignoring them would let a caller do
/// with its own rights what it meant to do with lesser ones, so such requests are refused.
pub struct Impersonation;

#[async_trait]
impl Layer for Impersonation {
    fn name(&self) -> &'static str {
        "impersonation"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        if exchange.parts.headers.keys().any(|name| name.as_str().starts_with(HEADERS)) {
            let about = About { group: "", resource: "users" };
            return Err(Error::forbidden(about, "", "impersonation is not supported by this server yet"));
        }
        next.run(exchange).await
    }
}
