//! Versions that go, and the warnings that answers carry because of it.

struct Deprecation {
    group: &'static str,
    version: &'static str,
    kinds: &'static [&'static str],
    since: &'static str,
    /// Empty when nobody knows.
    gone: &'static str,
    /// The API that takes its place: group and version, and the kind where it is another.
    instead: &'static str,
}

const DEPRECATIONS: &[Deprecation] = &[
    known("", "v1", &["ComponentStatus"], "1.19", ""),
    known("", "v1", &["Endpoints"], "1.33", "").by("discovery.k8s.io/v1 EndpointSlice"),
    known("admissionregistration.k8s.io", "v1beta1", MUTATING, "1.37", "1.40").by("admissionregistration.k8s.io/v1"),
    known("admissionregistration.k8s.io", "v1alpha1", MUTATING, "1.35", "1.38"),
    known("certificates.k8s.io", "v1beta1", &["ClusterTrustBundle"], "1.37", "1.40"),
    known("certificates.k8s.io", "v1alpha1", &["ClusterTrustBundle"], "1.34", "1.37"),
    known("certificates.k8s.io", "v1beta1", &["PodCertificateRequest"], "1.38", "1.41"),
    known("coordination.k8s.io", "v1beta1", &["LeaseCandidate"], "1.36", "1.39"),
    known("coordination.k8s.io", "v1alpha2", &["LeaseCandidate"], "1.35", "1.38"),
    known("networking.k8s.io", "v1beta1", &["IPAddress", "ServiceCIDR"], "1.34", "1.37"),
    known("resource.k8s.io", "v1beta2", DEVICES, "1.36", "1.39"),
    known("resource.k8s.io", "v1beta2", &["DeviceTaintRule"], "1.39", "1.42"),
    known("resource.k8s.io", "v1beta1", DEVICES, "1.35", "1.38"),
    known("resource.k8s.io", "v1alpha3", &["DeviceTaintRule"], "1.36", "1.39"),
    known("resource.k8s.io", "v1alpha3", &["ResourcePoolStatusRequest"], "1.39", "1.42"),
    known("storagemigration.k8s.io", "v1beta1", &["StorageVersionMigration"], "1.38", "1.41"),
    known("storage.k8s.io", "v1beta1", &["VolumeAttributesClass"], "1.34", "1.37").by("storage.k8s.io/v1"),
];

const MUTATING: &[&str] = &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"];
const DEVICES: &[&str] = &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"];

const fn known(
    group: &'static str,
    version: &'static str,
    kinds: &'static [&'static str],
    since: &'static str,
    gone: &'static str,
) -> Deprecation {
    Deprecation { group, version, kinds, since, gone, instead: "" }
}

impl Deprecation {
    const fn by(mut self, instead: &'static str) -> Self {
        self.instead = instead;
        self
    }

    fn text(&self, kind: &str) -> String {
        let api =
            if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) };
        let mut text = format!("{api} {kind} is deprecated in v{}+", self.since);
        if !self.gone.is_empty() {
            text.push_str(&format!(", unavailable in v{}+", self.gone));
        }
        match self.instead {
            "" => {}
            whole if whole.contains(' ') => text.push_str(&format!("; use {whole}")),
            api => text.push_str(&format!("; use {api} {kind}")),
        }
        text
    }
}

/// The warning of a kind's version, if it is deprecated.
pub(super) fn warning(group: &str, version: &str, kind: &str) -> Option<String> {
    let matches = |d: &&Deprecation| d.group == group && d.version == version && d.kinds.contains(&kind);
    DEPRECATIONS.iter().find(matches).map(|deprecation| deprecation.text(kind))
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn texts() {
        for (group, version, kind, expected) in [
            ("apps", "v1", "Deployment", None),
            ("", "v1", "ComponentStatus", Some("v1 ComponentStatus is deprecated in v1.19+")),
            (
                "",
                "v1",
                "Endpoints",
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
            ),
            (
                "storage.k8s.io",
                "v1beta1",
                "VolumeAttributesClass",
                Some(
                    "storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, unavailable in v1.37+; use \
                     storage.k8s.io/v1 VolumeAttributesClass",
                ),
            ),
        ] {
            assert_eq!(warning(group, version, kind).as_deref(), expected);
        }
    }
}
