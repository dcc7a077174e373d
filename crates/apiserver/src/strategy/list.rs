//! The kinds that have a strategy: group, kind, strategy.

use super::small::{Event, Rbac};
use super::{
    Strategy, autoscaler, claim, configmap, controllerrevision, coordination, cronjob, daemonset, deployment,
    disruptionbudget, endpoints, endpointslice, event, job, limitrange, migration, namespace, networking, node,
    persistentvolume, pod, podtemplate, replicaset, replicationcontroller, resourcequota, runtimeclass, scheduling,
    secret, service, serviceaccount, statefulset, storage,
};

const COORDINATION: &str = "coordination.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
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
