//! The store contract, with the embedded engine and etcd behind it.
