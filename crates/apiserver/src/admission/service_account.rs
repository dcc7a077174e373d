//! Every pod runs as a service account and, unless it declines, gets the account's token.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use host::Entropy;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{forbidden, list, writes_pod};
use crate::admit::{Admission, Admitted, Operation};
use crate::error::Result;
use crate::objects::Objects;

const DEFAULT: &str = "default";
const MIRROR: &str = "kubernetes.io/config.mirror";
const VOLUME_PREFIX: &str = "kube-api-access-";
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Seconds; a number that is seen nowhere else marks tokens that were mounted by default.
const EXPIRATION: i64 = 3607;
const SUFFIX: usize = 5;
/// How long a new namespace may take to get its default account.
const PATIENCE: Duration = Duration::from_secs(2);

/// Upstream's `ServiceAccount`.
pub struct ServiceAccount {
    /// For the names of volumes.
    pub entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl Admission for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    fn handles(&self, admitted: &Admitted<'_>) -> bool {
        writes_pod(admitted, &[Operation::Create])
    }

    async fn mutate(&self, admitted: &Admitted<'_>, pod: &mut Value) -> Result<()> {
        if is_mirror(pod) {
            return Ok(());
        }
        let name = account_name(pod).to_owned();
        let account = find(admitted.objects, admitted.namespace, &name).await;
        let Some(account) = account else {
            let why = format!(
                "error looking up service account {}/{name}: serviceaccount {name:?} not found",
                admitted.namespace
            );
            return Err(forbidden(admitted, pod, why));
        };
        pod["spec"]["serviceAccountName"] = name.as_str().into();
        pod["spec"]["serviceAccount"] = name.into();
        if wants_token(pod, &account) {
            self.mount_token(pod);
        }
        if is_empty(pod.pointer("/spec/imagePullSecrets")) {
            let secrets = account.get("imagePullSecrets").and_then(Value::as_array).into_iter().flatten();
            let secrets: Vec<Value> = secrets.map(|secret| json!({ "name": secret["name"] })).collect();
            if !secrets.is_empty() {
                pod["spec"]["imagePullSecrets"] = secrets.into();
            }
        }
        Ok(())
    }

    async fn validate(&self, admitted: &Admitted<'_>, pod: &Value) -> Result<()> {
        if !is_mirror(pod) {
            return Ok(());
        }
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
        let volumes = || volumes.into_iter().flatten();
        let token = |volume: &Value| {
            let sources = volume.pointer("/projected/sources").and_then(Value::as_array);
            sources.into_iter().flatten().any(|source| source.get("serviceAccountToken").is_some())
        };
        let why = if pod.pointer("/spec/serviceAccountName").is_some_and(|name| name != "") {
            "a mirror pod may not reference service accounts"
        } else if volumes().any(|volume| volume.get("secret").is_some()) {
            "a mirror pod may not reference secrets"
        } else if volumes().any(token) {
            "a mirror pod may not use ServiceAccountToken volume projections"
        } else {
            return Ok(());
        };
        Err(forbidden(admitted, pod, why))
    }
}

impl ServiceAccount {
    /// Mounts the token where programs look for it, in every container that has nothing there.
    fn mount_token(&self, pod: &mut Value) {
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let mut names = volumes.filter_map(|volume| volume["name"].as_str());
        let known = names.find(|name| name.starts_with(VOLUME_PREFIX)).map(str::to_owned);
        let volume = known.clone().unwrap_or_else(|| format!("{VOLUME_PREFIX}{}", self.entropy.suffix(SUFFIX)));
        let mut mounted = false;
        for containers in ["initContainers", "containers"] {
            let containers = pod["spec"].get_mut(containers).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let mounts = list(container, "volumeMounts");
                if !mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH) {
                    mounts.push(json!({ "name": volume, "readOnly": true, "mountPath": MOUNT_PATH }));
                    mounted = true;
                }
            }
        }
        if mounted && known.is_none() {
            list(&mut pod["spec"], "volumes").push(token_volume(&volume));
        }
    }
}

fn token_volume(name: &str) -> Value {
    json!({ "name": name, "projected": { "sources": [
        { "serviceAccountToken": { "expirationSeconds": EXPIRATION, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
        { "downwardAPI": { "items": [
            { "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } },
        ] } },
    ], "defaultMode": 0o644 } })
}

fn is_mirror(pod: &Value) -> bool {
    object::meta::annotation(pod, MIRROR).is_some()
}

fn account_name(pod: &Value) -> &str {
    let name = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).filter(|name| !name.is_empty());
    name("/spec/serviceAccountName").or_else(|| name("/spec/serviceAccount")).unwrap_or(DEFAULT)
}

/// The pod decides, else the account, else yes.
fn wants_token(pod: &Value, account: &Value) -> bool {
    let decided = pod.pointer("/spec/automountServiceAccountToken").and_then(Value::as_bool);
    decided.or_else(|| account.get("automountServiceAccountToken").and_then(Value::as_bool)).unwrap_or(true)
}

fn is_empty(list: Option<&Value>) -> bool {
    list.and_then(Value::as_array).is_none_or(Vec::is_empty)
}

/// The account; a default one that is not there yet is waited for, because new namespaces get theirs in a moment.
async fn find(objects: &Objects, namespace: &str, name: &str) -> Option<Value> {
    let get = || objects.value("", "serviceaccounts", namespace, name);
    if let Some(account) = get() {
        return Some(account);
    }
    let deadline = Instant::now() + PATIENCE;
    if objects.fresh().await.is_err() || name != DEFAULT {
        return get();
    }
    let mut watch = objects.watch("", "serviceaccounts")?;
    loop {
        if let Some(account) = get() {
            return Some(account);
        }
        timeout_at(deadline, watch.events.recv()).await.ok().flatten()?;
    }
}
