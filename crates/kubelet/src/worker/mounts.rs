//! What a container finds in its file system beside its image.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use k8s_openapi::api::core::v1::{Volume, VolumeMount};

use crate::container::{config, expand};
use crate::context::Context;
use crate::pod::desired::{Desired, Slot};
use crate::pod::observed::Sandbox;
use crate::sandbox::{Hostname, hosts};
use crate::volume::{self, subpath};

const HOSTS: &str = "/etc/hosts";

/// Everything that a container's mounts are made from.
pub(super) struct Mounts<'a> {
    pub(super) context: &'a Context,
    pub(super) desired: &'a Desired,
    pub(super) slot: &'a Slot,
    pub(super) sandbox: &'a Sandbox,
    pub(super) environment: &'a [(String, String)],
    pub(super) attempt: u32,
}

impl Mounts<'_> {
    /// Builds the list and the files behind it. The error is in words for an event.
    pub(super) fn build(&self) -> Result<Vec<cri::Mount>, String> {
        let given = self.slot.container.volume_mounts.as_deref().unwrap_or_default();
        let mut mounts = given.iter().map(|mount| self.volume(mount)).collect::<Result<Vec<_>, _>>()?;
        let own_hosts = given.iter().any(|mount| mount.mount_path == HOSTS);
        if !own_hosts && (self.desired.host_network() || !self.sandbox.ips.is_empty()) {
            mounts.push(self.hosts()?);
        }
        mounts.push(self.termination()?);
        Ok(mounts)
    }

    fn volume(&self, mount: &VolumeMount) -> Result<cri::Mount, String> {
        let volume = volume::find(&self.desired.pod, &mount.name).ok_or_else(|| {
            format!("cannot find volume \"{}\" to mount into container \"{}\"", mount.name, self.slot.name())
        })?;
        let mut path = self.context.pod_dir(self.desired.uid()).volume(volume);
        if let Some(sub) = self.sub_path(mount)? {
            path = subpath::resolve(&path, &sub)
                .map_err(|error| format!("failed to prepare subPath for volumeMount \"{}\": {error}", mount.name))?;
        } else if volume.host_path.is_some() && !path.exists() {
            std::fs::create_dir_all(&path).map_err(|error| format!("failed to create {}: {error}", path.display()))?;
        }
        let propagation = match mount.mount_propagation.as_deref() {
            Some("Bidirectional") => cri::MountPropagation::Bidirectional,
            Some("HostToContainer") => cri::MountPropagation::HostToContainer,
            _ => cri::MountPropagation::Private,
        };
        Ok(cri::Mount {
            container_path: absolute(&mount.mount_path),
            host_path: path.display().to_string(),
            readonly: read_only(volume, mount),
            recursive_read_only: mount.recursive_read_only.as_deref() == Some("Enabled"),
            propagation: propagation as i32,
            ..Default::default()
        })
    }

    fn sub_path(&self, mount: &VolumeMount) -> Result<Option<String>, String> {
        let known: BTreeMap<&str, &str> = self.environment.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expanded = mount.sub_path_expr.as_deref().filter(|text| !text.is_empty()).map(|text| {
            let unknown = std::cell::Cell::new(false);
            let value = expand::expand(text, |name| {
                let value = known.get(name).map(|value| (*value).to_owned());
                unknown.set(unknown.get() || value.is_none());
                value
            });
            match unknown.get() {
                true => Err(format!("missing value for {text:?}")),
                false => Ok(value),
            }
        });
        let plain = || mount.sub_path.clone().filter(|text| !text.is_empty());
        Ok(expanded.transpose()?.or_else(plain))
    }

    fn hosts(&self) -> Result<cri::Mount, String> {
        let path = self.context.pod_dir(self.desired.uid()).hosts();
        let aliases = self.desired.spec().host_aliases.as_deref().unwrap_or_default();
        let text = match self.desired.host_network() {
            true => {
                hosts::of_node(&std::fs::read_to_string(&self.context.options.hosts_file).unwrap_or_default(), aliases)
            }
            false => {
                let name = Hostname::of(self.desired, &self.context.options.dns.domain);
                hosts::own(&self.sandbox.ips, &name, aliases)
            }
        };
        write(&path, text.as_bytes(), 0o644)?;
        Ok(file(HOSTS, &path))
    }

    fn termination(&self) -> Result<cri::Mount, String> {
        let target = self.slot.container.termination_message_path.as_deref().unwrap_or(config::TERMINATION_PATH);
        let path = self.context.pod_dir(self.desired.uid()).termination(self.slot.name(), self.attempt);
        // any user of the container may write here
        write(&path, b"", 0o666)?;
        Ok(file(target, &path))
    }
}

/// Content from the API is the kubelet's to write: a container that could would lead the next update astray.
fn read_only(volume: &Volume, mount: &VolumeMount) -> bool {
    volume::has_payload(volume) || mount.read_only.unwrap_or(false)
}

fn file(target: &str, path: &Path) -> cri::Mount {
    cri::Mount { container_path: target.to_owned(), host_path: path.display().to_string(), ..Default::default() }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn write(path: &Path, data: &[u8], mode: u32) -> Result<(), String> {
    let run = || {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, data)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    run().map_err(|error: std::io::Error| format!("failed to write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn content_from_the_api_is_read_only() {
        let outcome = |kind: &str, asked: bool| {
            let volume: Volume = serde_json::from_value(json!({"name": "v", kind: {}})).unwrap();
            read_only(&volume, &VolumeMount { read_only: Some(asked), ..Default::default() })
        };
        for kind in ["configMap", "secret", "downwardAPI", "projected"] {
            assert!(outcome(kind, false), "{kind}");
        }
        assert_eq!([outcome("emptyDir", false), outcome("emptyDir", true)], [false, true]);
    }
}
