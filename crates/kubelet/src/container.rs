//! From a container's spec to what the runtime is asked to make. Pure.

pub mod config;
pub mod env;
pub mod expand;
pub mod fields;
pub mod references;
pub mod resources;
pub mod security;
pub mod services;

/// Labels and annotations by which the kubelet knows its sandboxes and containers again.
pub mod labels {
    pub const POD_NAME: &str = "io.kubernetes.pod.name";
    pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
    pub const POD_UID: &str = "io.kubernetes.pod.uid";
    pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
    pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
    pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
    pub const TERMINATION_PATH: &str = "io.kubernetes.container.terminationMessagePath";
    pub const TERMINATION_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
    pub const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
    /// The node that made it: several kubelets may share one runtime.
    pub const NODE: &str = "io.coracle.node";
}
