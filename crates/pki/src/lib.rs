//! Certificate authorities, certificates, service-account keys and kubeconfig files on disk.
