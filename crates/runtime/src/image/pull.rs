//! Pulling from registries. Layers go straight from the connection into the process that unpacks them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use super::document::{Document, MAX_DOCUMENT};
use super::layers::{Layers, read_bounded};
use super::{Images, Name};
use crate::error::{Attempt as _, Error, Result};
use crate::record::{self, Record as _};

/// Layers of one image that are pulled at the same time.
const CONCURRENCY: usize = 3;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A registry that says nothing for this long is gone.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

impl Images {
    /// Pulls an image. Returns its record, which may have been there.
    pub(crate) async fn pull(
        &self,
        wanted: &str,
        auth: Option<&cri::AuthConfig>,
    ) -> Result<std::sync::Arc<record::Image>> {
        let name = Name::parse(wanted)?;
        let what = || format!("failed to pull image {:?}", name.to_string());
        let pull = Pull::new(&name, auth)?;
        let (manifest, digest, list_digest) = pull
            .client
            .pull_image_manifest_and_list_digest(&pull.reference, &pull.auth)
            .await
            .map_err(|e| refused(&what(), e))?;
        let document =
            read_bounded(pull.blob(&manifest.config).await?, MAX_DOCUMENT, "an image's configuration").await?;
        let parsed = Document::parse(&document)?;
        let diff_ids = &parsed.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            let (found, expected) = (manifest.layers.len(), diff_ids.len());
            return Err(Error::Invalid(format!("{}: it has {found} layers, its configuration {expected}", what())));
        }
        let layers = diff_ids.iter().map(|id| Layers::name(id)).collect::<Result<Vec<_>>>()?;
        let _hold = self.layers().hold(layers.clone());
        let missing = manifest.layers.iter().zip(diff_ids).zip(&layers).filter(|(_, name)| !self.layers().has(name));
        let pulls: Vec<_> =
            missing.map(|((descriptor, diff_id), _)| self.layers().add(diff_id, || pull.blob(descriptor))).collect();
        let pulled = !pulls.is_empty();
        stream::iter(pulls).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
        if pulled {
            self.layers().sync().await?;
        }
        let sizes = manifest.layers.iter().chain([&manifest.config]);
        let digest_reference = name.with_digest(list_digest.as_deref().unwrap_or(&digest));
        self.add(record::Image {
            id: manifest.config.digest.clone(),
            tags: if name.digest_reference().is_some() { Vec::new() } else { vec![name.tag_reference()] },
            digests: vec![digest_reference],
            layers,
            size: sizes.map(|descriptor| u64::try_from(descriptor.size).unwrap_or(0)).sum(),
            document,
            ..record::Image::fresh()
        })
        .await
    }
}

/// A pull under way.
struct Pull {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
}

impl Pull {
    fn new(name: &Name, auth: Option<&cri::AuthConfig>) -> Result<Self> {
        let reference = name.to_string().parse::<Reference>().attempt(|| format!("parsing {name}"))?;
        let plain = if name.is_loopback() { vec![name.registry.clone()] } else { Vec::new() };
        let client = Client::new(ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!("coracle/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        let auth = auth.map_or(Ok(RegistryAuth::Anonymous), |auth| credentials(auth, &name.registry))?;
        Ok(Self { client, reference, auth })
    }

    /// The content of a blob. The last read fails if digest or size are not as told.
    async fn blob(&self, descriptor: &OciDescriptor) -> Result<impl tokio::io::AsyncRead + Unpin + use<>> {
        let what = || format!("pulling {} of {}", descriptor.digest, self.reference);
        let size = u64::try_from(descriptor.size).attempt(what)?;
        let blob = self.client.pull_blob_stream(&self.reference, descriptor).await.map_err(|e| refused(&what(), e))?;
        let mut read = 0;
        let digest = descriptor.digest.clone();
        let checked = blob.stream.map(move |chunk| {
            let chunk = chunk?;
            read += chunk.len() as u64;
            if read > size {
                return Err(std::io::Error::other(format!("{digest} has more than the {size} bytes that were told")));
            }
            Ok(chunk)
        });
        Ok(tokio_util::io::StreamReader::new(checked))
    }
}

/// Credentials for a registry; none when they are for another one.
fn credentials(auth: &cri::AuthConfig, registry: &str) -> Result<RegistryAuth> {
    let server = auth.server_address.trim_start_matches("https://").trim_start_matches("http://");
    let server = server.split('/').next().unwrap_or_default();
    let server = if server == "index.docker.io" { "docker.io" } else { server };
    if !server.is_empty() && server != registry {
        return Ok(RegistryAuth::Anonymous);
    }
    if !auth.registry_token.is_empty() {
        return Ok(RegistryAuth::Bearer(auth.registry_token.clone()));
    }
    if !auth.identity_token.is_empty() {
        return Err(Error::Invalid(format!("identity tokens, as given for {registry}, are not supported")));
    }
    if !auth.username.is_empty() {
        return Ok(RegistryAuth::Basic(auth.username.clone(), auth.password.clone()));
    }
    if auth.auth.is_empty() {
        return Ok(RegistryAuth::Anonymous);
    }
    let decoded = STANDARD.decode(&auth.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
    let (user, password) =
        pair.ok_or_else(|| Error::Invalid(format!("the credentials for {registry} are not user:password in base64")))?;
    Ok(RegistryAuth::Basic(user.to_owned(), password.to_owned()))
}

/// Tells what is missing and what is forbidden from what failed.
fn refused(what: &str, error: OciDistributionError) -> Error {
    use OciDistributionError::{ImageManifestNotFoundError, RegistryError, ServerError, UnauthorizedError};
    let unknown = |code: &OciErrorCode| {
        matches!(
            code,
            OciErrorCode::ManifestUnknown
                | OciErrorCode::NameUnknown
                | OciErrorCode::NotFound
                | OciErrorCode::BlobUnknown
        )
    };
    match &error {
        ImageManifestNotFoundError(_) | ServerError { code: 404, .. } => Error::NotFound(format!("{what}: it was")),
        RegistryError { envelope, .. } if envelope.errors.iter().any(|e| unknown(&e.code)) => {
            Error::NotFound(format!("{what}: it was"))
        }
        UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => Error::Denied(format!(
            "{what}: pull access denied, repository does not exist or may require authorization: {error}"
        )),
        _ => Error::Failed { what: what.to_owned(), source: error.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_for_their_registry_only() {
        let user = |server: &str| cri::AuthConfig {
            username: "u".into(),
            password: "p".into(),
            server_address: server.into(),
            ..Default::default()
        };
        let basic = |auth: &cri::AuthConfig| matches!(credentials(auth, "docker.io").unwrap(), RegistryAuth::Basic(..));
        assert!(basic(&user("")));
        assert!(basic(&user("https://index.docker.io/v1/")));
        assert!(!basic(&user("ghcr.io")));
        let encoded = cri::AuthConfig { auth: STANDARD.encode("u:p:q"), ..Default::default() };
        let expected = RegistryAuth::Basic("u".into(), "p:q".into());
        assert_eq!(credentials(&encoded, "x").unwrap(), expected);
        assert!(credentials(&cri::AuthConfig { auth: "?".into(), ..Default::default() }, "x").is_err());
    }
}
