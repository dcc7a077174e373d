//! The client's end of a CRI socket.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::image_service::image_service_client::ImageServiceClient;
use crate::runtime_service::runtime_service_client::RuntimeServiceClient;
use crate::{MAX_EXEC_OUTPUT, MAX_MESSAGE};

/// Client of the runtime service.
pub type Runtime = RuntimeServiceClient<Channel>;
/// Client of the image service.
pub type Images = ImageServiceClient<Channel>;

/// Both services behind one connection, which is made again when it breaks. Cheap to clone; the methods of the
/// services take `&mut self`, so clone one for each concurrent call.
#[derive(Clone, Debug)]
pub struct Client {
    pub runtime: Runtime,
    pub images: Images,
}

/// Why a runtime could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("connecting to the container runtime at {socket}")]
pub struct ConnectError {
    pub socket: PathBuf,
    #[source]
    pub source: tonic::transport::Error,
}

/// Connects to the CRI socket at `socket`: a path, without `unix://`.
pub async fn connect(socket: &Path) -> Result<Client, ConnectError> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The address is never resolved; it only becomes the requests' authority.
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|source| ConnectError { socket: socket.to_owned(), source })?;
    Ok(Client::new(channel))
}

impl Client {
    /// Uses any channel: a test's in-memory one, for example.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        // An ExecSync answer may hold two full streams.
        const MAX_ANSWER: usize = MAX_MESSAGE + 2 * MAX_EXEC_OUTPUT;
        Self {
            runtime: Runtime::new(channel.clone())
                .max_decoding_message_size(MAX_ANSWER)
                .max_encoding_message_size(MAX_MESSAGE),
            images: Images::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE),
        }
    }
}
