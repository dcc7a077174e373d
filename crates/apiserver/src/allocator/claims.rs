//! Claims on cluster addresses: an IPAddress object for each, created before the Service that has the address.

use std::net::IpAddr;

use bytes::Bytes;
use host::Host;
use jiff::SignedDuration;
use schema::{Table, Type};
use serde_json::{Value, json};
use store::{Entry, Error as StoreError, Expect};

use super::{AllocationError, Family};
use crate::objects::Objects;
use crate::storage::Storage;

const KIND: &str = "networking.v1.IPAddress";

/// How long a claim may be without its Service, which may still be on its way: through another server, or to the cache.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// How often a claim that others change meanwhile is tried.
const ATTEMPTS: usize = 5;

/// Keeps claims in the store.
#[derive(Debug)]
pub(super) struct Claims {
    storage: Storage,
    /// Where IPAddress objects are kept; ends with a slash.
    pub(super) prefix: String,
}

/// How a claim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Ours,
    Taken,
}

impl Claims {
    pub(super) fn new(storage: Storage, table: &Table) -> Self {
        let snapshot = table.snapshot();
        let row = snapshot.row("networking.k8s.io", "ipaddresses").expect("the built-in table has IPAddresses");
        Self { storage, prefix: row.key_prefix(None) }
    }

    /// Claims `address` for the Service `owner`. A claim of the Service `leaving`, one of our own, or one whose Service is
    /// gone is taken over.
    pub(super) async fn claim(
        &self,
        address: IpAddr,
        owner: &str,
        leaving: Option<&str>,
        host: &Host,
        objects: &Objects,
    ) -> Result<Claim, AllocationError> {
        let key = format!("{}{address}", self.prefix);
        let claim = self.seal(&key, &object(address, owner, host)?)?;
        let mut expect = Expect::Absent;
        for _ in 0..ATTEMPTS {
            match self.storage.store.put(&key, claim.clone(), expect, None).await {
                Ok(_) => return Ok(Claim::Ours),
                Err(StoreError::Conflict { current: None, .. }) => expect = Expect::Absent,
                Err(StoreError::Conflict { current: Some(entry), .. }) => {
                    let holder = self.open(&entry)?;
                    let parent = parent(&holder);
                    let free =
                        parent == owner || leaving == Some(&*parent) || is_stale(&holder, address, host, objects);
                    if !free {
                        return Ok(Claim::Taken);
                    }
                    expect = Expect::Revision(entry.modified);
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Claim::Taken)
    }

    /// Deletes the claim if it is still that of `owner`.
    pub(super) async fn withdraw(&self, address: IpAddr, owner: &str) -> Result<(), AllocationError> {
        let key = format!("{}{address}", self.prefix);
        let Some(entry) = self.storage.store.get(&key, None).await.map_err(failed)?.entry else { return Ok(()) };
        if parent(&self.open(&entry)?) != owner {
            return Ok(());
        }
        match self.storage.store.delete(&key, Expect::Revision(entry.modified)).await {
            // Whoever was faster has claimed it anew.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn seal(&self, key: &str, object: &Value) -> Result<Bytes, AllocationError> {
        self.storage.transform.seal(key, object.to_string().into()).map_err(failed)
    }

    fn open(&self, entry: &Entry) -> Result<Value, AllocationError> {
        let bytes = self.storage.transform.open(&entry.key, entry.value.clone()).map_err(failed)?;
        serde_json::from_slice(&bytes).map_err(failed)
    }
}

fn object(address: IpAddr, owner: &str, host: &Host) -> Result<Value, AllocationError> {
    let (namespace, name) = owner.split_once('/').unwrap_or(("", owner));
    let object = json!({
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": address.to_string(),
            "uid": host.entropy.uuid(),
            "generation": 1,
            "creationTimestamp": object::time::seconds(host.now()),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": Family::of(address).name(),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": namespace, "name": name}},
    });
    let kind = Type::builtin(KIND).ok_or_else(|| AllocationError::Store(format!("{KIND} is unknown")))?;
    crate::codec::canonical(&kind, object).map_err(failed)
}

/// `namespace/name` of the Service that a claim is for.
fn parent(claim: &Value) -> String {
    let text = |field: &str| claim["spec"]["parentRef"][field].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

/// Whether a claim is old and its Service does not have the address.
fn is_stale(claim: &Value, address: IpAddr, host: &Host, objects: &Objects) -> bool {
    let created = claim["metadata"]["creationTimestamp"].as_str().and_then(object::time::parse);
    if created.is_some_and(|created| host.now().duration_since(created) < GRACE) {
        return false;
    }
    let parent = parent(claim);
    let (namespace, name) = parent.split_once('/').unwrap_or_default();
    let service = objects.value("", "services", namespace, name);
    let text = address.to_string();
    !service.is_some_and(|service| {
        service["spec"]["clusterIPs"].as_array().into_iter().flatten().any(|other| other == text.as_str())
    })
}

fn failed(error: impl std::error::Error) -> AllocationError {
    AllocationError::Store(error.to_string())
}
