//! `coracle down`: stops the cluster and its pods, whether its process still runs or not.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure;
use crate::cluster::stop_orphaned_pods;
use crate::grammar::Down;
use crate::instance::Instance;

/// Longest wait for the process to end.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) async fn run(options: Down) -> Result<(), Failure> {
    let data_dir = &options.data.data_dir;
    if !data_dir.is_dir() {
        return Err(Failure::new(
            format!("stopping the cluster in {}", data_dir.display()),
            "there is no such directory",
        )
        .next("name the directory that `coracle up` was given with --data-dir"));
    }
    let instance = Instance::open(data_dir)?;
    match instance.holder() {
        Some(pid) => interrupt(&instance, pid).await,
        None => {
            let _lock = instance.lock()?;
            stop_orphaned_pods(&instance).await
        }
    }
}

async fn interrupt(instance: &Instance, pid: i32) -> Result<(), Failure> {
    let what = format!("stopping the cluster in {} (process {pid})", instance.data_dir.display());
    kill(Pid::from_raw(pid), Signal::SIGINT)
        .map_err(|e| Failure::new(&what, e).next("run it as the user who started the cluster"))?;
    let instance = instance.clone();
    let released = tokio::task::spawn_blocking(move || instance.wait_for_lock());
    match tokio::time::timeout(PATIENCE, released).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Failure::new(what, error)),
        Err(_) => Err(Failure::new(what, format!("it has not ended after {} s", PATIENCE.as_secs()))
            .next(format!("its log says why; `kill -9 {pid}` ends it, then run `coracle down` again"))),
    }
}
