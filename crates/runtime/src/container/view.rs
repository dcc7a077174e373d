//! Containers as CRI shows them.

use std::collections::BTreeMap;

use super::{Container, Life};
use crate::engine::Engine;
use crate::image::Name;
use crate::record;
use crate::spec;

impl Container {
    /// The state as CRI has it.
    pub(crate) fn state(&self) -> cri::ContainerState {
        state(&self.life())
    }

    /// The list entry as CRI has it.
    pub(crate) fn entry(&self) -> cri::Container {
        let record = self.record();
        let config = record.config.unwrap_or_default();
        cri::Container {
            id: record.id,
            pod_sandbox_id: record.sandbox,
            metadata: config.metadata,
            image: config.image,
            image_ref: record.image_ref,
            state: self.state().into(),
            created_at: record.created_at,
            labels: config.labels,
            annotations: config.annotations,
            image_id: record.image_id,
        }
    }

    /// The status as CRI has it.
    pub(crate) fn status(&self, engine: &Engine) -> cri::ContainerStatus {
        let (record, life) = (self.record(), self.life());
        let config = record.config.clone().unwrap_or_default();
        let sandbox = engine.sandbox(&self.sandbox).ok().and_then(|sandbox| sandbox.record().config);
        let log = spec::log_path(&sandbox.unwrap_or_default(), &config);
        let user = life.status.as_ref().map(|status| cri::LinuxContainerUser {
            uid: status.user.uid.into(),
            gid: status.user.gid.into(),
            supplemental_groups: status.user.groups.iter().copied().map(i64::from).collect(),
        });
        let end = End::of(&record, &life);
        cri::ContainerStatus {
            id: record.id,
            metadata: config.metadata,
            state: state(&life).into(),
            created_at: record.created_at,
            started_at: life.status.as_ref().map_or(0, |status| status.started_at),
            finished_at: end.finished_at,
            exit_code: end.code,
            image: named(engine, &record.image_id, config.image),
            image_ref: record.image_ref,
            reason: end.reason,
            message: end.message,
            labels: config.labels,
            annotations: config.annotations,
            mounts: config.mounts,
            log_path: log.map(|log| log.display().to_string()).unwrap_or_default(),
            resources: record.resources.map(|linux| cri::ContainerResources { linux: Some(linux) }),
            image_id: record.image_id,
            user: user.map(|linux| cri::ContainerUser { linux: Some(linux) }),
            stop_signal: record.stop_signal,
        }
    }

    /// Facts for people who debug.
    pub(crate) fn info(&self) -> BTreeMap<String, String> {
        let pid = self.life().status.filter(|status| status.exit.is_none()).map_or(0, |status| status.pid);
        let info = serde_json::json!({ "sandboxID": self.sandbox, "pid": pid });
        BTreeMap::from([("info".to_owned(), info.to_string())])
    }
}

/// The image by the tag that the user named, else by any of its names: people read it.
fn named(engine: &Engine, id: &str, wanted: Option<cri::ImageSpec>) -> Option<cri::ImageSpec> {
    let mut spec = wanted?;
    let Some(image) = engine.images.find(id) else { return Some(spec) };
    let own = Name::parse(&spec.user_specified_image).map(|name| name.tag_reference()).ok();
    let tag = image.tags.iter().find(|tag| Some(*tag) == own.as_ref()).or_else(|| image.tags.first());
    if let Some(name) = tag.or_else(|| image.digests.first()) {
        spec.image = name.clone();
    }
    Some(spec)
}

fn state(life: &Life) -> cri::ContainerState {
    match &life.status {
        Some(status) if status.exit.is_some() => cri::ContainerState::Exited,
        Some(_) => cri::ContainerState::Running,
        None if life.failed => cri::ContainerState::Exited,
        None => cri::ContainerState::Created,
    }
}

/// How a container ended.
#[derive(Default)]
struct End {
    code: i32,
    finished_at: i64,
    reason: String,
    message: String,
}

impl End {
    fn of(record: &record::Container, life: &Life) -> Self {
        if let Some(failure) = &record.failure {
            let (reason, message) = (failure.reason.clone(), failure.message.clone());
            return Self { code: failure.exit_code, finished_at: failure.at, reason, message };
        }
        let Some(exit) = life.status.as_ref().and_then(|status| status.exit) else { return Self::default() };
        let reason = match exit.code {
            _ if exit.out_of_memory => "OOMKilled",
            0 => "Completed",
            _ => "Error",
        };
        Self { code: exit.code, finished_at: exit.finished_at, reason: reason.into(), message: String::new() }
    }
}
