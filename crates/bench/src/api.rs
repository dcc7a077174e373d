//! Figures of API servers under load from the same cores.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use tokio::task::JoinSet;

use super::load::{Target, all, rate, send};
use super::server::Server;
use super::{Bench, Figure, median, now, on, since, wait};

/// How long a load runs that is not counted.
const TIME: Duration = Duration::from_secs(5);
const WRITERS: usize = 64;
const READERS: usize = 32;
/// Pods of a list; each has about 3.6 KB.
const PODS: usize = 10_000;
/// ConfigMaps of the list that selects none of them.
const MANY: usize = 300_000;
/// How often a list is read; the median counts.
const LISTS: usize = 5;
const WATCHERS: usize = 100;
/// Events that each watcher sees.
const EVENTS: usize = 1_000;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const POD_PATH: &str = "/api/v1/namespaces/default/pods";

/// Figures of the API server inside a whole node.
pub(crate) fn of_node(cluster: &Bench) -> Result<Vec<Figure>, String> {
    let target = Target::read(&cluster.kubeconfig())?;
    on(cluster.machine(), move || async move {
        let creates = rate(&target, WRITERS, TIME, |target, n| create(target, n, 1024)).await?;
        let mut sender = target.connect().await?;
        send(&mut sender, target.request("POST", POD_PATH, pod(0))).await?;
        let gets = rate(&target, READERS, TIME, get).await?;
        send(&mut sender, target.request("DELETE", &format!("{POD_PATH}/bench-0"), "")).await?;
        send(&mut sender, target.request("DELETE", &format!("{CONFIG_MAPS}?labelSelector=bench=true"), "")).await?;
        Ok(vec![
            Figure::at_least("node: durable creates of 1 KiB ConfigMaps, 64 clients", "/s", creates, 4_000.0, 12_000.0),
            Figure::at_least("node: cached GET of a Pod, 32 clients", "/s", gets, 15_000.0, 40_000.0),
        ])
    })
}

/// What is measured of a server.
struct Measured {
    creates: f64,
    /// KB that a ConfigMap adds to the process.
    growth: f64,
    gets: f64,
    list: f64,
    deliveries: f64,
}

/// Our API server alone, beside upstream's.
pub(crate) fn section(program: &Path) -> Result<Vec<Figure>, String> {
    let server = Server::ours(program)?;
    let ours = measure(&server, 40_000)?;
    let none = select_none(&server)?;
    drop(server);
    let upstream = Server::upstream()?.map(|server| measure(&server, 4_000)).transpose()?;
    let peer = |read: fn(&Measured) -> f64| upstream.as_ref().map(read);
    let beside = |figure: Figure, read: fn(&Measured) -> f64| figure.beside("kube-apiserver+etcd", peer(read));
    Ok(vec![
        beside(
            Figure::at_least("durable creates of 1 KiB ConfigMaps, 64 clients", "/s", ours.creates, 4_000.0, 12_000.0),
            |m| m.creates,
        ),
        beside(Figure::at_least("cached GET of a Pod, 32 clients", "/s", ours.gets, 15_000.0, 40_000.0), |m| m.gets),
        beside(Figure::at_most("LIST of 10,000 pods, JSON, 36 MB", "ms", ours.list, 150.0, 40.0), |m| m.list),
        Figure::at_most("LIST of 300,000 objects selecting none", "ms", none, 100.0, 15.0),
        beside(Figure::at_most("memory added by a 1 KiB ConfigMap", "KB", ours.growth, 4.0, 2.0), |m| m.growth),
        beside(
            Figure::at_least("watch deliveries to 100 watchers", "/s", ours.deliveries, 100_000.0, 300_000.0),
            |m| m.deliveries,
        ),
    ])
}

fn measure(server: &Server, objects: usize) -> Result<Measured, String> {
    let before = settled(server);
    let target = server.target.clone();
    let creates =
        on(&server.machine, move || async move { all(&target, WRITERS, objects, |t, n| create(t, n, 1024)).await })?;
    let growth = (settled(server) - before) * 1e3 / objects as f64;
    let target = server.target.clone();
    let (gets, list, deliveries) = on(&server.machine, move || async move {
        all(&target, WRITERS, PODS, |target, n| target.request("POST", POD_PATH, pod(n))).await?;
        let gets = rate(&target, READERS, TIME, get).await?;
        Ok((gets, list(&target, POD_PATH).await?, deliveries(&target).await?))
    })?;
    Ok(Measured { creates, growth, gets, list, deliveries })
}

/// Memory once what a load left behind has been given back.
fn settled(server: &Server) -> f64 {
    wait(Duration::from_secs(3));
    server.memory()
}

/// Milliseconds for reading a list of very many of which none is selected.
fn select_none(server: &Server) -> Result<f64, String> {
    let target = server.target.clone();
    on(&server.machine, move || async move {
        all(&target, WRITERS, MANY, |target, n| create(target, 1_000_000 + n, 0)).await?;
        list(&target, "/api/v1/configmaps?labelSelector=bench%3Dfalse").await
    })
}

async fn list(target: &Target, path: &str) -> Result<f64, String> {
    let mut sender = target.connect().await?;
    let mut times = Vec::with_capacity(LISTS);
    for _ in 0..LISTS {
        let started = now();
        send(&mut sender, target.request("GET", path, "")).await?;
        times.push(since(started));
    }
    Ok(median(times))
}

/// Events a second that all watchers together receive.
async fn deliveries(target: &Target) -> Result<f64, String> {
    let mut sender = target.connect().await?;
    let space = r#"{"metadata":{"name":"watched"}}"#;
    send(&mut sender, target.request("POST", "/api/v1/namespaces", space)).await?;
    let path = "/api/v1/namespaces/watched/configmaps";
    let mut readers = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut sender = target.connect().await?;
        let request = target.request("GET", &format!("{path}?watch=true"), "");
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        readers.spawn(async move {
            let _open = sender;
            events(answer.into_body()).await
        });
    }
    let started = now();
    all(target, READERS, EVENTS, move |target, n| target.request("POST", path, config_map(n, 1024))).await?;
    while let Some(joined) = readers.join_next().await {
        joined.map_err(|e| e.to_string())??;
    }
    Ok((WATCHERS * EVENTS) as f64 / started.elapsed().as_secs_f64())
}

/// Reads a watch until it has brought all events.
async fn events(mut body: hyper::body::Incoming) -> Result<(), String> {
    let mut seen = 0;
    while seen < EVENTS {
        let frame = body.frame().await.ok_or("the watch ended early")?.map_err(|e| e.to_string())?;
        seen += frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
    }
    Ok(())
}

fn create(target: &Target, n: usize, size: usize) -> Request<Full<Bytes>> {
    target.request("POST", CONFIG_MAPS, config_map(n, size))
}

fn get(target: &Target, _: usize) -> Request<Full<Bytes>> {
    target.request("GET", "/api/v1/namespaces/default/pods/bench-0", "")
}

fn config_map(n: usize, size: usize) -> String {
    let value = "x".repeat(size);
    format!(r#"{{"metadata":{{"name":"bench-{n}","labels":{{"bench":"true"}}}},"data":{{"key":"{value}"}}}}"#)
}

/// A pod of about 3.6 KB that no scheduler takes, so that reading it is all that happens.
pub(crate) fn pod(n: usize) -> String {
    let variable = |n: usize| format!(r#"{{"name":"VARIABLE_{n}","value":"{}"}}"#, "x".repeat(40));
    let variables: Vec<_> = (0..34).map(variable).collect();
    format!(
        r#"{{"metadata":{{"name":"bench-{n}","labels":{{"bench":"true"}}}},"spec":{{"schedulingGates":[{{"name":"coracle.dev/bench"}}],"containers":[{{"name":"main","image":"bench","ports":[{{"containerPort":80}}],"env":[{}]}}]}}}}"#,
        variables.join(",")
    )
}
