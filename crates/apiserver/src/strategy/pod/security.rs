//! Security contexts of pods and containers.

use object::field::{Error, ErrorList, Path};

use super::super::field::{At, descending, optional_one_of, required};
use super::super::rules::{self, Rule, Rules};
use super::options::{Options, has_users};
use super::restart::supported;
use super::windows;

/// User and group ids.
const ID: Rule = Rule::Range(0, i32::MAX as i64);
const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];
/// The longest path of a profile.
const MAX_PROFILE: usize = 4095;

const POD_IDS: Rules =
    &[("fsGroup", ID), ("runAsUser", ID), ("runAsGroup", ID), ("supplementalGroups", Rule::Holds(groups))];
const POD_PROFILES: Rules = &[
    ("fsGroupChangePolicy", Rule::Holds(change_policy)),
    ("seccompProfile", Rule::Holds(seccomp)),
    ("windowsOptions", Rule::Holds(windows::options)),
    ("appArmorProfile", Rule::Holds(apparmor)),
    ("supplementalGroupsPolicy", Rule::Holds(groups_policy)),
];
const CONTAINER_PROFILES: Rules =
    &[("windowsOptions", Rule::Holds(windows::options)), ("appArmorProfile", Rule::Holds(apparmor))];

/// Names of kernel parameters that belong to the IPC namespace.
const IPC_SYSCTLS: &[&str] = &[
    "kernel.msg",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

pub(super) fn of_pod(spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let at = spec.at("securityContext");
    rules::check(&at, POD_IDS, errors);
    let share = spec.at("shareProcessNamespace").shown(at.path.child("shareProcessNamespace"));
    if share.flag() && spec.at("hostPID").flag() {
        errors.push(share.invalid("ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    sysctls(spec, options, errors);
    rules::check(&at, POD_PROFILES, errors);
    let policy = at.at("seLinuxChangePolicy");
    if policy.is_set() {
        let policies: &[&str] = if options.selinux_policies { &["MountOption", "Recursive"] } else { &["Recursive"] };
        supported(&policy, policies, errors);
    }
}

pub(super) fn of_container(at: &At<'_>, spec: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    rules::check(at, &[("runAsUser", ID), ("runAsGroup", ID)], errors);
    let mount = at.at("procMount");
    if mount.is_set() {
        supported(&mount, &["Default", "Unmasked"], errors);
        if mount.text() == "Unmasked" && !has_users(spec) {
            errors.push(mount.invalid("`hostUsers` must be false to use `Unmasked`"));
        }
    }
    seccomp(&at.at("seccompProfile"), errors);
    if at.at("allowPrivilegeEscalation").value.as_bool() == Some(false) {
        escalation(at, errors);
    }
    rules::check(at, CONTAINER_PROFILES, errors);
}

/// Who may not gain privileges cannot have them all.
fn escalation(at: &At<'_>, errors: &mut ErrorList) {
    let shown = || super::super::structs::value("SecurityContext", at.value);
    if at.at("privileged").flag() {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(Error::invalid(&at.path, shown(), detail));
    }
    let added = at.at("capabilities").at("add").items().filter(|added| added.text() == "CAP_SYS_ADMIN");
    let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
    errors.extend(added.map(|_| Error::invalid(&at.path, shown(), detail)));
}

fn groups(list: &At<'_>, errors: &mut ErrorList) {
    list.items().for_each(|group| rules::check(&group, &[("", ID)], errors));
}

fn change_policy(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() {
        supported(at, &["Always", "OnRootMismatch"], errors);
    }
}

fn groups_policy(at: &At<'_>, errors: &mut ErrorList) {
    optional_one_of(at, &["Merge", "Strict"], errors);
}

fn seccomp(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let (kind, local) = (at.at("type"), at.at("localhostProfile"));
    if kind.is_empty() {
        errors.push(kind.required("type is required when seccompProfile is set"));
    } else {
        supported(&kind, PROFILE_TYPES, errors);
    }
    match (kind.text(), local.is_set()) {
        ("Localhost", false) => errors.push(local.required("must be set when seccomp type is Localhost")),
        ("Localhost", true) => descending(&local, errors),
        (_, true) => {
            let shown = super::super::structs::value("SeccompProfile", at.value);
            errors.push(Error::invalid(&local.path, shown, "can only be set when seccomp type is Localhost"));
        }
        (_, false) => {}
    }
}

pub(super) fn apparmor(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let (kind, local) = (at.at("type"), at.at("localhostProfile"));
    match kind.text() {
        "" => errors.push(kind.required("type is required when appArmorProfile is set")),
        "Localhost" => local_apparmor(&local, errors),
        "RuntimeDefault" | "Unconfined" => {
            if local.is_set() {
                errors.push(local.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        _ => errors.push(kind.unsupported(PROFILE_TYPES)),
    }
}

fn local_apparmor(local: &At<'_>, errors: &mut ErrorList) {
    if local.text().trim() != local.text() {
        errors.push(local.invalid("must not be padded with whitespace"));
    } else if local.is_empty() {
        errors.push(local.required("must be set when AppArmor type is Localhost"));
    }
    if local.text().len() > MAX_PROFILE {
        errors.push(Error::too_long(&local.path, MAX_PROFILE));
    }
}

fn sysctls(spec: &At<'_>, options: &Options, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for sysctl in spec.at("securityContext").at("sysctls").items() {
        let name = sysctl.at("name");
        if required(&name, errors) && !is_sysctl(name.text()) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(name.invalid(detail));
        } else if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        if !options.host_sysctls {
            host_sysctl(spec, &name, errors);
        }
        seen.push(name.text());
    }
}

/// Parameters of namespaces that a pod shares with the host are the host's.
pub(super) fn host_sysctls(spec: &At<'_>, errors: &mut ErrorList) {
    let names = spec.at("securityContext").at("sysctls").items().map(|sysctl| sysctl.at("name"));
    names.for_each(|name| host_sysctl(spec, &name, errors));
}

fn host_sysctl(spec: &At<'_>, name: &At<'_>, errors: &mut ErrorList) {
    let plain = dotted(name.text());
    let field = if plain.starts_with("net.") {
        "hostNetwork"
    } else if plain.starts_with("fs.mqueue.") || IPC_SYSCTLS.contains(&plain.as_str()) {
        "hostIPC"
    } else {
        return;
    };
    if spec.at(field).flag() {
        errors.push(name.invalid(format!("may not be specified when '{field}' is true")));
    }
}

/// `net/ipv4/x` as `net.ipv4.x`: what stands first between words separates them.
fn dotted(name: &str) -> String {
    if name.find(['.', '/']).is_none_or(|at| name[at..].starts_with('.')) {
        return name.to_owned();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    name.chars().map(swap).collect()
}

fn is_sysctl(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        part.bytes().all(|b| alphanumeric(b) || b == b'-' || b == b'_')
            && part.bytes().next().is_some_and(alphanumeric)
            && part.bytes().last().is_some_and(alphanumeric)
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

/// A profile in the words of an annotation; for the paths of its errors.
pub(super) fn annotated_profile(path: &Path, profile: &str, errors: &mut ErrorList) {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    match profile.strip_prefix("localhost/") {
        Some(local) => {
            let value = serde_json::Value::from(local);
            descending(&At { value: &value, path: path.clone() }, errors);
        }
        None => errors.push(Error::invalid(path, profile, "must be a valid seccomp profile")),
    }
}
