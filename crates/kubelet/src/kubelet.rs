//! The role: everything of a node, put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use host::{Host, OnEnd, Ready, Role, RoleError};
use informer::Scope;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use tokio::sync::{mpsc, watch};

use crate::container::security::ProfileRoot;
use crate::context::Context;
use crate::events::Recorder;
use crate::logs::rotate;
use crate::node::lease;
use crate::node::machine::Machine;
use crate::node::register::{Reporter, register};
use crate::node::status::{self, Fixed};
use crate::options::Options;
use crate::pod::status::NodeFacts;
use crate::pods::Pods;
use crate::registry::Registry;
use crate::runtime::{Runtime, Wakers, wakers};
use crate::server;

/// How often logs are looked at for rotation.
const ROTATE: Duration = Duration::from_secs(10);

/// The kubelet of one node.
#[derive(Debug)]
pub struct Kubelet {
    options: Options,
}

impl Kubelet {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options }
    }
}

#[async_trait]
impl Role for Kubelet {
    fn name(&self) -> &'static str {
        "kubelet"
    }

    async fn run(self: Box<Self>, host: Host, ready: Ready) -> Result<(), RoleError> {
        match self.start(&host, &ready).await? {
            Some(running) => running.run(ready).await,
            None => Ok(()),
        }
    }
}

impl Kubelet {
    /// Finds runtime and API and registers the node; `None` when shutdown comes first.
    async fn start(self, host: &Host, ready: &Ready) -> Result<Option<Running>, RoleError> {
        let mut options = self.options;
        create_dir(&options.data_dir)?;
        create_dir(&options.log_dir)?;
        let Some(runtime) = Runtime::connect(&options.cri_socket, host, |text| ready.report(text)).await else {
            return Ok(None);
        };
        let machine = Machine::read(&options.data_dir);
        let serving = options.serving.take();
        let fixed = fixed(&options, &machine, &runtime, serving.as_ref().map(|serving| serving.address.port()));
        let client = options.informers.0.client().clone();
        let Some(node) = register(&client, &fixed, host, |text| ready.report(text)).await else {
            return Ok(None);
        };
        let context = Arc::new(context(options, host, runtime, &fixed, node));
        let server = match serving {
            Some(serving) => Some(server::Server::bind(context.clone(), serving).await?),
            None => None,
        };
        Ok(Some(Running { context, fixed, server }))
    }
}

fn create_dir(path: &Path) -> Result<(), RoleError> {
    std::fs::create_dir_all(path).map_err(|error| RoleError::new(format!("creating {}", path.display()), error))
}

fn fixed(options: &Options, machine: &Machine, runtime: &Runtime, port: Option<u16>) -> Fixed {
    let version = &runtime.version;
    Fixed {
        name: options.node_name.clone(),
        ips: options.node_ips.clone(),
        machine: machine.clone(),
        max_pods: options.max_pods,
        port,
        version: options.version.clone(),
        runtime_version: format!("{}://{}", version.runtime_name, version.runtime_version),
        labels: options.labels.clone(),
        taints: options.taints.clone(),
    }
}

fn context(options: Options, host: &Host, runtime: Runtime, fixed: &Fixed, node: Node) -> Context {
    let informers = &options.informers.0;
    let client = informers.client().clone();
    Context {
        events: Recorder::start(client.clone(), options.node_name.clone(), host),
        services: informers.of::<Service>(),
        registry: Registry::default(),
        facts: NodeFacts { ips: options.node_ips.clone(), runtime_name: runtime.version.runtime_name.clone() },
        allocatable: status::capacity(fixed),
        memory: i64::try_from(fixed.machine.memory).unwrap_or(i64::MAX),
        profiles: ProfileRoot(options.data_dir.join("seccomp").display().to_string()),
        host: host.clone(),
        client,
        runtime,
        options,
        node,
    }
}

/// A kubelet whose node is registered.
struct Running {
    context: Arc<Context>,
    fixed: Fixed,
    server: Option<server::Server>,
}

impl Running {
    async fn run(self, ready: Ready) -> Result<(), RoleError> {
        let Self { context, fixed, server } = self;
        let tasks = &context.host.tasks;
        let beat = lease::run(context.client.clone(), context.node.clone(), context.host.clone());
        tasks.spawn("node lease", OnEnd::Fatal, beat);
        let (node_ready, mut is_ready) = watch::channel(false);
        let reporter = Reporter {
            client: context.client.clone(),
            runtime: context.runtime.clone(),
            fixed,
            host: context.host.clone(),
            data: context.options.data_dir.clone(),
            ready: node_ready,
        };
        tasks.spawn("node status", OnEnd::Fatal, reporter.run(context.node.clone()));
        let (strays_tx, strays) = mpsc::channel(64);
        let known = Wakers::default();
        let shutdown = context.host.shutdown();
        let name = context.options.node_name.clone();
        let watch = wakers::watch(context.runtime.clone(), name.clone(), known.clone(), strays_tx, shutdown.clone());
        tasks.spawn("runtime events", OnEnd::Fatal, watch);
        tasks.spawn("log rotation", OnEnd::Fatal, rotate_logs(context.clone()));
        if let Some(server) = server {
            tasks.spawn("kubelet server", OnEnd::Fatal, server.run());
        }
        let scope = Scope::default().fields(format!("spec.nodeName={name}"));
        let cache = context.options.informers.0.scoped::<Pod>(scope);
        tasks.spawn("pods", OnEnd::Fatal, Pods::new(context.clone(), cache, known).run(strays));
        ready.report(format!("waiting for node {name} to be ready"));
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            _ = is_ready.wait_for(|ready| *ready) => ready.done(),
        }
        shutdown.cancelled().await;
        Ok(())
    }
}

/// Puts large logs aside from time to time.
async fn rotate_logs(context: Arc<Context>) {
    let shutdown = context.host.shutdown();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ROTATE) => {}
        }
        for view in context.registry.all() {
            for container in view.observed.containers.iter().filter(|container| container.running()) {
                rotate_log(&context, &container.id, &container.log_path).await;
            }
        }
    }
}

async fn rotate_log(context: &Context, id: &str, path: &str) {
    match rotate::rotate(Path::new(path), context.host.now(), rotate::MAX_SIZE, rotate::MAX_FILES) {
        Ok(false) => {}
        Ok(true) => {
            if let Err(status) = context.runtime.reopen_log(id).await {
                tracing::warn!(path, %status, "reopening a rotated log");
            }
        }
        Err(error) => tracing::warn!(path, %error, "rotating a log"),
    }
}
