//! `coracle up`: a cluster on this machine, until a signal ends it.

use crate::Failure;
use crate::cluster::Cluster;
use crate::grammar::Up;
use crate::instance::Instance;
use crate::stop::Signals;

use super::detach::READY_LINE;

pub(crate) async fn run(options: Up) -> Result<(), Failure> {
    let mut signals = Signals::catch()?;
    require_root("starting a node on this machine")?;
    let instance = Instance::open(&options.data.data_dir)?;
    // Held to the process's very end, so that whoever waits for it finds the process gone.
    std::mem::forget(instance.lock()?);
    let mut cluster = Cluster::start(&instance, &options).await?;
    let ready = tokio::select! {
        biased;
        stop = signals.next() => return cluster.stop(stop).await,
        ready = cluster.ready() => ready,
    };
    if let Err(failure) = ready {
        cluster.give_up().await?;
        return Err(failure);
    }
    say(&cluster, &options);
    let failure = tokio::select! {
        biased;
        stop = signals.next() => return cluster.stop(stop).await,
        failure = cluster.failed() => failure,
    };
    cluster.give_up().await?;
    Err(failure)
}

/// A node is made of namespaces, mounts, links and rules.
pub(super) fn require_root(what: &str) -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(what, "it needs root for namespaces, mounts and network rules").next("run it with sudo"))
}

#[expect(clippy::print_stdout, reason = "how to use the cluster is what the user asked for")]
fn say(cluster: &Cluster, options: &Up) {
    let (context, file) = (cluster.context(), cluster.kubeconfig().display());
    println!("The cluster is up. Context \"{context}\" in {file} is the current one:\n");
    println!("  kubectl get nodes");
    println!("  kubectl create deployment web --image=nginx --replicas=3");
    println!("  kubectl expose deployment web --port=80\n");
    let data_dir = options.data.data_dir.display();
    if options.background {
        println!("`coracle down --data-dir {data_dir}` stops it and its pods.");
        println!("{READY_LINE}");
    } else {
        println!("Ctrl-C stops it and its pods.");
    }
}
