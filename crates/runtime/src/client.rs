//! What the command line asks of a running runtime, beside CRI.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::Endpoint;

use crate::server::{LoadRequest, OwnClient};

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedImage {
    /// `sha256:…`
    pub id: String,
    /// Full names with tags.
    pub names: Vec<String>,
}

/// Why a runtime could not load an image.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("finding {path}")]
    Path { path: PathBuf, source: std::io::Error },
    #[error("connecting to the container runtime at {socket}")]
    Connect { socket: PathBuf, source: tonic::transport::Error },
    /// In the runtime's words.
    #[error("{0}")]
    Refused(String),
}

/// Has the runtime at a socket load the images of an archive on this machine: what `docker save` writes, or an OCI
/// layout in a tar.
pub async fn load(socket: &Path, archive: &Path) -> Result<Vec<LoadedImage>, LoadError> {
    let path = archive.canonicalize().map_err(|source| LoadError::Path { path: archive.to_owned(), source })?;
    let at = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let at = at.clone();
        async move { UnixStream::connect(at).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|source| LoadError::Connect { socket: socket.to_owned(), source })?;
    let request = LoadRequest { path: path.display().to_string() };
    let response = OwnClient::new(channel).load(request).await;
    let response = response.map_err(|status| LoadError::Refused(status.message().to_owned()))?.into_inner();
    Ok(response.images.into_iter().map(|image| LoadedImage { id: image.id, names: image.names }).collect())
}
