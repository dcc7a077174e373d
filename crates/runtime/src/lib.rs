//! The embedded container runtime: a CRI server over images, snapshots, containers, shims and streaming.
