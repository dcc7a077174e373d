//! The store contract on an etcd cluster (3.4 or newer), which is how several servers share one state.

mod convert;
mod version;
mod watch;

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, DeleteOptions, GetOptions, GetResponse, Identity,
    KvClient, PutOptions, TlsOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};
use tokio::sync::watch as signal;

use crate::contract::{Deleted, Entry, Expect, Found, LeaseId, Page, Range, Revision, Store, Watch};
use crate::{Error, limits};
use convert::{classify, from_wire, to_wire};

/// The most a single answer may weigh.
const MAX_ANSWER: usize = 1 << 30;

/// How many entries a read without limit asks for at a time.
const PAGE: usize = 500;

/// How to reach an etcd cluster, and where in it to live.
#[derive(Debug, Clone)]
pub struct Options {
    /// `http://` or `https://` addresses of the members.
    pub endpoints: Vec<String>,
    /// Goes before every key, so that several clusters can share an etcd.
    pub prefix: String,
    /// For `https://` endpoints.
    pub tls: Option<Tls>,
    /// How long a single call may take.
    pub timeout: Duration,
    /// The largest value, in bytes.
    pub max_value: usize,
}

impl Options {
    /// Plain defaults for the members at `endpoints`.
    #[must_use]
    pub fn new(endpoints: Vec<String>) -> Self {
        let timeout = Duration::from_secs(10);
        Self { endpoints, prefix: String::new(), tls: None, timeout, max_value: limits::MAX_VALUE }
    }
}

/// Certificates in PEM form.
#[derive(Clone)]
pub struct Tls {
    /// Who may have signed the servers' certificates.
    pub ca: Vec<u8>,
    /// Our certificate and its key, where the servers ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("identity", &self.identity.is_some()).finish_non_exhaustive()
    }
}

/// A store in an etcd cluster. Cheap to clone.
#[derive(Clone)]
pub struct Etcd {
    client: Client,
    kv: KvClient,
    prefix: String,
    timeout: Duration,
    max_value: usize,
    reports_progress: bool,
    /// [`Store::progress`] --asks--> open watches
    asks_tx: signal::Sender<()>,
}

impl Etcd {
    /// Connects to the cluster; fails when no member answers in time.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let connect = connect_options(&options);
        let client = Client::connect(&options.endpoints, Some(connect.clone()))
            .await
            .map_err(|e| Error::unavailable(format!("use the etcd members {}", options.endpoints.join(", ")), e))?;
        let store = Self {
            kv: client.kv_client().max_decoding_message_size(MAX_ANSWER),
            client,
            prefix: options.prefix,
            timeout: options.timeout,
            max_value: options.max_value,
            reports_progress: version::reports_progress(&options.endpoints, &connect, options.timeout).await,
            asks_tx: signal::Sender::new(()),
        };
        store.revision().await?;
        Ok(store)
    }

    /// Makes one call, bounded in time.
    async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, etcd_client::Error>> + Send,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| classify(what, error)),
            Err(late) => Err(Error::unavailable(format!("{what} in etcd"), late)),
        }
    }

    async fn read(&self, key: &str, options: GetOptions, at: Option<Revision>) -> Result<GetResponse, Error> {
        if at == Some(0) {
            return Err(Error::Compacted { requested: 0, compacted: 0 });
        }
        let options = options.with_revision(at.map_or(0, to_wire));
        let mut kv = self.kv.clone();
        let read = self.call("read", kv.get(self.full(key), Some(options))).await;
        match (read, at) {
            (Err(Error::Compacted { compacted, .. }), Some(requested)) => {
                Err(Error::Compacted { requested, compacted })
            }
            (Err(Error::Future { .. }), Some(requested)) => {
                Err(Error::Future { requested, current: self.revision().await? })
            }
            (read, _) => read,
        }
    }

    /// Does `operation` if the key is as expected; answers whether it was, and what was read or deleted.
    async fn transact(
        &self,
        what: &str,
        key: &str,
        expect: Expect,
        operation: TxnOp,
    ) -> Result<(Option<Entry>, Revision), Error> {
        let full = self.full(key);
        let txn = match condition(&full, expect) {
            Some(condition) => Txn::new().when([condition]).and_then([operation]).or_else([TxnOp::get(full, None)]),
            None => Txn::new().and_then([operation]),
        };
        let mut kv = self.kv.clone();
        let answer = self.call(what, kv.txn(txn)).await?;
        let revision = from_wire(answer.header().map_or(0, etcd_client::ResponseHeader::revision));
        let entry = self.touched(&answer)?;
        if answer.succeeded() {
            return Ok((entry, revision));
        }
        Err(Error::Conflict { key: key.to_owned(), current: entry })
    }

    /// The entry that a transaction read or deleted.
    fn touched(&self, answer: &TxnResponse) -> Result<Option<Entry>, Error> {
        let response = answer.op_responses().pop();
        let found = match &response {
            Some(TxnOpResponse::Get(get)) => get.kvs().first(),
            Some(TxnOpResponse::Delete(delete)) => delete.prev_kvs().first(),
            _ => None,
        };
        found.map(|kv| convert::entry(kv, &self.prefix)).transpose()
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[async_trait]
impl Store for Etcd {
    async fn get(&self, key: &str, at: Option<Revision>) -> Result<Found, Error> {
        let answer = self.read(key, GetOptions::new(), at).await?;
        let entry = answer.kvs().first().map(|kv| convert::entry(kv, &self.prefix)).transpose()?;
        Ok(Found { entry, revision: at.unwrap_or_else(|| present(&answer)) })
    }

    async fn range(&self, range: Range<'_>) -> Result<Page, Error> {
        let end = convert::prefix_end(self.full(range.prefix).as_bytes());
        let mut start = range.start.map_or(range.prefix, |start| start.max(range.prefix)).to_owned();
        if !start.starts_with(range.prefix) {
            return Ok(Page { entries: Vec::new(), remaining: 0, revision: self.revision().await? });
        }
        let (mut at, mut entries) = (range.at, Vec::new());
        loop {
            let wanted = if range.limit == 0 { PAGE } else { PAGE.min(range.limit - entries.len()) };
            let limit = i64::try_from(wanted).unwrap_or(i64::MAX);
            let options = GetOptions::new().with_range(end.clone()).with_limit(limit);
            let answer = self.read(&start, options, at).await?;
            let revision = at.unwrap_or_else(|| present(&answer));
            for kv in answer.kvs() {
                entries.push(convert::entry(kv, &self.prefix)?);
            }
            let remaining = from_wire(answer.count()).saturating_sub(answer.kvs().len() as u64);
            if remaining == 0 || entries.len() == range.limit {
                return Ok(Page { entries, remaining, revision });
            }
            at = Some(revision);
            start = entries.last().map(|last| format!("{}\0", last.key)).unwrap_or_default();
        }
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, lease: Option<LeaseId>) -> Result<Revision, Error> {
        limits::check(key, &value, self.max_value)?;
        let options = PutOptions::new().with_lease(lease.unwrap_or(0));
        let operation = TxnOp::put(self.full(key), value, Some(options));
        match self.transact("write", key, expect, operation).await {
            Ok((_, revision)) => Ok(revision),
            Err(Error::LeaseNotFound(_)) => Err(Error::LeaseNotFound(lease.unwrap_or(0))),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<Deleted, Error> {
        let operation = TxnOp::delete(self.full(key), Some(DeleteOptions::new().with_prev_key()));
        let (entry, revision) = self.transact("delete", key, expect, operation).await?;
        Ok(Deleted { entry, revision })
    }

    async fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        let current = self.revision().await?;
        if after > current {
            return Err(Error::Future { requested: after, current });
        }
        let options = watch::options(after);
        let mut client = self.client.watch_client().max_decoding_message_size(MAX_ANSWER);
        let stream = self.call("watch", client.watch(self.full(prefix), Some(options))).await?;
        Ok(watch::open(stream, self.prefix.clone(), after, self.reports_progress, self.asks_tx.subscribe()))
    }

    async fn revision(&self) -> Result<Revision, Error> {
        let mut kv = self.kv.clone();
        let options = GetOptions::new().with_count_only();
        let answer = self.call("read the revision", kv.get(self.full("\0"), Some(options))).await?;
        Ok(present(&answer))
    }

    fn reports_progress(&self) -> bool {
        self.reports_progress
    }

    async fn progress(&self) -> Result<(), Error> {
        self.asks_tx.send_replace(());
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<(), Error> {
        let mut kv = self.kv.clone();
        match self.call("compact", kv.compact(to_wire(revision), None)).await {
            Ok(_) | Err(Error::Compacted { .. }) => Ok(()),
            Err(Error::Future { .. }) => Err(Error::Future { requested: revision, current: self.revision().await? }),
            Err(error) => Err(error),
        }
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX - 1) + i64::from(ttl.subsec_nanos() > 0);
        let mut client = self.client.lease_client();
        Ok(self.call("grant a lease", client.grant(seconds.max(1), None)).await?.id())
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), Error> {
        let mut client = self.client.lease_client();
        // The first answer has been read when this returns; dropping both ends closes the stream.
        match self.call("keep a lease alive", client.keep_alive(lease)).await {
            Err(Error::LeaseNotFound(_)) => Err(Error::LeaseNotFound(lease)),
            kept => kept.map(drop),
        }
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), Error> {
        let mut client = self.client.lease_client();
        match self.call("revoke a lease", client.revoke(lease)).await {
            Err(Error::LeaseNotFound(_)) => Err(Error::LeaseNotFound(lease)),
            revoked => revoked.map(drop),
        }
    }
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Etcd").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn connect_options(options: &Options) -> ConnectOptions {
    let connect = ConnectOptions::new()
        .with_require_leader(true)
        .with_connect_timeout(options.timeout)
        .with_keep_alive(Duration::from_secs(30), options.timeout)
        .with_keep_alive_while_idle(true);
    let Some(tls) = &options.tls else { return connect };
    let mut settings = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.ca));
    if let Some((certificate, key)) = &tls.identity {
        settings = settings.identity(Identity::from_pem(certificate, key));
    }
    connect.with_tls(settings)
}

fn condition(key: &str, expect: Expect) -> Option<Compare> {
    match expect {
        Expect::Any => None,
        Expect::Absent => Some(Compare::create_revision(key, CompareOp::Equal, 0)),
        Expect::Exists => Some(Compare::create_revision(key, CompareOp::Greater, 0)),
        Expect::Revision(revision) => Some(Compare::mod_revision(key, CompareOp::Equal, to_wire(revision))),
    }
}

/// The revision at which an answer was given.
fn present(answer: &GetResponse) -> Revision {
    from_wire(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
}
