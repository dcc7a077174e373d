//! Pulling from registries. Layers go straight from the connection into the process that unpacks them.

use futures::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::credentials::Credentials;
use super::document::{Document, MAX_DOCUMENT};
use super::layers::{Layers, read_bounded};
use super::manifest::{Descriptor, Manifest};
use super::registry::Registry;
use super::{Images, Name};
use crate::error::{Error, Result};
use crate::record::{self, Record as _};

/// Layers of one image that are pulled at the same time.
const CONCURRENCY: usize = 3;

/// An image as a registry describes it.
struct Found {
    /// Of the manifest that the name led to, which may be an index.
    digest: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Images {
    /// Pulls an image. Returns its record, which may have been there.
    pub(crate) async fn pull(
        &self,
        wanted: &str,
        auth: Option<&cri::AuthConfig>,
    ) -> Result<std::sync::Arc<record::Image>> {
        let name = Name::parse(wanted)?;
        self.pull_named(&name, auth)
            .await
            .map_err(|e| e.within(&format!("failed to pull image {:?}", name.to_string())))
    }

    async fn pull_named(&self, name: &Name, auth: Option<&cri::AuthConfig>) -> Result<std::sync::Arc<record::Image>> {
        let credentials = auth.map_or(Ok(Credentials::None), |auth| Credentials::of(auth, &name.registry))?;
        let registry = Registry::new(name, credentials)?;
        let found = find(&registry, name.reference()).await?;
        let document =
            read_bounded(registry.blob(&found.config).await?, MAX_DOCUMENT, "the image's configuration").await?;
        let parsed = Document::parse(&document)?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != found.layers.len() {
            let (layers, expected) = (found.layers.len(), diff_ids.len());
            return Err(Error::Invalid(format!("it has {layers} layers, its configuration {expected}")));
        }
        let layers = diff_ids.iter().map(|id| Layers::name(id)).collect::<Result<Vec<_>>>()?;
        let _hold = self.layers().hold(layers.clone());
        self.pull_layers(&registry, &found.layers, diff_ids).await?;
        let mut size = found.config.size()?;
        for layer in &found.layers {
            size = size.saturating_add(layer.size()?);
        }
        self.add(record::Image {
            id: found.config.digest.clone(),
            tags: if name.digest_reference().is_some() { Vec::new() } else { vec![name.tag_reference()] },
            digests: vec![name.with_digest(&found.digest)],
            layers,
            size,
            document,
            ..record::Image::fresh()
        })
        .await
    }

    /// Pulls the layers that are missing. When one fails the others are given up, each after clearing away its own.
    async fn pull_layers(&self, registry: &Registry, descriptors: &[Descriptor], diff_ids: &[String]) -> Result<()> {
        let stop = CancellationToken::new();
        let mut pulls = Vec::new();
        for (descriptor, diff_id) in descriptors.iter().zip(diff_ids) {
            if !self.layers().has(&Layers::name(diff_id)?) {
                pulls.push(self.pull_layer(registry, descriptor, diff_id, &stop));
            }
        }
        if pulls.is_empty() {
            return Ok(());
        }
        let results: Vec<Result<()>> = stream::iter(pulls).buffer_unordered(CONCURRENCY).collect().await;
        // In the order in which they ended: what stopped the others comes first.
        results.into_iter().collect::<Result<()>>()?;
        self.layers().sync().await
    }

    async fn pull_layer(
        &self,
        registry: &Registry,
        descriptor: &Descriptor,
        diff_id: &str,
        stop: &CancellationToken,
    ) -> Result<()> {
        let blob = || async move {
            stop.run_until_cancelled(registry.blob(descriptor)).await.unwrap_or_else(|| Err(given_up()))
        };
        let pulled = if stop.is_cancelled() { Err(given_up()) } else { self.layers().add(diff_id, blob, stop).await };
        pulled.inspect_err(|_| stop.cancel())
    }
}

fn given_up() -> Error {
    Error::Invalid("another layer could not be pulled".into())
}

/// Follows an index to the image for this machine.
async fn find(registry: &Registry, reference: &str) -> Result<Found> {
    let (bytes, digest) = registry.manifest(reference).await?;
    let mut manifest = Manifest::parse(&bytes)?;
    if !manifest.manifests.is_empty() {
        let own = manifest.for_this_platform().map(str::to_owned);
        let own = own.filter(|own| own.starts_with("sha256:"));
        let own = own.ok_or_else(|| Error::NotFound("an image for this machine's platform".into()))?;
        manifest = Manifest::parse(&registry.manifest(&own).await?.0)?;
    }
    let config = manifest.config.ok_or_else(|| Error::Invalid("the image's manifest names no configuration".into()))?;
    manifest.layers.iter().try_for_each(Descriptor::check_layer)?;
    Ok(Found { digest, config, layers: manifest.layers })
}
