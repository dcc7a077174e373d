//! `/livez`, `/readyz`, `/healthz`: named checks.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use host::Shutdown;
use http::StatusCode;
use store::Store;

use crate::cache::Cache;
use crate::error::{Error, Result, chain};
use crate::parameters::Query;
use crate::pipeline::Response;
use crate::respond;

/// What the checks look at.
pub(crate) struct Health {
    pub(crate) cache: Arc<Cache>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shutdown: Shutdown,
    /// Set once the objects that the server keeps are there.
    pub(crate) started: Arc<AtomicBool>,
}

/// A named check: which of the three paths have it, and what is wrong, if anything is.
struct Check {
    name: &'static str,
    live: bool,
    finds: fn(&Health) -> Option<String>,
}

const CHECKS: [Check; 6] = [
    Check { name: "ping", live: true, finds: |_| None },
    Check { name: "log", live: true, finds: |_| None },
    Check { name: "etcd", live: true, finds: |health| unless(health.cache.progress() > 0, "nothing has been read") },
    // Starting again does not help: reads and watches go on, and writes do as soon as they can.
    Check { name: "store-writable", live: false, finds: |health| health.store.trouble().map(|error| chain(&error)) },
    Check {
        name: "informer-sync",
        live: false,
        finds: |health| unless(health.cache.progress() > 0, "the watch cache is empty"),
    },
    Check {
        name: "poststarthook/bootstrap-objects",
        live: true,
        finds: |health| unless(health.started.load(Ordering::Acquire), "not finished"),
    },
];

const SHUTDOWN: Check = Check {
    name: "shutdown",
    live: false,
    finds: |health| unless(!health.shutdown.is_cancelled(), "process is shutting down"),
};

fn unless(well: bool, problem: &str) -> Option<String> {
    (!well).then(|| problem.to_owned())
}

impl Health {
    /// The answer to `/<path>` or `/<path>/<check>`.
    pub(crate) fn answer(&self, path: &str, check: Option<&str>, query: &Query) -> Result<Response> {
        let checks: Vec<&Check> =
            CHECKS.iter().chain([&SHUTDOWN]).filter(|check| check.live || path == "readyz").collect();
        if let Some(name) = check {
            let check = checks.into_iter().find(|check| check.name == name).ok_or_else(Error::no_such_path)?;
            return Ok(match (check.finds)(self) {
                None => text(StatusCode::OK, "ok".to_owned()),
                Some(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
            });
        }
        let excluded: Vec<&str> = query.all("exclude").collect();
        let mut lines = String::new();
        let mut healthy = true;
        for check in checks {
            let line = if excluded.contains(&check.name) {
                format!("[+]{} excluded: ok", check.name)
            } else if (check.finds)(self).is_none() {
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
