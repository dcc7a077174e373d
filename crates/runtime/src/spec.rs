//! From what CRI asks for to what a shim is told.

mod capability;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use cri::NamespaceMode;
use shim::cgroup::{Hugepages, Resources};
use shim::spec::{Capabilities, Container, Device, Mount, Network, Pids, Process, Propagation, Rootfs, Sandbox, User};

use crate::error::{Error, Result};
use crate::image::{Config, Layers};
use crate::layout::Layout;
use crate::record;

/// What programs find when the image says nothing.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// As other runtimes have it.
const SHM_SIZE: u64 = 64 << 20;

/// Files of the sandbox that its containers see, unless the pod brings its own.
pub(crate) const SANDBOX_FILES: &[&str] = &["hostname", "hosts", "resolv.conf"];

/// What a container is made of beside its own configuration.
pub(crate) struct Surroundings<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) layers: &'a Layers,
    pub(crate) sandbox: &'a record::Sandbox,
    pub(crate) image: &'a Config,
}

/// The specification of a sandbox; `network` is where its network namespace comes from.
pub(crate) fn sandbox(record: &record::Sandbox, network: Network, shim_cgroup: String) -> Sandbox {
    let config = record.config.clone().unwrap_or_default();
    let linux = config.linux.unwrap_or_default();
    let options = linux.security_context.and_then(|context| context.namespace_options).unwrap_or_default();
    Sandbox {
        id: record.id.clone(),
        hostname: config.hostname,
        network,
        host_ipc: options.ipc() == NamespaceMode::Node,
        shared_pids: options.pid() == NamespaceMode::Pod,
        sysctls: linux.sysctls,
        cgroup: shim_cgroup,
        shm_size: SHM_SIZE,
    }
}

/// Whether a sandbox uses the host's network.
pub(crate) fn uses_host_network(config: &cri::PodSandboxConfig) -> bool {
    let context = config.linux.as_ref().and_then(|linux| linux.security_context.as_ref());
    context.and_then(|context| context.namespace_options.as_ref()).is_some_and(|o| o.network() == NamespaceMode::Node)
}

/// The specification of a container.
pub(crate) fn container(record: &record::Container, around: &Surroundings<'_>) -> Result<Container> {
    let config = record.config.clone().unwrap_or_default();
    let linux = config.linux.clone().unwrap_or_default();
    let context = linux.security_context.clone().unwrap_or_default();
    let options = context.namespace_options.clone().unwrap_or_default();
    if options.userns_options.as_ref().is_some_and(|userns| userns.mode() == NamespaceMode::Pod) {
        return Err(Error::Invalid("user namespaces are not supported".into()));
    }
    refuse_profiles(&context)?;
    let directory = around.layout.container(&record.id);
    let sandbox_config = around.sandbox.config.clone().unwrap_or_default();
    let resources = record.resources.clone().or(linux.resources).unwrap_or_default();
    Ok(Container {
        id: record.id.clone(),
        rootfs: Rootfs {
            base: around.layers.base().to_owned(),
            layers: record.layers.iter().rev().map(|name| Layers::relative(name)).collect(),
            upper: directory.join("upper"),
            work: directory.join("work"),
            mountpoint: directory.join("rootfs"),
            readonly: context.readonly_rootfs,
        },
        process: process(&config, &context, around.image, &sandbox_config.hostname, &resources)?,
        pids: match options.pid() {
            NamespaceMode::Pod => Pids::Sandbox,
            NamespaceMode::Node => Pids::Host,
            NamespaceMode::Container => Pids::Own,
            NamespaceMode::Target => Pids::Container(options.target_id),
        },
        mounts: mounts(&config, &context, &around.layout.sandbox(&record.sandbox))?,
        devices: config.devices.iter().map(device).collect(),
        privileged: context.privileged,
        masked_paths: paths(&context.masked_paths, context.privileged),
        readonly_paths: paths(&context.readonly_paths, context.privileged),
        cgroup: cgroup(around.sandbox, &record.id),
        resources: self::resources(&resources),
        log: log_path(&sandbox_config, &config),
        stdin: config.stdin,
        directory,
    })
}

/// Profiles of the node's are not applied here, and whoever names one relies on it.
fn refuse_profiles(context: &cri::LinuxContainerSecurityContext) -> Result<()> {
    for (kind, profile) in [("seccomp", &context.seccomp), ("AppArmor", &context.apparmor)] {
        if let Some(profile) = profile.as_ref().filter(|profile| profile.profile_type() == cri::ProfileType::Localhost)
        {
            let name = &profile.localhost_ref;
            return Err(Error::Invalid(format!("{kind} profile {name:?}: Localhost is not supported by this runtime")));
        }
    }
    Ok(())
}

/// The cgroup of a container.
pub(crate) fn cgroup(sandbox: &record::Sandbox, container: &str) -> String {
    format!("{}/{container}", sandbox.cgroup.trim_end_matches('/'))
}

/// The absolute path of a container's log; none when it has none.
pub(crate) fn log_path(sandbox: &cri::PodSandboxConfig, container: &cri::ContainerConfig) -> Option<PathBuf> {
    let given = !sandbox.log_directory.is_empty() && !container.log_path.is_empty();
    given.then(|| Path::new(&sandbox.log_directory).join(&container.log_path))
}

/// Limits; CRI's zeros mean that nothing is asked for.
pub(crate) fn resources(given: &cri::LinuxContainerResources) -> Resources {
    let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
    let some = |value: i64| Some(value).filter(|value| *value != 0);
    let pages = given.hugepage_limits.iter().map(|l| Hugepages { size: l.page_size.clone(), limit: l.limit });
    Resources {
        cpu_shares: positive(given.cpu_shares),
        cpu_quota: some(given.cpu_quota),
        cpu_period: positive(given.cpu_period),
        cpuset_cpus: given.cpuset_cpus.clone(),
        cpuset_mems: given.cpuset_mems.clone(),
        memory: some(given.memory_limit_in_bytes),
        memory_and_swap: some(given.memory_swap_limit_in_bytes),
        pids: None,
        hugepages: pages.collect(),
        unified: given.unified.clone(),
    }
}

/// A further process of a container: like its first one, but for what it runs.
pub(crate) fn further(first: &[u8], args: Vec<String>, tty: bool) -> Result<Process> {
    let mut process: Process = serde_json::from_slice(first)
        .map_err(|_| Error::Precondition("the container has never been started".into()))?;
    process.args = args;
    process.tty = tty;
    if tty && !process.env.iter().any(|pair| pair.starts_with("TERM=")) {
        process.env.push("TERM=xterm".into());
    }
    Ok(process)
}

fn process(
    config: &cri::ContainerConfig,
    context: &cri::LinuxContainerSecurityContext,
    image: &Config,
    hostname: &str,
    resources: &cri::LinuxContainerResources,
) -> Result<Process> {
    let cwd = [&config.working_dir, &image.working_dir].into_iter().find(|cwd| !cwd.is_empty());
    let bounding = match context.privileged {
        true => u64::MAX,
        false => capability::effective(context.capabilities.as_ref())?,
    };
    Ok(Process {
        args: args(config, image)?,
        env: environment(config, image, hostname),
        cwd: Path::new("/").join(cwd.map_or("/", String::as_str)),
        user: user(context, image)?,
        capabilities: Capabilities { bounding, ambient: capability::ambient(context.capabilities.as_ref())? },
        no_new_privileges: context.no_new_privs,
        oom_score_adj: i32::try_from(resources.oom_score_adj.clamp(-1000, 1000)).ok().filter(|score| *score != 0),
        tty: config.tty,
    })
}

/// A command of the pod's replaces both of the image's; arguments of the pod's replace only its.
fn args(config: &cri::ContainerConfig, image: &Config) -> Result<Vec<String>> {
    let (command, args) = match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => (&config.command, &config.args),
        (true, false) => (&image.entrypoint, &config.args),
        (true, true) => (&image.entrypoint, &image.cmd),
    };
    let all: Vec<String> = command.iter().chain(args).cloned().collect();
    if all.is_empty() {
        return Err(Error::Invalid("no command specified".into()));
    }
    Ok(all)
}

/// The image's variables, then the pod's; the last of a name wins and keeps the first one's place.
fn environment(config: &cri::ContainerConfig, image: &Config, hostname: &str) -> Vec<String> {
    let mut env: Vec<String> = Vec::new();
    let mut set = |pair: String| {
        let name = pair.split('=').next().unwrap_or_default();
        let same = |known: &&mut String| known.split('=').next() == Some(name);
        match env.iter_mut().find(same) {
            Some(known) => *known = pair,
            None => env.push(pair),
        }
    };
    set(DEFAULT_PATH.into());
    if !hostname.is_empty() {
        set(format!("HOSTNAME={hostname}"));
    }
    if config.tty {
        set("TERM=xterm".into());
    }
    image.env.iter().cloned().for_each(&mut set);
    for pair in &config.envs {
        set(format!("{}={}", pair.key, String::from_utf8_lossy(&pair.value)));
    }
    env
}

fn user(context: &cri::LinuxContainerSecurityContext, image: &Config) -> Result<User> {
    let id = |id: i64| u32::try_from(id).map_err(|_| Error::Invalid(format!("{id} is no user or group")));
    let given = |value: &Option<cri::Int64Value>| value.as_ref().map(|v| id(v.value)).transpose();
    let name = if context.run_as_username.is_empty() { &image.user } else { &context.run_as_username };
    Ok(User {
        name: name.clone(),
        uid: given(&context.run_as_user)?,
        gid: given(&context.run_as_group)?,
        groups: context.supplemental_groups.iter().map(|group| id(*group)).collect::<Result<_>>()?,
        image_groups: context.supplemental_groups_policy() == cri::SupplementalGroupsPolicy::Merge,
    })
}

fn mounts(
    config: &cri::ContainerConfig,
    context: &cri::LinuxContainerSecurityContext,
    sandbox: &Path,
) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for name in SANDBOX_FILES {
        let target = Path::new("/etc").join(name);
        let source = sandbox.join(name);
        let taken = config.mounts.iter().any(|mount| Path::new(&mount.container_path) == target);
        if !taken && source.exists() {
            mounts.push(Mount { source, target, readonly: context.readonly_rootfs, ..Mount::default() });
        }
    }
    for given in &config.mounts {
        mounts.push(mount(given)?);
    }
    Ok(mounts)
}

fn mount(given: &cri::Mount) -> Result<Mount> {
    if given.image.as_ref().is_some_and(|image| !image.image.is_empty()) {
        return Err(Error::Invalid(format!("mounting an image on {}: not supported", given.container_path)));
    }
    if given.host_path.is_empty() || given.container_path.is_empty() {
        return Err(Error::Invalid("a mount needs a host path and a container path".into()));
    }
    if given.recursive_read_only && !given.readonly {
        return Err(Error::Invalid(format!("mount on {}: recursive_read_only needs readonly", given.container_path)));
    }
    Ok(Mount {
        source: PathBuf::from(&given.host_path),
        target: Path::new("/").join(&given.container_path),
        readonly: given.readonly,
        recursive_readonly: given.recursive_read_only,
        propagation: match given.propagation() {
            cri::MountPropagation::Private => Propagation::Private,
            cri::MountPropagation::HostToContainer => Propagation::HostToContainer,
            cri::MountPropagation::Bidirectional => Propagation::Bidirectional,
        },
    })
}

fn device(given: &cri::Device) -> Device {
    Device {
        source: PathBuf::from(&given.host_path),
        target: Path::new("/").join(&given.container_path),
        access: given.permissions.clone(),
    }
}

fn paths(given: &[String], privileged: bool) -> Vec<PathBuf> {
    given.iter().filter(|_| !privileged).map(PathBuf::from).collect()
}
