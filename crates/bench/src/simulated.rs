//! A whole control plane with very many nodes that have no containers.

use std::path::Path;
use std::time::Duration;

use host::{Host, OnEnd, Ready, Role, RoleState};
use informer::Informers;
use kube::config::{KubeConfigOptions, Kubeconfig};
use testing::Cluster;

use super::load::{Target, all, send};
use super::{Figure, new_machine, now, on, since};

const NODES: usize = 5_000;
/// Pods whose placing is timed on its own.
const FIRST: usize = 10_000;
const PODS: usize = 100_000;
const WRITERS: usize = 32;
const PATH: &str = "/api/v1/namespaces/default/pods";

pub(crate) fn section(program: &Path) -> Result<Vec<Figure>, String> {
    let cluster = Cluster::start(program, new_machine()?)?;
    // The real node is not to run any of it.
    until_cordoned(&cluster)?;
    let (config, target) = (cluster.kubeconfig(), Target::read(&cluster.kubeconfig())?);
    on(cluster.machine(), move || async move {
        let host = Host::system();
        let ready = nodes(&config, &host).await?;
        let started = now();
        create(&target, 0..FIRST).await?;
        until_none(&target, "spec.nodeName%3D").await?;
        let placed = FIRST as f64 / (since(started) / 1000.0);
        create(&target, FIRST..PODS).await?;
        until_none(&target, "status.phase%21%3DRunning").await?;
        let running = since(started) / 1000.0;
        host.tasks.drain(Duration::from_secs(10)).await;
        Ok(vec![
            Figure::at_most("5,000 hollow nodes Ready", "s", ready, 30.0, 5.0),
            Figure::at_least("5,000 nodes: pods created and placed", "/s", placed, 2_000.0, 6_000.0),
            Figure::at_most("5,000 nodes: 100,000 pods created to Running", "s", running, 180.0, 60.0),
        ])
    })
}

fn until_cordoned(cluster: &Cluster) -> Result<(), String> {
    cluster.wait(&["cordon", "node"], Duration::from_secs(60), |_| true).map(drop)
}

/// Seconds until all nodes are registered and Ready.
async fn nodes(config: &Path, host: &Host) -> Result<f64, String> {
    let config = Kubeconfig::read_from(config).map_err(|e| e.to_string())?;
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await;
    let client = kube::Client::try_from(config.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    let names = (0..NODES).map(|n| format!("hollow-{n:04}")).collect();
    let role = hollow::Hollow::new(hollow::Options::new(names), Informers::new(client, host.clone()));
    let (ready, mut state) = Ready::new();
    let (own, started) = (host.clone(), now());
    host.tasks.spawn("hollow", OnEnd::Expected, async move {
        // What goes wrong is seen by those who wait for its nodes.
        drop(Box::new(role).run(own, ready).await);
    });
    state.wait_for(|state| *state == RoleState::Ready).await.map_err(|_| "the hollow nodes did not register")?;
    Ok(since(started) / 1000.0)
}

async fn create(target: &Target, numbers: std::ops::Range<usize>) -> Result<(), String> {
    let (first, count) = (numbers.start, numbers.len());
    all(target, WRITERS, count, move |target, n| target.request("POST", PATH, pod(first + n))).await.map(drop)
}

/// Returns once no pod has the field.
async fn until_none(target: &Target, selector: &str) -> Result<(), String> {
    let mut sender = target.connect().await?;
    let path = format!("{PATH}?limit=1&fieldSelector={selector}");
    loop {
        let list = send(&mut sender, target.request("GET", &path, "")).await?;
        let list: serde_json::Value = serde_json::from_slice(&list).map_err(|e| e.to_string())?;
        if list["items"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn pod(n: usize) -> String {
    format!(
        r#"{{"metadata":{{"name":"load-{n}"}},"spec":{{"terminationGracePeriodSeconds":0,"containers":[{{"name":"main","image":"none"}}]}}}}"#
    )
}
