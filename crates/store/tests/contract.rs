//! One list of cases over the store contract, run on every engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract {
    pub(crate) mod cases;
    pub(crate) mod etcd;
}

use std::sync::Arc;

use contract::{cases, etcd};
use host::Host;
use jiff::Timestamp;
use store::{Embedded, Options, Store};

#[tokio::test(start_paused = true)]
async fn embedded_in_memory() {
    let host = Host::simulated(Timestamp::UNIX_EPOCH, 1);
    cases::run(Arc::new(Embedded::memory(&host).unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_on_a_file() {
    let (host, directory) = (Host::system(), tempfile::tempdir().unwrap());
    cases::run(Arc::new(Embedded::open(directory.path(), Options::default(), &host).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_etcd() {
    let Some(server) = etcd::Server::start() else {
        println!("skipped: /usr/bin/etcd is not installed");
        return;
    };
    let mut options = store::etcd::Options::new(vec![server.endpoint()]);
    options.prefix = "/cluster-a".to_owned();
    let store: Arc<dyn Store> = Arc::new(store::etcd::Etcd::connect(options).await.unwrap());
    cases::run(store).await;
}
