//! Nodes without containers, for tests with many nodes.
