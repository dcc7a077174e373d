//! The volumes of a pod: each has one source.

use std::collections::BTreeSet;

use object::field::{Error, ErrorList};
use object::names;
use serde_json::Value;

use super::super::field::{At, required_name};
use super::super::rules::{self, Rule, Rules};
use super::super::source::{self, Source};
use super::mount::{self, Volumes};
use super::options::Options;
use super::projected;

/// Every source that a volume of a pod can have, in upstream's order.
const SOURCES: &[Source] = &[
    Source::new("emptyDir", &[("sizeLimit", Rule::Holds(size_limit))]),
    Source::new("hostPath", source::HOST_PATH),
    Source::new("gitRepo", source::GIT_REPO),
    Source::new("gcePersistentDisk", source::GCE_DISK).shown("persistentDisk"),
    Source::new("awsElasticBlockStore", source::AWS_DISK),
    Source::new("secret", SECRET),
    Source::new("nfs", source::NFS),
    Source::new("iscsi", &[("", Rule::Holds(source::iscsi))]),
    Source::new("glusterfs", source::GLUSTERFS),
    Source::new("flocker", &[("", Rule::Holds(source::flocker))]),
    Source::new("persistentVolumeClaim", &[("claimName", Rule::Required)]),
    Source::new("rbd", source::RBD),
    Source::new("cinder", &[("volumeID", Rule::Required), ("secretRef.name", Rule::Required)]),
    Source::new("cephfs", source::CEPHFS).refused("cephFS"),
    Source::new("quobyte", &[("", Rule::Holds(source::quobyte))]),
    Source::new("downwardAPI", DOWNWARD).refused("downwarAPI"),
    Source::new("fc", &[("", Rule::Holds(source::fibre_channel))]),
    Source::new("flexVolume", source::FLEX),
    Source::new("configMap", CONFIG_MAP),
    Source::new("azureFile", source::AZURE_FILE),
    Source::new("vsphereVolume", &[("volumePath", Rule::Required)]),
    Source::new("photonPersistentDisk", &[("pdID", Rule::Required)]),
    Source::new("portworxVolume", &[("volumeID", Rule::Required)]),
    Source::new("azureDisk", &[("", Rule::Holds(source::azure_disk))]),
    Source::new("storageos", source::STORAGE_OS),
    Source::new("projected", &[("defaultMode", Rule::Mode)]),
    Source::new("scaleIO", source::SCALE_IO),
    Source::new("csi", CSI),
    Source::new("ephemeral", &[("", Rule::Holds(ephemeral))]),
    Source::new("image", &[]),
];

const SECRET: Rules =
    &[("secretName", Rule::Required), ("defaultMode", Rule::Mode), ("items", Rule::Holds(projected::keys))];
const CONFIG_MAP: Rules =
    &[("name", Rule::Required), ("defaultMode", Rule::Mode), ("items", Rule::Holds(projected::keys))];
const DOWNWARD: Rules = &[("defaultMode", Rule::Mode), ("", Rule::Holds(projected::downward_files))];
const CSI: Rules = &[("driver", Rule::Holds(source::csi_driver)), ("", Rule::Holds(csi_secret))];

/// Checks volumes and returns the sound ones.
pub(super) fn validate<'a>(
    list: &At<'a>,
    metadata: Option<&Value>,
    options: &Options,
    errors: &mut ErrorList,
) -> Volumes<'a> {
    let pod = metadata.and_then(|metadata| metadata["name"].as_str()).filter(|name| !name.is_empty());
    let made = made_claims(list, pod);
    let mut sound = Volumes::new();
    for volume in list.items() {
        let (name, before) = (volume.at("name"), errors.len());
        source::one_of(&volume, SOURCES, errors, |kind, source, errors| {
            specific(&volume, kind, source, pod, options, errors);
        });
        required_name(&name, names::dns1123_label, errors);
        if sound.contains_key(name.text()) {
            errors.push(name.duplicate());
        }
        if errors.len() == before {
            sound.insert(name.text(), volume.value);
        }
        let claim = volume.at("persistentVolumeClaim").at("claimName");
        if made.contains(claim.text()) {
            errors.push(claim.invalid("must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    sound
}

/// The claims that will be made for ephemeral volumes of a pod with a name.
fn made_claims(list: &At<'_>, pod: Option<&str>) -> BTreeSet<String> {
    let Some(pod) = pod else { return BTreeSet::new() };
    let ephemeral = list.items().filter(|volume| volume.at("ephemeral").is_set());
    ephemeral.map(|volume| format!("{pod}-{}", volume.at("name").text())).collect()
}

/// What the tables of rules cannot say: checks that look beside the source.
fn specific(
    volume: &At<'_>,
    kind: &str,
    source: &At<'_>,
    pod: Option<&str>,
    options: &Options,
    errors: &mut ErrorList,
) {
    let name = volume.at("name");
    match kind {
        "iscsi" => {
            let long = name.text().len() + 1 + source.at("targetPortal").text().len() > 64;
            if source.at("initiatorName").is_set() && long {
                errors.push(Error::invalid(&name.path, name.text(), source::ISCSI_TOO_LONG));
            }
        }
        "projected" => projected::sources(source, options, errors),
        "ephemeral" if !name.is_empty() => {
            pod.into_iter().for_each(|pod| mount::claim_name(&name, pod, errors));
        }
        "image" => {
            if options.is_pod && source.at("reference").is_empty() {
                errors.push(source.at("reference").required(""));
            }
            rules::check(source, &[("pullPolicy", super::container::PULL_POLICIES)], errors);
        }
        _ => {}
    }
}

fn size_limit(limit: &At<'_>, errors: &mut ErrorList) {
    if limit.quantity().is_some_and(|quantity| quantity.is_negative()) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn csi_secret(source: &At<'_>, errors: &mut ErrorList) {
    let secret = source.at("nodePublishSecretRef");
    let name = secret.at("name");
    if secret.is_set() && name.is_empty() {
        errors.push(name.required(""));
    } else if secret.is_set() {
        errors.extend_invalid(&source.path.child("name"), name.text(), names::dns1123_subdomain(name.text()));
    }
}

fn ephemeral(source: &At<'_>, errors: &mut ErrorList) {
    let template = source.at("volumeClaimTemplate");
    if template.is_set() {
        super::super::claim::template(&template, errors);
    } else {
        errors.push(template.required(""));
    }
}
