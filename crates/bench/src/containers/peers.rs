//! The peers: containerd behind its CRI socket, and runc as a program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use testing::cluster::run;
use testing::image::{BUSYBOX, Image, archive};

use super::{ATTEMPTS, LIVES, Life, PAUSE, WARM, lives};
use crate::process::Running;
use crate::{new_machine, now, since, wait};

const CONTAINERD: &str = "/usr/bin/containerd";
const CTR: &str = "/usr/bin/ctr";
const RUNC: &str = "/usr/sbin/runc";
const PAUSE_IMAGE: &str = "coracle.test/pause:1";

/// Debian's containerd with directories of its own; nothing where it is not installed.
pub(super) fn containerd() -> Result<Option<Vec<Life>>, String> {
    if ![CONTAINERD, CTR, RUNC].iter().all(|program| Path::new(program).exists()) {
        return Ok(None);
    }
    let (machine, home) = (new_machine()?, TempDir::with_prefix("coracle-bench-").map_err(|e| e.to_string())?);
    let file = home.path().join("config.toml");
    fs::write(&file, config(home.path())).map_err(|e| e.to_string())?;
    let mut command = machine.command(CONTAINERD);
    let server = Running::start(command.arg("--config").arg(&file), &home.path().join("log"))?;
    let socket = home.path().join("containerd.sock");
    let lives = load(&socket).and_then(|()| lives(&machine, socket));
    drop(server);
    lives.map(Some)
}

/// Imports the images once containerd serves.
fn load(socket: &Path) -> Result<(), String> {
    let command = json!(["/bin/sleep", "2147483647"]);
    let pause = Image::busybox(PAUSE_IMAGE).map(|image| image.config("Cmd", command));
    let images = [Image::busybox(BUSYBOX), pause].into_iter().collect::<Result<Vec<_>, _>>();
    let file = images.and_then(|images| archive(&images)).map_err(|e| e.to_string())?;
    for _ in 0..ATTEMPTS {
        let mut command = Command::new(CTR);
        command.arg("--address").arg(socket).args(["-n", "k8s.io", "images", "import"]).arg(file.path());
        if run(&mut command).ok {
            return Ok(());
        }
        wait(PAUSE);
    }
    Err("containerd does not take the images".into())
}

fn config(home: &Path) -> String {
    let home = home.display();
    format!(
        r#"version = 2
root = "{home}/root"
state = "{home}/state"
[grpc]
  address = "{home}/containerd.sock"
[ttrpc]
  address = "{home}/containerd.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{home}/cni/bin"
    conf_dir = "{home}/cni/conf"
"#
    )
}

/// `runc create`, `start` and `delete` of a container with a root on disk; nothing where it is not installed.
pub(super) fn runc() -> Result<Option<Vec<f64>>, String> {
    if !Path::new(RUNC).exists() {
        return Ok(None);
    }
    let home = TempDir::with_prefix("coracle-bench-").map_err(|e| e.to_string())?;
    bundle(home.path()).map_err(|e| format!("making a bundle for runc: {e}"))?;
    let mut times = Vec::new();
    for number in 0..WARM + LIVES {
        let id = format!("coracle-bench-{}-{number}", std::process::id());
        let began = now();
        for words in [&["create", "--bundle", "."][..], &["start"], &["delete", "--force"]] {
            let mut command = Command::new(RUNC);
            command.current_dir(home.path()).arg("--root").arg(home.path().join("state")).args(words).arg(&id);
            // The container has the streams of its creator, so that nobody may wait for their end.
            let log = fs::File::create(home.path().join("log")).map_err(|e| e.to_string())?;
            let ended =
                command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(log).status();
            if !ended.is_ok_and(|status| status.success()) {
                return Err(fs::read_to_string(home.path().join("log")).unwrap_or_default());
            }
        }
        times.push(since(began));
    }
    Ok(Some(times.split_off(WARM)))
}

/// A root with busybox in it, and runc's own example of a configuration.
fn bundle(home: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bin = home.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    fs::copy("/bin/busybox", bin.join("busybox"))?;
    symlink("busybox", bin.join("sleep"))?;
    Command::new(RUNC).arg("spec").current_dir(home).status()?;
    let file = home.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sleep", "100"]);
    Ok(fs::write(&file, config.to_string())?)
}
