//! Size of the binary; memory and CPU of the idle node.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Bench, Figure, wait};

/// How long the idle node is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// Kernel clock ticks in a second, as /proc counts CPU time.
const TICKS: f64 = 100.0;

pub(crate) fn binary_size(program: &Path) -> Result<Figure, String> {
    let size = fs::metadata(program).map_err(|e| format!("{}: {e}; run `make build` first", program.display()))?.len();
    let value = size as f64 / 1e6;
    Ok(Figure::at_most("stripped binary", "MB", value, 60.0, 40.0))
}

/// Resident memory and CPU of the node's process and its shims, with nothing happening.
pub(crate) fn idle(cluster: &Bench) -> Result<Vec<Figure>, String> {
    let pids = pids(cluster)?;
    let before = ticks(&pids);
    wait(WATCHED);
    let busy = (ticks(&pids) - before) / TICKS / WATCHED.as_secs_f64() * 100.0;
    let memory = pids.iter().filter_map(|pid| resident(*pid)).sum::<f64>();
    Ok(vec![
        Figure::at_most("idle node: resident memory", "MB", memory, 150.0, 60.0),
        Figure::at_most("idle node: CPU of a core", "%", busy, 1.0, 0.2),
    ])
}

/// The process that runs a cluster.
pub(crate) fn main_pid(cluster: &Bench) -> Result<i32, String> {
    let lock = cluster.data_dir().join("run/lock");
    let text = fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    text.trim().parse().map_err(|_| format!("{} holds no process id", lock.display()))
}

/// The cluster's process and its shims: all that have the data directory or the lock's process id.
fn pids(cluster: &Bench) -> Result<Vec<i32>, String> {
    let main = main_pid(cluster)?;
    let marker = cluster.data_dir().display().to_string();
    let shims = fs::read_dir("/proc").map_err(|e| e.to_string())?.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        (pid != main && String::from_utf8_lossy(&line).contains(&marker)).then_some(pid)
    });
    Ok(std::iter::once(main).chain(shims).collect())
}

fn ticks(pids: &[i32]) -> f64 {
    pids.iter().filter_map(|pid| process_ticks(*pid)).sum()
}

/// User and system time from /proc/PID/stat, in ticks.
fn process_ticks(pid: i32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
}

/// Resident memory in MB.
pub(crate) fn resident(pid: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// A program that runs beside the measurement and ends with it.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it without input, with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let file = fs::File::create(log).map_err(|e| format!("{}: {e}", log.display()))?;
        let other = file.try_clone().map_err(|e| e.to_string())?;
        let spawned = command.stdin(Stdio::null()).stdout(file).stderr(other).spawn();
        spawned.map(Self).map_err(|e| format!("starting {}: {e}", command.get_program().display()))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}
