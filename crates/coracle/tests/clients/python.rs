//! The Python client.

use testing::Cluster;
use testing::image::{BUSYBOX, WEB_V1};

use crate::program::{command, installed, passes as program_passes, source};

pub(crate) fn passes(cluster: &Cluster) {
    let Some(python) = installed("python/bin/python", "Python client") else { return };
    program_passes(command(cluster, &python).arg(source("python/client.py")).args(["python", BUSYBOX, WEB_V1]));
}
