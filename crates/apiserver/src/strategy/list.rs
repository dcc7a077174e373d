//! The kinds that have a strategy: group, kind, strategy.

use super::small::{
    Counted, EndpointSlice, Endpoints, Event, IpAddress, Lease, PodTemplate, PriorityClass, Rbac,
    ReplicationController, Returned,
};
use super::{
    Strategy, configmap, daemonset, deployment, job, namespace, node, pod, replicaset, secret, service, statefulset,
};

const RBAC: &str = "rbac.authorization.k8s.io";

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
    ("apps", "DaemonSet", &daemonset::DaemonSet),
    ("apps", "Deployment", &deployment::Deployment),
    ("apps", "ReplicaSet", &replicaset::ReplicaSet),
    ("apps", "StatefulSet", &statefulset::StatefulSet),
    ("batch", "CronJob", &Counted),
    ("batch", "Job", &job::Job),
    ("coordination.k8s.io", "Lease", &Lease),
    ("discovery.k8s.io", "EndpointSlice", &EndpointSlice),
    ("events.k8s.io", "Event", &Event),
    ("networking.k8s.io", "IPAddress", &IpAddress),
    ("networking.k8s.io", "Ingress", &Counted),
    ("networking.k8s.io", "NetworkPolicy", &Counted),
    ("policy", "PodDisruptionBudget", &Counted),
    (RBAC, "ClusterRole", &Rbac),
    (RBAC, "ClusterRoleBinding", &Rbac),
    (RBAC, "Role", &Rbac),
    (RBAC, "RoleBinding", &Rbac),
    ("scheduling.k8s.io", "PriorityClass", &PriorityClass),
];
