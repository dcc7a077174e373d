//! The version that the server reports: the Kubernetes version it behaves as, and its own.

use serde_json::{Value, json};

/// The version of the API that is served.
pub const GIT_VERSION: &str = concat!("v1.36.0+coracle-", env!("CARGO_PKG_VERSION"));

/// The body of `/version`.
#[must_use]
pub fn info() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": platform(),
    })
}

/// In Go's words, which clients compare.
fn platform() -> String {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}/{machine}", std::env::consts::OS)
}
