//! How long a request may take.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Exchange, Layer, Next, Response};
use crate::error::{Error, Result};
use crate::request::query;

/// Ends requests that do not last by nature after a while, or after the shorter `?timeout=` that the caller sets.
pub struct Deadline {
    pub limit: Duration,
}

#[async_trait]
impl Layer for Deadline {
    fn name(&self) -> &'static str {
        "deadline"
    }

    async fn call(&self, mut exchange: Exchange, next: Next<'_>) -> Result<Response> {
        if exchange.info.is_long_running() {
            return next.run(exchange).await;
        }
        let limit = requested(&exchange)?.map_or(self.limit, |wish| wish.min(self.limit));
        let deadline = Instant::now() + limit;
        exchange.deadline = Some(deadline);
        match tokio::time::timeout_at(deadline, next.run(exchange)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::timeout("request did not complete within the allotted timeout", 0)),
        }
    }
}

/// The `timeout` parameter: a Go duration of at least zero.
fn requested(exchange: &Exchange) -> Result<Option<Duration>> {
    if !exchange.parts.uri.query().is_some_and(|query| query.contains("timeout=")) {
        return Ok(None);
    }
    let query = query(&exchange.parts.uri);
    let Some((_, text)) = query.iter().find(|(name, value)| name == "timeout" && !value.is_empty()) else {
        return Ok(None);
    };
    let wish = parse_duration(text).ok_or_else(|| {
        Error::bad_request(format!("invalid timeout specified in the request URL - time: invalid duration {text:?}"))
    })?;
    Ok((!wish.is_zero()).then_some(wish))
}

/// `1m30s`, `1.5h`, `300ms`, `0`: what Go's `time.ParseDuration` reads, negative ones excepted.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = next;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1s", Some(1000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("300ms", Some(300)),
            ("", None),
            ("5", None),
            ("1x", None),
            ("-1s", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
