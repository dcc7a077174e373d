//! CRI messages with client and server glue, shared by the kubelet and the runtime.
