//! Containers: made, started, stopped, removed, and what is known of them.

mod view;

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shim::protocol::{Answer, Request};
use shim::status::{Exit, Status};
use tokio::sync::watch;

use crate::crash::point;
use crate::engine::Engine;
use crate::error::{Attempt as _, Error, Result, blocking};
use crate::image::{Config, Document};
use crate::layout::remove_recorded;
use crate::record::{self, Failure, Record as _};
use crate::sandbox::Sandbox;
use crate::shim::unexpected;
use crate::spec::{self, Surroundings};

/// What ends a container by default.
const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// How long the kernel may take to end what has been killed.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

/// What happens to a group whose last process has just ended: it cannot be removed yet.
const CGROUP_PATIENCE: Duration = Duration::from_millis(5);
const CGROUP_ATTEMPTS: usize = 200;

/// The exit code of a container whose shim died, as other runtimes have it.
const LOST: i32 = 255;

/// What is known of a container's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) status: Option<Status>,
    /// Why it never ran.
    pub(crate) failed: bool,
    pub(crate) removed: bool,
}

impl Life {
    fn is_running(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.exit.is_none()) && !self.removed
    }
}

/// A container.
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) sandbox: String,
    record: Mutex<record::Container>,
    life: watch::Sender<Life>,
    /// Held while it is being started or removed.
    operation: tokio::sync::Mutex<()>,
}

impl Container {
    /// Makes the value for a record, with what the shim has written down.
    ///
    /// # Errors
    /// When that has a version that is not understood.
    pub(crate) fn recover(engine: &Engine, record: record::Container) -> Result<Arc<Self>> {
        let directory = engine.layout.container(&record.id);
        match Status::load(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {
                return Err(Error::Version(format!("reading {}: {e}", directory.display())));
            }
            _ => {}
        }
        let container = Self::new(record);
        container.refresh(engine);
        Ok(container)
    }

    fn new(record: record::Container) -> Arc<Self> {
        let life = Life { failed: record.failure.is_some(), ..Life::default() };
        Arc::new(Self {
            id: record.id.clone(),
            sandbox: record.sandbox.clone(),
            record: Mutex::new(record),
            life: watch::Sender::new(life),
            operation: tokio::sync::Mutex::default(),
        })
    }

    /// Makes a container in a ready sandbox. Nothing runs yet.
    pub(crate) async fn create(
        engine: &Arc<Engine>,
        sandbox: &Sandbox,
        config: cri::ContainerConfig,
    ) -> Result<Arc<Self>> {
        if !sandbox.is_ready() {
            return Err(Error::Precondition(format!("sandbox {} is not ready", sandbox.id)));
        }
        let wanted = config.image.as_ref().map(|image| image.image.clone()).unwrap_or_default();
        let image = engine.images.get(&wanted)?;
        let image_config = Document::parse(&image.document)?.config.unwrap_or_default();
        let record = record::Container {
            id: engine.new_id(),
            sandbox: sandbox.id.clone(),
            created_at: engine.now(),
            image_id: image.id.clone(),
            image_ref: image.digests.first().unwrap_or(&image.id).clone(),
            layers: image.layers.clone(),
            stop_signal: stop_signal(&config, &image_config),
            resources: config.linux.as_ref().and_then(|linux| linux.resources.clone()),
            config: Some(config),
            ..record::Container::fresh()
        };
        let container = Self::new(record);
        // What cannot be started is to be refused now.
        container.specification(engine, sandbox, &image_config)?;
        let (layout, record) = (engine.layout.clone(), container.record());
        blocking(move || {
            let directory = layout.container(&record.id);
            let what = || format!("making the files of container {}", record.id);
            for name in ["upper", "work", "rootfs"] {
                fs::create_dir_all(directory.join(name)).attempt(what)?;
            }
            point("a container has directories");
            record.save(&directory).attempt(what)
        })
        .await?;
        point("a container has a record");
        engine.insert_container(container.clone());
        engine.tell(&container.id, &container.sandbox, cri::ContainerEventType::Created);
        Ok(container)
    }

    /// Starts it. A failure is noted as its end, as the kubelet expects.
    pub(crate) async fn start(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<()> {
        let operation = self.operation.lock().await;
        let life = self.life.borrow().clone();
        if life.status.is_some() || life.failed || life.removed {
            return Err(Error::Precondition(format!("container {} is not in created state", self.id)));
        }
        let result = self.launch(engine).await;
        drop(operation);
        match result {
            Ok(()) => {
                engine.tell(&self.id, &self.sandbox, cri::ContainerEventType::Started);
                Ok(())
            }
            Err(error) => {
                self.note_failure(engine, &error);
                engine.tell(&self.id, &self.sandbox, cri::ContainerEventType::Stopped);
                Err(Error::Shim(format!("failed to start container {:?}: {}", self.id, error.words())))
            }
        }
    }

    async fn launch(&self, engine: &Arc<Engine>) -> Result<()> {
        let sandbox = engine.sandbox(&self.sandbox)?;
        let image = self.image_config(engine)?;
        let spec = self.specification(engine, &sandbox, &image)?;
        if let Some(directory) = spec.log.as_ref().and_then(|log| log.parent()) {
            fs::create_dir_all(directory).attempt(|| format!("making {}", directory.display()))?;
        }
        for mount in spec.mounts.iter().filter(|mount| !mount.source.exists()) {
            fs::create_dir_all(&mount.source).attempt(|| format!("making {}", mount.source.display()))?;
        }
        let mut record = self.record();
        record.cgroup = spec.cgroup.clone();
        record.process = serde_json::to_vec(&spec.process).attempt(|| "recording a process".into())?;
        self.replace(engine, record)?;
        point("a container is about to start");
        match sandbox.shim.call(Request::Start(Box::new(spec))).await? {
            Answer::Started(started) => {
                point("a container has started");
                for warning in &started.warnings {
                    tracing::warn!(container = self.id, "{warning}");
                }
                let status = Status::started(started.pid, started.started_at, started.user);
                // The end may have been noted already.
                self.life.send_modify(|life| {
                    life.status.get_or_insert(status);
                });
                Ok(())
            }
            answer => Err(unexpected(&answer)),
        }
    }

    fn note_failure(&self, engine: &Engine, error: &Error) {
        let mut record = self.record();
        let failure = Failure { at: engine.now(), reason: "StartError".into(), message: error.words(), exit_code: 128 };
        record.failure = Some(failure);
        if let Err(e) = self.replace(engine, record) {
            tracing::warn!(container = self.id, error = e.words(), "noting why a container could not be started");
        }
        self.life.send_modify(|life| life.failed = true);
    }

    fn specification(&self, engine: &Engine, sandbox: &Sandbox, image: &Config) -> Result<shim::spec::Container> {
        let around =
            Surroundings { layout: &engine.layout, layers: engine.images.layers(), sandbox: &sandbox.record(), image };
        spec::container(&self.record(), &around)
    }

    fn image_config(&self, engine: &Engine) -> Result<Config> {
        let image = engine.images.get(&self.record().image_id)?;
        Ok(Document::parse(&image.document)?.config.unwrap_or_default())
    }

    /// Asks it to end, and after `grace` kills it. One that does not run is no error.
    pub(crate) async fn stop(&self, engine: &Engine, grace: Duration) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let sandbox = engine.sandbox(&self.sandbox)?;
        if !grace.is_zero() {
            let signal = cri::signal::number(self.record().stop_signal).unwrap_or(SIGTERM);
            self.signal(&sandbox, signal, false).await?;
            if self.ended_within(grace).await {
                return Ok(());
            }
        }
        self.signal(&sandbox, SIGKILL, true).await?;
        if self.ended_within(KILL_PATIENCE).await {
            return Ok(());
        }
        Err(Error::Timeout(format!("container {} has not ended {KILL_PATIENCE:?} after it was killed", self.id)))
    }

    /// Waits for the end. Returns whether it came.
    async fn ended_within(&self, limit: Duration) -> bool {
        let mut life = self.life.subscribe();
        tokio::time::timeout(limit, life.wait_for(|life| !life.is_running())).await.is_ok()
    }

    /// Waits for the end, however long it takes.
    pub(crate) async fn ended(&self) {
        // The value lives as long as `self`, so that waiting cannot fail.
        let _ = self.life.subscribe().wait_for(|life| !life.is_running()).await;
    }

    async fn signal(&self, sandbox: &Sandbox, signal: i32, all: bool) -> Result<()> {
        let request = Request::Signal { container: self.id.clone(), signal, all };
        match sandbox.shim.call(request).await {
            // A shim that has gone has taken the container with it, which is noted elsewhere.
            Err(_) if !self.is_running() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Removes it, killing it if it runs. May be repeated.
    pub(crate) async fn remove(&self, engine: &Arc<Engine>) -> Result<()> {
        let _operation = self.operation.lock().await;
        if self.life.borrow().removed {
            return Ok(());
        }
        self.stop(engine, Duration::ZERO).await?;
        point("a container has been killed");
        if let Ok(sandbox) = engine.sandbox(&self.sandbox)
            && sandbox.is_ready()
        {
            // A shim that has gone meanwhile has forgotten everything.
            let _ = sandbox.shim.call(Request::Forget { container: self.id.clone() }).await;
        }
        self.remove_cgroup(engine).await?;
        point("a container has lost its cgroup");
        let (layout, id) = (engine.layout.clone(), self.id.clone());
        blocking(move || {
            remove_recorded(&layout.container(&id), record::Container::FILE)
                .attempt(|| format!("removing the files of container {id}"))
        })
        .await?;
        self.life.send_modify(|life| life.removed = true);
        engine.forget_container(&self.id);
        engine.tell(&self.id, &self.sandbox, cri::ContainerEventType::Deleted);
        if engine.images.find(&self.record().image_id).is_none() {
            engine.collect_layers().await?;
        }
        Ok(())
    }

    async fn remove_cgroup(&self, engine: &Engine) -> Result<()> {
        let cgroup = self.record().cgroup;
        if cgroup.is_empty() {
            return Ok(());
        }
        for _ in 0..CGROUP_ATTEMPTS {
            // A start that a crash has cut off may have gone on behind our back.
            engine.hierarchies.group(&cgroup).kill();
            if engine.hierarchies.group(&cgroup).remove().is_ok() {
                return Ok(());
            }
            tokio::time::sleep(CGROUP_PATIENCE).await;
        }
        engine.hierarchies.group(&cgroup).remove().attempt(|| format!("removing the cgroup of container {}", self.id))
    }

    /// Has its log file opened anew.
    pub(crate) async fn reopen_log(&self, engine: &Engine) -> Result<()> {
        let sandbox = engine.sandbox(&self.sandbox)?;
        sandbox.shim.call(Request::ReopenLog { container: self.id.clone() }).await.map(drop)
    }

    /// Changes its limits.
    pub(crate) fn update(&self, engine: &Engine, changes: &cri::LinuxContainerResources) -> Result<()> {
        let what = || format!("updating the resources of container {}", self.id);
        let mut record = self.record();
        if self.is_running() {
            let group = engine.hierarchies.group(&record.cgroup);
            for warning in group.limit(&spec::resources(changes)).attempt(what)? {
                tracing::warn!(container = self.id, "{warning}");
            }
        }
        let mut resources = record.resources.take().unwrap_or_default();
        merge_resources(&mut resources, changes);
        record.resources = Some(resources);
        self.replace(engine, record)
    }

    /// Notes the end, as its shim told it.
    pub(crate) async fn note_exit(self: &Arc<Self>, engine: &Arc<Engine>, exit: Exit) {
        // The start that is under way has to be answered first.
        self.starting().await;
        self.life.send_modify(|life| {
            if let Some(status) = &mut life.status {
                status.exit.get_or_insert(exit);
            }
        });
        engine.tell(&self.id, &self.sandbox, cri::ContainerEventType::Stopped);
    }

    /// Waits while it is being started. A removal is not waited for: it waits for the end itself.
    async fn starting(&self) {
        let mut life = self.life.subscribe();
        let _ = life.wait_for(|life| life.status.is_some() || life.failed || life.removed).await;
    }

    /// Takes over what its shim has written down.
    pub(crate) fn refresh(&self, engine: &Engine) {
        match Status::load(&engine.layout.container(&self.id)) {
            Ok(Some(status)) => self.life.send_modify(|life| {
                // An end that is known stays known, whatever the shim had time to write.
                if life.status.as_ref().is_none_or(|known| known.exit.is_none()) {
                    life.status = Some(status);
                }
            }),
            Ok(None) => {}
            Err(e) => tracing::warn!(container = self.id, error = %e, "reading the status of a container"),
        }
    }

    /// Its shim is gone without having told its end.
    pub(crate) fn lose(&self, engine: &Engine) {
        let finished_at = engine.now();
        let mut lost = false;
        self.life.send_modify(|life| {
            if let Some(status) = &mut life.status {
                lost = status.exit.is_none();
                status.exit.get_or_insert(Exit { code: LOST, finished_at, out_of_memory: false });
            }
        });
        if lost {
            let saved = self.life().status.map_or(Ok(()), |status| status.save(&engine.layout.container(&self.id)));
            if let Err(e) = saved {
                tracing::warn!(container = self.id, error = %e, "noting the end of a container");
            }
            engine.tell(&self.id, &self.sandbox, cri::ContainerEventType::Stopped);
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.life.borrow().is_running()
    }

    pub(crate) fn life(&self) -> Life {
        self.life.borrow().clone()
    }

    /// The layers it stands on.
    pub(crate) fn layers(&self) -> Vec<String> {
        self.lock().layers.clone()
    }

    pub(crate) fn record(&self) -> record::Container {
        self.lock().clone()
    }

    fn replace(&self, engine: &Engine, record: record::Container) -> Result<()> {
        record.save(&engine.layout.container(&self.id)).attempt(|| format!("recording container {}", self.id))?;
        *self.lock() = record;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, record::Container> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pod's choice, else the image's.
fn stop_signal(config: &cri::ContainerConfig, image: &Config) -> i32 {
    match config.stop_signal {
        0 => cri::signal::from_image(&image.stop_signal).or_else(|| cri::signal::from_name("SIGTERM")).unwrap_or(0),
        given => given,
    }
}

/// Takes over what is given.
fn merge_resources(resources: &mut cri::LinuxContainerResources, changes: &cri::LinuxContainerResources) {
    let set = |value: &mut i64, change: i64| {
        if change != 0 {
            *value = change;
        }
    };
    set(&mut resources.cpu_period, changes.cpu_period);
    set(&mut resources.cpu_quota, changes.cpu_quota);
    set(&mut resources.cpu_shares, changes.cpu_shares);
    set(&mut resources.memory_limit_in_bytes, changes.memory_limit_in_bytes);
    set(&mut resources.memory_swap_limit_in_bytes, changes.memory_swap_limit_in_bytes);
    for (value, change) in
        [(&mut resources.cpuset_cpus, &changes.cpuset_cpus), (&mut resources.cpuset_mems, &changes.cpuset_mems)]
    {
        if !change.is_empty() {
            value.clone_from(change);
        }
    }
    resources.unified.extend(changes.unified.clone());
}
