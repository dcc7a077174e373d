//! A service beside CRI: what our own command line asks of a runtime.

use tonic::{Request, Response, Status};

use super::Server;

#[expect(unreachable_pub, unused_qualifications, reason = "generated")]
mod service {
    include!(concat!(env!("OUT_DIR"), "/coracle.runtime.v1.Images.rs"));
}

pub(crate) use service::images_client::ImagesClient as OwnClient;
pub(crate) use service::images_server::ImagesServer as OwnServer;

#[expect(unreachable_pub, reason = "the generated traits are public, and so their messages have to be")]
mod messages {
    /// Loads the images of a file on this machine.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LoadRequest {
        /// Absolute.
        #[prost(string, tag = "1")]
        pub path: String,
    }

    /// What was loaded.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LoadResponse {
        #[prost(message, repeated, tag = "1")]
        pub images: Vec<LoadedImage>,
    }

    /// An image that was loaded.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LoadedImage {
        #[prost(string, tag = "1")]
        pub id: String,
        /// Full names with tags.
        #[prost(string, repeated, tag = "2")]
        pub names: Vec<String>,
    }
}

pub(crate) use messages::{LoadRequest, LoadResponse, LoadedImage};

#[tonic::async_trait]
impl service::images_server::Images for Server {
    async fn load(&self, request: Request<LoadRequest>) -> Result<Response<LoadResponse>, Status> {
        let (engine, path) = (self.0.clone(), request.into_inner().path);
        let loaded = self.0.finish(async move { engine.images.load(path.as_ref()).await }).await?;
        let images = loaded.into_iter().map(|image| LoadedImage { id: image.id, names: image.names }).collect();
        Ok(Response::new(LoadResponse { images }))
    }
}
