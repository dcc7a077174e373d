//! The end of a pod on this node.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, Preconditions};

use super::{Done, Worker};
use crate::cgroup;
use crate::context::Context;
use crate::pod::desired::Desired;
use crate::pod::observed::Observed;
use crate::volume;

impl Worker {
    /// Releases the pod in the API, once that shows its end, and removes what is left of it.
    pub(super) fn finish(&mut self) {
        if self.finishing || !self.is_published() {
            return;
        }
        self.finishing = true;
        let (context, desired, observed) = (self.context.clone(), self.desired.clone(), self.observed.clone());
        let forgotten = self.memory.forgotten;
        self.run_operation(async move { Done::Finished(finish(&context, &desired, &observed, forgotten).await) });
    }

    pub(super) fn finished(&mut self, result: Result<(), String>, now: Timestamp) {
        self.finishing = false;
        self.over = result.is_ok();
        self.settle(result.map_err(|why| (None, why)), now);
    }
}

async fn finish(context: &Arc<Context>, desired: &Desired, observed: &Observed, forgotten: bool) -> Result<(), String> {
    if !forgotten {
        release(context, desired).await.map_err(|error| format!("deleting the pod from the API: {error}"))?;
    }
    for sandbox in &observed.sandboxes {
        let removed = context.runtime.remove_sandbox(&sandbox.id).await;
        removed.map_err(|status| format!("removing sandbox {}: {}", sandbox.id, status.message()))?;
    }
    let strays = observed.containers.iter().filter(|c| !observed.sandboxes.iter().any(|s| s.id == c.sandbox_id));
    for container in strays {
        let removed = context.runtime.remove_container(&container.id).await;
        removed.map_err(|status| format!("removing container {}: {}", container.id, status.message()))?;
    }
    let (dir, logs) = (context.pod_dir(desired.uid()), context.log_directory(desired));
    let groups: Vec<_> = cgroup::of_uid(&context.options.cgroup_root, desired.uid()).collect();
    let removed = tokio::task::spawn_blocking(move || {
        groups.iter().for_each(|group| cgroup::remove(group));
        let _ = host::remove_tree(&logs);
        // the last, so that what a crash leaves of the pod is found by its directory
        volume::remove(&dir)
    });
    removed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// Ends the pod's graceful deletion; another pod of the same name is left alone.
async fn release(context: &Context, desired: &Desired) -> Result<(), kube::Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), desired.namespace());
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions { uid: desired.pod.metadata.uid.clone(), resource_version: None }),
        ..Default::default()
    };
    match api.delete(desired.name(), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}
