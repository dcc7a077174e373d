//! Images: load from a tar, list.

use testing::Cluster;
use testing::cluster::run;
use testing::image::{BUSYBOX, WEB_V1, busybox_archive};

use crate::has;

pub(crate) fn loads_and_lists(cluster: &Cluster) {
    let archive = busybox_archive().expect("the test image is made");
    let loaded = run(cluster.coracle("image load").arg(archive.path())).expect("image load");
    has(&loaded, &[BUSYBOX, WEB_V1]);
    has(&run(&mut cluster.coracle("image list")).expect("image list"), &[BUSYBOX, WEB_V1]);
    let missing = run(cluster.coracle("image load").arg("/nowhere/image.tar"));
    assert!(!missing.ok);
    has(&missing.stderr, &["error:", "/nowhere/image.tar", "cause:"]);
}
