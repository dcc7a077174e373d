//! Debian's containerd with directories and a socket of its own, and test images in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct Containerd {
    child: Child,
    dir: TempDir,
}

impl Containerd {
    /// Starts it; `None`, with the reason printed, where that cannot be.
    pub(crate) fn start() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: containers need root");
            return None;
        }
        if !Path::new("/usr/bin/containerd").exists() || !Path::new("/usr/bin/ctr").exists() {
            println!("skipped: containerd is not installed");
            return None;
        }
        let dir = TempDir::with_prefix("kubelet-test-").unwrap();
        let config = config(dir.path());
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("/usr/bin/containerd")
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let containerd = Self { child, dir };
        containerd.load_images();
        Some(containerd)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn load_images(&self) {
        let images = [testing::image::Image::busybox(testing::image::BUSYBOX).unwrap(), pause()];
        let archive = testing::image::archive(&images).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = Command::new("/usr/bin/ctr")
                .arg("--address")
                .arg(self.socket())
                .args(["-n", "k8s.io", "images", "import"])
                .arg(archive.path())
                .output()
                .unwrap();
            if output.status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn pause() -> testing::image::Image {
    let command = serde_json::json!(["/bin/sleep", "2147483647"]);
    testing::image::Image::busybox("coracle.test/pause:1").unwrap().config("Cmd", command)
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
[grpc]
  address = "{dir}/containerd.sock"
[ttrpc]
  address = "{dir}/containerd.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "coracle.test/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{dir}/cni/bin"
    conf_dir = "{dir}/cni/conf"
"#
    )
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            let errors: Vec<_> = log.lines().filter(|line| line.contains("level=error")).collect();
            println!("--- containerd said\n{}", errors[errors.len().saturating_sub(10)..].join("\n"));
        }
        // shims that a failed test left outlive containerd; they are found by the socket directory in their arguments
        let state = self.dir.path().display().to_string();
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let ours = String::from_utf8_lossy(&command).contains(&state);
            let pid = process.file_name().to_string_lossy().parse::<i32>();
            if let (true, Ok(pid)) = (ours, pid) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
        let _ = kubelet::volume::mount::unmount_below(self.dir.path());
    }
}
