//! Where the bytes of a volume are: what the volumes of pods and PersistentVolumes have in common.

use object::field::{Error, ErrorList};
use object::names;

use super::field::{At, descending, local_path, no_backsteps, optional_one_of, required};
use super::rules::{self, Rule, Rules, in_range};

/// A kind of source.
pub(super) struct Source {
    /// The field of the object.
    field: &'static str,
    /// How errors in it name the field.
    shown: &'static str,
    /// How the error names it that it is one source too many; empty for what may stand beside others.
    refused: &'static str,
    rules: Rules,
}

impl Source {
    pub(super) const fn new(field: &'static str, rules: Rules) -> Self {
        Self { field, shown: field, refused: field, rules }
    }

    pub(super) const fn shown(self, shown: &'static str) -> Self {
        Self { shown, ..self }
    }

    pub(super) const fn refused(self, refused: &'static str) -> Self {
        Self { refused, ..self }
    }
}

/// Exactly one source, and a sound one. `specific` is called for it, after its rules.
pub(super) fn one_of<'a>(
    volume: &At<'a>,
    sources: &[Source],
    errors: &mut ErrorList,
    mut specific: impl FnMut(&str, &At<'a>, &mut ErrorList),
) {
    let mut found = false;
    for source in sources.iter().filter(|source| volume.at(source.field).is_set()) {
        if found && !source.refused.is_empty() {
            let path = volume.path.child(source.refused);
            errors.push(Error::forbidden(&path, "may not specify more than 1 volume type"));
            continue;
        }
        found = true;
        let at = volume.at(source.field).shown(volume.path.child(source.shown));
        rules::check(&at, source.rules, errors);
        specific(source.field, &at, errors);
    }
    if !found {
        errors.push(volume.required("must specify a volume type"));
    }
}

pub(super) const ISCSI_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub(super) const HOST_PATH: Rules = &[("", Rule::Holds(host_path))];
pub(super) const LOCAL: Rules = &[("path", Rule::Required), ("path", Rule::Holds(no_backsteps))];
pub(super) const GIT_REPO: Rules = &[("repository", Rule::Required), ("directory", Rule::Holds(descending))];
pub(super) const GCE_DISK: Rules = &[("pdName", Rule::Required), ("partition", Rule::Holds(partition))];
pub(super) const AWS_DISK: Rules = &[("volumeID", Rule::Required), ("partition", Rule::Holds(partition))];
pub(super) const NFS: Rules =
    &[("server", Rule::Required), ("path", Rule::Required), ("path", Rule::Holds(absolute_path))];
pub(super) const GLUSTERFS: Rules = &[("endpoints", Rule::Required), ("path", Rule::Required)];
pub(super) const RBD: Rules = &[("monitors", Rule::Required), ("image", Rule::Required)];
pub(super) const CEPHFS: Rules = &[("monitors", Rule::Required)];
pub(super) const FLEX: Rules = &[("driver", Rule::Required), ("options", Rule::Holds(flex_options))];
pub(super) const AZURE_FILE: Rules = &[("secretName", Rule::Required), ("shareName", Rule::Required)];
pub(super) const STORAGE_OS: Rules = &[
    ("volumeName", Rule::Name(names::dns1123_label)),
    ("volumeNamespace", Rule::OptionalName(names::dns1123_label)),
    ("secretRef.name", Rule::Required),
];
pub(super) const SCALE_IO: Rules =
    &[("gateway", Rule::Required), ("system", Rule::Required), ("volumeName", Rule::Required)];

fn host_path(source: &At<'_>, errors: &mut ErrorList) {
    if required(&source.at("path"), errors) {
        no_backsteps(&source.at("path"), errors);
        optional_one_of(&source.at("type"), HOST_PATH_TYPES, errors);
    }
}

/// Upstream's message begins at 1 although 0 is fine.
fn partition(at: &At<'_>, errors: &mut ErrorList) {
    if at.number().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.push(at.invalid("must be between 1 and 255, inclusive"));
    }
}

fn absolute_path(at: &At<'_>, errors: &mut ErrorList) {
    if !at.text().starts_with('/') {
        errors.push(Error::invalid(&at.path, at.text(), "must be an absolute path"));
    }
}

fn flex_options(options: &At<'_>, errors: &mut ErrorList) {
    for (key, option) in options.entries() {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.push(Error::invalid(&option.path, key, "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

pub(super) fn flocker(source: &At<'_>, errors: &mut ErrorList) {
    let (name, id) = (source.at("datasetName"), source.at("datasetUUID"));
    if name.is_empty() && id.is_empty() {
        errors.push(source.required("one of datasetName and datasetUUID is required"));
    }
    if !name.is_empty() && !id.is_empty() {
        let detail = "datasetName and datasetUUID can not be specified simultaneously";
        errors.push(Error::invalid(&source.path, "resource", detail));
    }
    if name.text().contains('/') {
        errors.push(name.invalid("must not contain '/'"));
    }
}

pub(super) fn quobyte(source: &At<'_>, errors: &mut ErrorList) {
    let (registry, tenant) = (source.at("registry"), source.at("tenant"));
    let detail = "must be a host:port pair or multiple pairs separated by commas";
    if registry.is_empty() {
        errors.push(registry.required(detail));
    } else if tenant.text().len() >= 65 {
        errors.push(tenant.required("must be a UUID and may not exceed a length of 64 characters"));
    } else {
        let bad = registry.text().split(',').filter(|pair| !is_host_port(pair));
        errors.extend(bad.map(|_| registry.invalid(detail)));
    }
    required(&source.at("volume"), errors);
}

/// `host:port` or `[host]:port`.
fn is_host_port(pair: &str) -> bool {
    let Some((host, _)) = pair.rsplit_once(':') else { return false };
    match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').is_some_and(|inner| !inner.contains(['[', ']'])),
        None => !host.contains([':', '[', ']']),
    }
}

pub(super) fn fibre_channel(source: &At<'_>, errors: &mut ErrorList) {
    let (targets, ids, lun) = (source.at("targetWWNs"), source.at("wwids"), source.at("lun"));
    if targets.is_empty() && ids.is_empty() {
        errors.push(targets.required("must specify either targetWWNs or wwids, but not both"));
    }
    if !targets.is_empty() && !ids.is_empty() {
        errors.push(targets.invalid("targetWWNs and wwids can not be specified simultaneously"));
    }
    if !targets.is_empty() && !lun.is_set() {
        errors.push(lun.required("lun is required if targetWWNs is specified"));
    } else if !targets.is_empty() {
        in_range(&lun, 0, 255, errors);
    }
}

pub(super) fn azure_disk(source: &At<'_>, errors: &mut ErrorList) {
    const MANAGED: &str =
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
    const BLOB: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
    const RULES: Rules = &[
        ("diskName", Rule::Required),
        ("diskURI", Rule::Required),
        ("cachingMode", Rule::OptionalOneOf(&["None", "ReadOnly", "ReadWrite"])),
        ("kind", Rule::OptionalOneOf(&["Dedicated", "Managed", "Shared"])),
    ];
    rules::check(source, RULES, errors);
    let (kind, uri) = (source.at("kind"), source.at("diskURI"));
    let (start, form) = if kind.text() == "Managed" { ("/subscriptions/", MANAGED) } else { ("https://", BLOB) };
    if kind.is_set() && !uri.text().starts_with(start) {
        errors.push(Error::not_supported(&uri.path, uri.text(), &[form]));
    }
}

/// The name of a CSI driver.
pub(super) fn csi_driver(at: &At<'_>, errors: &mut ErrorList) {
    if !required(at, errors) {
        return;
    }
    if at.text().len() > 63 {
        errors.push(Error::too_long(&at.path, 63));
    }
    errors.extend_invalid(&at.path, at.text(), names::dns1123_subdomain(&at.text().to_lowercase()));
}

const STARTS: &str = "must be valid format starting with iqn, eui, or naa";
const FORMAT: &str = "must be valid format";

/// An iSCSI disk of a pod.
pub(super) fn iscsi(source: &At<'_>, errors: &mut ErrorList) {
    required(&source.at("targetPortal"), errors);
    iscsi_rest(source, STARTS, errors, |_, _| {});
}

/// An iSCSI disk of a PersistentVolume.
pub(super) fn persistent_iscsi(source: &At<'_>, volume: &str, errors: &mut ErrorList) {
    let portal = source.at("targetPortal");
    required(&portal, errors);
    if source.at("initiatorName").is_set() && volume.len() + 1 + portal.text().len() > 64 {
        errors.push(Error::invalid(&source.path.child("targetportal"), portal.text(), ISCSI_TOO_LONG));
    }
    iscsi_rest(source, FORMAT, errors, |source, errors| {
        rules::check(source, &[("secretRef.name", Rule::Required)], errors);
    });
}

fn iscsi_rest(source: &At<'_>, starts: &str, errors: &mut ErrorList, secret: fn(&At<'_>, &mut ErrorList)) {
    let (iqn, initiator) = (source.at("iqn"), source.at("initiatorName"));
    if required(&iqn, errors) {
        iscsi_name(&iqn, starts, errors);
    }
    in_range(&source.at("lun"), 0, 255, errors);
    let guarded = source.at("chapAuthDiscovery").flag() || source.at("chapAuthSession").flag();
    if guarded && !source.at("secretRef").is_set() {
        errors.push(source.at("secretRef").required(""));
    }
    secret(source, errors);
    if initiator.is_set() {
        iscsi_name(&initiator.shown(source.path.child("initiatorname")), starts, errors);
    }
}

fn iscsi_name(at: &At<'_>, starts: &str, errors: &mut ErrorList) {
    let name = at.text();
    let sound = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => is_identifier(name, 16),
        Some("naa") => is_identifier(name, 32),
        _ => {
            errors.push(at.invalid(starts));
            return;
        }
    };
    if !sound {
        errors.push(at.invalid(FORMAT));
    }
}

/// `iqn.2015-02.example.com:disk`.
fn is_iqn(name: &str) -> bool {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let rest = |rest: &str| {
        let (date, rest) = rest.split_once('.')?;
        let (year, month) = date.split_once('-')?;
        let (authority, unique) = rest.split_once(':')?;
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let plain = |c: char| !matches!(c, ',' | ';' | '*' | '&' | '$' | '|') && !c.is_ascii_whitespace();
        let sound = digits(year, 4) && digits(month, 2) && !authority.is_empty() && authority.chars().all(word);
        Some(sound && !unique.is_empty() && unique.chars().all(plain))
    };
    name.match_indices("iqn.").any(|(start, word)| rest(&name[start + word.len()..]) == Some(true))
}

fn is_identifier(name: &str, length: usize) -> bool {
    name.chars().count() == 4 + length && name.chars().skip(4).all(|c| c.is_ascii_alphanumeric())
}

/// A path of a file within a volume.
pub(super) fn file_path(at: &At<'_>, errors: &mut ErrorList) {
    required(at, errors);
    local_path(at, errors);
}
