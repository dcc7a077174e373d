//! Times of the node: from `up` to Ready, from a created pod to a running one.

use std::path::Path;
use std::process::Stdio;

use testing::{Cluster, Machine, cluster::run};

use super::load::{Target, send};
use super::{Bench, Figure, median, now, on, since};

/// How often a pod is started; the median counts.
const PODS: usize = 9;

/// Starts the cluster twice, so that the disk is warm, and times the second start up to the Ready node.
pub(crate) fn start(program: &Path, machine: Machine) -> Result<(Bench, Figure), String> {
    let cluster = Cluster::start(program, machine)?;
    ready(&cluster)?;
    cluster.down().ok.then_some(()).ok_or("stopping the cluster failed")?;
    let started = now();
    cluster.up()?;
    ready(&cluster)?;
    let figure = Figure::at_most("`up` to node Ready, warm disk", "ms", since(started), 2_000.0, 500.0);
    Ok((cluster, figure))
}

fn ready(cluster: &Cluster) -> Result<(), String> {
    let printed = cluster.kubectl(&["wait", "--for=condition=Ready", "node", "--all", "--timeout=60s"]);
    if printed.ok { Ok(()) } else { Err(printed.stderr) }
}

/// Median time from creating a pod to Running seen by a watch, with its image present.
pub(crate) fn pod_start(cluster: &Bench, image: &Path) -> Result<Figure, String> {
    let loaded = run(cluster.coracle("image load").arg(image).stdout(Stdio::piped()));
    if !loaded.ok {
        return Err(loaded.stderr);
    }
    let target = Target::read(&cluster.kubeconfig())?;
    let value = median(on(cluster.machine(), move || pod_starts(target))?);
    Ok(Figure::at_most("pod create to Running, image present (p50)", "ms", value, 500.0, 50.0))
}

async fn pod_starts(target: Target) -> Result<Vec<f64>, String> {
    let mut times = Vec::with_capacity(PODS);
    for n in 0..PODS {
        times.push(one_pod(&target, n).await?);
    }
    Ok(times)
}

async fn one_pod(target: &Target, n: usize) -> Result<f64, String> {
    let pods = "/api/v1/namespaces/default/pods";
    let (mut writer, mut watcher) = (target.connect().await?, target.connect().await?);
    let watch = format!("{pods}?watch=true&fieldSelector=metadata.name=bench-{n}");
    let answer = watcher.send_request(target.request("GET", &watch, "")).await.map_err(|e| e.to_string())?;
    let started = now();
    send(&mut writer, target.request("POST", pods, pod(n))).await?;
    let took = until_running(answer.into_body()).await.map(|()| since(started));
    send(&mut writer, target.request("DELETE", &format!("{pods}/bench-{n}?gracePeriodSeconds=0"), "")).await?;
    took
}

async fn until_running(mut body: hyper::body::Incoming) -> Result<(), String> {
    use http_body_util::BodyExt;
    let mut seen = String::new();
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|e| e.to_string())?.into_data().unwrap_or_default();
        seen.push_str(&String::from_utf8_lossy(&data));
        if seen.contains(r#""phase":"Running""#) {
            return Ok(());
        }
    }
    Err(format!("the watch ended before the pod ran: {seen}"))
}

fn pod(n: usize) -> String {
    let image = testing::image::BUSYBOX;
    format!(
        r#"{{"metadata":{{"name":"bench-{n}"}},"spec":{{"terminationGracePeriodSeconds":0,"containers":[{{"name":"main","image":"{image}","command":["sleep","3600"]}}]}}}}"#
    )
}
