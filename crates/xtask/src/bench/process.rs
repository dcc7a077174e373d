//! Size of the binary; memory and CPU of the idle node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{Bench, Better, Figure};

/// How long the idle node is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// Kernel clock ticks in a second, as /proc counts CPU time.
const TICKS: f64 = 100.0;

pub(crate) fn binary_size(program: &Path) -> Result<Figure, String> {
    let size = fs::metadata(program).map_err(|e| format!("{}: {e}; run `make build` first", program.display()))?.len();
    let value = size as f64 / 1e6;
    Ok(Figure { name: "stripped binary", unit: "MB", value, must: 60.0, aim: 40.0, better: Better::Lower })
}

/// Resident memory and CPU of the node's process and its shims, with nothing happening.
pub(crate) fn idle(cluster: &Bench) -> Result<Vec<Figure>, String> {
    let pids = pids(cluster)?;
    let before = ticks(&pids);
    wait(WATCHED);
    let busy = (ticks(&pids) - before) / TICKS / WATCHED.as_secs_f64() * 100.0;
    let memory = pids.iter().filter_map(|pid| resident(*pid)).sum::<f64>();
    Ok(vec![
        Figure {
            name: "idle node: resident memory",
            unit: "MB",
            value: memory,
            must: 150.0,
            aim: 60.0,
            better: Better::Lower,
        },
        Figure { name: "idle node: CPU of a core", unit: "%", value: busy, must: 1.0, aim: 0.2, better: Better::Lower },
    ])
}

#[expect(clippy::disallowed_methods, reason = "a measurement beside real processes lives in real time")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// The cluster's process and its shims: all that have the data directory or the lock's process id.
fn pids(cluster: &Bench) -> Result<Vec<i32>, String> {
    let lock = cluster.data_dir().join("run/lock");
    let main = fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    let main: i32 = main.trim().parse().map_err(|_| format!("{} holds no process id", lock.display()))?;
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
fn resident(pid: i32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
