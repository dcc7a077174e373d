//! All controllers.

use crate::controller::Controller;
use crate::controllers::{
    deployment, endpointslice, garbage, namespace, node_lifecycle, replicaset, root_ca, serviceaccount, taint_eviction,
};

/// The controllers, by upstream's names.
pub const CONTROLLERS: &[&Controller] = &[
    &namespace::CONTROLLER,
    &serviceaccount::CONTROLLER,
    &root_ca::CONTROLLER,
    &deployment::CONTROLLER,
    &replicaset::CONTROLLER,
    &endpointslice::CONTROLLER,
    &garbage::CONTROLLER,
    &node_lifecycle::CONTROLLER,
    &taint_eviction::CONTROLLER,
];
