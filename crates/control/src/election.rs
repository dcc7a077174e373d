//! Leader election by Lease: of several candidates one acts at a time.

use std::future::Future;
use std::time::Duration;

use host::Host;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::Instant;

const NAMESPACE: &str = "kube-system";
/// How long a leader that is not heard of stays leader.
const LEASE: Duration = Duration::from_secs(15);
/// How long a leader that cannot renew goes on.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
/// The delay before asking again while the server is not there yet.
const UNREACHABLE_RETRY: Duration = Duration::from_millis(200);

/// How long giving back the lease may take at shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// A candidate for one lease.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The lease's name in `kube-system`: `kube-scheduler`.
    pub lease: &'static str,
    /// Who we are, different for every process. A stable name lets a restarted process go on with its own lease at once.
    pub identity: String,
}

/// How leadership ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The work ended, and the lease was given back.
    Finished,
    /// The lease could not be renewed in time; the work was dropped.
    Lost,
}

/// The lease as we last saw it change, by our own clock: others' clocks are not trusted.
#[derive(Default)]
struct Observed {
    spec: Option<LeaseSpec>,
    at: Option<Instant>,
}

impl Candidate {
    /// Waits for leadership, then runs `work` as long as it lasts.
    pub async fn lead<F: Future<Output = ()>>(&self, client: &Client, host: &Host, work: F) -> Ended {
        let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
        self.acquire(&leases, host).await;
        tracing::info!(lease = self.lease, identity = self.identity, "leading");
        let ended = tokio::select! {
            biased;
            () = work => Ended::Finished,
            () = self.keep(&leases, host) => Ended::Lost,
        };
        if ended == Ended::Finished {
            let release = self.release(&leases, host);
            if tokio::time::timeout(RETRY, release).await.is_err() {
                tracing::debug!(lease = self.lease, "cannot give back the lease");
            }
        }
        ended
    }

    /// As [`Candidate::lead`], where shutdown ends the wait for leadership; `work` ends itself at shutdown.
    pub async fn lead_until_shutdown<F: Future<Output = ()>>(&self, client: &Client, host: &Host, work: F) -> Ended {
        let shutdown = host.shutdown();
        let lead = self.lead(client, host, work);
        tokio::pin!(lead);
        tokio::select! {
            biased;
            ended = &mut lead => ended,
            () = shutdown.cancelled() => tokio::time::timeout(DRAIN, lead).await.unwrap_or(Ended::Finished),
        }
    }

    async fn acquire(&self, leases: &Api<Lease>, host: &Host) {
        let mut observed = Observed::default();
        loop {
            let delay = match self.try_acquire(leases, host, &mut observed).await {
                Ok(true) => return,
                Ok(false) => RETRY.mul_f64(1.0 + 0.2 * host.entropy.fraction()),
                Err(error) => {
                    tracing::debug!(lease = self.lease, %error, "cannot reach the lease");
                    UNREACHABLE_RETRY
                }
            };
            tokio::time::sleep(delay).await;
        }
    }

    /// Returns when the lease could not be renewed in time.
    async fn keep(&self, leases: &Api<Lease>, host: &Host) {
        let mut renewed = Instant::now();
        let mut observed = Observed::default();
        loop {
            tokio::time::sleep(RETRY).await;
            let limit = (renewed + RENEW_DEADLINE).saturating_duration_since(Instant::now());
            let attempt = self.try_acquire(leases, host, &mut observed);
            match tokio::time::timeout(limit, attempt).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::error!(lease = self.lease, "another candidate took the lease"),
                Ok(Err(error)) => tracing::warn!(lease = self.lease, %error, "cannot renew the lease"),
                Err(_) => {}
            }
            if renewed.elapsed() >= RENEW_DEADLINE {
                return tracing::error!(lease = self.lease, "the lease was not renewed in time");
            }
        }
    }

    /// Takes or renews the lease if it is ours to take.
    async fn try_acquire(
        &self,
        leases: &Api<Lease>,
        host: &Host,
        observed: &mut Observed,
    ) -> Result<bool, kube::Error> {
        let now = host.now();
        let Some(mut lease) = leases.get_opt(self.lease).await? else {
            let spec = self.spec(now, None);
            let metadata = ObjectMeta { name: Some(self.lease.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            return won(leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        if observed.spec.as_ref() != Some(&spec) {
            *observed = Observed { spec: Some(spec.clone()), at: Some(Instant::now()) };
        }
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let duration = spec.lease_duration_seconds.map_or(LEASE, seconds_to_duration);
        let fresh = observed.at.is_some_and(|at| at.elapsed() < duration);
        if !holder.is_empty() && holder != self.identity && fresh {
            return Ok(false);
        }
        lease.spec = Some(self.spec(now, Some(&spec)));
        won(leases.replace(self.lease, &PostParams::default(), &lease).await)
    }

    fn spec(&self, now: Timestamp, before: Option<&LeaseSpec>) -> LeaseSpec {
        let ours = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
            acquire_time: ours.and_then(|spec| spec.acquire_time.clone()).or(Some(MicroTime(now))),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions + i32::from(before.is_some() && ours.is_none())),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease back, so that the next candidate need not wait.
    async fn release(&self, leases: &Api<Lease>, host: &Host) {
        let Ok(Some(mut lease)) = leases.get_opt(self.lease).await else { return };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            return;
        }
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(host.now()));
        if let Err(error) = leases.replace(self.lease, &PostParams::default(), &lease).await {
            tracing::debug!(lease = self.lease, %error, "cannot give back the lease");
        }
    }
}

/// A write that met another candidate's is a lost race, not an error.
fn won(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

fn seconds_to_duration(seconds: i32) -> Duration {
    Duration::try_from(SignedDuration::from_secs(i64::from(seconds))).unwrap_or_default()
}
