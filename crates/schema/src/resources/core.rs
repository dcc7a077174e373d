//! The core group.

use super::builder::{Row, cluster, group, namespaced};
use crate::resource::{Verb, Verbs};

pub(super) fn rows() -> Vec<Row> {
    group(
        "",
        [
            namespaced("Binding", "bindings").create_only(),
            cluster("ComponentStatus", "componentstatuses").short(&["cs"]).verbs(Verbs::GET_LIST),
            namespaced("ConfigMap", "configmaps").short(&["cm"]),
            namespaced("Endpoints", "endpoints")
                .short(&["ep"])
                .singular("endpoints")
                .prefix("/registry/services/endpoints"),
            namespaced("Event", "events")
                .short(&["ev"])
                .fields(&[
                    "involvedObject.kind",
                    "involvedObject.namespace",
                    "involvedObject.name",
                    "involvedObject.uid",
                    "involvedObject.apiVersion",
                    "involvedObject.resourceVersion",
                    "involvedObject.fieldPath",
                    "reason",
                    "type",
                ])
                .field("reportingComponent", "reportingComponent", "")
                .field("source", "source.component", ".reportingComponent"),
            namespaced("LimitRange", "limitranges").short(&["limits"]),
            cluster("Namespace", "namespaces")
                .short(&["ns"])
                .without(Verb::DeleteCollection)
                .status()
                .update_only("finalize")
                .fields(&["status.phase"]),
            cluster("Node", "nodes")
                .short(&["no"])
                .prefix("/registry/minions")
                .status()
                .connect("proxy", Verbs::CONNECT, "NodeProxyOptions")
                .field("spec.unschedulable", "spec.unschedulable", "false"),
            namespaced("PersistentVolumeClaim", "persistentvolumeclaims").short(&["pvc"]).status(),
            cluster("PersistentVolume", "persistentvolumes").short(&["pv"]).status(),
            namespaced("Pod", "pods")
                .short(&["po"])
                .category("all")
                .status()
                .view("ephemeralcontainers")
                .view("resize")
                .action("binding", "", "Binding")
                .action("eviction", "policy", "Eviction")
                .connect("attach", Verbs::STREAM, "PodAttachOptions")
                .connect("exec", Verbs::STREAM, "PodExecOptions")
                .connect("portforward", Verbs::STREAM, "PodPortForwardOptions")
                .connect("proxy", Verbs::CONNECT, "PodProxyOptions")
                .connect("log", Verbs::READ, "Pod")
                .fields(&[
                    "spec.nodeName",
                    "spec.restartPolicy",
                    "spec.schedulerName",
                    "spec.serviceAccountName",
                    "status.phase",
                    "status.podIP",
                    "status.nominatedNodeName",
                ])
                .field("spec.host", "spec.nodeName", "")
                .field("spec.hostNetwork", "spec.hostNetwork", "false")
                .field("status.podIPs", "status.podIP", ""),
            namespaced("PodTemplate", "podtemplates"),
            namespaced("ReplicationController", "replicationcontrollers")
                .short(&["rc"])
                .category("all")
                .prefix("/registry/controllers")
                .status()
                .scale("spec.selector")
                .field("status.replicas", "status.replicas", "0"),
            namespaced("ResourceQuota", "resourcequotas").short(&["quota"]).status(),
            namespaced("Secret", "secrets").fields(&["type"]),
            namespaced("ServiceAccount", "serviceaccounts").short(&["sa"]).action(
                "token",
                "authentication.k8s.io",
                "TokenRequest",
            ),
            namespaced("Service", "services")
                .short(&["svc"])
                .category("all")
                .prefix("/registry/services/specs")
                .status()
                .connect("proxy", Verbs::CONNECT, "ServiceProxyOptions")
                .fields(&["spec.clusterIP", "spec.type"]),
        ],
    )
}
