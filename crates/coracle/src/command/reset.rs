//! `coracle reset`: leaves the machine as if the cluster had never been there, however little of it is left.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use network::Network;
use nix::sys::signal::Signal;

use super::up::require_root;
use crate::failure::chain;
use crate::grammar::Reset;
use crate::instance::{Instance, Lock};
use crate::processes::{self, Part};
use crate::remains::Remains;
use crate::{Failure, kubeconfigs, mounts, node};

/// How long a running cluster may take to stop its pods before it is killed with them.
const PATIENCE: Duration = Duration::from_secs(30);
/// A cgroup can be removed shortly after its last process has ended.
const CGROUP_ATTEMPTS: usize = 100;
const CGROUP_PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(options: Reset) -> Result<(), Failure> {
    require_root("removing a cluster from this machine")?;
    let instance = Instance::at(&options.data.data_dir)?;
    instance.refuse_foreign()?;
    let found = Remains::find(&instance, options.kubeconfig.as_deref()).await?;
    if found.is_nothing() {
        say(&format!("There is nothing of a cluster in {}.", instance.data_dir.display()));
        return Ok(());
    }
    say(&format!("Of the cluster in {} there is:\n{}", instance.data_dir.display(), indented(&found)));
    if !options.yes {
        confirm(&instance)?;
    }
    remove(&instance, &found, options.kubeconfig.as_deref()).await
}

/// Asks on the terminal.
fn confirm(instance: &Instance) -> Result<(), Failure> {
    let what = format!("removing the cluster in {}", instance.data_dir.display());
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::new(what, "there is no terminal to ask on")
            .next("give --yes if all of this may go; nothing has been removed"));
    }
    ask("Remove all of it? [y/N] ");
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(|e| Failure::new(&what, e))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(what, "the answer was not yes").next("nothing has been removed")),
    }
}

/// From what acts to what only lies there: nothing that was removed comes back, and while something could not be removed
/// the files stay that a second attempt may need.
async fn remove(instance: &Instance, found: &Remains, kubeconfig: Option<&Path>) -> Result<(), Failure> {
    let contexts = &found.kubeconfigs;
    stop(instance).await?;
    let _lock = lock(instance)?;
    detach(instance)?;
    remove_network(instance).await?;
    remove_cgroups(instance).await?;
    for entry in contexts {
        kubeconfigs::forget(instance, entry)?;
        say(&format!("Removed the context {:?} from {}.", instance.context(), entry.path.display()));
    }
    instance.remove_files()?;
    say(&format!("Removed {}.", instance.data_dir.display()));
    let left = Remains::find(instance, kubeconfig).await?;
    if left.is_nothing() {
        say("Nothing of it is left.");
        return Ok(());
    }
    let what = format!("removing the cluster in {}", instance.data_dir.display());
    Err(Failure::new(what, format!("there is still:\n{}", indented(&left))).next("run `coracle reset` again"))
}

/// Stops the cluster as `down` does if it runs, then kills whatever is left of its processes.
async fn stop(instance: &Instance) -> Result<(), Failure> {
    let instance = instance.clone();
    let stopping = tokio::task::spawn_blocking(move || {
        for process in processes::find(&instance).iter().filter(|process| process.part == Part::Cluster) {
            say(&format!("Stopping the cluster (process {}).", process.pid));
            let what = || format!("stopping process {}", process.pid);
            process.signal(Signal::SIGINT).map_err(|e| Failure::new(what(), e))?;
            if !process.ends_within(PATIENCE) {
                say(&format!("It has not ended after {} s and is killed.", PATIENCE.as_secs()));
            }
        }
        kubelet::cgroup::forbid_forks(&node::cgroup_root(&instance));
        processes::end_all(&instance)
    });
    let ended = stopping.await.map_err(|e| Failure::new("ending the cluster's processes", e))??;
    if ended > 0 {
        say(&format!("Killed {ended} processes that were left."));
    }
    Ok(())
}

/// Keeps others from starting a cluster there meanwhile; nothing to keep where there is no directory.
fn lock(instance: &Instance) -> Result<Option<Lock>, Failure> {
    if !instance.data_dir.is_dir() {
        return Ok(None);
    }
    Instance::open(&instance.data_dir)?.lock().map(Some)
}

/// Detaches all mounts: nothing behind them may be removed with the files.
fn detach(instance: &Instance) -> Result<(), Failure> {
    let count = mounts::list_below(&instance.data_dir).len();
    mounts::detach_below(&instance.data_dir);
    let left = mounts::list_below(&instance.data_dir);
    if let Some(point) = left.first() {
        let what = format!("detaching {}", point.display());
        return Err(Failure::new(what, "the kernel refused").next("the log says why; unmount it and run this again"));
    }
    if count > 0 {
        say(&format!("Detached {count} mounts."));
    }
    Ok(())
}

async fn remove_network(instance: &Instance) -> Result<(), Failure> {
    let what = "removing the cluster's network";
    let failed = |e: &dyn std::error::Error| Failure::new(what, chain(e));
    let mut before = Network::remains(&instance.id).await.map_err(|e| failed(&e))?;
    before.extend(proxy::remains(&instance.id).map_err(|e| failed(&e))?);
    proxy::cleanup(&instance.id).map_err(|e| failed(&e))?;
    Network::cleanup(&instance.id, &instance.path("network")).await.map_err(|e| failed(&e))?;
    if !before.is_empty() {
        say(&format!("Removed {} links, addresses and tables.", before.len()));
    }
    Ok(())
}

async fn remove_cgroups(instance: &Instance) -> Result<(), Failure> {
    let group = node::cgroup_root(instance);
    if kubelet::cgroup::directories(&group).is_empty() {
        return Ok(());
    }
    for _ in 0..CGROUP_ATTEMPTS {
        kubelet::cgroup::remove(&group);
        if kubelet::cgroup::directories(&group).is_empty() {
            say(&format!("Removed the cgroups {group}."));
            return Ok(());
        }
        tokio::time::sleep(CGROUP_PAUSE).await;
    }
    let left = kubelet::cgroup::directories(&group);
    let left: Vec<_> = left.iter().map(|directory| directory.display().to_string()).collect();
    Err(Failure::new("removing the cluster's cgroups", format!("the kernel keeps {}", left.join(", ")))
        .next("end the processes in them, then run `coracle reset` again"))
}

fn indented(found: &Remains) -> String {
    found.to_string().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stdout, reason = "what is done to the machine is for the user to see")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stdout, reason = "the question is for the user")]
fn ask(question: &str) {
    print!("{question}");
    // A question that cannot be shown is answered with no.
    let _ = std::io::stdout().flush();
}
