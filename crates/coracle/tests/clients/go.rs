//! client-go.

use testing::Cluster;
use testing::image::{BUSYBOX, WEB_V1};

use crate::program::{command, installed, passes};

pub(crate) fn passes_with_json(cluster: &Cluster) {
    with(cluster, "go-json", &["-content-type", "application/json", "-only"]);
}

/// Bodies are protobuf, and answers where the server has them.
pub(crate) fn passes_with_protobuf(cluster: &Cluster) {
    with(cluster, "go-protobuf", &["-content-type", "application/vnd.kubernetes.protobuf"]);
}

fn with(cluster: &Cluster, namespace: &str, arguments: &[&str]) {
    let Some(client) = installed("bin/go-client", "client-go program") else { return };
    let images = ["-namespace", namespace, "-shell", BUSYBOX, "-web", WEB_V1];
    passes(command(cluster, &client).args(images).args(arguments));
}
