//! Lifecycle hooks of containers.

use std::net::IpAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;

use crate::context::Context;
use crate::pod::desired::Slot;
use crate::probe::{Outcome, http};

/// How long a postStart hook without a limit of its own may take.
pub const START_LIMIT: Duration = Duration::from_secs(600);

/// Runs a hook of the container `id`. The error is in words for an event.
pub async fn run(
    context: &Context,
    slot: &Slot,
    id: &str,
    handler: &LifecycleHandler,
    address: Option<IpAddr>,
    limit: Duration,
) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        let command = exec.command.as_deref().unwrap_or_default();
        let answer = context.runtime.exec(id, command, limit).await.map_err(|status| status.message().to_owned())?;
        return match answer.exit_code {
            0 => Ok(()),
            code => {
                let output = [answer.stdout, answer.stderr].concat();
                let output = String::from_utf8_lossy(&output[..output.len().min(1024)]).into_owned();
                Err(format!("command '{}' exited with {code}: {output}", command.join(" ")))
            }
        };
    }
    if let Some(action) = &handler.http_get {
        let address = address.ok_or("the pod has no address")?;
        let target = http::Target::new(action, &slot.container, address)?;
        return match http::get(&target, limit).await {
            Outcome::Success => Ok(()),
            Outcome::Failure(words) | Outcome::Error(words) => Err(words),
        };
    }
    if let Some(action) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(action.seconds).unwrap_or(0)).min(limit)).await;
        return Ok(());
    }
    Err("invalid handler: no known action is given".into())
}
