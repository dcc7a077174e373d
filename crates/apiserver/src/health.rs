//! `/livez`, `/readyz`, `/healthz`: named checks.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use host::Shutdown;
use http::StatusCode;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::parameters::Query;
use crate::pipeline::Response;
use crate::respond;

/// What the checks look at.
pub(crate) struct Health {
    pub(crate) cache: Arc<Cache>,
    pub(crate) shutdown: Shutdown,
    /// Set once the objects that the server keeps are there.
    pub(crate) started: Arc<AtomicBool>,
}

/// A named check: which of the three paths have it, and whether it passes.
struct Check {
    name: &'static str,
    live: bool,
    passes: fn(&Health) -> bool,
}

const CHECKS: [Check; 5] = [
    Check { name: "ping", live: true, passes: |_| true },
    Check { name: "log", live: true, passes: |_| true },
    Check { name: "etcd", live: true, passes: |health| health.cache.progress() > 0 },
    Check { name: "informer-sync", live: false, passes: |health| health.cache.progress() > 0 },
    Check {
        name: "poststarthook/bootstrap-objects",
        live: true,
        passes: |health| health.started.load(Ordering::Acquire),
    },
];

const SHUTDOWN: Check = Check { name: "shutdown", live: false, passes: |health| !health.shutdown.is_cancelled() };

impl Health {
    /// The answer to `/<path>` or `/<path>/<check>`.
    pub(crate) fn answer(&self, path: &str, check: Option<&str>, query: &Query) -> Result<Response> {
        let checks: Vec<&Check> =
            CHECKS.iter().chain([&SHUTDOWN]).filter(|check| check.live || path == "readyz").collect();
        if let Some(name) = check {
            let check = checks.into_iter().find(|check| check.name == name).ok_or_else(Error::no_such_path)?;
            return Ok(if (check.passes)(self) {
                text(StatusCode::OK, "ok".to_owned())
            } else {
                failed(path, String::new())
            });
        }
        let excluded: Vec<&str> = query.all("exclude").collect();
        let mut lines = String::new();
        let mut healthy = true;
        for check in checks {
            let line = if excluded.contains(&check.name) {
                format!("[+]{} excluded: ok", check.name)
            } else if (check.passes)(self) {
                format!("[+]{} ok", check.name)
            } else {
                healthy = false;
                format!("[-]{} failed: reason withheld", check.name)
            };
            let _ = writeln!(lines, "{line}");
        }
        Ok(match (healthy, query.boolean("verbose")?.unwrap_or(false)) {
            (false, _) => failed(path, lines),
            (true, true) => text(StatusCode::OK, format!("{lines}{path} check passed\n")),
            (true, false) => text(StatusCode::OK, "ok".to_owned()),
        })
    }
}

fn failed(path: &str, lines: String) -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{path} check failed\n"))
}

fn text(status: StatusCode, body: String) -> Response {
    let mut response = respond::full(status, respond::TEXT, body);
    let nosniff = http::HeaderValue::from_static("nosniff");
    response.headers_mut().insert(http::header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
