//! Talks to a real containerd of its own (root, state and socket in a temporary directory).
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says why it is skipped and panics when its set-up fails"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

const CONTAINERD: &str = "/usr/bin/containerd";

/// A containerd that ends, by its pid, with the test.
struct Containerd {
    child: Child,
    dir: tempfile::TempDir,
}

impl Containerd {
    fn start() -> Option<Self> {
        if !Path::new(CONTAINERD).exists() {
            println!("skipped: {CONTAINERD} is not installed");
            return None;
        }
        if fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).ok() != Some(0) {
            println!("skipped: not root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        let config = format!(
            "version = 2\nroot = \"{root}/root\"\nstate = \"{root}/state\"\n\
             [grpc]\naddress = \"{root}/containerd.sock\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\nrestrict_oom_score_adj = true\nstream_server_port = \"0\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\nconf_dir = \"{root}/cni\"\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\npath = \"{root}/opt\"\n"
        );
        let path = dir.path().join("config.toml");
        fs::write(&path, config).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new(CONTAINERD).arg("--config").arg(path).stderr(log).spawn().unwrap();
        Some(Self { child, dir })
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    async fn connect(&self) -> cri::Client {
        // containerd has no way to say that it serves; its socket file appears before it answers.
        for _ in 0..100 {
            if let Ok(client) = cri::connect(&self.socket()).await
                && client.runtime.clone().version(cri::VersionRequest::default()).await.is_ok()
            {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("containerd does not serve: {}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn containerd_tells_version_and_status() {
    let Some(containerd) = Containerd::start() else { return };
    let mut client = containerd.connect().await;

    let version = client.runtime.version(cri::VersionRequest::default()).await.unwrap().into_inner();
    assert_eq!(version.runtime_name, "containerd");
    assert_eq!(version.runtime_api_version, cri::API_VERSION);

    let status = client.runtime.status(cri::StatusRequest { verbose: true }).await.unwrap().into_inner();
    let conditions = status.status.unwrap().conditions;
    assert!(conditions.iter().any(|c| c.r#type == "RuntimeReady" && c.status));
    assert!(conditions.iter().any(|c| c.r#type == "NetworkReady"));
    assert!(status.info.contains_key("config"));

    let images = client.images.list_images(cri::ListImagesRequest::default()).await.unwrap().into_inner();
    assert!(images.images.is_empty());
    let absent = cri::ImageSpec { image: "example.invalid/absent:1".into(), ..Default::default() };
    let status = client.images.image_status(cri::ImageStatusRequest { image: Some(absent), verbose: false }).await;
    assert!(status.unwrap().into_inner().image.is_none());
}
