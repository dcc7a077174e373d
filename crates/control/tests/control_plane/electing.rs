//! Of several candidates one leads, and another takes over when it is gone.

use std::time::Duration;

use control::{Candidate, Ended};
use host::Host;
use kube::Client;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::plane::Plane;

fn candidate(identity: &str) -> Candidate {
    Candidate { lease: "test", identity: identity.to_owned() }
}

/// Leads until the sender is dropped. The first receiver hears when leadership begins.
fn lead(
    identity: &str,
    client: &Client,
    host: &Host,
) -> (impl Future<Output = Ended> + use<>, oneshot::Receiver<()>, oneshot::Sender<()>) {
    let ((begun, begins), (stop, stopped)) = (oneshot::channel(), oneshot::channel());
    let (candidate, client, host) = (candidate(identity), client.clone(), host.clone());
    let leading = async move {
        let work = async {
            begun.send(()).ok();
            stopped.await.ok();
        };
        candidate.lead(&client, &host, work).await
    };
    (leading, begins, stop)
}

#[tokio::test(start_paused = true)]
async fn leadership_passes_on() {
    let plane = Plane::start_with(1, &[]).await;
    let (client, host) = (plane.client(), plane.host().clone());
    let (first, first_begins, _running) = lead("first", &client, &host);
    let (second, mut second_begins, finish) = lead("second", &client, &host);
    let mut first = Box::pin(first);
    let mut second = Box::pin(second);
    tokio::select! {
        biased;
        _ = &mut first => panic!("the first ended"),
        begun = first_begins => begun.expect("the first leads"),
    }
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(timeout(Duration::from_secs(60), both).await.is_err(), "the first keeps its lease");
    assert!(second_begins.try_recv().is_err(), "the second waits");
    drop(first);
    let crashed = Instant::now();
    tokio::select! {
        biased;
        _ = &mut second => panic!("the second ended"),
        begun = &mut second_begins => begun.expect("the second leads"),
    }
    assert!(crashed.elapsed() >= Duration::from_secs(10), "the lease has to run out, not {:?}", crashed.elapsed());
    assert!(crashed.elapsed() < Duration::from_secs(20), "{:?}", crashed.elapsed());
    drop(finish);
    assert_eq!(second.await, Ended::Finished);
    let (third, third_begins, _running) = lead("third", &client, &host);
    let given_back = Instant::now();
    tokio::select! {
        biased;
        _ = third => panic!("the third ended"),
        begun = third_begins => begun.expect("the third leads"),
    }
    assert!(given_back.elapsed() < Duration::from_secs(1), "a lease that was given back is free");
    drop(client);
    plane.stop().await;
}
