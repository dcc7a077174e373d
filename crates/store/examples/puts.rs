//! Measures durable puts per second: `puts [directory] [clients] [seconds] [bytes]`.
#![expect(clippy::print_stdout, reason = "it reports figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use host::{Host, OnEnd};
use store::{Embedded, Expect, Options, Store};
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    let scratch = tempfile::tempdir()?;
    let directory = arguments.get(1).map_or_else(|| scratch.path().to_owned(), Into::into);
    let (clients, seconds, bytes) = (number(2, 64), number(3, 5), number(4, 1024));

    let host = Host::system();
    let started = Instant::now();
    let store = Arc::new(Embedded::open(&directory, Options::default(), &host).await?);
    let run = store.revision().await?;
    println!("opened at revision {run} in {:?}", started.elapsed());

    let (done, slowest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let end = Instant::now() + Duration::from_secs(seconds);
    let value = Bytes::from(vec![b'x'; usize::try_from(bytes)?]);
    for client in 0..clients {
        let (store, value) = (store.clone(), value.clone());
        let (done, slowest) = (done.clone(), slowest.clone());
        host.tasks.spawn("client", OnEnd::Fatal, async move {
            for number in 0.. {
                let put = Instant::now();
                if put >= end {
                    std::future::pending::<()>().await;
                }
                let key = format!("/registry/configmaps/run-{run}/client-{client}/{number:08}");
                store.put(&key, value.clone(), Expect::Absent, None).await.expect("the put succeeds");
                done.fetch_add(1, Ordering::Relaxed);
                slowest.fetch_max(u64::try_from(put.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep_until(end).await;
    let done = done.load(Ordering::Relaxed);
    println!(
        "{clients} clients, {bytes} bytes: {} durable puts/s, slowest {} µs",
        done / seconds,
        slowest.load(Ordering::Relaxed)
    );
    host.tasks.drain(Duration::from_secs(1)).await;
    Ok(())
}
