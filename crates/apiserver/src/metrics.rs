//! Counters in the Prometheus text format, under upstream's names.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

use crate::request::{RequestInfo, Verb};

/// Upper bounds of the buckets for request durations, in seconds.
const BUCKETS: [f64; 12] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 10.0, 60.0];
/// Label sets kept; requests for made-up resources must not fill the memory.
const SERIES: usize = 4096;

/// What the server counts.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Labels, Series>>,
    reading: AtomicI64,
    mutating: AtomicI64,
    long_running: AtomicI64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    verb: Verb,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    code: u16,
}

#[derive(Debug, Default)]
struct Series {
    count: u64,
    sum: f64,
    buckets: [u64; BUCKETS.len()],
}

/// A request being served; ends when dropped.
#[derive(Debug)]
pub struct InFlight<'a>(&'a AtomicI64);

impl Metrics {
    pub fn begin(&self, info: &RequestInfo) -> InFlight<'_> {
        let gauge = match (info.is_long_running(), info.verb.is_mutating()) {
            (true, _) => &self.long_running,
            (false, true) => &self.mutating,
            (false, false) => &self.reading,
        };
        gauge.fetch_add(1, Ordering::Relaxed);
        InFlight(gauge)
    }

    pub fn count(&self, info: &RequestInfo, status: StatusCode, took: Duration) {
        let labels = Labels::of(info, status);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= SERIES && !series.contains_key(&labels) {
            return;
        }
        series.entry(labels).or_default().add(took.as_secs_f64());
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        out.push_str("# HELP apiserver_request_total Counter of apiserver requests.\n");
        out.push_str("# TYPE apiserver_request_total counter\n");
        for (labels, series) in series.iter() {
            let _ = writeln!(out, "apiserver_request_total{{code=\"{}\",{labels}}} {}", labels.code, series.count);
        }
        out.push_str("# HELP apiserver_request_duration_seconds Response latency distribution in seconds.\n");
        out.push_str("# TYPE apiserver_request_duration_seconds histogram\n");
        for (labels, series) in series.iter().filter(|(labels, _)| labels.code < 300) {
            series.render(&mut out, labels);
        }
        out.push_str("# HELP apiserver_current_inflight_requests Requests being served, by kind.\n");
        out.push_str("# TYPE apiserver_current_inflight_requests gauge\n");
        for (kind, gauge) in [("mutating", &self.mutating), ("readOnly", &self.reading)] {
            let value = gauge.load(Ordering::Relaxed);
            let _ = writeln!(out, "apiserver_current_inflight_requests{{request_kind=\"{kind}\"}} {value}");
        }
        out.push_str("# HELP apiserver_longrunning_requests Requests being served that last by nature.\n");
        out.push_str("# TYPE apiserver_longrunning_requests gauge\n");
        let _ = writeln!(out, "apiserver_longrunning_requests {}", self.long_running.load(Ordering::Relaxed));
        out
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Labels {
    fn of(info: &RequestInfo, status: StatusCode) -> Self {
        let target = info.target.as_ref();
        let text = |pick: fn(&crate::request::Target) -> &String| target.map(pick).cloned().unwrap_or_default();
        let scope = match target {
            None => "",
            Some(target) if !target.name.is_empty() => "resource",
            Some(target) if !target.namespace.is_empty() => "namespace",
            Some(_) => "cluster",
        };
        Self {
            verb: info.verb,
            group: text(|target| &target.group),
            version: text(|target| &target.version),
            resource: text(|target| &target.resource),
            subresource: text(|target| &target.subresource),
            scope,
            code: status.as_u16(),
        }
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = self.verb.as_str().to_uppercase();
        write!(
            f,
            "group={:?},resource={:?},scope={:?},subresource={:?},verb={verb:?},version={:?}",
            self.group, self.resource, self.scope, self.subresource, self.version
        )
    }
}

impl Series {
    fn add(&mut self, seconds: f64) {
        self.count += 1;
        self.sum += seconds;
        if let Some(bucket) = BUCKETS.iter().position(|bound| seconds <= *bound) {
            self.buckets[bucket] += 1;
        }
    }

    fn render(&self, out: &mut String, labels: &Labels) {
        let mut total = 0;
        for (bound, count) in BUCKETS.iter().zip(self.buckets) {
            total += count;
            let _ = writeln!(out, "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {total}");
        }
        let _ = writeln!(out, "apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(out, "apiserver_request_duration_seconds_sum{{{labels}}} {}", self.sum);
        let _ = writeln!(out, "apiserver_request_duration_seconds_count{{{labels}}} {}", self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted() {
        let metrics = Metrics::default();
        let info = RequestInfo::parse(&http::Method::GET, &"/api/v1/pods".parse().expect("a uri")).expect("a request");
        metrics.count(&info, StatusCode::OK, Duration::from_millis(30));
        metrics.count(&info, StatusCode::OK, Duration::from_millis(1));
        let text = metrics.render();
        let line = r#"apiserver_request_total{code="200",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 2"#;
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains(r#"version="v1",le="0.025"} 1"#) && text.contains(r#"version="v1",le="0.05"} 2"#),
            "{text}"
        );
    }
}
