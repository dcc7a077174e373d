//! Versions that are on their way out, as of 1.36: answers say so in a warning.

/// Group, version, kinds, the minor release of the deprecation, and that of the removal (none: it stays).
type Leaving = (&'static str, &'static str, &'static [&'static str], u32, Option<u32>);

const LEAVING: &[Leaving] = &[
    ("", "v1", &["ComponentStatus"], 19, None),
    ("", "v1", &["Endpoints"], 33, None),
    (
        "admissionregistration.k8s.io",
        "v1alpha1",
        &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
        35,
        Some(38),
    ),
    ("certificates.k8s.io", "v1alpha1", &["ClusterTrustBundle"], 34, Some(37)),
    ("coordination.k8s.io", "v1alpha2", &["LeaseCandidate"], 35, Some(38)),
    ("coordination.k8s.io", "v1beta1", &["LeaseCandidate"], 36, Some(39)),
    ("networking.k8s.io", "v1beta1", &["IPAddress", "ServiceCIDR"], 34, Some(37)),
    ("resource.k8s.io", "v1alpha3", &["DeviceTaintRule"], 36, Some(39)),
    ("resource.k8s.io", "v1beta1", DEVICES, 35, Some(38)),
    ("resource.k8s.io", "v1beta2", DEVICES, 36, Some(39)),
    ("storage.k8s.io", "v1beta1", &["VolumeAttributesClass"], 34, Some(37)),
];
const DEVICES: &[&str] = &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"];

/// What to use instead, where upstream says it.
const INSTEAD: &[(&str, &str, &str)] = &[
    ("", "Endpoints", "discovery.k8s.io/v1 EndpointSlice"),
    ("storage.k8s.io", "VolumeAttributesClass", "storage.k8s.io/v1 VolumeAttributesClass"),
];

/// The warning that answers carry for a version of a kind.
pub(super) fn warning(group: &str, version: &str, kind: &str) -> Option<String> {
    let (.., since, removed) =
        LEAVING.iter().find(|(g, v, kinds, ..)| (*g, *v) == (group, version) && kinds.contains(&kind))?;
    let mut text = format!("{} {kind} is deprecated in v1.{since}+", object::api_version(group, version));
    if let Some(removed) = removed {
        text.push_str(&format!(", unavailable in v1.{removed}+"));
    }
    if let Some((.., instead)) = INSTEAD.iter().find(|(g, k, _)| (*g, *k) == (group, kind)) {
        text.push_str(&format!("; use {instead}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings() {
        let check = |group, version, kind, expected: Option<&str>| {
            assert_eq!(warning(group, version, kind).as_deref(), expected);
        };
        check(
            "",
            "v1",
            "Endpoints",
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
        );
        check(
            "resource.k8s.io",
            "v1beta1",
            "ResourceClaim",
            Some("resource.k8s.io/v1beta1 ResourceClaim is deprecated in v1.35+, unavailable in v1.38+"),
        );
        check("resource.k8s.io", "v1beta2", "DeviceTaintRule", None);
        check("resource.k8s.io", "v1", "ResourceClaim", None);
    }

    #[test]
    fn what_leaves_is_there() {
        let snapshot = crate::Table::builtin().snapshot();
        for (group, version, kinds, ..) in LEAVING {
            for kind in *kinds {
                let mut rows = snapshot.rows().filter(|row| row.group == *group && row.kind == *kind);
                assert!(rows.any(|row| row.version(version).is_some()), "{group}/{version} {kind}");
            }
        }
    }
}
