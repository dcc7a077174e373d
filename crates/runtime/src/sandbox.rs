//! Pod sandboxes: made, stopped, removed, and found again.

mod files;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use host::OnEnd;
use shim::protocol::{Event, Running};
use shim::spec::Network;

use crate::container::Container;
use crate::crash::point;
use crate::engine::Engine;
use crate::error::{Attempt as _, Error, Result, blocking};
use crate::layout::remove_recorded;
use crate::network::{HostPort, NetworkRequest};
use crate::record::{self, Record as _};
use crate::shim::{Events, Shim};
use crate::spec;

/// A sandbox.
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) shim: Shim,
    record: Mutex<record::Sandbox>,
    /// Whether its shim is there.
    alive: AtomicBool,
    /// Held while it is being stopped or removed.
    operation: tokio::sync::Mutex<()>,
}

impl Sandbox {
    fn new(record: record::Sandbox, shim: Shim) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            shim,
            record: Mutex::new(record),
            alive: AtomicBool::new(false),
            operation: tokio::sync::Mutex::default(),
        })
    }

    /// Makes and starts a sandbox. What was made is undone when a later step fails.
    pub(crate) async fn run(engine: &Arc<Engine>, config: cri::PodSandboxConfig, handler: String) -> Result<Arc<Self>> {
        if !["", "coracle", "runc"].contains(&handler.as_str()) {
            return Err(Error::Invalid(format!("no runtime for {handler:?} is configured")));
        }
        let id = engine.new_id();
        let given = config.linux.as_ref().map(|linux| linux.cgroup_parent.as_str()).unwrap_or_default();
        let cgroup = if given.is_empty() { format!("{}/{id}", engine.cgroup_root()) } else { given.to_owned() };
        let record = record::Sandbox {
            id,
            created_at: engine.now(),
            runtime_handler: handler,
            cgroup,
            config: Some(config),
            making: true,
            ..record::Sandbox::fresh()
        };
        let directory = engine.layout.sandbox(&record.id);
        let sandbox = Self::new(record, Shim::at(directory));
        match sandbox.start(engine).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                if let Err(e) = sandbox.release(engine).await {
                    tracing::warn!(
                        sandbox = sandbox.id,
                        error = e.words(),
                        "undoing a sandbox that could not be started"
                    );
                }
                Err(error)
            }
        }
    }

    /// The record comes before what it tells of, so that a crash leaves nothing that is not known.
    async fn start(self: &Arc<Self>, engine: &Arc<Engine>) -> Result<()> {
        let mut record = self.record();
        let config = record.config.clone().unwrap_or_default();
        let directory = engine.layout.sandbox(&self.id);
        fs::create_dir(&directory).attempt(|| format!("making {}", directory.display()))?;
        point("a sandbox has a directory");
        self.replace(record.clone(), &directory)?;
        point("a sandbox has a record");
        let network = self.attach(engine, &config, &mut record).await?;
        point("a sandbox has a network");
        files::write(&directory, &config, &record.addresses).attempt(|| format!("writing the files of {}", self.id))?;
        let group = engine.hierarchies.group(&record.cgroup);
        record.cgroup_made = group.create().attempt(|| format!("making the cgroup of sandbox {}", self.id))?;
        point("a sandbox has a cgroup");
        self.replace(record.clone(), &directory)?;
        let spec = spec::sandbox(&record, network, engine.shim_cgroup());
        Shim::start(engine.program.path(), directory.clone(), &spec).await?;
        point("a sandbox has a shim");
        let (_, events) = self.shim.watch().await?;
        record.making = false;
        self.replace(record, &directory)?;
        point("a sandbox is complete");
        self.alive.store(true, Ordering::SeqCst);
        engine.insert_sandbox(self.clone());
        self.follow(engine, events);
        Ok(())
    }

    /// Gets the pod's network, unless it uses the host's.
    async fn attach(
        &self,
        engine: &Engine,
        config: &cri::PodSandboxConfig,
        record: &mut record::Sandbox,
    ) -> Result<Network> {
        if spec::uses_host_network(config) {
            return Ok(Network::Host);
        }
        let Some(network) = &engine.options.network else { return Ok(Network::Loopback) };
        let attachment = network
            .attach(&network_request(&self.id, config))
            .await
            .attempt(|| format!("failed to setup network for sandbox {:?}", self.id))?;
        record.addresses = attachment.addresses.iter().map(ToString::to_string).collect();
        Ok(Network::Path(attachment.netns))
    }

    /// Finds the sandbox of a record again, with its containers. One that a crash has left half made is removed.
    pub(crate) async fn recover(engine: &Arc<Engine>, record: record::Sandbox) -> Result<()> {
        let (stopped, making) = (record.stopped, record.making);
        let shim = Shim::at(engine.layout.sandbox(&record.id));
        let sandbox = Self::new(record, shim);
        engine.insert_sandbox(sandbox.clone());
        if making {
            if let Err(e) = sandbox.remove(engine).await {
                tracing::warn!(sandbox = sandbox.id, error = e.words(), "removing a sandbox that was half made");
            }
            return Ok(());
        }
        let found = if stopped { None } else { sandbox.shim.find().await? };
        let Some((running, events)) = found else {
            sandbox.lose(engine);
            return Ok(());
        };
        sandbox.alive.store(true, Ordering::SeqCst);
        let known = |container: &&Arc<Container>| running.iter().any(|r| r.container == container.id);
        engine.containers_of(&sandbox.id).iter().filter(known).for_each(|container| container.refresh(engine));
        note_exits(engine, &running).await;
        sandbox.follow(engine, events);
        Ok(())
    }

    /// Listens to the shim until it is gone.
    fn follow(self: &Arc<Self>, engine: &Arc<Engine>, mut events: Events) {
        let (sandbox, engine) = (self.clone(), engine.clone());
        let shutdown = engine.host.shutdown();
        let tasks = engine.host.tasks.clone();
        tasks.spawn("shim events", OnEnd::Expected, async move {
            loop {
                let event = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    event = events.next() => event,
                };
                match event {
                    Some(Event::Exited { container, exit }) => {
                        if let Ok(container) = engine.container(&container) {
                            container.note_exit(&engine, exit).await;
                        }
                    }
                    Some(Event::Ended { .. }) => {}
                    None => return sandbox.lose(&engine),
                }
            }
        });
    }

    /// The shim is gone.
    fn lose(&self, engine: &Engine) {
        self.alive.store(false, Ordering::SeqCst);
        self.end_containers(engine);
        engine.tell(&self.id, &self.id, cri::ContainerEventType::Stopped);
    }

    /// Whatever the shim has not killed is killed, and containers that have no end get one.
    fn end_containers(&self, engine: &Engine) {
        for container in engine.containers_of(&self.id) {
            engine.hierarchies.group(&spec::cgroup(&self.record(), &container.id)).kill();
            container.refresh(engine);
            container.lose(engine);
        }
    }

    /// Kills what runs in it and frees its network. May be repeated.
    pub(crate) async fn stop(&self, engine: &Arc<Engine>) -> Result<()> {
        let _operation = self.operation.lock().await;
        if self.record().stopped {
            return Ok(());
        }
        self.shim.end().await?;
        point("a sandbox has lost its shim");
        self.end_containers(engine);
        self.detach(engine).await?;
        point("a sandbox has lost its network");
        let mut record = self.record();
        record.stopped = true;
        self.replace(record, &engine.layout.sandbox(&self.id))?;
        point("a sandbox has been stopped");
        if self.alive.swap(false, Ordering::SeqCst) {
            engine.tell(&self.id, &self.id, cri::ContainerEventType::Stopped);
        }
        Ok(())
    }

    async fn detach(&self, engine: &Engine) -> Result<()> {
        let Some(network) = &engine.options.network else { return Ok(()) };
        if spec::uses_host_network(&self.record().config.unwrap_or_default()) {
            return Ok(());
        }
        network.detach(&self.id).await.attempt(|| format!("freeing the network of sandbox {:?}", self.id))
    }

    /// Removes it with its containers, stopping it first. May be repeated.
    pub(crate) async fn remove(&self, engine: &Arc<Engine>) -> Result<()> {
        self.stop(engine).await?;
        for container in engine.containers_of(&self.id) {
            container.remove(engine).await?;
        }
        self.release(engine).await?;
        engine.tell(&self.id, &self.id, cri::ContainerEventType::Deleted);
        engine.forget_sandbox(&self.id);
        Ok(())
    }

    /// Leaves nothing of it on the machine.
    async fn release(&self, engine: &Arc<Engine>) -> Result<()> {
        let _operation = self.operation.lock().await;
        if !self.record().stopped {
            self.shim.end().await?;
            self.detach(engine).await?;
        }
        let (engine, record) = (engine.clone(), self.record());
        blocking(move || {
            if record.cgroup_made || record.making {
                // Somebody else may have put something into it.
                engine.hierarchies.group(&record.cgroup).remove_if_empty();
            }
            point("a sandbox has lost its cgroup");
            remove_recorded(&engine.layout.sandbox(&record.id), record::Sandbox::FILE)
                .attempt(|| format!("removing the files of sandbox {}", record.id))
        })
        .await
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.alive.load(Ordering::SeqCst) && !self.record().stopped
    }

    pub(crate) fn record(&self) -> record::Sandbox {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, record: record::Sandbox, directory: &Path) -> Result<()> {
        record.save(directory).attempt(|| format!("recording sandbox {}", self.id))?;
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
        Ok(())
    }

    /// The state as CRI has it.
    pub(crate) fn state(&self) -> cri::PodSandboxState {
        if self.is_ready() { cri::PodSandboxState::Ready } else { cri::PodSandboxState::NotReady }
    }

    /// The status as CRI has it.
    pub(crate) fn status(&self) -> cri::PodSandboxStatus {
        let record = self.record();
        let config = record.config.unwrap_or_default();
        let linux = config.linux.unwrap_or_default();
        let options = linux.security_context.and_then(|context| context.namespace_options);
        let mut addresses = record.addresses.into_iter();
        cri::PodSandboxStatus {
            id: record.id,
            metadata: config.metadata,
            state: self.state().into(),
            created_at: record.created_at,
            network: Some(cri::PodSandboxNetworkStatus {
                ip: addresses.next().unwrap_or_default(),
                additional_ips: addresses.map(|ip| cri::PodIP { ip }).collect(),
            }),
            linux: Some(cri::LinuxPodSandboxStatus { namespaces: Some(cri::Namespace { options }) }),
            labels: config.labels,
            annotations: config.annotations,
            runtime_handler: record.runtime_handler,
        }
    }

    /// The list entry as CRI has it.
    pub(crate) fn entry(&self) -> cri::PodSandbox {
        let record = self.record();
        let config = record.config.unwrap_or_default();
        cri::PodSandbox {
            id: record.id,
            metadata: config.metadata,
            state: self.state().into(),
            created_at: record.created_at,
            labels: config.labels,
            annotations: config.annotations,
            runtime_handler: record.runtime_handler,
        }
    }
}

/// Notes what ended while nobody listened.
async fn note_exits(engine: &Arc<Engine>, running: &[Running]) {
    for found in running {
        if let (Some(exit), Ok(container)) = (found.exit, engine.container(&found.container)) {
            container.note_exit(engine, exit).await;
        }
    }
}

fn network_request(id: &str, config: &cri::PodSandboxConfig) -> NetworkRequest {
    let metadata = config.metadata.clone().unwrap_or_default();
    let port = |mapping: &cri::PortMapping| {
        let (host_port, container_port) = (u16::try_from(mapping.host_port), u16::try_from(mapping.container_port));
        Some(HostPort {
            protocol: mapping.protocol(),
            host_port: host_port.ok().filter(|port| *port != 0)?,
            container_port: container_port.ok()?,
            host_address: mapping.host_ip.parse::<IpAddr>().ok().filter(|address| !address.is_unspecified()),
        })
    };
    NetworkRequest {
        sandbox: id.to_owned(),
        pod_namespace: metadata.namespace,
        pod_name: metadata.name,
        pod_uid: metadata.uid,
        host_ports: config.port_mappings.iter().filter_map(port).collect(),
    }
}
