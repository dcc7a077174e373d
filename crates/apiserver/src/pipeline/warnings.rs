//! Warnings: what the caller should know although the request succeeds.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::HeaderValue;

use super::{Exchange, Layer, Next, Response};
use crate::error::Result;
use crate::respond;

/// All warnings of one answer together are cut at this size, as upstream does.
const TOTAL: usize = 4 * 1024;

/// The warnings of one request; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds a warning; one that is there already is not repeated.
    pub fn add(&self, text: impl Into<String>) {
        let text = text.into();
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }

    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Puts the warnings of a request into `Warning` headers.
pub struct WarningRecorder;

#[async_trait]
impl Layer for WarningRecorder {
    fn name(&self) -> &'static str {
        "warnings"
    }

    async fn call(&self, exchange: Exchange, next: Next<'_>) -> Result<Response> {
        let warnings = exchange.warnings.clone();
        let mut response = respond::settle(exchange, next).await;
        let mut left = TOTAL;
        for text in warnings.texts() {
            let Some(rest) = left.checked_sub(text.len()) else { break };
            left = rest;
            if let Ok(value) = HeaderValue::from_bytes(header(&text).as_bytes()) {
                response.headers_mut().append(http::header::WARNING, value);
            }
        }
        Ok(response)
    }
}

/// `299 - "text"`: quotes and backslashes escaped, control characters dropped.
fn header(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 8);
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    format!("299 - \"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_quote() {
        assert_eq!(header("a \"b\"\n\\c"), r#"299 - "a \"b\"\\c""#);
    }

    #[test]
    fn repeated_ones_appear_once() {
        let warnings = Warnings::default();
        warnings.add("a");
        warnings.add("a");
        warnings.add("");
        assert_eq!(warnings.texts(), ["a"]);
    }
}
