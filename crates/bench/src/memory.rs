//! What objects cost a whole node in memory.

use std::time::Duration;

use super::load::{Target, all, send};
use super::process::{main_pid, resident};
use super::{Bench, Figure, api, on, wait};

const PODS: usize = 10_000;
const PATH: &str = "/api/v1/namespaces/default/pods";

/// KB that a pod which nobody runs adds to the whole process: its server, its controllers, its scheduler.
pub(crate) fn of_pods(cluster: &Bench) -> Result<Figure, String> {
    let memory = || main_pid(cluster).map(|pid| resident(pid).unwrap_or_default());
    wait(Duration::from_secs(5));
    let before = memory()?;
    let target = Target::read(&cluster.kubeconfig())?;
    let made = target.clone();
    on(cluster.machine(), move || async move {
        all(&made, 32, PODS, |target, n| target.request("POST", PATH, api::pod(n))).await
    })?;
    wait(Duration::from_secs(5));
    let added = (memory()? - before) * 1e3 / PODS as f64;
    on(cluster.machine(), move || async move {
        let mut sender = target.connect().await?;
        send(&mut sender, target.request("DELETE", &format!("{PATH}?labelSelector=bench=true"), "")).await.map(drop)
    })?;
    Ok(Figure::at_most("whole node: memory added by a waiting pod of 3.6 KB", "KB", added, 40.0, 15.0))
}
