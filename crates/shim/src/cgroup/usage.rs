//! What a control group has used.

use std::fs;
use std::path::Path;

use super::Group;

/// Usage of a control group. Absent numbers are those this machine does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processor time in nanoseconds.
    pub cpu: Option<u64>,
    /// Bytes, page cache included.
    pub memory: Option<u64>,
    /// Bytes that cannot simply be taken back: usage less inactive file pages.
    pub working_set: Option<u64>,
    /// Anonymous bytes.
    pub rss: Option<u64>,
    /// Bytes; absent when unlimited.
    pub memory_limit: Option<u64>,
    pub swap: Option<u64>,
    pub page_faults: Option<u64>,
    pub major_page_faults: Option<u64>,
    pub processes: Option<u64>,
    pub cpu_pressure: Option<Pressure>,
    pub memory_pressure: Option<Pressure>,
    pub io_pressure: Option<Pressure>,
}

/// Pressure stall information of one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    pub some: Stall,
    pub full: Stall,
}

/// How much of the time tasks waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Percent over 10, 60 and 300 seconds.
    pub averages: [f64; 3],
    /// Nanoseconds since the group was made.
    pub total: u64,
}

/// Limits above this are v1's way to say that there is none.
const UNLIMITED: u64 = 1 << 62;

impl Group<'_> {
    /// Reads the counters.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let unified = self.hierarchies.unified();
        let stat = self.read("memory", "memory.stat", "memory.stat").unwrap_or_default();
        let field = |v1: &str, v2: &str| keyed(&stat, if unified { v2 } else { v1 });
        let memory = self.number("memory", "memory.usage_in_bytes", "memory.current");
        let inactive = field("total_inactive_file", "inactive_file").unwrap_or(0);
        let pressure = |file: &str| self.unified_directory().and_then(|d| read_pressure(&d.join(file)));
        Usage {
            cpu: self.cpu_nanoseconds(),
            memory,
            working_set: memory.map(|memory| memory.saturating_sub(inactive)),
            rss: field("total_rss", "anon"),
            memory_limit: self
                .number("memory", "memory.limit_in_bytes", "memory.max")
                .filter(|limit| *limit < UNLIMITED),
            swap: if unified { self.number("memory", "", "memory.swap.current") } else { keyed(&stat, "total_swap") },
            page_faults: field("total_pgfault", "pgfault"),
            major_page_faults: field("total_pgmajfault", "pgmajfault"),
            processes: self.number("pids", "pids.current", "pids.current"),
            cpu_pressure: pressure("cpu.pressure"),
            memory_pressure: pressure("memory.pressure"),
            io_pressure: pressure("io.pressure"),
        }
    }

    /// How many processes of the group the kernel has killed for want of memory.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        let text = self.read("memory", "memory.oom_control", "memory.events").unwrap_or_default();
        keyed(&text, "oom_kill").unwrap_or(0)
    }

    fn cpu_nanoseconds(&self) -> Option<u64> {
        if self.hierarchies.unified() {
            return Some(keyed(&self.read("cpu", "", "cpu.stat")?, "usage_usec")?.saturating_mul(1000));
        }
        self.number("cpuacct", "cpuacct.usage", "")
    }

    fn number(&self, controller: &str, v1: &str, v2: &str) -> Option<u64> {
        self.read(controller, v1, v2)?.trim().parse().ok()
    }

    fn read(&self, controller: &str, v1: &str, v2: &str) -> Option<String> {
        fs::read_to_string(self.file(controller, v1, v2)?).ok()
    }
}

/// The number after `key` in lines of `key number`.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

fn read_pressure(file: &Path) -> Option<Pressure> {
    Some(parse_pressure(&fs::read_to_string(file).ok()?))
}

fn parse_pressure(text: &str) -> Pressure {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let Some((kind, rest)) = line.split_once(' ') else { continue };
        let stall = if kind == "some" { &mut pressure.some } else { &mut pressure.full };
        for (name, value) in rest.split(' ').filter_map(|field| field.split_once('=')) {
            match name {
                "avg10" => stall.averages[0] = value.parse().unwrap_or(0.0),
                "avg60" => stall.averages[1] = value.parse().unwrap_or(0.0),
                "avg300" => stall.averages[2] = value.parse().unwrap_or(0.0),
                // The kernel counts microseconds.
                "total" => stall.total = value.parse::<u64>().unwrap_or(0).saturating_mul(1000),
                _ => {}
            }
        }
    }
    pressure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_whole_words() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(text, "oom_kill"), Some(3));
        assert_eq!(keyed(text, "oom"), None);
    }

    #[test]
    fn pressure_is_read() {
        let text = "some avg10=1.50 avg60=0.00 avg300=0.25 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n";
        let pressure = parse_pressure(text);
        assert_eq!(pressure.some, Stall { averages: [1.5, 0.0, 0.25], total: 7000 });
        assert_eq!(pressure.full.total, 2000);
    }
}
