//! The image service.

use cri::{
    ImageFsInfoRequest, ImageFsInfoResponse, ImageService, ImageSpec, ImageStatusRequest, ImageStatusResponse,
    ListImagesRequest, ListImagesResponse, PullImageRequest, PullImageResponse, RemoveImageRequest,
    RemoveImageResponse,
};
use tonic::{Request, Response, Status};

use super::Server;
use crate::error::{Error, blocking};
use crate::image::Usage;
use crate::stats;

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ImageService for Server {
    async fn list_images(&self, request: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        let wanted = request.into_inner().filter.and_then(|filter| filter.image).map(|image| image.image);
        let images = match wanted.filter(|wanted| !wanted.is_empty()) {
            Some(wanted) => self.0.images.find(&wanted).into_iter().collect(),
            None => self.0.images.list(),
        };
        Ok(Response::new(ListImagesResponse { images: images.iter().map(|image| (&**image).into()).collect() }))
    }

    async fn image_status(&self, request: Request<ImageStatusRequest>) -> Answer<ImageStatusResponse> {
        let request = request.into_inner();
        let found = self.0.images.find(&named(request.image)?);
        let mut response = ImageStatusResponse::default();
        if let Some(image) = found {
            if request.verbose {
                let document = String::from_utf8_lossy(&image.document).into_owned();
                response.info.insert("info".into(), document);
            }
            response.image = Some((&*image).into());
        }
        Ok(Response::new(response))
    }

    async fn pull_image(&self, request: Request<PullImageRequest>) -> Answer<PullImageResponse> {
        let PullImageRequest { image, auth, .. } = request.into_inner();
        let (engine, wanted) = (self.0.clone(), named(image)?);
        let pull = async move {
            let pulled = engine.images.pull(&wanted, auth.as_ref()).await;
            if pulled.is_err() {
                // Of an image that is not to be had, no layer stays either.
                engine.collect_layers().await?;
            }
            pulled
        };
        let pulled = self.0.finish(pull).await?;
        Ok(Response::new(PullImageResponse { image_ref: pulled.id.clone() }))
    }

    async fn remove_image(&self, request: Request<RemoveImageRequest>) -> Answer<RemoveImageResponse> {
        let (engine, wanted) = (self.0.clone(), named(request.into_inner().image)?);
        let removal = async move {
            engine.images.remove(&wanted).await?;
            engine.collect_layers().await
        };
        self.0.finish(removal).await?;
        Ok(Response::new(RemoveImageResponse {}))
    }

    async fn image_fs_info(&self, _: Request<ImageFsInfoRequest>) -> Answer<ImageFsInfoResponse> {
        let engine = self.0.clone();
        let uppers: Vec<_> = engine.containers().iter().map(|c| engine.layout.container(&c.id).join("upper")).collect();
        let layers = engine.images.layers().clone();
        let (images, written) = blocking(move || {
            let written = uppers.iter().map(|upper| stats::disk_usage(upper)).fold(Usage::default(), |sum, usage| {
                Usage { bytes: sum.bytes + usage.bytes, inodes: sum.inodes + usage.inodes }
            });
            Ok((layers.usage(), written))
        })
        .await?;
        let now = engine.now();
        Ok(Response::new(ImageFsInfoResponse {
            image_filesystems: vec![stats::filesystem(engine.layout.root(), images, now)],
            container_filesystems: vec![stats::filesystem(engine.layout.root(), written, now)],
        }))
    }
}

fn named(image: Option<ImageSpec>) -> Result<String, Error> {
    let wanted = image.map(|image| image.image).filter(|image| !image.is_empty());
    wanted.ok_or_else(|| Error::Invalid("no image is named".into()))
}
