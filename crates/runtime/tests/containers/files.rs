//! What containers see of file systems.

use std::fs;

use crate::node::{Node, security, shell};

fn mount(host: &std::path::Path, container: &str) -> cri::Mount {
    cri::Mount { host_path: host.display().to_string(), container_path: container.into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_the_images_and_writes_stay_inside() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let script = "hostname; cat /etc/hostname; pwd; ls /; touch /x && echo written; ls -A /old_root 2>&1 | wc -l";
    let (code, text) = node.script(&pod, script, |_| {}).await;
    assert_eq!(code, 0);
    assert!(text.starts_with("pod\npod\n/\nbin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nwritten"), "{text}");
    let (_, text) = node.script(&pod, "ls /x 2>&1; mount | grep -c ' / '", |_| {}).await;
    assert!(text.contains("No such file") && text.ends_with('1'), "{text}");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_root_takes_no_writes_but_its_mounts_do() {
    let Some(node) = Node::start().await else { return };
    let volume = tempfile::tempdir().unwrap();
    let pod = node.plain_pod().await;
    let script = "touch /x 2>&1; touch /data/y && echo volume; echo z > /dev/shm/z && echo shm";
    let (_, text) = node
        .script(&pod, script, |config| {
            security(config).readonly_rootfs = true;
            config.mounts.push(mount(volume.path(), "/data"));
        })
        .await;
    assert!(text.contains("Read-only file system") && text.ends_with("volume\nshm"), "{text}");
    assert!(volume.path().join("y").exists());
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_mounted_as_asked() {
    let Some(node) = Node::start().await else { return };
    let volume = tempfile::tempdir().unwrap();
    fs::write(volume.path().join("file"), "content").unwrap();
    fs::create_dir(volume.path().join("inner")).unwrap();
    let pod = node.plain_pod().await;
    let script = "cat /ro/file; echo; touch /ro/x 2>&1; cat /deep/er/file; echo; ls -d /rw/inner; \
                  mknod /rw/null c 1 3 && cat /rw/null 2>&1";
    let (_, text) = node
        .script(&pod, script, |config| {
            config.mounts.push(mount(volume.path(), "/rw"));
            config.mounts.push(cri::Mount { readonly: true, ..mount(volume.path(), "/ro") });
            config.mounts.push(mount(&volume.path().join("file"), "/deep/er/file"));
        })
        .await;
    let expected = "content\ntouch: /ro/x: Read-only file system\ncontent\n/rw/inner\ncat: can't open '/rw/null': Permission denied";
    assert_eq!(text, expected);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_memory_belongs_to_the_pod() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    node.script(&pod, "echo shared > /dev/shm/x", |_| {}).await;
    let (_, text) = node.script(&pod, "cat /dev/shm/x; df -k /dev/shm | tail -1 | awk '{print $2}'", |_| {}).await;
    assert_eq!(text, "shared\n65536");
    let other = node.plain_pod().await;
    let (code, _) = node.script(&other, "cat /dev/shm/x", |_| {}).await;
    assert_ne!(code, 0);
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_go_on_in_a_new_file_after_reopening() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let script = "echo one; while [ ! -e /go ]; do sleep 0.02; done; echo two";
    let container = node.run(&pod, shell(script)).await;
    let path = std::path::PathBuf::from(node.status(&container).await.log_path);
    while fs::read_to_string(&path).unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    fs::rename(&path, path.with_extension("old")).unwrap();
    let request = cri::ReopenContainerLogRequest { container_id: container.clone() };
    node.runtime().reopen_container_log(request).await.unwrap();
    node.exec(&container, &["touch", "/go"], 5).await.unwrap();
    node.ended(&container).await;
    assert_eq!(node.printed(&container).await, "two");
    assert!(fs::read_to_string(path.with_extension("old")).unwrap().ends_with(" stdout F one\n"));
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_made_later_travel_as_asked() {
    let Some(node) = Node::start().await else { return };
    // A shared mount of the test's own, whatever the machine's root is.
    let shared = SharedMount::new();
    let pod = node.plain_pod().await;
    let script = "while [ ! -e /slave/late/x ]; do sleep 0.02; done; ls /private/late; \
                  mkdir -p /both/up && mount -t tmpfs none /both/up && echo mounted; sleep 100";
    let mut config = shell(script);
    security(&mut config).privileged = true;
    for (path, propagation) in [
        ("/private", cri::MountPropagation::Private),
        ("/slave", cri::MountPropagation::HostToContainer),
        ("/both", cri::MountPropagation::Bidirectional),
    ] {
        config.mounts.push(cri::Mount { propagation: propagation.into(), ..mount(shared.path(), path) });
    }
    fs::create_dir(shared.path().join("late")).unwrap();
    let container = node.run(&pod, config).await;
    let late = shared.path().join("late");
    nix::mount::mount(Some("none"), &late, Some("tmpfs"), nix::mount::MsFlags::empty(), None::<&str>).unwrap();
    fs::write(late.join("x"), "").unwrap();
    while node.printed(&container).await != "mounted" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(mounts.contains(shared.path().join("up").to_str().unwrap()), "what the container mounts is seen outside");
    drop(shared);
    node.finish().await;
}

/// A tmpfs that is shared.
struct SharedMount(tempfile::TempDir);

impl SharedMount {
    fn new() -> Self {
        use nix::mount::{MsFlags, mount};
        let directory = tempfile::tempdir().unwrap();
        mount(Some("none"), directory.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        mount(None::<&str>, directory.path(), None::<&str>, MsFlags::MS_SHARED, None::<&str>).unwrap();
        Self(directory)
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }
}

impl Drop for SharedMount {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}
