//! Figures of the API server under load from the same cores.

use std::time::Duration;

use super::load::{Target, rate, send};
use super::{Bench, Better, Figure};

/// How long each load runs.
const TIME: Duration = Duration::from_secs(5);
const WRITERS: usize = 64;
const READERS: usize = 32;

pub(crate) fn figures(cluster: &Bench) -> Result<Vec<Figure>, String> {
    let target = Target::read(&cluster.kubeconfig())?;
    let work = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.map_err(|e| e.to_string())?.block_on(measure(target))
    };
    cluster.machine().inside(work).map_err(|e| e.to_string())?
}

async fn measure(target: Target) -> Result<Vec<Figure>, String> {
    let creates = rate(&target, WRITERS, TIME, |target, n| {
        target.request("POST", "/api/v1/namespaces/default/configmaps", config_map(n))
    });
    let creates = creates.await?;
    let mut sender = target.connect().await?;
    send(&mut sender, target.request("POST", "/api/v1/namespaces/default/pods", gated_pod())).await?;
    let path = "/api/v1/namespaces/default/pods/bench-read";
    let gets = rate(&target, READERS, TIME, move |target, _| target.request("GET", path, "")).await?;
    send(&mut sender, target.request("DELETE", path, "")).await?;
    send(&mut sender, target.request("DELETE", "/api/v1/namespaces/default/configmaps?labelSelector=bench=true", ""))
        .await?;
    Ok(vec![
        Figure {
            name: "durable creates of 1 KiB ConfigMaps, TLS, 64 clients",
            unit: "/s",
            value: creates,
            must: 4_000.0,
            aim: 12_000.0,
            better: Better::Higher,
        },
        Figure {
            name: "cached GET of a Pod, TLS and RBAC, 32 clients",
            unit: "/s",
            value: gets,
            must: 15_000.0,
            aim: 40_000.0,
            better: Better::Higher,
        },
    ])
}

fn config_map(n: usize) -> String {
    let value = "x".repeat(1024);
    format!(r#"{{"metadata":{{"name":"bench-{n}","labels":{{"bench":"true"}}}},"data":{{"key":"{value}"}}}}"#)
}

/// A pod that no scheduler takes, so that reading it is all that happens.
fn gated_pod() -> &'static str {
    r#"{"metadata":{"name":"bench-read"},"spec":{"schedulingGates":[{"name":"coracle.dev/bench"}],"containers":[{"name":"main","image":"bench","env":[{"name":"A","value":"b"}],"ports":[{"containerPort":80}]}]}}"#
}
