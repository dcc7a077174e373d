//! The kinds that have a strategy: group, kind, strategy.

use super::admissionregistration::{Binding, Phase, Policy, Webhooks};
use super::apiservice::ApiService;
use super::certificates::{ClusterTrustBundle, PodCertificateRequest, SigningRequest};
use super::definition::CustomResourceDefinition;
use super::flowcontrol::{FlowSchema, PriorityLevel};
use super::rbac::{Role, RoleBinding};
use super::resource::{
    DeviceClass, DeviceTaintRule, PoolStatusRequest, ResourceClaim, ResourceClaimTemplate, ResourceSlice,
};
use super::storageversion::StorageVersion;
use super::{
    Strategy, autoscaler, claim, configmap, controllerrevision, coordination, cronjob, daemonset, deployment,
    disruptionbudget, endpoints, endpointslice, event, job, limitrange, migration, namespace, networking, node,
    persistentvolume, pod, podtemplate, replicaset, replicationcontroller, resourcequota, runtimeclass, scheduling,
    secret, service, serviceaccount, statefulset, storage,
};

const COORDINATION: &str = "coordination.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const DEVICES: &str = "resource.k8s.io";
const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const SCHEDULING: &str = "scheduling.k8s.io";
const STORAGE: &str = "storage.k8s.io";

pub(super) const STRATEGIES: &[(&str, &str, &dyn Strategy)] = &[
    ("", "ConfigMap", &configmap::ConfigMap),
    ("", "Endpoints", &endpoints::Endpoints),
    ("", "Event", &event::Event),
    ("", "LimitRange", &limitrange::LimitRange),
    ("", "Namespace", &namespace::Namespace),
    ("", "Node", &node::Node),
    ("", "PersistentVolume", &persistentvolume::PersistentVolume),
    ("", "PersistentVolumeClaim", &claim::Claim),
    ("", "Pod", &pod::Pod),
    ("", "PodTemplate", &podtemplate::PodTemplate),
    ("", "ReplicationController", &replicationcontroller::ReplicationController),
    ("", "ResourceQuota", &resourcequota::ResourceQuota),
    ("", "Secret", &secret::Secret),
    ("", "Service", &service::Service),
    ("", "ServiceAccount", &serviceaccount::ServiceAccount),
    ("apps", "ControllerRevision", &controllerrevision::ControllerRevision),
    (ADMISSION, "MutatingAdmissionPolicy", &Policy(Phase::Mutating)),
    (ADMISSION, "MutatingAdmissionPolicyBinding", &Binding(Phase::Mutating)),
    (ADMISSION, "MutatingWebhookConfiguration", &Webhooks(Phase::Mutating)),
    (ADMISSION, "ValidatingAdmissionPolicy", &Policy(Phase::Validating)),
    (ADMISSION, "ValidatingAdmissionPolicyBinding", &Binding(Phase::Validating)),
    (ADMISSION, "ValidatingWebhookConfiguration", &Webhooks(Phase::Validating)),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &CustomResourceDefinition),
    ("apiregistration.k8s.io", "APIService", &ApiService),
    ("apps", "DaemonSet", &daemonset::DaemonSet),
    ("apps", "Deployment", &deployment::Deployment),
    ("apps", "ReplicaSet", &replicaset::ReplicaSet),
    ("apps", "StatefulSet", &statefulset::StatefulSet),
    ("autoscaling", "HorizontalPodAutoscaler", &autoscaler::Autoscaler),
    ("batch", "CronJob", &cronjob::CronJob),
    ("batch", "Job", &job::Job),
    (COORDINATION, "Lease", &coordination::Lease),
    (COORDINATION, "LeaseCandidate", &coordination::LeaseCandidate),
    ("discovery.k8s.io", "EndpointSlice", &endpointslice::EndpointSlice),
    ("certificates.k8s.io", "CertificateSigningRequest", &SigningRequest),
    ("certificates.k8s.io", "ClusterTrustBundle", &ClusterTrustBundle),
    ("certificates.k8s.io", "PodCertificateRequest", &PodCertificateRequest),
    ("events.k8s.io", "Event", &event::Event),
    (NETWORKING, "IPAddress", &networking::IpAddress),
    (NETWORKING, "Ingress", &networking::Ingress),
    (NETWORKING, "IngressClass", &networking::IngressClass),
    (NETWORKING, "NetworkPolicy", &networking::NetworkPolicy),
    (NETWORKING, "ServiceCIDR", &networking::ServiceCidr),
    ("node.k8s.io", "RuntimeClass", &runtimeclass::RuntimeClass),
    ("policy", "PodDisruptionBudget", &disruptionbudget::DisruptionBudget),
    (SCHEDULING, "PodGroup", &scheduling::PodGroup),
    (SCHEDULING, "PriorityClass", &scheduling::PriorityClass),
    (SCHEDULING, "Workload", &scheduling::Workload),
    (STORAGE, "CSIDriver", &storage::CsiDriver),
    (STORAGE, "CSINode", &storage::CsiNode),
    (STORAGE, "CSIStorageCapacity", &storage::StorageCapacity),
    (STORAGE, "StorageClass", &storage::StorageClass),
    (STORAGE, "VolumeAttachment", &storage::VolumeAttachment),
    (STORAGE, "VolumeAttributesClass", &storage::VolumeAttributesClass),
    ("storagemigration.k8s.io", "StorageVersionMigration", &migration::Migration),
    (FLOW, "FlowSchema", &FlowSchema),
    (FLOW, "PriorityLevelConfiguration", &PriorityLevel),
    ("internal.apiserver.k8s.io", "StorageVersion", &StorageVersion),
    (RBAC, "ClusterRole", &Role { namespaced: false }),
    (RBAC, "ClusterRoleBinding", &RoleBinding { namespaced: false }),
    (RBAC, "Role", &Role { namespaced: true }),
    (RBAC, "RoleBinding", &RoleBinding { namespaced: true }),
    (DEVICES, "DeviceClass", &DeviceClass),
    (DEVICES, "DeviceTaintRule", &DeviceTaintRule),
    (DEVICES, "ResourceClaim", &ResourceClaim),
    (DEVICES, "ResourceClaimTemplate", &ResourceClaimTemplate),
    (DEVICES, "ResourcePoolStatusRequest", &PoolStatusRequest),
    (DEVICES, "ResourceSlice", &ResourceSlice),
];
