//! What goes with the operating system of a pod.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::At;
use super::super::rules::{self, Rule, Rules};
use super::each_container;

/// The most that a credential spec may weigh, in bytes.
const MAX_CREDENTIALS: usize = 64 << 10;
const MAX_DOMAIN: usize = 256;
const MAX_USER: usize = 104;

/// What the spec of a Windows pod cannot have, in upstream's order; `!` before what counts when it is true.
const NOT_IN_WINDOWS_POD: &[&str] = &[
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "!hostPID",
    "!hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];
const NOT_IN_WINDOWS_CONTAINER: &[&str] = &[
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

const OPTIONS: Rules = &[
    ("gmsaCredentialSpecName", Rule::Holds(credential_name)),
    ("gmsaCredentialSpec", Rule::Holds(credentials)),
    ("runAsUserName", Rule::Holds(user_name)),
];

/// The system itself, and what it forbids.
pub(super) fn system(spec: &At<'_>, errors: &mut ErrorList) {
    let os = spec.at("os");
    match os.at("name").text() {
        _ if !os.is_set() => {}
        "" => errors.push(os.at("name").required("")),
        "linux" => linux(spec, errors),
        "windows" => windows(spec, errors),
        other => errors.push(Error::not_supported(&os.path, other, &["linux", "windows"])),
    }
}

fn linux(spec: &At<'_>, errors: &mut ErrorList) {
    let contexts = std::iter::once(spec.at("securityContext"));
    for context in contexts.chain(each_container(spec).map(|container| container.at("securityContext"))) {
        let options = context.at("windowsOptions");
        if options.is_set() {
            errors.push(options.forbidden("windows options cannot be set for a linux pod"));
        }
    }
}

fn windows(spec: &At<'_>, errors: &mut ErrorList) {
    let detail = "cannot be set for a windows pod";
    for path in NOT_IN_WINDOWS_POD {
        let (flag, path) = path.strip_prefix('!').map_or((false, *path), |path| (true, path));
        let at = path.split('.').fold(spec.clone(), |at, field| at.at(field));
        let set = if flag { at.flag() } else { at.is_set() && !(path.ends_with("sysctls") && at.is_empty()) };
        if set {
            errors.push(at.forbidden(detail));
        }
    }
    for context in each_container(spec).map(|container| container.at("securityContext")) {
        let set = context.present(NOT_IN_WINDOWS_CONTAINER);
        errors.extend(set.map(|field| context.at(field).forbidden(detail)));
    }
}

/// Pods whose containers are processes of the host: all of them are, and in its network.
pub(super) fn host_processes(spec: &At<'_>, errors: &mut ErrorList) {
    let flag = |of: &At<'_>| of.at("securityContext").at("windowsOptions").at("hostProcess").value.as_bool();
    let whole = flag(spec);
    let (mut all, mut on_host) = (0, 0);
    for container in each_container(spec) {
        all += 1;
        let own = flag(&container);
        if let (Some(whole), Some(own)) = (whole, own)
            && whole != own
        {
            let path = container.path.child("securityContext").child("windowsOptions").child("hostProcess");
            let detail = format!("pod hostProcess value must be identical if both are specified, was {whole}");
            errors.push(Error::invalid(&path, own, detail));
        }
        on_host += usize::from(own.or(whole) == Some(true));
    }
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(Error::invalid(&spec.path, "", detail));
    }
    if !spec.at("hostNetwork").flag() {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(Error::invalid(&spec.path.child("hostNetwork"), false, detail));
    }
}

/// The options of a security context.
pub(super) fn options(at: &At<'_>, errors: &mut ErrorList) {
    rules::check(at, OPTIONS, errors);
}

fn credential_name(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() {
        errors.extend_invalid(&at.path, at.text(), names::dns1123_subdomain(at.text()));
    }
}

fn credentials(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() && at.is_empty() {
        errors.push(at.invalid("gmsaCredentialSpec cannot be an empty string"));
    } else if at.text().len() > MAX_CREDENTIALS {
        errors.push(at.invalid(format!("gmsaCredentialSpec size must be under {} KiB", MAX_CREDENTIALS >> 10)));
    }
}

fn user_name(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let name = at.text();
    let parts: Vec<_> = name.split('\\').collect();
    let whole = match parts.len() {
        _ if name.is_empty() => "runAsUserName cannot be an empty string",
        _ if name.chars().any(|c| c.is_ascii_control()) => "runAsUserName cannot contain control characters",
        3.. => "runAsUserName cannot contain more than one backslash",
        _ => "",
    };
    if !whole.is_empty() {
        errors.push(at.invalid(whole));
        return;
    }
    let (domain, user) = name.split_once('\\').map_or((None, name), |(domain, user)| (Some(domain), user));
    domain.into_iter().for_each(|domain| check_domain(at, domain, errors));
    check_user(at, user, errors);
}

fn check_domain(at: &At<'_>, domain: &str, errors: &mut ErrorList) {
    if domain.len() >= MAX_DOMAIN {
        errors.push(at.invalid(format!("runAsUserName's Domain length must be under {MAX_DOMAIN} characters")));
    }
    if !is_netbios(domain) && !is_dns(domain) {
        errors.push(at.invalid("runAsUserName's Domain doesn't match the NetBios nor the DNS format"));
    }
}

fn is_netbios(domain: &str) -> bool {
    let plain = |c: char| !"\\/:*?\"<>|".contains(c);
    let count = domain.chars().count();
    (1..=15).contains(&count) && domain.chars().all(plain) && !domain.starts_with('.')
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| label.len() <= 63 && names::is_label(&label.to_ascii_lowercase()))
}

fn check_user(at: &At<'_>, user: &str, errors: &mut ErrorList) {
    if user.is_empty() {
        errors.push(at.invalid("runAsUserName's User cannot be empty"));
    } else if user.len() > MAX_USER {
        errors.push(at.invalid(format!("runAsUserName's User length must not be longer than {MAX_USER} characters")));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        errors.push(at.invalid("runAsUserName's User cannot contain only periods or spaces"));
    }
    if user.contains(|c| "\"/\\:;|=,+*?<>@[]".contains(c)) {
        let detail = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]";
        errors.push(at.invalid(detail));
    }
}
