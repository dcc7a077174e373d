//! The kinds of `networking.k8s.io`.

mod cidr;
mod class;
mod ingress;
mod ipaddress;
mod policy;

pub(super) use cidr::ServiceCidr;
pub(super) use class::IngressClass;
pub(super) use ingress::Ingress;
pub(super) use ipaddress::IpAddress;
pub(super) use policy::NetworkPolicy;
