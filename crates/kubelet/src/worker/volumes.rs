//! Volumes: setting them up, keeping their content fresh, taking them down.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{AbortRegistration, Abortable};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;

use super::{Done, Worker};
use crate::container::env;
use crate::container::references::Names;
use crate::context::Context;
use crate::objects::{self, SharedTokens, Snapshot};
use crate::pod::desired::Desired;
use crate::pod::memory::Volumes;
use crate::volume::payload::{self, Payload};
use crate::volume::{self, Error, Reason, SetUp};

impl Worker {
    /// Follows what the pod's volumes and containers refer to.
    pub(super) fn watch_objects(&mut self) {
        if self.desired.deleted() || self.memory.forgotten {
            return;
        }
        let mut names = Names::default();
        self.desired.spec().volumes.iter().flatten().for_each(|volume| names.extend(Names::of_volume(volume)));
        self.desired.slots.iter().for_each(|slot| names.extend(Names::of_container(&slot.container)));
        self.objects.watch(names);
    }

    pub(super) fn mount_volumes(&mut self) {
        self.memory.volumes = Volumes::Busy;
        let (content, abortion) = (self.content(), self.abortion("content"));
        self.run_operation(async move { Done::Mounted(content.set_up(abortion).await) });
    }

    pub(super) fn refresh_volumes(&mut self) {
        self.stale = false;
        self.refreshing = true;
        let (content, abortion) = (self.content(), self.abortion("content"));
        self.run_operation(async move { Done::Refreshed(content.set_up(abortion).await) });
    }

    pub(super) fn unmount_volumes(&mut self) {
        self.memory.volumes = Volumes::Busy;
        let dir = self.context.pod_dir(self.desired.uid());
        self.run_operation(async move {
            let result = tokio::task::spawn_blocking(move || volume::tear_down(&dir)).await;
            Done::Unmounted(result.unwrap_or(Ok(())))
        });
    }

    pub(super) fn mounted(&mut self, result: Result<SharedTokens, String>, now: Timestamp) {
        self.memory.volumes = if result.is_ok() { Volumes::Mounted } else { Volumes::Unknown };
        let result = result.map(|tokens| self.tokens = tokens);
        if !self.desired.deleted() && !self.memory.forgotten {
            self.settle(result.map_err(|why| (Some("FailedMount"), why)), now);
        }
    }

    pub(super) fn refreshed(&mut self, result: Result<SharedTokens, String>, now: Timestamp) {
        self.refreshing = false;
        match result {
            Ok(tokens) => self.tokens = tokens,
            Err(why) => {
                // the content that is there stays; tokens are asked for again a little later
                self.settle(Err((Some("FailedMount"), why)), now);
                self.memory.retry_at = None;
                self.postpone_rotation(now);
            }
        }
    }

    fn postpone_rotation(&mut self, now: Timestamp) {
        let later = now.saturating_add(super::FIRST_RETRY * 20).unwrap_or(now);
        let tokens = Arc::make_mut(&mut self.tokens);
        tokens.values_mut().filter(|token| token.rotate_at <= now).for_each(|token| token.rotate_at = later);
    }

    pub(super) fn unmounted(&mut self, result: Result<(), Error>, now: Timestamp) {
        self.memory.volumes = if result.is_ok() { Volumes::Unmounted } else { Volumes::Unknown };
        self.settle(result.map_err(|error| (Some("FailedUnmount"), error.to_string())), now);
    }

    fn content(&self) -> Content {
        Content {
            context: self.context.clone(),
            desired: self.desired.clone(),
            status: self.status.clone(),
            objects: self.objects.snapshot(),
            tokens: self.tokens.clone(),
        }
    }
}

/// Everything that goes into a pod's volumes.
struct Content {
    context: Arc<Context>,
    desired: Arc<Desired>,
    status: PodStatus,
    objects: Snapshot,
    tokens: SharedTokens,
}

impl Content {
    /// Sets all volumes up; returns the tokens that are now in them. Waiting for the API may be aborted.
    async fn set_up(mut self, abortion: AbortRegistration) -> Result<SharedTokens, String> {
        let gather = async {
            self.renew_tokens().await?;
            self.payloads().await
        };
        let gathered = Abortable::new(gather, abortion).await.map_err(|_| "the pod has to go".to_owned())?;
        let payloads = gathered.map_err(|error| error.to_string())?;
        let generation = self.context.host.now().strftime("%Y_%m_%d_%H_%M_%S").to_string();
        let set_up = SetUp {
            dir: self.context.pod_dir(self.desired.uid()),
            spec: self.desired.spec().clone(),
            payloads,
            generation: format!("{generation}.{}", self.context.host.entropy.suffix(9)),
        };
        let result = tokio::task::spawn_blocking(move || set_up.run()).await;
        result.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(self.tokens)
    }

    async fn renew_tokens(&mut self) -> Result<(), Error> {
        let volumes = self.desired.spec().volumes.as_deref().unwrap_or_default();
        for key in objects::due(&self.tokens, payload::tokens(volumes), self.context.host.now()) {
            let token = objects::token(&self.context, &self.desired, &key).await.map_err(|source| {
                let account = objects::account(&self.desired).to_owned();
                let shows = |volume: &&k8s_openapi::api::core::v1::Volume| {
                    payload::tokens(std::slice::from_ref(*volume)).any(|shown| shown == key)
                };
                let volume = volumes.iter().find(shows).map(|volume| volume.name.clone()).unwrap_or_default();
                Error::SetUp { volume, source: Reason::Token { account, source: Box::new(source) } }
            })?;
            Arc::make_mut(&mut self.tokens).insert(key, token);
        }
        Ok(())
    }

    async fn payloads(&self) -> Result<BTreeMap<String, Payload>, Error> {
        let volumes = self.desired.spec().volumes.as_deref().unwrap_or_default();
        let mut payloads = BTreeMap::new();
        if !volumes.iter().any(volume::has_payload) {
            return Ok(payloads);
        }
        let references = self.objects.references(&self.context).await;
        let env = env::Sources {
            pod: &self.desired.pod,
            status: &self.status,
            references: &references,
            allocatable: &self.context.allocatable,
        };
        let tokens = objects::values(&self.tokens);
        for volume in volumes {
            let payload = payload::payload(volume, payload::Sources { env, tokens: &tokens })
                .map_err(|error| Error::SetUp { volume: volume.name.clone(), source: error.into() })?;
            payloads.extend(payload.map(|payload| (volume.name.clone(), payload)));
        }
        Ok(payloads)
    }
}
