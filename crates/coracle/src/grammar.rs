//! The command line's grammar.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A complete Kubernetes in one binary.
#[derive(Debug, Parser)]
#[command(name = "coracle", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Grammar {
    /// What to log to stderr: error, warn, info, debug, trace, or per module (`kubelet=debug`)
    #[arg(long, global = true, env = "CORACLE_LOG", default_value = "warn", value_name = "FILTER")]
    pub log: String,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start a cluster on this machine and stay until Ctrl-C, which stops it and its pods
    Up(Up),
    /// Stop the cluster on this machine and its pods
    Down(Down),
    /// Remove everything of the cluster on this machine, stopping it first: pods, network, rules, files, kubeconfig
    /// context
    Reset(Reset),
    /// Load and list container images
    Image(Image),
    /// Run the API server alone; it writes kubeconfigs for the other roles below the data directory
    Apiserver(Apiserver),
    /// Run the scheduler alone
    Scheduler(Client),
    /// Run the controllers alone
    ControllerManager(Client),
    /// Run the kubelet alone
    Kubelet(Kubelet),
    /// Run the service proxy alone
    Proxy(Proxy),
    /// Run cluster DNS alone
    Dns(Dns),
    /// Run the container runtime alone
    Runtime(Runtime),
    /// Print the version
    Version(Version),
    /// Print a completion script: coracle completion bash > /etc/bash_completion.d/coracle
    Completion(Completion),
}

/// Where an instance keeps everything it writes.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataDir {
    /// Where this cluster keeps its state; another directory is another cluster
    #[arg(long, env = "CORACLE_DATA_DIR", default_value = "/var/lib/coracle", value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub data: DataDir,
    /// The kubeconfig to merge this cluster's context into [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Where users reach the API server
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// The node's name [default: this machine's host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// A CRI socket to use instead of the embedded runtime
    #[arg(long, value_name = "SOCKET")]
    pub container_runtime_endpoint: Option<PathBuf>,
    /// Return once the cluster is ready, and leave it running
    #[arg(long, short)]
    pub detach: bool,
    /// Set by `--detach` for the process that it starts: say when the cluster is ready
    #[arg(long, hide = true)]
    pub background: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Down {
    #[command(flatten)]
    pub data: DataDir,
}

/// Remove everything of the cluster on this machine
///
/// A running cluster is stopped first. Then go what is left of its processes, pods, mounts, links, addresses, nftables
/// tables and cgroups, its data directory with everything in it, and its context in the kubeconfigs that `coracle up`
/// wrote it into. Nothing of other clusters or other programs is touched. Packet forwarding, which the cluster switched
/// on in the kernel, stays on. What was half removed before is found as well; where nothing is left it says so.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reset {
    #[command(flatten)]
    pub data: DataDir,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Another kubeconfig to remove the context from
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Image {
    #[command(subcommand)]
    pub verb: ImageVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// Load images from a tar file, as `docker save` or an OCI layout writes it
    Load(ImageLoad),
    /// List the images on this node
    #[command(visible_alias = "ls")]
    List(ImageList),
}

#[derive(Debug, Args)]
pub(crate) struct ImageLoad {
    #[command(flatten)]
    pub data: DataDir,
    /// The tar file
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImageList {
    #[command(flatten)]
    pub data: DataDir,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Apiserver {
    #[command(flatten)]
    pub data: DataDir,
    /// Addresses to listen on; repeat for several
    #[arg(long, default_value = "127.0.0.1:6443", value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,
    /// The address that pods and other servers reach this server on [default: the first listen address]
    #[arg(long, value_name = "ADDR:PORT")]
    pub advertise: Option<SocketAddr>,
    /// Range of Service addresses
    #[arg(long, default_value = "10.43.0.0/16", value_name = "CIDR")]
    pub service_cidr: String,
    /// etcd endpoints to use instead of the embedded store, comma separated
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    pub etcd_servers: Vec<String>,
}

/// A role that needs nothing but the Kubernetes API.
#[derive(Debug, Clone, Args)]
pub(crate) struct Client {
    /// Credentials and address of the API server
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Kubelet {
    #[command(flatten)]
    pub data: DataDir,
    #[command(flatten)]
    pub client: Client,
    /// The node's name [default: this machine's host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// The address that the API server and pods reach this node on
    #[arg(long, value_name = "ADDR")]
    pub node_ip: IpAddr,
    /// The CRI socket
    #[arg(long, value_name = "SOCKET")]
    pub container_runtime_endpoint: PathBuf,
    /// The cluster's DNS server
    #[arg(long, default_value = "10.43.0.10", value_name = "ADDR")]
    pub cluster_dns: IpAddr,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Proxy {
    #[command(flatten)]
    pub data: DataDir,
    #[command(flatten)]
    pub client: Client,
    /// The node's name [default: this machine's host name]
    #[arg(long, value_name = "NAME")]
    pub node_name: Option<String>,
    /// Addresses of this node that serve node ports; repeat for several
    #[arg(long, value_name = "ADDR")]
    pub node_ip: Vec<IpAddr>,
    /// Range of pod addresses
    #[arg(long, default_value = "10.42.0.0/16", value_name = "CIDR")]
    pub cluster_cidr: String,
    /// Range of Service addresses
    #[arg(long, default_value = "10.43.0.0/16", value_name = "CIDR")]
    pub service_cidr: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Dns {
    #[command(flatten)]
    pub client: Client,
    /// Where to answer, UDP and TCP
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// The Service address that pods ask
    #[arg(long, default_value = "10.43.0.10", value_name = "ADDR")]
    pub cluster_dns: IpAddr,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Runtime {
    #[command(flatten)]
    pub data: DataDir,
    /// Range of this node's pod addresses
    #[arg(long, default_value = "10.42.0.0/16", value_name = "CIDR")]
    pub pod_cidr: String,
    /// Range of Service addresses
    #[arg(long, default_value = "10.43.0.0/16", value_name = "CIDR")]
    pub service_cidr: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// How to print
    #[arg(long, short, default_value = "text", value_enum)]
    pub output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct Completion {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Grammar::command().debug_assert();
    }
}
