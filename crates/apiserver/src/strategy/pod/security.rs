//! Security contexts of pods and containers.

use object::field::ErrorList;
use object::names;

use super::super::field::{At, one_of, optional_one_of, required};

/// What a user or group id may be.
type IdCheck = fn(i64) -> Vec<String>;

const IDS: &[(&str, IdCheck)] = &[("runAsUser", names::user_id), ("runAsGroup", names::group_id)];

pub(super) fn validate_pod(at: &At<'_>, errors: &mut ErrorList) {
    ids(at, errors);
    id(&at.at("fsGroup"), names::group_id, errors);
    at.at("supplementalGroups").items().for_each(|group| id(&group, names::group_id, errors));
    optional_one_of(&at.at("supplementalGroupsPolicy"), &["Merge", "Strict"], errors);
    optional_one_of(&at.at("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], errors);
    sysctls(&at.at("sysctls"), errors);
    profiles(at, errors);
}

pub(super) fn validate_container(at: &At<'_>, errors: &mut ErrorList) {
    ids(at, errors);
    optional_one_of(&at.at("procMount"), &["Default", "Unmasked"], errors);
    profiles(at, errors);
    let escalation = at.at("allowPrivilegeEscalation");
    if escalation.value.as_bool() != Some(false) {
        return;
    }
    if at.at("privileged").flag() {
        errors.push(escalation.invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    }
    if at.at("capabilities").at("add").items().any(|added| added.text() == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(escalation.invalid(detail));
    }
}

fn ids(at: &At<'_>, errors: &mut ErrorList) {
    IDS.iter().for_each(|(field, check)| id(&at.at(field), *check, errors));
}

fn id(at: &At<'_>, check: IdCheck, errors: &mut ErrorList) {
    let messages = at.number().map(check).unwrap_or_default();
    errors.extend(messages.into_iter().map(|message| at.invalid(message)));
}

fn profiles(at: &At<'_>, errors: &mut ErrorList) {
    for field in ["seccompProfile", "appArmorProfile"] {
        let profile = at.at(field);
        if profile.is_set() {
            profile_type(&profile, errors);
        }
    }
}

fn profile_type(profile: &At<'_>, errors: &mut ErrorList) {
    let local = profile.at("localhostProfile");
    match profile.at("type").text() {
        "Localhost" => {
            if required(&local, errors) && profile.path.as_str().ends_with("seccompProfile") {
                super::super::field::descending(&local, errors);
            }
        }
        _ if local.is_set() => errors.push(local.invalid("can only be set when type is Localhost")),
        _ => one_of(&profile.at("type"), &["Localhost", "RuntimeDefault", "Unconfined"], errors),
    }
}

fn sysctls(at: &At<'_>, errors: &mut ErrorList) {
    let mut seen = Vec::new();
    for sysctl in at.items() {
        let name = sysctl.at("name");
        if required(&name, errors) && !is_sysctl(name.text()) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(name.invalid(detail));
        } else if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        }
        seen.push(name.text());
    }
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
