//! Cluster DNS: names of Services and Pods from the informer, everything else from upstream.
