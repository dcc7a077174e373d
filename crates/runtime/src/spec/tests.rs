//! What a pod and an image ask for, and what comes of it.

use super::*;

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[test]
fn commands_follow_the_rules_of_pods() {
    let image = Config { entrypoint: strings(&["e"]), cmd: strings(&["c"]), ..Default::default() };
    let check = |command: &[&str], arguments: &[&str], expected: &[&str]| {
        let config = cri::ContainerConfig { command: strings(command), args: strings(arguments), ..Default::default() };
        assert_eq!(args(&config, &image).unwrap(), strings(expected));
    };
    check(&[], &[], &["e", "c"]);
    check(&[], &["a"], &["e", "a"]);
    check(&["x"], &[], &["x"]);
    check(&["x"], &["a"], &["x", "a"]);
    assert!(args(&cri::ContainerConfig::default(), &Config::default()).is_err());
}

#[test]
fn variables_of_the_pod_outrank_the_images() {
    let image = Config { env: strings(&["PATH=/bin", "A=1"]), ..Default::default() };
    let envs = vec![cri::KeyValue { key: "A".into(), value: b"2=3".to_vec() }];
    let config = cri::ContainerConfig { envs, ..Default::default() };
    assert_eq!(environment(&config, &image, "pod"), ["PATH=/bin", "HOSTNAME=pod", "A=2=3"]);
}

#[test]
fn zeros_ask_for_nothing() {
    assert_eq!(resources(&cri::LinuxContainerResources::default()), Resources::default());
    let given = cri::LinuxContainerResources { cpu_quota: -1, memory_limit_in_bytes: 5, ..Default::default() };
    let set = resources(&given);
    assert_eq!((set.cpu_quota, set.memory, set.cpu_shares), (Some(-1), Some(5), None));
}

#[test]
fn impossible_mounts_are_refused() {
    let mount_of = |given: cri::Mount| mount(&given).map(drop).map_err(|e| e.to_string());
    assert!(mount_of(cri::Mount::default()).is_err());
    let given = cri::Mount {
        host_path: "/a".into(),
        container_path: "b".into(),
        recursive_read_only: true,
        ..Default::default()
    };
    assert_eq!(mount_of(given), Err("mount on b: recursive_read_only needs readonly".into()));
}

#[test]
fn profiles_of_the_node_are_refused() {
    let profile = |kind: cri::ProfileType| {
        Some(cri::SecurityProfile { profile_type: kind.into(), localhost_ref: "/profiles/a.json".into() })
    };
    let check = |seccomp, apparmor, expected: Option<&str>| {
        let context = cri::LinuxContainerSecurityContext { seccomp, apparmor, ..Default::default() };
        let error = refuse_profiles(&context).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), expected);
    };
    check(None, None, None);
    check(profile(cri::ProfileType::RuntimeDefault), profile(cri::ProfileType::Unconfined), None);
    let seccomp = "seccomp profile \"/profiles/a.json\": Localhost is not supported by this runtime";
    check(profile(cri::ProfileType::Localhost), None, Some(seccomp));
    let apparmor = "AppArmor profile \"/profiles/a.json\": Localhost is not supported by this runtime";
    check(None, profile(cri::ProfileType::Localhost), Some(apparmor));
}
