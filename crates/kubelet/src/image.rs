//! Getting a container's image onto the node.

pub mod keyring;
pub mod reference;

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::time::Instant;

use crate::container::security::ImageUser;
use crate::context::Context;
use crate::events::Level;
use crate::pod::desired::{Desired, Slot};
use keyring::Keyring;

/// An image that is on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// How the runtime names it.
    pub id: String,
    pub user: ImageUser,
}

/// A failure as users see it: the waiting reason and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub reason: &'static str,
    pub message: String,
}

/// Makes sure that the image of `slot` is there, as its pull policy wants it. Says what it does in events.
pub async fn ensure(context: &Context, desired: &Desired, slot: &Slot) -> Result<Present, Failure> {
    let given = slot.container.image.as_deref().unwrap_or_default();
    let image = match reference::with_default_tag(given) {
        Ok(image) => image,
        Err(error) => {
            let message = format!("Failed to apply default image tag \"{given}\": {error}");
            context.container_event(desired, slot, Level::Warning, "InspectFailed", message.clone());
            return Err(Failure { reason: "InvalidImageName", message });
        }
    };
    let present = match context.runtime.image(&image).await {
        Ok(present) => present,
        Err(status) => {
            let message = format!("Failed to inspect image \"{image}\": {}", status.message());
            context.container_event(desired, slot, Level::Warning, "InspectFailed", message.clone());
            return Err(Failure { reason: "ImageInspectError", message });
        }
    };
    let policy = slot.container.image_pull_policy.as_deref().unwrap_or_else(|| reference::default_policy(&image));
    match (policy, present) {
        ("Always", _) | ("IfNotPresent", None) => pull(context, desired, slot, &image).await,
        (_, Some(present)) => {
            let message =
                format!("Container image \"{given}\" already present on machine and can be accessed by the pod");
            context.container_event(desired, slot, Level::Normal, "Pulled", message);
            Ok(from(present))
        }
        (_, None) => {
            let message = format!("Container image \"{given}\" is not present with pull policy of Never");
            context.container_event(desired, slot, Level::Warning, "ErrImageNeverPull", message.clone());
            Err(Failure { reason: "ErrImageNeverPull", message })
        }
    }
}

async fn pull(context: &Context, desired: &Desired, slot: &Slot, image: &str) -> Result<Present, Failure> {
    let given = slot.container.image.as_deref().unwrap_or_default();
    context.container_event(desired, slot, Level::Normal, "Pulling", format!("Pulling image \"{given}\""));
    let began = Instant::now();
    let pulled = pull_with_any(context, desired, image).await;
    let took = format!("{:.3}s", began.elapsed().as_secs_f64());
    let present = match pulled {
        Ok(()) => context.runtime.image(image).await.map_err(|status| status.message().to_owned()),
        Err(message) => Err(message),
    };
    match present {
        Ok(Some(present)) => {
            let message = format!(
                "Successfully pulled image \"{given}\" in {took} ({took} including waiting). Image size: {} bytes.",
                present.size
            );
            context.container_event(desired, slot, Level::Normal, "Pulled", message);
            Ok(from(present))
        }
        Ok(None) => Err(failed(context, desired, slot, given, "the image is gone after the pull")),
        Err(message) => Err(failed(context, desired, slot, given, &message)),
    }
}

fn failed(context: &Context, desired: &Desired, slot: &Slot, image: &str, why: &str) -> Failure {
    let message = format!("Failed to pull image \"{image}\": {why}");
    context.container_event(desired, slot, Level::Warning, "Failed", message);
    Failure { reason: "ErrImagePull", message: why.to_owned() }
}

/// Pulls with each of the pod's credentials for the registry, or with none.
async fn pull_with_any(context: &Context, desired: &Desired, image: &str) -> Result<(), String> {
    let keyring = keyring(context, desired).await;
    let credentials = keyring.lookup(image);
    let mut tries: Vec<Option<cri::AuthConfig>> = credentials.into_iter().map(Some).collect();
    if tries.is_empty() {
        tries.push(None);
    }
    let mut errors = Vec::new();
    for auth in tries {
        let image = cri::ImageSpec { image: image.to_owned(), ..Default::default() };
        let request = cri::PullImageRequest { image: Some(image), auth, sandbox_config: None };
        match context.runtime.images().pull_image(request).await {
            Ok(_) => return Ok(()),
            Err(status) => errors.push(status.message().to_owned()),
        }
    }
    Err(errors.join(", "))
}

/// The credentials in the pod's imagePullSecrets; secrets that are not there are passed over, as upstream does.
async fn keyring(context: &Context, desired: &Desired) -> Keyring {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), desired.namespace());
    let mut secrets = Vec::new();
    for reference in desired.spec().image_pull_secrets.iter().flatten() {
        match api.get_opt(&reference.name).await {
            Ok(Some(secret)) => secrets.push(Arc::new(secret)),
            Ok(None) => {
                let message = format!(
                    "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                    reference.name
                );
                context.pod_event(desired, Level::Warning, "FailedToRetrieveImagePullSecret", message);
            }
            Err(error) => tracing::warn!(%error, secret = reference.name, "reading an image pull secret"),
        }
    }
    Keyring::new(secrets.iter().map(AsRef::as_ref))
}

fn from(image: cri::Image) -> Present {
    Present { id: image.id, user: ImageUser { uid: image.uid.map(|uid| uid.value), name: image.username } }
}
