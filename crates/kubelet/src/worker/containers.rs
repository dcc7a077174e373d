//! Containers: starting them with everything they need, stopping and removing them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;
use tokio::time::Instant;

use super::{Done, Worker, mounts, sandbox};
use crate::container::config::{self, Recipe};
use crate::container::{env, security};
use crate::context::Context;
use crate::events::Level;
use crate::objects::Snapshot;
use crate::pod::desired::{Desired, Slot};
use crate::pod::observed::Sandbox;
use crate::{hook, image, logs};

/// No container gets less time than this between its signal and its end, so that few need to be killed.
const MIN_GRACE: i64 = 2;

/// Why a container did not start.
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Worker {
    pub(super) fn start_container(&mut self, name: String, attempt: u32, now: Timestamp) {
        let (Some(slot), Some(sandbox)) = (self.desired.slot(&name).cloned(), self.observed.sandbox().cloned()) else {
            return;
        };
        if let Some(exit) = self.observed.newest(&name).and_then(|container| container.exit()) {
            let failed = exit.finished_at;
            self.memory.of_mut(&name).restarts.advance(failed, now);
        }
        self.memory.starting = Some(name.clone());
        let start = Start {
            target_id: self.target(&slot),
            address: self.address(&sandbox),
            context: self.context.clone(),
            desired: self.desired.clone(),
            status: self.status.clone(),
            objects: self.objects.snapshot(),
            sandbox,
            slot,
            attempt,
        };
        self.abortable(name, start.run());
    }

    /// Where the pod's own ports are reached from the node.
    fn address(&self, sandbox: &Sandbox) -> Option<IpAddr> {
        sandbox.ips.first().or_else(|| self.context.facts.ips.first()).copied()
    }

    /// The container whose processes a debugging container wants to see.
    fn target(&self, slot: &Slot) -> Option<String> {
        let debuggers = self.desired.spec().ephemeral_containers.iter().flatten();
        let own = debuggers.into_iter().find(|container| container.name == slot.container.name)?;
        let target = own.target_container_name.as_deref()?;
        self.observed.newest(target).map(|container| container.id.clone())
    }

    pub(super) fn stop_container(&mut self, id: String, name: &str, grace: i64, why: String) {
        let again = self.memory.stopping.insert(id.clone(), grace).is_some();
        let (context, desired) = (self.context.clone(), self.desired.clone());
        let slot = desired.slot(name).cloned();
        if !again {
            match &slot {
                Some(slot) => context.container_event(&desired, slot, Level::Normal, "Killing", why),
                None => context.pod_event(&desired, Level::Normal, "Killing", why),
            }
        }
        let address = self.observed.sandbox().and_then(|sandbox| self.address(sandbox));
        let hook = slot.filter(|_| !again);
        self.run_operation(async move {
            let mut left = grace;
            if let Some(slot) = &hook {
                left -= before_stop(&context, &desired, slot, &id, address, grace).await;
            }
            if let Err(status) = context.runtime.stop_container(&id, left.max(MIN_GRACE)).await {
                tracing::warn!(pod = desired.label(), container = id, %status, "stopping a container");
                tokio::time::sleep(super::OBSERVE_RETRY).await;
            }
            Done::Stopped { id, grace }
        });
    }

    pub(super) fn remove_container(&mut self, id: String, name: &str) {
        self.memory.removing.insert(id.clone());
        let (context, name) = (self.context.clone(), name.to_owned());
        let log = self.observed.containers.iter().find(|container| container.id == id);
        let log = log.map(|container| container.log_path.clone()).filter(|path| !path.is_empty());
        self.run_operation(async move {
            match context.runtime.remove_container(&id).await {
                Ok(()) => remove_log(log).await,
                Err(status) => {
                    tracing::warn!(container = name, %status, "removing a container");
                    tokio::time::sleep(super::OBSERVE_RETRY).await;
                }
            }
            Done::Removed { id }
        });
    }

    pub(super) fn announce_restart(&mut self, name: &str, container: String) {
        let message = format!("Back-off restarting failed container {name} in pod {}", self.desired.label());
        if let Some(slot) = self.desired.slot(name) {
            self.context.container_event(&self.desired, slot, Level::Warning, "BackOff", message);
        }
        self.memory.of_mut(name).announced = Some(container);
    }

    pub(super) fn announce_pull(&mut self, name: &str) {
        let Some(slot) = self.desired.slot(name) else { return };
        let message = format!("Back-off pulling image \"{}\"", slot.container.image.as_deref().unwrap_or_default());
        self.context.container_event(&self.desired, slot, Level::Normal, "BackOff", message.clone());
        let error = "Error: ImagePullBackOff";
        self.context.container_event(&self.desired, slot, Level::Warning, "Failed", error);
        self.again = Some(self.context.host.now());
        if let Some(error) = &mut self.memory.of_mut(name).error {
            error.message = format!("{message}: {}: {}", error.reason, error.message);
            error.reason = "ImagePullBackOff";
        }
    }
}

async fn remove_log(path: Option<String>) {
    let Some(path) = path.map(std::path::PathBuf::from) else { return };
    let _ = tokio::fs::remove_file(&path).await;
    for old in logs::rotate::rotated(&path).unwrap_or_default() {
        let _ = tokio::fs::remove_file(old).await;
    }
}

/// Runs the preStop hook within the grace; returns the seconds that it took.
async fn before_stop(
    context: &Context,
    desired: &Desired,
    slot: &Slot,
    id: &str,
    address: Option<IpAddr>,
    grace: i64,
) -> i64 {
    let lifecycle = slot.container.lifecycle.as_ref();
    let Some(handler) = lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()).filter(|_| grace > 0) else {
        return 0;
    };
    let began = Instant::now();
    let limit = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
    let result = tokio::time::timeout(limit, hook::run(context, slot, id, handler, address, limit)).await;
    if let Ok(Err(why)) = result {
        tracing::debug!(pod = desired.label(), container = slot.name(), why, "a preStop hook failed");
        context.container_event(desired, slot, Level::Warning, "FailedPreStopHook", "PreStopHook failed");
    }
    i64::try_from(began.elapsed().as_secs()).unwrap_or(grace)
}

/// Everything that starting a container needs.
struct Start {
    context: Arc<Context>,
    desired: Arc<Desired>,
    status: PodStatus,
    objects: Snapshot,
    sandbox: Sandbox,
    slot: Slot,
    attempt: u32,
    address: Option<IpAddr>,
    target_id: Option<String>,
}

impl Start {
    async fn run(self) -> Result<(), Failure> {
        let result = Box::pin(self.try_run()).await;
        if let Err(failure) = &result {
            let words = match failure.reason {
                "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => failure.reason,
                _ => &failure.message,
            };
            self.event(Level::Warning, "Failed", format!("Error: {words}"));
        }
        result
    }

    async fn try_run(&self) -> Result<(), Failure> {
        let image = image::ensure(&self.context, &self.desired, &self.slot)
            .await
            .map_err(|failure| Failure { reason: failure.reason, message: failure.message })?;
        let config =
            self.config(image).await.map_err(|message| Failure { reason: "CreateContainerConfigError", message })?;
        let created = Box::pin(self.create(config)).await;
        let id = created.map_err(|message| Failure { reason: "CreateContainerError", message })?;
        self.event(Level::Normal, "Created", "Container created");
        if let Err(status) = self.context.runtime.start_container(&id).await {
            return Err(Failure { reason: "RunContainerError", message: status.message().to_owned() });
        }
        self.event(Level::Normal, "Started", "Container started");
        self.after_start(&id).await
    }

    fn event(&self, level: Level, reason: &'static str, message: impl Into<String>) {
        self.context.container_event(&self.desired, &self.slot, level, reason, message);
    }

    async fn config(&self, image: image::Present) -> Result<cri::ContainerConfig, String> {
        let Self { context, desired, slot, .. } = self;
        security::check_non_root(&desired.label(), desired.spec(), &slot.container, &image.user)
            .map_err(|error| error.to_string())?;
        let references = self.objects.references(context).await;
        let sources = env::Sources {
            pod: &desired.pod,
            status: &self.status,
            references: &references,
            allocatable: &context.allocatable,
        };
        let environment = env::environment(sources, &slot.container).map_err(|error| error.to_string())?;
        let mounts = mounts::Mounts {
            context,
            desired,
            slot,
            sandbox: &self.sandbox,
            environment: &environment,
            attempt: self.attempt,
        };
        let mounts = mounts.build()?;
        Ok(config::config(Recipe {
            desired,
            slot,
            attempt: self.attempt,
            environment,
            mounts,
            image_ref: image.id,
            image_user: image.user,
            target_id: self.target_id.clone(),
            memory_capacity: context.memory,
            node_name: &context.options.node_name,
            profiles: &context.profiles,
        }))
    }

    async fn create(&self, config: cri::ContainerConfig) -> Result<String, String> {
        let sandbox_config = sandbox::config(&self.context, &self.desired, self.sandbox.attempt).await?;
        let directory = self.context.log_directory(&self.desired).join(self.slot.name());
        tokio::fs::create_dir_all(&directory).await.map_err(|error| format!("{}: {error}", directory.display()))?;
        let created = self.context.runtime.create_container(&self.sandbox.id, config, sandbox_config).await;
        created.map_err(|status| status.message().to_owned())
    }

    /// Runs the postStart hook; its failure ends the container.
    async fn after_start(&self, id: &str) -> Result<(), Failure> {
        let lifecycle = self.slot.container.lifecycle.as_ref();
        let Some(handler) = lifecycle.and_then(|lifecycle| lifecycle.post_start.as_ref()) else { return Ok(()) };
        let run = hook::run(&self.context, &self.slot, id, handler, self.address, hook::START_LIMIT);
        let Err(why) = run.await else { return Ok(()) };
        tracing::debug!(pod = self.desired.label(), container = self.slot.name(), why, "a postStart hook failed");
        self.event(Level::Warning, "FailedPostStartHook", "PostStartHook failed");
        self.event(Level::Normal, "Killing", "FailedPostStartHook");
        if let Err(status) = self.context.runtime.stop_container(id, self.desired.grace().max(MIN_GRACE)).await {
            tracing::warn!(pod = self.desired.label(), %status, "stopping a container after its hook failed");
        }
        Err(Failure { reason: "PostStartHookError", message: "PostStartHook failed".into() })
    }
}
