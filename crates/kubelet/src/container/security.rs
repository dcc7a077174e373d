//! Security contexts as the runtime takes them.

use k8s_openapi::api::core::v1::{
    Container, PodSecurityContext, PodSpec, SELinuxOptions, SeccompProfile, SecurityContext,
};

/// Kernel paths that containers cannot read.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Kernel paths that containers cannot write.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Who the image runs as by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageUser {
    pub uid: Option<i64>,
    pub name: String,
}

/// Why a container may not run as it would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})")]
    RunAsRoot { pod: String, container: String },
    #[error("container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})")]
    ImageRunsAsRoot { pod: String, container: String },
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root \
         (pod: \"{pod}\", container: {container})"
    )]
    NonNumericUser { user: String, pod: String, container: String },
}

/// The container's context where the pod's stands behind it.
struct Effective<'a> {
    own: Option<&'a SecurityContext>,
    pod: Option<&'a PodSecurityContext>,
}

impl<'a> Effective<'a> {
    fn run_as_user(&self) -> Option<i64> {
        self.own.and_then(|own| own.run_as_user).or_else(|| self.pod.and_then(|pod| pod.run_as_user))
    }

    fn run_as_group(&self) -> Option<i64> {
        self.own.and_then(|own| own.run_as_group).or_else(|| self.pod.and_then(|pod| pod.run_as_group))
    }

    fn run_as_non_root(&self) -> bool {
        let own = self.own.and_then(|own| own.run_as_non_root);
        own.or_else(|| self.pod.and_then(|pod| pod.run_as_non_root)).unwrap_or(false)
    }

    fn seccomp(&self) -> Option<&'a SeccompProfile> {
        let own = self.own.and_then(|own| own.seccomp_profile.as_ref());
        own.or_else(|| self.pod.and_then(|pod| pod.seccomp_profile.as_ref()))
    }

    fn selinux(&self) -> Option<&'a SELinuxOptions> {
        let own = self.own.and_then(|own| own.se_linux_options.as_ref());
        own.or_else(|| self.pod.and_then(|pod| pod.se_linux_options.as_ref()))
    }

    fn apparmor(&self) -> Option<cri::SecurityProfile> {
        let own = self.own.and_then(|own| own.app_armor_profile.as_ref());
        let profile = own.or_else(|| self.pod.and_then(|pod| pod.app_armor_profile.as_ref()))?;
        Some(self::profile(&profile.type_, profile.localhost_profile.as_deref().unwrap_or_default().to_owned()))
    }
}

/// Refuses a container that must not run as root and would, or might.
pub fn check_non_root(pod: &str, spec: &PodSpec, container: &Container, image: &ImageUser) -> Result<(), Error> {
    let effective = effective(spec, container);
    if !effective.run_as_non_root() {
        return Ok(());
    }
    let (pod, container) = (pod.to_owned(), container.name.clone());
    match (effective.run_as_user(), image.uid, image.name.as_str()) {
        (Some(0), _, _) => Err(Error::RunAsRoot { pod, container }),
        (Some(_), _, _) => Ok(()),
        (None, Some(0), _) | (None, None, "") => Err(Error::ImageRunsAsRoot { pod, container }),
        (None, None, user) => Err(Error::NonNumericUser { user: user.to_owned(), pod, container }),
        (None, Some(_), _) => Ok(()),
    }
}

/// Where seccomp profiles that pods name lie.
#[derive(Debug, Clone)]
pub struct ProfileRoot(pub String);

/// The security context of `container`. `groups` come from its volumes.
#[must_use]
pub fn container_context(
    spec: &PodSpec,
    container: &Container,
    image: &ImageUser,
    groups: &[i64],
    root: &ProfileRoot,
) -> cri::LinuxContainerSecurityContext {
    let effective = effective(spec, container);
    let own = effective.own;
    let privileged = own.and_then(|own| own.privileged).unwrap_or(false);
    let user = effective.run_as_user().or(image.uid);
    let unmasked = privileged || own.and_then(|own| own.proc_mount.as_deref()) == Some("Unmasked");
    let paths = |list: &[&str]| match unmasked {
        true => Vec::new(),
        false => list.iter().map(|path| (*path).to_owned()).collect(),
    };
    cri::LinuxContainerSecurityContext {
        capabilities: Some(capabilities(own)),
        privileged,
        namespace_options: Some(namespaces(spec)),
        selinux_options: effective.selinux().map(selinux),
        run_as_user: user.map(|value| cri::Int64Value { value }),
        run_as_group: effective.run_as_group().map(|value| cri::Int64Value { value }),
        run_as_username: if user.is_none() { image.name.clone() } else { String::new() },
        readonly_rootfs: own.and_then(|own| own.read_only_root_filesystem).unwrap_or(false),
        supplemental_groups: supplemental_groups(effective.pod, groups),
        supplemental_groups_policy: groups_policy(effective.pod),
        no_new_privs: !own.and_then(|own| own.allow_privilege_escalation).unwrap_or(true),
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: Some(seccomp(effective.seccomp(), privileged, root)),
        apparmor: effective.apparmor().filter(|_| !privileged),
    }
}

/// The security context of the pod's sandbox.
#[must_use]
pub fn sandbox_context(spec: &PodSpec, groups: &[i64], root: &ProfileRoot) -> cri::LinuxSandboxSecurityContext {
    let pod = spec.security_context.as_ref();
    let privileged = spec
        .containers
        .iter()
        .chain(spec.init_containers.iter().flatten())
        .any(|c| c.security_context.as_ref().and_then(|context| context.privileged).unwrap_or(false));
    let user = pod.and_then(|pod| pod.run_as_user);
    cri::LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(spec)),
        selinux_options: pod.and_then(|pod| pod.se_linux_options.as_ref()).map(selinux),
        run_as_user: user.map(|value| cri::Int64Value { value }),
        // a group is only taken together with a user
        run_as_group: pod
            .and_then(|pod| pod.run_as_group)
            .filter(|_| user.is_some())
            .map(|value| cri::Int64Value { value }),
        readonly_rootfs: false,
        supplemental_groups: supplemental_groups(pod, groups),
        supplemental_groups_policy: groups_policy(pod),
        privileged,
        // the sandbox itself runs nothing of the user's
        seccomp: Some(seccomp(
            Some(&SeccompProfile { type_: "RuntimeDefault".into(), ..Default::default() }),
            false,
            root,
        )),
        apparmor: None,
    }
}

fn effective<'a>(spec: &'a PodSpec, container: &'a Container) -> Effective<'a> {
    Effective { own: container.security_context.as_ref(), pod: spec.security_context.as_ref() }
}

/// The namespaces that the pod asks to share.
#[must_use]
pub fn namespaces(spec: &PodSpec) -> cri::NamespaceOption {
    let host = |flag: Option<bool>| match flag.unwrap_or(false) {
        true => cri::NamespaceMode::Node,
        false => cri::NamespaceMode::Pod,
    };
    let pid = match (spec.host_pid.unwrap_or(false), spec.share_process_namespace.unwrap_or(false)) {
        (true, _) => cri::NamespaceMode::Node,
        (false, true) => cri::NamespaceMode::Pod,
        (false, false) => cri::NamespaceMode::Container,
    };
    cri::NamespaceOption {
        network: host(spec.host_network) as i32,
        pid: pid as i32,
        ipc: host(spec.host_ipc) as i32,
        ..Default::default()
    }
}

fn capabilities(own: Option<&SecurityContext>) -> cri::Capability {
    let given = own.and_then(|own| own.capabilities.as_ref());
    let list = |names: Option<&Vec<String>>| names.cloned().unwrap_or_default();
    cri::Capability {
        add_capabilities: list(given.and_then(|given| given.add.as_ref())),
        drop_capabilities: list(given.and_then(|given| given.drop.as_ref())),
        add_ambient_capabilities: Vec::new(),
    }
}

fn supplemental_groups(pod: Option<&PodSecurityContext>, extra: &[i64]) -> Vec<i64> {
    let mut groups: Vec<i64> = pod.and_then(|pod| pod.supplemental_groups.clone()).unwrap_or_default();
    groups.extend(pod.and_then(|pod| pod.fs_group));
    groups.extend(extra);
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn groups_policy(pod: Option<&PodSecurityContext>) -> i32 {
    match pod.and_then(|pod| pod.supplemental_groups_policy.as_deref()) {
        Some("Strict") => cri::SupplementalGroupsPolicy::Strict as i32,
        _ => cri::SupplementalGroupsPolicy::Merge as i32,
    }
}

fn selinux(options: &SELinuxOptions) -> cri::SELinuxOption {
    cri::SELinuxOption {
        user: options.user.clone().unwrap_or_default(),
        role: options.role.clone().unwrap_or_default(),
        r#type: options.type_.clone().unwrap_or_default(),
        level: options.level.clone().unwrap_or_default(),
    }
}

fn seccomp(given: Option<&SeccompProfile>, privileged: bool, root: &ProfileRoot) -> cri::SecurityProfile {
    match given.filter(|_| !privileged) {
        None => profile("Unconfined", String::new()),
        Some(given) => {
            let local = given.localhost_profile.as_deref().unwrap_or_default();
            profile(&given.type_, format!("{}/{local}", root.0))
        }
    }
}

fn profile(kind: &str, local: String) -> cri::SecurityProfile {
    let (kind, localhost_ref) = match kind {
        "RuntimeDefault" => (cri::ProfileType::RuntimeDefault, String::new()),
        "Localhost" => (cri::ProfileType::Localhost, local),
        _ => (cri::ProfileType::Unconfined, String::new()),
    };
    cri::SecurityProfile { profile_type: kind as i32, localhost_ref }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(pod: Value, container: Value) -> PodSpec {
        serde_json::from_value(json!({
            "securityContext": pod, "containers": [{"name": "c", "securityContext": container}]
        }))
        .unwrap()
    }

    fn check_root(pod: Value, container: Value, image: ImageUser, expected: Option<&str>) {
        let spec = spec(pod, container);
        let got = check_non_root("p_ns(u)", &spec, &spec.containers[0], &image).err().map(|error| error.to_string());
        assert_eq!(got.as_deref().map(|got| got.split(" (").next().unwrap()), expected);
    }

    #[test]
    fn root_is_refused_where_it_must_not_be() {
        let (root, other) =
            (ImageUser { uid: Some(0), ..Default::default() }, ImageUser { uid: Some(7), ..Default::default() });
        let named = ImageUser { uid: None, name: "www".into() };
        check_root(json!({}), json!({}), root.clone(), None);
        check_root(json!({"runAsNonRoot": true}), json!({}), other, None);
        let refused = Some("container has runAsNonRoot and image will run as root");
        check_root(json!({"runAsNonRoot": true}), json!({}), root.clone(), refused);
        check_root(json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false}), root.clone(), None);
        check_root(json!({"runAsUser": 5}), json!({"runAsNonRoot": true}), root.clone(), None);
        let breaks = Some("container's runAsUser breaks non-root policy");
        check_root(json!({"runAsUser": 5}), json!({"runAsNonRoot": true, "runAsUser": 0}), root, breaks);
        let unknown = Some("container has runAsNonRoot and image has non-numeric user");
        check_root(json!({"runAsNonRoot": true}), json!({}), named, unknown);
    }

    fn context(pod: Value, container: Value) -> cri::LinuxContainerSecurityContext {
        let spec = spec(pod, container);
        let root = ProfileRoot("/profiles".into());
        container_context(&spec, &spec.containers[0], &ImageUser::default(), &[], &root)
    }

    #[test]
    fn the_container_overrides_the_pod() {
        let got = context(
            json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 9, "supplementalGroups": [9, 4]}),
            json!({"runAsUser": 3}),
        );
        assert_eq!(got.run_as_user.unwrap().value, 3);
        assert_eq!(got.run_as_group.unwrap().value, 2);
        assert_eq!(got.supplemental_groups, [4, 9]);
        assert!(!got.no_new_privs);
        assert_eq!(got.masked_paths.len(), MASKED.len());
        assert_eq!(got.seccomp.unwrap().profile_type, cri::ProfileType::Unconfined as i32);
    }

    #[test]
    fn privileged_containers_see_everything() {
        let got = context(json!({"seccompProfile": {"type": "RuntimeDefault"}}), json!({"privileged": true}));
        assert!(got.privileged && got.masked_paths.is_empty() && got.readonly_paths.is_empty());
        assert_eq!(got.seccomp.unwrap().profile_type, cri::ProfileType::Unconfined as i32);
        let got = context(
            json!({}),
            json!({"allowPrivilegeEscalation": false,
            "seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}}),
        );
        assert!(got.no_new_privs);
        assert_eq!(got.seccomp.unwrap().localhost_ref, "/profiles/a.json");
    }
}
