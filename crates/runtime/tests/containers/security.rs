//! Who processes are and what they may do.

use cri::NamespaceMode;
use testing::image::{Image, Layer, archive};

use crate::node::{Node, namespaces, security, shell};

fn number(value: i64) -> Option<cri::Int64Value> {
    Some(cri::Int64Value { value })
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_run_as_whom_the_pod_says() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let (_, text) = node.script(&pod, "id; echo $HOME", |_| {}).await;
    assert_eq!(text, "uid=0(root) gid=0(root) groups=0(root)\n/root");
    let (_, text) = node
        .script(&pod, "id; echo $HOME; echo x > /dev/stdout", |config| {
            let context = security(config);
            context.run_as_user = number(100);
            context.supplemental_groups = vec![4242];
        })
        .await;
    assert_eq!(text, "uid=100(web) gid=101(web) groups=101(web),200(logs),4242\n/home/web\nx");
    let (_, text) = node
        .script(&pod, "id", |config| {
            let context = security(config);
            context.run_as_user = number(1234);
            context.run_as_group = number(5678);
            context.set_supplemental_groups_policy(cri::SupplementalGroupsPolicy::Strict);
        })
        .await;
    assert_eq!(text, "uid=1234 gid=5678 groups=5678");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_bounded() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let script = "grep -E 'CapEff|CapBnd|CapAmb|NoNewPrivs' /proc/self/status | tr -d '\\t ' | tr '\\n' ' '";
    let (_, text) = node.script(&pod, script, |_| {}).await;
    assert_eq!(text, "CapEff:00000000a80425fb CapBnd:00000000a80425fb CapAmb:0000000000000000 NoNewPrivs:0 ");
    let (_, text) = node
        .script(&pod, script, |config| {
            let context = security(config);
            context.no_new_privs = true;
            context.run_as_user = number(100);
            context.capabilities = Some(cri::Capability {
                add_capabilities: vec!["NET_ADMIN".into()],
                drop_capabilities: vec!["ALL".into()],
                add_ambient_capabilities: vec!["NET_ADMIN".into()],
            });
        })
        .await;
    assert_eq!(text, "CapEff:0000000000001000 CapBnd:0000000000001000 CapAmb:0000000000001000 NoNewPrivs:1 ");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_files_are_hidden() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let script = "wc -c < /proc/uptime; ls /sys/firmware | wc -l; echo 1 > /proc/sys/vm/swappiness; \
                  touch /sys/x; ls /dev | tr '\\n' ' '";
    let (_, text) = node
        .script(&pod, &format!("({script}) 2>&1"), |config| {
            let context = security(config);
            context.masked_paths = ["/proc/uptime", "/sys/firmware", "/nonexistent"].map(Into::into).into();
            context.readonly_paths = ["/proc/sys", "/proc/bus"].map(Into::into).into();
        })
        .await;
    assert!(text.starts_with("0\n0\n"), "{text}");
    assert_eq!(text.matches("Read-only file system").count(), 2, "{text}");
    let devices = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert!(text.trim_end().ends_with(devices), "{text}");
    let (_, text) = node
        .script(&pod, "ls /dev | wc -l; echo 60 > /proc/sys/vm/swappiness && echo may", |config| {
            security(config).privileged = true;
        })
        .await;
    let (devices, may) = text.split_once('\n').unwrap();
    assert!(devices.parse::<u32>().unwrap() > 16, "{text}");
    assert_eq!(may, "may");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn process_namespaces_are_shared_as_asked() {
    let Some(node) = Node::start().await else { return };
    let mut config = node.pod_config();
    let linux = config.linux.as_mut().unwrap();
    linux.security_context.as_mut().unwrap().namespace_options = Some(namespaces(NamespaceMode::Pod));
    let pod = node.pod(config).await;
    let shared = |config: &mut cri::ContainerConfig| {
        security(config).namespace_options = Some(namespaces(NamespaceMode::Pod));
    };
    let mut config = shell("exec sleep 1234");
    shared(&mut config);
    let sleeper = node.run(&pod, config).await;
    let (_, text) =
        node.script(&pod, "ps | grep -v grep | grep -c 'sleep 1234'; cat /proc/1/comm; echo $$", shared).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["1", "pause"]);
    assert_ne!(lines[2], "1");
    let target = cri::NamespaceOption { target_id: sleeper.clone(), ..namespaces(NamespaceMode::Target) };
    let (_, text) = node
        .script(&pod, "ps | grep -v grep | grep -c 'sleep 1234'", |config| {
            security(config).namespace_options = Some(target);
        })
        .await;
    assert_eq!(text, "1");
    let (_, text) = node.script(&pod, "echo $$", |_| {}).await;
    assert_eq!(text, "1");
    let (_, text) = node
        .script(&pod, "cat /proc/1/comm", |config| {
            security(config).namespace_options = Some(namespaces(NamespaceMode::Node));
        })
        .await;
    assert_eq!(text, std::fs::read_to_string("/proc/1/comm").unwrap().trim());
    // Its children die with a container that has no process namespace of its own.
    let mut config = shell("sleep 4321 & sleep 0.1");
    shared(&mut config);
    let parent = node.run(&pod, config).await;
    node.ended(&parent).await;
    let (_, text) = node.script(&pod, "ps | grep -v grep | grep -c 'sleep 4321'", shared).await;
    assert_eq!(text, "0");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_cannot_redirect_what_is_mounted() {
    let Some(node) = Node::start().await else { return };
    let mut links = Layer::new();
    links.link("proc", "/elsewhere").unwrap().directory("elsewhere", 0o755).unwrap();
    let mut escape = Layer::new();
    escape.link("data", "/proc/1/root/coracle-escaped").unwrap();
    let image = |name: &str, layer: Layer| Image::busybox(name).unwrap().layer(layer.finish().unwrap());
    let images = [image("test.local/links:1", links), image("test.local/escape:1", escape)];
    runtime::client::load(&node.options().socket(), archive(&images).unwrap().path()).await.unwrap();
    let pod = node.plain_pod().await;
    let of_image = |name: &str| {
        let mut config = shell("true");
        config.image = Some(cri::ImageSpec { image: name.into(), ..Default::default() });
        config
    };
    let container = node.create(&pod, of_image("test.local/links:1")).await;
    let error = node.try_start(&container).await.unwrap_err();
    assert!(error.message().contains("mounting proc on /proc: not a directory in the image"), "{error}");

    let volume = tempfile::tempdir().unwrap();
    let mut config = of_image("test.local/escape:1");
    let host_path = volume.path().display().to_string();
    config.mounts.push(cri::Mount { host_path, container_path: "/data/in".into(), ..Default::default() });
    security(&mut config).namespace_options = Some(namespaces(NamespaceMode::Node));
    let container = node.create(&pod, config).await;
    let error = node.try_start(&container).await.unwrap_err();
    assert!(error.message().contains("mounting on /data/in: "), "{error}");
    assert!(!std::path::Path::new("/coracle-escaped").exists());

    let mut config = shell("true");
    config.working_dir = "/proc/self/fd/0".into();
    let container = node.create(&pod, config).await;
    let error = node.try_start(&container).await.unwrap_err();
    assert!(error.message().contains("making the working directory /proc/self/fd/0: "), "{error}");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_namespaces_and_sysctls_are_given() {
    let Some(node) = Node::start().await else { return };
    let mut config = node.pod_config();
    let linux = config.linux.as_mut().unwrap();
    linux.sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "7".into());
    linux.sysctls.insert("kernel.shm_rmid_forced".into(), "1".into());
    let pod = node.pod(config).await;
    let script =
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced; ls /sys/class/net";
    let (_, text) = node.script(&pod, script, |_| {}).await;
    assert_eq!(text, "7\n1\nlo");
    let mut config = node.pod_config();
    let options = cri::NamespaceOption {
        network: NamespaceMode::Node.into(),
        ipc: NamespaceMode::Node.into(),
        ..namespaces(NamespaceMode::Container)
    };
    config.linux.as_mut().unwrap().security_context.as_mut().unwrap().namespace_options = Some(options);
    let pod = node.pod(config).await;
    let (_, text) = node.script(&pod, "for ns in net ipc uts; do readlink /proc/self/ns/$ns; done", |_| {}).await;
    let own = ["net", "ipc", "uts"]
        .map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string());
    assert_eq!(text, own.join("\n"));
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_set_and_changed() {
    let Some(node) = Node::start().await else { return };
    let pod = node.plain_pod().await;
    let mut config = shell("sleep 100");
    config.linux.as_mut().unwrap().resources = Some(cri::LinuxContainerResources {
        cpu_shares: 512,
        cpu_quota: 50_000,
        cpu_period: 100_000,
        memory_limit_in_bytes: 64 << 20,
        oom_score_adj: 900,
        ..Default::default()
    });
    let container = node.run(&pod, config).await;
    let inside = |file: &'static str| {
        let node = &node;
        let container = container.clone();
        async move {
            let output = node.exec(&container, &["cat", file], 5).await.unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
    };
    assert_eq!(inside("/proc/1/oom_score_adj").await, "900");
    if std::path::Path::new("/sys/fs/cgroup/memory").exists() {
        assert_eq!(inside("/sys/fs/cgroup/cpu/cpu.shares").await, "512");
        assert_eq!(inside("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").await, "50000");
        assert_eq!(inside("/sys/fs/cgroup/memory/memory.limit_in_bytes").await, (64 << 20).to_string());
    } else {
        assert_eq!(inside("/sys/fs/cgroup/cpu.max").await, "50000 100000");
        assert_eq!(inside("/sys/fs/cgroup/memory.max").await, (64 << 20).to_string());
    }
    let changes = cri::LinuxContainerResources { memory_limit_in_bytes: 96 << 20, ..Default::default() };
    let request = cri::UpdateContainerResourcesRequest {
        container_id: container.clone(),
        linux: Some(changes),
        ..Default::default()
    };
    node.runtime().update_container_resources(request).await.unwrap();
    let status = node.status(&container).await.resources.unwrap().linux.unwrap();
    assert_eq!((status.memory_limit_in_bytes, status.cpu_shares), (96 << 20, 512));
    let request = cri::ContainerStatsRequest { container_id: container.clone() };
    let stats = node.runtime().container_stats(request).await.unwrap().into_inner().stats.unwrap();
    assert!(stats.cpu.unwrap().usage_core_nano_seconds.unwrap().value > 0);
    let memory = stats.memory.unwrap();
    assert!(memory.working_set_bytes.unwrap().value > 0);
    assert!(memory.available_bytes.unwrap().value > 32 << 20);
    node.finish().await;
}
