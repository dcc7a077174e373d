//! Audit: an id for every request; events are written once there is a policy and a backend for them.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;

use super::{Exchange, Layer, Next, Response};
use crate::error::Result;
use crate::respond;

const AUDIT_ID: &str = "audit-id";
const LONGEST_ID: usize = 64;

/// Takes the caller's `Audit-Id` or makes one, and answers with it.
pub struct AuditInit {
    pub entropy: Arc<dyn host::Entropy>,
}

#[async_trait]
impl Layer for AuditInit {
    fn name(&self) -> &'static str {
        "audit-init"
    }

    async fn call(&self, mut exchange: Exchange, next: Next<'_>) -> Result<Response> {
        let given = exchange.parts.headers.get(AUDIT_ID).and_then(|id| id.to_str().ok());
        exchange.audit_id = match given.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID) {
            Some(id) => id.to_owned(),
            None => self.entropy.uuid(),
        };
        let id = HeaderValue::from_str(&exchange.audit_id);
        let mut response = respond::settle(exchange, next).await;
        if let Ok(id) = id {
            response.headers_mut().insert(AUDIT_ID, id);
        }
        Ok(response)
    }
}

/// Where audit events are written. There is no audit policy yet, which upstream reads as: nothing is recorded.
pub struct Audit;

#[async_trait]
impl Layer for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        next.run(exchange).await
    }
}
