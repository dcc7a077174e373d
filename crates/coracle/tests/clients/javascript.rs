//! The JavaScript client.

use std::path::Path;

use testing::Cluster;
use testing::image::{BUSYBOX, WEB_V1};

use crate::program::{command, installed, passes as program_passes, source};

pub(crate) fn passes(cluster: &Cluster) {
    let Some(modules) = installed("javascript/node_modules/@kubernetes", "JavaScript client") else { return };
    // Modules are looked for from where the program is.
    let program = modules.join("../../client.js");
    std::fs::copy(source("javascript/client.js"), &program).expect("the program is copied beside its modules");
    let mut node = command(cluster, Path::new("node"));
    program_passes(node.arg(program).args(["javascript", BUSYBOX, WEB_V1]));
}
