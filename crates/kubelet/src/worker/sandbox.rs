//! Sandboxes: making, stopping, removing them.

use std::path::PathBuf;
use std::sync::Arc;

use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::Api;

use super::{Done, Worker};
use crate::cgroup;
use crate::container::resources;
use crate::context::Context;
use crate::events::Level;
use crate::pod::desired::Desired;
use crate::sandbox::{self, Recipe, dns};

impl Worker {
    pub(super) fn create_sandbox(&mut self, attempt: u32) {
        self.memory.sandbox_busy = true;
        let (context, desired) = (self.context.clone(), self.desired.clone());
        let earlier: Vec<String> = self.observed.sandboxes.iter().map(|sandbox| sandbox.id.clone()).collect();
        if !earlier.is_empty() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            context.pod_event(&desired, Level::Normal, "SandboxChanged", message);
        }
        self.run_operation(async move { Done::Sandbox(replace(&context, &desired, attempt, &earlier).await) });
    }

    pub(super) fn stop_sandbox(&mut self, id: String) {
        self.memory.sandbox_busy = true;
        let (context, desired) = (self.context.clone(), self.desired.clone());
        self.run_operation(async move {
            if let Err(status) = context.runtime.stop_sandbox(&id).await {
                tracing::warn!(pod = desired.label(), %status, "stopping a sandbox");
                tokio::time::sleep(super::OBSERVE_RETRY).await;
            }
            Done::Sandbox(Ok(()))
        });
    }

    pub(super) fn remove_sandbox(&mut self, id: String) {
        self.memory.sandbox_busy = true;
        let (context, desired) = (self.context.clone(), self.desired.clone());
        self.run_operation(async move {
            if let Err(status) = context.runtime.remove_sandbox(&id).await {
                tracing::warn!(pod = desired.label(), %status, "removing a sandbox");
                tokio::time::sleep(super::OBSERVE_RETRY).await;
            }
            Done::Sandbox(Ok(()))
        });
    }
}

/// Makes a sandbox after the earlier ones have been stopped: one that died by itself still holds its network.
async fn replace(context: &Arc<Context>, desired: &Desired, attempt: u32, earlier: &[String]) -> Result<(), String> {
    for id in earlier {
        let stopped = context.runtime.stop_sandbox(id).await;
        stopped.map_err(|status| format!("Failed to stop sandbox \"{id}\": {}", rpc(&status)))?;
    }
    create(context, desired, attempt).await
}

/// Makes a sandbox. The error is in words for an event.
async fn create(context: &Arc<Context>, desired: &Desired, attempt: u32) -> Result<(), String> {
    let handler = handler(context, desired).await?;
    let config = config(context, desired, attempt).await?;
    let parent = config.linux.as_ref().map(|linux| linux.cgroup_parent.clone()).unwrap_or_default();
    let limits = resources::of_pod(&desired.pod);
    if let Err(error) = cgroup::prepare(&parent, &limits) {
        tracing::warn!(pod = desired.label(), %error, "preparing the pod's cgroup");
    }
    let made = context.runtime.run_sandbox(config, handler).await;
    made.map(drop).map_err(|status| format!("Failed to create pod sandbox: {}", rpc(&status)))
}

/// The sandbox's configuration; the container's creation wants it again.
pub(super) async fn config(
    context: &Context,
    desired: &Desired,
    attempt: u32,
) -> Result<cri::PodSandboxConfig, String> {
    let resolv = tokio::fs::read_to_string(&context.options.resolv_conf).await.unwrap_or_default();
    let log_directory: PathBuf = context.log_directory(desired);
    tokio::fs::create_dir_all(&log_directory)
        .await
        .map_err(|error| format!("Failed to create pod log directory {}: {error}", log_directory.display()))?;
    Ok(sandbox::config(Recipe {
        desired,
        attempt,
        dns: dns::config(desired, &context.options.dns, &dns::parse(&resolv)),
        log_directory: log_directory.display().to_string(),
        cgroup_parent: cgroup::pod(&context.options.cgroup_root, &desired.pod),
        cluster_domain: &context.options.dns.domain,
        node_name: &context.options.node_name,
        profiles: &context.profiles,
    }))
}

/// The runtime handler that the pod's RuntimeClass names.
async fn handler(context: &Context, desired: &Desired) -> Result<String, String> {
    let Some(name) = desired.spec().runtime_class_name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(String::new());
    };
    let api: Api<RuntimeClass> = Api::all(context.client.clone());
    match api.get_opt(name).await {
        Ok(Some(class)) => Ok(class.handler),
        Ok(None) => Err(format!(
            "Failed to create pod sandbox: failed to get RuntimeClass: runtimeclass.node.k8s.io \"{name}\" not found"
        )),
        Err(error) => Err(format!("Failed to create pod sandbox: failed to get RuntimeClass {name}: {error}")),
    }
}

/// An answer of the runtime's as messages show it.
pub(super) fn rpc(status: &tonic::Status) -> String {
    format!("rpc error: code = {:?} desc = {}", status.code(), status.message())
}
