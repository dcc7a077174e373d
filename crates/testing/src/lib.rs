//! What tests share: in-process clusters on virtual time, real clusters, images, registries, network namespaces.
