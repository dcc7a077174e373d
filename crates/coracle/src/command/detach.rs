//! `coracle up --detach`: starts `coracle up` in a session of its own and returns once it is ready.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::grammar::Up;
use crate::instance::Instance;

/// The line that the started process prints on stdout when the cluster serves.
pub(crate) const READY_LINE: &str = "ready";

/// The log file below the data directory.
const LOG: &str = "run/log";

pub(crate) fn run(options: &Up) -> Result<(), Failure> {
    let instance = Instance::open(&options.data.data_dir)?;
    drop(instance.lock()?);
    let log = instance.path(LOG);
    let log_file = File::create(&log).map_err(|e| Failure::new(format!("writing the log {}", log.display()), e))?;
    let mut child =
        command(options, log_file)?.spawn().map_err(|e| Failure::new("starting the cluster's process", e))?;
    let stdout = child.stdout.take().map(BufReader::new);
    let mut lines = stdout.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    if forward_until_ready(&mut lines) {
        return Ok(());
    }
    let status = child.wait().map_err(|e| Failure::new("waiting for the cluster's process", e))?;
    Err(Failure::new(
        "starting the cluster",
        last_words(&log).unwrap_or_else(|| format!("its process ended: {status}")),
    )
    .next(format!("the whole log is in {}", log.display())))
}

/// This program again, in the foreground form, in its own session so that the terminal's end does not reach it.
#[expect(unsafe_code, reason = "setsid between fork and exec has no safe form")]
fn command(options: &Up, log: File) -> Result<Command, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::new("finding this program's file", e))?;
    let mut command = Command::new(program);
    command
        .args(["--log", "info", "up", "--background", "--listen", &options.listen.to_string()])
        .arg("--data-dir")
        .arg(&options.data.data_dir);
    for (flag, value) in
        [("--kubeconfig", &options.kubeconfig), ("--container-runtime-endpoint", &options.container_runtime_endpoint)]
    {
        if let Some(value) = value {
            command.arg(flag).arg(value);
        }
    }
    if let Some(name) = &options.node_name {
        command.args(["--node-name", name]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    // SAFETY: setsid is async-signal-safe and touches no memory of ours.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(Into::into)) };
    Ok(command)
}

/// Prints what the cluster says to its user; false when it ended before it was ready.
fn forward_until_ready(lines: &mut dyn Iterator<Item = String>) -> bool {
    for line in lines {
        if line == READY_LINE {
            return true;
        }
        // A user who has stopped reading gets a cluster all the same.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
    false
}

/// The failure as the process wrote it at the end of its log.
fn last_words(log: &std::path::Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let start = text.rfind("error: ")?;
    Some(text[start + "error: ".len()..].trim_end().to_owned())
}
