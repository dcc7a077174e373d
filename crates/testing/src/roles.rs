//! A cluster whose roles are processes of their own, on one machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::cluster::{kubectl_program, run};
use crate::{Machine, Printed};

/// The node's address.
const NODE: &str = "10.42.0.1";

/// How often something is tried that depends on a process that has just been started.
const ATTEMPTS: usize = 600;

/// The roles, in the order in which [`Roles::start_all`] starts them.
pub const ROLES: &[&str] = &["apiserver", "runtime", "controller-manager", "scheduler", "proxy", "dns", "kubelet"];

/// The processes, and where they keep their state. Dropping it stops everything, the pods too.
#[derive(Debug)]
pub struct Roles {
    program: PathBuf,
    machine: Machine,
    home: TempDir,
    children: BTreeMap<String, Child>,
}

impl Roles {
    /// Nothing runs yet.
    pub fn new(program: &Path, machine: Machine) -> std::io::Result<Self> {
        let home = TempDir::with_prefix("coracle-test-")?;
        Ok(Self { program: program.to_owned(), machine, home, children: BTreeMap::new() })
    }

    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Starts all roles, with the images of an archive in the runtime.
    pub fn start_all(&mut self, images: &Path) {
        for role in ROLES {
            self.start(role);
            match *role {
                "apiserver" => drop(self.until(&["get", "--raw", "/readyz"])),
                "runtime" => self.load(images),
                _ => {}
            }
        }
    }

    /// Starts a role, anew after [`Roles::kill`].
    pub fn start(&mut self, role: &str) {
        let (data, conf) = (self.data_dir().display().to_string(), self.conf(role));
        let socket = self.data_dir().join("runtime/cri.sock").display().to_string();
        let (data, conf) = (["--data-dir", &data], ["--kubeconfig", &conf]);
        let arguments: Vec<&str> = match role {
            "apiserver" => [&data[..], &["--listen", "127.0.0.1:6443"]].concat(),
            "runtime" => data.to_vec(),
            "proxy" => [&data[..], &conf[..], &["--node-ip", NODE]].concat(),
            "dns" => [&conf[..], &["--listen", "10.42.0.1:53"]].concat(),
            "kubelet" => [&data[..], &conf[..], &["--node-ip", NODE, "--container-runtime-endpoint", &socket]].concat(),
            _ => conf.to_vec(),
        };
        let log = File::options().create(true).append(true).open(self.home.path().join(role)).expect("a log file");
        let mut command = self.machine.command(&self.program);
        command.args(["--log", "info", role]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.children.insert(role.to_owned(), command.spawn().expect("the role starts"));
    }

    /// Kills the process of a role.
    pub fn kill(&mut self, role: &str) {
        if let Some(mut child) = self.children.remove(role) {
            child.kill().and_then(|()| child.wait()).expect("the role can be killed");
        }
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Printed {
        let mut command = self.machine.command(kubectl_program().expect("kubectl was found"));
        run(command.env("KUBECONFIG", self.conf("admin")).args(arguments))
    }

    /// Runs kubectl until it succeeds, a bounded number of times.
    pub fn until(&self, arguments: &[&str]) -> String {
        let attempts = (0..ATTEMPTS).map(|_| self.kubectl(arguments));
        let last = attempts.take_while(|printed| !printed.ok).last();
        let printed = self.kubectl(arguments);
        assert!(printed.ok, "{arguments:?}: {last:?} {}", self.logs());
        printed.stdout
    }

    /// What the processes have logged.
    #[must_use]
    pub fn logs(&self) -> String {
        let log = |role: &&str| std::fs::read_to_string(self.home.path().join(role)).unwrap_or_default();
        ROLES.iter().map(|role| format!("\n--- {role}\n{}", log(role))).collect()
    }

    fn conf(&self, role: &str) -> String {
        self.data_dir().join(format!("kubeconfig/{role}.conf")).display().to_string()
    }

    /// Loads images as soon as the runtime serves.
    fn load(&self, archive: &Path) {
        let socket = self.data_dir().join("runtime/cri.sock");
        let serves = || UnixStream::connect(&socket).is_ok();
        // Each question takes its time.
        let asked = || self.kubectl(&["get", "--raw", "/readyz"]).ok;
        assert!((0..ATTEMPTS).any(|_| serves() || (asked() && serves())), "the runtime does not serve {}", self.logs());
        let mut command = self.machine.command(&self.program);
        run(command.args(["image", "load", "--data-dir"]).arg(self.data_dir()).arg(archive)).expect("image load");
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            // It may have ended by itself.
            let _ = child.kill().and_then(|()| child.wait());
        }
        let mut down = self.machine.command(&self.program);
        let _ = run(down.args(["down", "--data-dir"]).arg(self.data_dir()));
    }
}
