//! Ingress, network policy and service addresses.

use super::builder::{Row, cluster, group, namespaced};
use crate::convert::Conversion;

pub(super) fn rows() -> Vec<Row> {
    group(
        "networking.k8s.io",
        [
            cluster("IngressClass", "ingressclasses"),
            namespaced("Ingress", "ingresses").short(&["ing"]).prefix("/registry/ingress").status(),
            cluster("IPAddress", "ipaddresses")
                .versions(&["v1", "v1beta1"])
                .short(&["ip"])
                .conversion(Conversion::Rename),
            namespaced("NetworkPolicy", "networkpolicies").short(&["netpol"]),
            cluster("ServiceCIDR", "servicecidrs").versions(&["v1", "v1beta1"]).status().conversion(Conversion::Rename),
        ],
    )
}
