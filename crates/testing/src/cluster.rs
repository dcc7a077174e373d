//! A real cluster for tests: the `coracle` program on a machine of its own, and upstream's kubectl beside it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::Machine;

/// A running cluster; stopped with its pods when dropped.
#[derive(Debug)]
pub struct Cluster {
    program: PathBuf,
    machine: Machine,
    home: TempDir,
    listen: &'static str,
}

/// What a program printed, and whether it succeeded.
#[derive(Debug)]
pub struct Printed {
    pub ok: bool,
    /// The exit code, unless a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Printed {
    fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (ok, code) = (output.status.success(), output.status.code());
        Self { ok, code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The standard output of a command that must have succeeded.
    pub fn expect(self, what: &str) -> String {
        assert!(self.ok, "{what} failed\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self.stdout
    }
}

impl Cluster {
    /// Starts `program up --detach` on `machine`, with the API server on its usual address.
    pub fn start(program: &Path, machine: Machine) -> Result<Self, String> {
        Self::start_at(program, machine, "127.0.0.1:6443")
    }

    /// The same with the API server on the address `listen`.
    pub fn start_at(program: &Path, machine: Machine, listen: &'static str) -> Result<Self, String> {
        let home = TempDir::with_prefix("coracle-test-").map_err(|e| e.to_string())?;
        let cluster = Self { program: program.to_owned(), machine, home, listen };
        cluster.up()?;
        Ok(cluster)
    }

    /// Starts the cluster (again).
    pub fn up(&self) -> Result<String, String> {
        let mut command = self.coracle("up");
        command
            .args(["--detach", "--node-name", "node", "--listen", self.listen])
            .arg("--kubeconfig")
            .arg(self.kubeconfig());
        let printed = run(&mut command);
        if printed.ok { Ok(printed.stdout) } else { Err(printed.stderr) }
    }

    /// A command that runs the cluster in the foreground, and says `ready` in a line when it serves.
    #[must_use]
    pub fn up_command(&self) -> Command {
        let mut command = self.coracle("up");
        command.args(["--background", "--node-name", "node", "--listen", self.listen]);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// From now on another build of the program is used.
    pub fn switch_to(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// Sends a signal to the cluster's process, and returns when that has ended.
    pub fn end(&self, signal: Signal) -> Result<(), String> {
        let path = self.data_dir().join("run/lock");
        let read = || -> io::Result<(File, String)> { Ok((File::open(&path)?, std::fs::read_to_string(&path)?)) };
        let (lock, pid) = read().map_err(|e| format!("{}: {e}", path.display()))?;
        let pid = pid.trim().parse().map_err(|e| format!("{}: {e}", path.display()))?;
        kill(Pid::from_raw(pid), signal).map_err(|e| format!("process {pid}: {e}"))?;
        // Held to the process's very end.
        lock.lock().map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Stops the cluster and its pods.
    pub fn down(&self) -> Printed {
        run(&mut self.coracle("down"))
    }

    /// A command of the program, with this cluster's data directory.
    #[must_use]
    pub fn coracle(&self, verb: &str) -> Command {
        let mut command = self.machine.command(&self.program);
        let words: Vec<_> = verb.split(' ').collect();
        command.args(words).arg("--data-dir").arg(self.data_dir());
        command
    }

    /// Runs kubectl against the cluster.
    pub fn kubectl(&self, arguments: &[&str]) -> Printed {
        run(&mut self.kubectl_command(arguments))
    }

    /// Runs kubectl with `input` on its standard input.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Printed {
        run_with(&mut self.kubectl_command(arguments), input)
    }

    /// A kubectl command, for tests that keep it running.
    #[must_use]
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(kubectl_program().unwrap_or_else(|| "kubectl".into()));
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.home.path()).args(arguments);
        command
    }

    /// Runs kubectl again and again until `done` accepts its output, at most `limit`.
    pub fn wait(&self, arguments: &[&str], limit: Duration, done: impl Fn(&str) -> bool) -> Result<String, String> {
        let deadline = deadline(limit);
        loop {
            let printed = self.kubectl(arguments);
            if printed.ok && done(&printed.stdout) {
                return Ok(printed.stdout);
            }
            if expired(deadline) {
                return Err(format!("kubectl {arguments:?} after {limit:?}: {}{}", printed.stdout, printed.stderr));
            }
        }
    }

    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// The end of the cluster's log, for messages of failed tests.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.data_dir().join("run/log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the cluster's log ends with\n{}", self.log());
        }
        let _ = self.down();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test beside real processes lives in real time")]
fn deadline(limit: Duration) -> Instant {
    Instant::now() + limit
}

#[expect(clippy::disallowed_methods, reason = "a test beside real processes lives in real time")]
fn expired(deadline: Instant) -> bool {
    Instant::now() >= deadline
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Printed {
    command.stdin(Stdio::null()).output().map_or_else(|e| failed(command, &e), Printed::new)
}

/// Runs a command to its end with `input` on its standard input.
pub fn run_with(command: &mut Command, input: &str) -> Printed {
    use std::io::Write;
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return failed(command, &error),
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading its input is judged by its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_or_else(|e| failed(command, &e), Printed::new)
}

fn failed(command: &Command, error: &io::Error) -> Printed {
    Printed {
        ok: false,
        code: None,
        stdout: String::new(),
        stderr: format!("{}: {error}", command.get_program().display()),
    }
}

/// Upstream's kubectl, 1.32 or newer: the one that `make` built, else the one on the PATH.
#[must_use]
pub fn kubectl_program() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let candidates = [tools().join("bin/kubectl"), PathBuf::from("kubectl")];
        candidates.into_iter().find(|program| minor_version(program).is_some_and(|minor| minor >= 32))
    };
    FOUND.get_or_init(find).clone()
}

/// Where `make` puts what tests compare with.
#[must_use]
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

fn minor_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).args(["version", "--client", "-o", "json"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = text.split("\"minor\": \"").nth(1)?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
