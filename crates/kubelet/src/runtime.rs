//! The container runtime behind its CRI socket, in the kubelet's own terms.

pub mod convert;
pub mod observe;
pub mod wakers;

use std::path::Path;
use std::time::Duration;

use host::Host;
use tonic::{Code, Request, Status};

pub use wakers::Wakers;

/// Calls that are not meant to wait for anything.
const QUICK: Duration = Duration::from_secs(30);
/// Making a sandbox or a container, which the machine's load may slow down.
const SLOW: Duration = Duration::from_secs(240);
const RETRY: Duration = Duration::from_millis(200);

/// A connection to the runtime; cheap to clone.
#[derive(Debug, Clone)]
pub struct Runtime {
    client: cri::Client,
    /// What the runtime says it is.
    pub version: cri::VersionResponse,
}

impl Runtime {
    /// Connects once the runtime answers; `progress` is told what is waited for.
    pub async fn connect(socket: &Path, host: &Host, progress: impl Fn(String)) -> Option<Self> {
        let shutdown = host.shutdown();
        loop {
            let why = match Self::try_connect(socket).await {
                Ok(runtime) => return Some(runtime),
                Err(why) => why,
            };
            progress(format!("waiting for the container runtime at {}: {why}", socket.display()));
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn try_connect(socket: &Path) -> Result<Self, String> {
        let client = cri::connect(socket).await.map_err(|error| error.to_string())?;
        let request = quick(cri::VersionRequest { version: cri::API_VERSION.to_owned() });
        let version = client.runtime.clone().version(request).await.map_err(|status| status.message().to_owned())?;
        Ok(Self { client, version: version.into_inner() })
    }

    #[must_use]
    pub fn client(&self) -> cri::Runtime {
        self.client.runtime.clone()
    }

    #[must_use]
    pub fn images(&self) -> cri::Images {
        self.client.images.clone()
    }

    pub async fn run_sandbox(&self, config: cri::PodSandboxConfig, handler: String) -> Result<String, Status> {
        let request = slow(cri::RunPodSandboxRequest { config: Some(config), runtime_handler: handler });
        Ok(self.client().run_pod_sandbox(request).await?.into_inner().pod_sandbox_id)
    }

    pub async fn stop_sandbox(&self, id: &str) -> Result<(), Status> {
        let request = slow(cri::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() });
        gone_is_fine(self.client().stop_pod_sandbox(request).await)
    }

    pub async fn remove_sandbox(&self, id: &str) -> Result<(), Status> {
        let request = slow(cri::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() });
        gone_is_fine(self.client().remove_pod_sandbox(request).await)
    }

    pub async fn create_container(
        &self,
        sandbox: &str,
        config: cri::ContainerConfig,
        sandbox_config: cri::PodSandboxConfig,
    ) -> Result<String, Status> {
        let request = slow(cri::CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        });
        Ok(self.client().create_container(request).await?.into_inner().container_id)
    }

    pub async fn start_container(&self, id: &str) -> Result<(), Status> {
        let request = slow(cri::StartContainerRequest { container_id: id.to_owned() });
        self.client().start_container(request).await.map(drop)
    }

    /// Stops a container within `grace` seconds; returns once it is dead.
    pub async fn stop_container(&self, id: &str, grace: i64) -> Result<(), Status> {
        let mut request = Request::new(cri::StopContainerRequest { container_id: id.to_owned(), timeout: grace });
        request.set_timeout(SLOW + Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
        gone_is_fine(self.client().stop_container(request).await)
    }

    pub async fn remove_container(&self, id: &str) -> Result<(), Status> {
        let request = slow(cri::RemoveContainerRequest { container_id: id.to_owned() });
        gone_is_fine(self.client().remove_container(request).await)
    }

    /// Runs a command in a container. A command that outlasts `limit` is `DeadlineExceeded`.
    pub async fn exec(&self, id: &str, command: &[String], limit: Duration) -> Result<cri::ExecSyncResponse, Status> {
        let seconds = i64::try_from(limit.as_secs().max(1)).unwrap_or(i64::MAX);
        let body = cri::ExecSyncRequest { container_id: id.to_owned(), cmd: command.to_vec(), timeout: seconds };
        let mut request = Request::new(body);
        request.set_timeout(limit + Duration::from_secs(2));
        Ok(self.client().exec_sync(request).await?.into_inner())
    }

    pub async fn image(&self, image: &str) -> Result<Option<cri::Image>, Status> {
        let image = Some(cri::ImageSpec { image: image.to_owned(), ..Default::default() });
        let request = quick(cri::ImageStatusRequest { image, verbose: false });
        match self.images().image_status(request).await {
            Ok(response) => Ok(response.into_inner().image),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    pub async fn list_images(&self) -> Result<Vec<cri::Image>, Status> {
        Ok(self.images().list_images(quick(cri::ListImagesRequest { filter: None })).await?.into_inner().images)
    }

    pub async fn reopen_log(&self, id: &str) -> Result<(), Status> {
        let request = quick(cri::ReopenContainerLogRequest { container_id: id.to_owned() });
        self.client().reopen_container_log(request).await.map(drop)
    }

    pub async fn status(&self) -> Result<cri::StatusResponse, Status> {
        Ok(self.client().status(quick(cri::StatusRequest { verbose: false })).await?.into_inner())
    }
}

/// A request that must be answered soon.
pub(crate) fn quick<T>(body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.set_timeout(QUICK);
    request
}

fn slow<T>(body: T) -> Request<T> {
    let mut request = Request::new(body);
    request.set_timeout(SLOW);
    request
}

fn gone_is_fine<T>(result: Result<T, Status>) -> Result<(), Status> {
    match result {
        Err(status) if status.code() == Code::NotFound => Ok(()),
        other => other.map(drop),
    }
}
