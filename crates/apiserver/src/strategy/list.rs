//! The kinds that have a strategy: group, kind, strategy.

use super::small::{Endpoints, Event, PodTemplate, Rbac, ReplicationController, Returned};
use super::{
    Strategy, autoscaler, configmap, controllerrevision, coordination, cronjob, daemonset, deployment,
    disruptionbudget, endpointslice, job, migration, namespace, networking, node, pod, replicaset, runtimeclass,
    scheduling, secret, service, statefulset, storage,
};

const COORDINATION: &str = "coordination.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";
const SCHEDULING: &str = "scheduling.k8s.io";
const STORAGE: &str = "storage.k8s.io";

pub(super) const STRATEGIES: &[(&str, &str, &dyn Strategy)] = &[
    ("", "ConfigMap", &configmap::ConfigMap),
    ("", "Endpoints", &Endpoints),
    ("", "Event", &Event),
    ("", "Namespace", &namespace::Namespace),
    ("", "Node", &node::Node),
    ("", "PersistentVolume", &Returned),
    ("", "PersistentVolumeClaim", &Returned),
    ("", "Pod", &pod::Pod),
    ("", "PodTemplate", &PodTemplate),
    ("", "ReplicationController", &ReplicationController),
    ("", "ResourceQuota", &Returned),
    ("", "Secret", &secret::Secret),
    ("", "Service", &service::Service),
    ("", "ServiceAccount", &Returned),
    ("apps", "ControllerRevision", &controllerrevision::ControllerRevision),
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
    ("events.k8s.io", "Event", &Event),
    (NETWORKING, "IPAddress", &networking::IpAddress),
    (NETWORKING, "Ingress", &networking::Ingress),
    (NETWORKING, "IngressClass", &networking::IngressClass),
    (NETWORKING, "NetworkPolicy", &networking::NetworkPolicy),
    (NETWORKING, "ServiceCIDR", &networking::ServiceCidr),
    ("node.k8s.io", "RuntimeClass", &runtimeclass::RuntimeClass),
    ("policy", "PodDisruptionBudget", &disruptionbudget::DisruptionBudget),
    (RBAC, "ClusterRole", &Rbac),
    (RBAC, "ClusterRoleBinding", &Rbac),
    (RBAC, "Role", &Rbac),
    (RBAC, "RoleBinding", &Rbac),
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
];
