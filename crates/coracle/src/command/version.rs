//! `coracle version`.

use crate::Failure;
use crate::grammar::{Format, Version};

/// The Kubernetes version that this build speaks.
const KUBERNETES: &str = "v1.36";

#[expect(clippy::print_stdout, reason = "the version is what the user asked for")]
pub(crate) fn run(options: &Version) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match options.output.output {
        Format::Text => println!("coracle {version} (Kubernetes {KUBERNETES})"),
        Format::Json => println!("{}", serde_json::json!({ "coracle": version, "kubernetes": KUBERNETES })),
    }
    Ok(())
}
