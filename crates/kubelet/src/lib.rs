//! Pods on this node, against any CRI runtime.
