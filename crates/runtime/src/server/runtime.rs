//! The runtime service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cri::*;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use super::{Server, names, selects};
use crate::container::Container as Held;
use crate::error::Error;
use crate::exec;
use crate::sandbox::Sandbox;
use crate::stats;
use crate::stream::Ticket;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RuntimeService for Server {
    async fn version(&self, _: Request<VersionRequest>) -> Answer<VersionResponse> {
        Ok(Response::new(VersionResponse {
            version: "0.1.0".into(),
            runtime_name: "coracle".into(),
            runtime_version: env!("CARGO_PKG_VERSION").into(),
            runtime_api_version: API_VERSION.into(),
        }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let why = self.0.options.network.as_ref().and_then(|network| network.not_ready());
        let ready = |kind: &str| RuntimeCondition { r#type: kind.into(), status: true, ..Default::default() };
        let network = match why {
            None => ready("NetworkReady"),
            Some(message) => RuntimeCondition {
                r#type: "NetworkReady".into(),
                status: false,
                reason: "NetworkPluginNotReady".into(),
                message,
            },
        };
        let features = RuntimeHandlerFeatures { recursive_read_only_mounts: true, user_namespaces: false };
        let handler = |name: &str| RuntimeHandler { name: name.into(), features: Some(features.clone()) };
        Ok(Response::new(StatusResponse {
            status: Some(RuntimeStatus { conditions: vec![ready("RuntimeReady"), network] }),
            info: BTreeMap::new(),
            runtime_handlers: vec![handler(""), handler("coracle"), handler("runc")],
            features: Some(RuntimeFeatures { supplemental_groups_policy: true, user_namespaces_host_network: false }),
        }))
    }

    async fn runtime_config(&self, _: Request<RuntimeConfigRequest>) -> Answer<RuntimeConfigResponse> {
        let linux = LinuxRuntimeConfiguration { cgroup_driver: CgroupDriver::Cgroupfs.into() };
        Ok(Response::new(RuntimeConfigResponse { linux: Some(linux) }))
    }

    async fn update_runtime_config(
        &self,
        _: Request<UpdateRuntimeConfigRequest>,
    ) -> Answer<UpdateRuntimeConfigResponse> {
        // The pod network has its addresses from elsewhere.
        Ok(Response::new(UpdateRuntimeConfigResponse {}))
    }

    async fn run_pod_sandbox(&self, request: Request<RunPodSandboxRequest>) -> Answer<RunPodSandboxResponse> {
        let RunPodSandboxRequest { config, runtime_handler } = request.into_inner();
        let config = config.ok_or_else(|| Error::Invalid("a sandbox needs a configuration".into()))?;
        let engine = self.0.clone();
        let sandbox = self.0.finish(async move { Sandbox::run(&engine, config, runtime_handler).await }).await?;
        Ok(Response::new(RunPodSandboxResponse { pod_sandbox_id: sandbox.id.clone() }))
    }

    async fn stop_pod_sandbox(&self, request: Request<StopPodSandboxRequest>) -> Answer<StopPodSandboxResponse> {
        if let Some(sandbox) = found(self.0.sandbox(&request.into_inner().pod_sandbox_id))? {
            let engine = self.0.clone();
            self.0.finish(async move { sandbox.stop(&engine).await }).await?;
        }
        Ok(Response::new(StopPodSandboxResponse {}))
    }

    async fn remove_pod_sandbox(&self, request: Request<RemovePodSandboxRequest>) -> Answer<RemovePodSandboxResponse> {
        if let Some(sandbox) = found(self.0.sandbox(&request.into_inner().pod_sandbox_id))? {
            let engine = self.0.clone();
            self.0.finish(async move { sandbox.remove(&engine).await }).await?;
        }
        Ok(Response::new(RemovePodSandboxResponse {}))
    }

    async fn pod_sandbox_status(&self, request: Request<PodSandboxStatusRequest>) -> Answer<PodSandboxStatusResponse> {
        let sandbox = self.0.sandbox(&request.into_inner().pod_sandbox_id)?;
        let containers = self.0.containers_of(&sandbox.id);
        Ok(Response::new(PodSandboxStatusResponse {
            status: Some(sandbox.status()),
            info: BTreeMap::new(),
            containers_statuses: containers.iter().map(|container| container.status(&self.0)).collect(),
            timestamp: self.0.now(),
        }))
    }

    async fn list_pod_sandbox(&self, request: Request<ListPodSandboxRequest>) -> Answer<ListPodSandboxResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let matches = |sandbox: &PodSandbox| {
            names(&filter.id, &sandbox.id)
                && filter.state.as_ref().is_none_or(|wanted| wanted.state == sandbox.state)
                && selects(&filter.label_selector, &sandbox.labels)
        };
        let items = self.0.sandboxes().iter().map(|sandbox| sandbox.entry()).filter(matches).collect();
        Ok(Response::new(ListPodSandboxResponse { items }))
    }

    async fn create_container(&self, request: Request<CreateContainerRequest>) -> Answer<CreateContainerResponse> {
        let CreateContainerRequest { pod_sandbox_id, config, .. } = request.into_inner();
        let config = config.ok_or_else(|| Error::Invalid("a container needs a configuration".into()))?;
        let sandbox = self.0.sandbox(&pod_sandbox_id)?;
        let engine = self.0.clone();
        let container = self.0.finish(async move { Held::create(&engine, &sandbox, config).await }).await?;
        Ok(Response::new(CreateContainerResponse { container_id: container.id.clone() }))
    }

    async fn start_container(&self, request: Request<StartContainerRequest>) -> Answer<StartContainerResponse> {
        let container = self.0.container(&request.into_inner().container_id)?;
        let engine = self.0.clone();
        self.0.finish(async move { container.start(&engine).await }).await?;
        Ok(Response::new(StartContainerResponse {}))
    }

    async fn stop_container(&self, request: Request<StopContainerRequest>) -> Answer<StopContainerResponse> {
        let StopContainerRequest { container_id, timeout } = request.into_inner();
        if let Some(container) = found(self.0.container(&container_id))? {
            let engine = self.0.clone();
            let grace = Duration::from_secs(u64::try_from(timeout).unwrap_or(0));
            self.0.finish(async move { container.stop(&engine, grace).await }).await?;
        }
        Ok(Response::new(StopContainerResponse {}))
    }

    async fn remove_container(&self, request: Request<RemoveContainerRequest>) -> Answer<RemoveContainerResponse> {
        if let Some(container) = found(self.0.container(&request.into_inner().container_id))? {
            let engine = self.0.clone();
            self.0.finish(async move { container.remove(&engine).await }).await?;
        }
        Ok(Response::new(RemoveContainerResponse {}))
    }

    async fn list_containers(&self, request: Request<ListContainersRequest>) -> Answer<ListContainersResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let matches = |container: &Container| {
            names(&filter.id, &container.id)
                && names(&filter.pod_sandbox_id, &container.pod_sandbox_id)
                && filter.state.as_ref().is_none_or(|wanted| wanted.state == container.state)
                && selects(&filter.label_selector, &container.labels)
        };
        let containers = self.0.containers().iter().map(|container| container.entry()).filter(matches).collect();
        Ok(Response::new(ListContainersResponse { containers }))
    }

    async fn container_status(&self, request: Request<ContainerStatusRequest>) -> Answer<ContainerStatusResponse> {
        let request = request.into_inner();
        let container = self.0.container(&request.container_id)?;
        let info = if request.verbose { container.info() } else { BTreeMap::new() };
        Ok(Response::new(ContainerStatusResponse { status: Some(container.status(&self.0)), info }))
    }

    async fn update_container_resources(
        &self,
        request: Request<UpdateContainerResourcesRequest>,
    ) -> Answer<UpdateContainerResourcesResponse> {
        let request = request.into_inner();
        let container = self.0.container(&request.container_id)?;
        container.update(&self.0, &request.linux.unwrap_or_default())?;
        Ok(Response::new(UpdateContainerResourcesResponse {}))
    }

    async fn update_pod_sandbox_resources(
        &self,
        request: Request<UpdatePodSandboxResourcesRequest>,
    ) -> Answer<UpdatePodSandboxResourcesResponse> {
        // The pod's own cgroup is the kubelet's.
        self.0.sandbox(&request.into_inner().pod_sandbox_id)?;
        Ok(Response::new(UpdatePodSandboxResourcesResponse {}))
    }

    async fn reopen_container_log(
        &self,
        request: Request<ReopenContainerLogRequest>,
    ) -> Answer<ReopenContainerLogResponse> {
        let container = self.0.container(&request.into_inner().container_id)?;
        container.reopen_log(&self.0).await?;
        Ok(Response::new(ReopenContainerLogResponse {}))
    }

    async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<ExecSyncResponse> {
        let ExecSyncRequest { container_id, cmd, timeout } = request.into_inner();
        let container = self.0.container(&container_id)?;
        let limit = u64::try_from(timeout).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let output = exec::run(&self.0, &container, cmd, limit).await?;
        let exec::Output { stdout, stderr, code } = output;
        Ok(Response::new(ExecSyncResponse { stdout, stderr, exit_code: code }))
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Answer<ExecResponse> {
        let mut request = request.into_inner();
        request.container_id = self.running(&request.container_id)?;
        let url = self.0.streaming.offer(&self.0, Ticket::Exec(request))?;
        Ok(Response::new(ExecResponse { url }))
    }

    async fn attach(&self, request: Request<AttachRequest>) -> Answer<AttachResponse> {
        let mut request = request.into_inner();
        request.container_id = self.running(&request.container_id)?;
        let url = self.0.streaming.offer(&self.0, Ticket::Attach(request))?;
        Ok(Response::new(AttachResponse { url }))
    }

    async fn port_forward(&self, request: Request<PortForwardRequest>) -> Answer<PortForwardResponse> {
        let mut request = request.into_inner();
        let sandbox = self.0.sandbox(&request.pod_sandbox_id)?;
        if !sandbox.is_ready() {
            return Err(Error::Precondition(format!("sandbox {} is not running", sandbox.id)).into());
        }
        request.pod_sandbox_id.clone_from(&sandbox.id);
        let url = self.0.streaming.offer(&self.0, Ticket::PortForward(request))?;
        Ok(Response::new(PortForwardResponse { url }))
    }

    async fn container_stats(&self, request: Request<ContainerStatsRequest>) -> Answer<ContainerStatsResponse> {
        let container = self.0.container(&request.into_inner().container_id)?;
        let stats = stats::container(&self.0, &container).await?;
        Ok(Response::new(ContainerStatsResponse { stats: Some(stats) }))
    }

    async fn list_container_stats(
        &self,
        request: Request<ListContainerStatsRequest>,
    ) -> Answer<ListContainerStatsResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let mut response = ListContainerStatsResponse::default();
        for container in self.0.containers() {
            let labels = container.record().config.unwrap_or_default().labels;
            let wanted = names(&filter.id, &container.id)
                && names(&filter.pod_sandbox_id, &container.sandbox)
                && selects(&filter.label_selector, &labels);
            if wanted {
                response.stats.push(stats::container(&self.0, &container).await?);
            }
        }
        Ok(Response::new(response))
    }

    async fn pod_sandbox_stats(&self, request: Request<PodSandboxStatsRequest>) -> Answer<PodSandboxStatsResponse> {
        let sandbox = self.0.sandbox(&request.into_inner().pod_sandbox_id)?;
        let stats = stats::sandbox(&self.0, &sandbox).await?;
        Ok(Response::new(PodSandboxStatsResponse { stats: Some(stats) }))
    }

    async fn list_pod_sandbox_stats(
        &self,
        request: Request<ListPodSandboxStatsRequest>,
    ) -> Answer<ListPodSandboxStatsResponse> {
        let filter = request.into_inner().filter.unwrap_or_default();
        let mut response = ListPodSandboxStatsResponse::default();
        for sandbox in self.0.sandboxes() {
            let labels = sandbox.record().config.unwrap_or_default().labels;
            if names(&filter.id, &sandbox.id) && selects(&filter.label_selector, &labels) {
                response.stats.push(stats::sandbox(&self.0, &sandbox).await?);
            }
        }
        Ok(Response::new(response))
    }

    type GetContainerEventsStream = BoxStream<'static, Result<ContainerEventResponse, Status>>;

    async fn get_container_events(&self, _: Request<GetEventsRequest>) -> Answer<Self::GetContainerEventsStream> {
        let shutdown = self.0.host.shutdown();
        let events = BroadcastStream::new(self.0.subscribe());
        let lost = |_| Status::data_loss("the subscriber was too slow, events were lost");
        let events = events.map(move |event| event.map_err(lost)).take_until(shutdown.cancelled_owned());
        Ok(Response::new(events.boxed()))
    }
}

impl Server {
    /// The full id of a container that runs.
    fn running(&self, id: &str) -> Result<String, Error> {
        let container: Arc<Held> = self.0.container(id)?;
        if !container.is_running() {
            return Err(Error::Precondition(format!("container {} is not running", container.id)));
        }
        Ok(container.id.clone())
    }
}

/// What is not there is none, where an operation may be repeated.
fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(e) => Err(e),
    }
}
