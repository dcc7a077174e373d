//! Pod networking on this node: network namespaces, veth pairs, addresses and routes.
