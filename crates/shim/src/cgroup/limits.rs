//! Limits of a control group.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, Group};

/// What a container may use. What is not given is left as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Relative weight, 2–262144, in v1's measure.
    pub cpu_shares: Option<u64>,
    /// Microseconds per period; negative is unlimited.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    /// Bytes; negative is unlimited.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; negative is unlimited.
    pub memory_and_swap: Option<i64>,
    pub pids: Option<u64>,
    pub hugepages: Vec<Hugepages>,
    /// v2 files by name, written as they stand.
    pub unified: BTreeMap<String, String>,
}

/// Limit for huge pages of one size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hugepages {
    /// As the kernel spells it: `2MB`.
    pub size: String,
    /// Bytes.
    pub limit: u64,
}

impl Group<'_> {
    /// Sets limits. Returns what this machine cannot limit, in words.
    pub fn limit(&self, resources: &Resources) -> Result<Vec<String>, Error> {
        let mut writer = Writer { group: self, warnings: Vec::new() };
        writer.cpu(resources)?;
        writer.memory(resources)?;
        if let Some(pids) = resources.pids {
            writer.set("pids", "pids.max", "pids.max", &pids.to_string())?;
        }
        for (value, name) in [(&resources.cpuset_cpus, "cpuset.cpus"), (&resources.cpuset_mems, "cpuset.mems")] {
            if !value.is_empty() {
                writer.set("cpuset", name, name, value)?;
            }
        }
        for pages in &resources.hugepages {
            let (v1, v2) = (format!("hugetlb.{}.limit_in_bytes", pages.size), format!("hugetlb.{}.max", pages.size));
            writer.set_if_present("hugetlb", &v1, &v2, &pages.limit.to_string())?;
        }
        writer.unified(&resources.unified)?;
        Ok(writer.warnings)
    }

    /// Lets the group use the usual devices and those given (`c 10:200 rwm`), and no others, where v1 can tell.
    /// Elsewhere only the mounts keep a container from devices.
    pub(crate) fn allow_devices(&self, rules: &[String]) -> Result<(), Error> {
        let Some(root) = self.hierarchies.v1("devices") else { return Ok(()) };
        let directory = root.join(&self.path);
        write(&directory.join("devices.deny"), "a")?;
        for rule in USUAL_DEVICES.iter().copied().chain(rules.iter().map(String::as_str)) {
            write(&directory.join("devices.allow"), rule)?;
        }
        Ok(())
    }
}

/// Making any node but opening few: null, zero, full, random, urandom, tty, console, ptmx and terminals.
const USUAL_DEVICES: &[&str] = &[
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

struct Writer<'a> {
    group: &'a Group<'a>,
    warnings: Vec<String>,
}

impl Writer<'_> {
    fn cpu(&mut self, resources: &Resources) -> Result<(), Error> {
        if let Some(shares) = resources.cpu_shares {
            self.set("cpu", "cpu.shares", "cpu.weight", &self.weight(shares))?;
        }
        let quota = resources.cpu_quota.map(|quota| quota.max(-1));
        if self.group.hierarchies.unified() {
            if quota.is_some() || resources.cpu_period.is_some() {
                let quota = quota.filter(|quota| *quota > 0).map_or_else(|| "max".into(), |quota| quota.to_string());
                let period = resources.cpu_period.unwrap_or(100_000);
                self.set("cpu", "", "cpu.max", &format!("{quota} {period}"))?;
            }
            return Ok(());
        }
        if let Some(period) = resources.cpu_period {
            self.set("cpu", "cpu.cfs_period_us", "", &period.to_string())?;
        }
        if let Some(quota) = quota {
            self.set("cpu", "cpu.cfs_quota_us", "", &quota.to_string())?;
        }
        Ok(())
    }

    /// v1's shares as they are, or v2's weight 1–10000 in proportion.
    fn weight(&self, shares: u64) -> String {
        let shares = shares.clamp(2, 262_144);
        if self.group.hierarchies.unified() {
            return (1 + (shares - 2) * 9_999 / 262_142).to_string();
        }
        shares.to_string()
    }

    fn memory(&mut self, resources: &Resources) -> Result<(), Error> {
        let Some(memory) = resources.memory else { return Ok(()) };
        let both = resources.memory_and_swap;
        if self.group.hierarchies.unified() {
            let bytes = |value: i64| if value < 0 { "max".to_owned() } else { value.to_string() };
            self.set("memory", "", "memory.max", &bytes(memory))?;
            let swap = both.map(|both| if both < 0 { -1 } else { (both - memory).max(0) });
            return swap.map_or(Ok(()), |swap| self.set_if_present("memory", "", "memory.swap.max", &bytes(swap)));
        }
        let (limit, swap) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
        let Some(both) = both else { return self.set("memory", limit, "", &memory.to_string()) };
        // The limit of both may never be below that of memory alone: which is to be set first depends on the old ones.
        if self.set("memory", limit, "", &memory.to_string()).is_err() {
            self.set_if_present("memory", swap, "", &both.to_string())?;
            return self.set("memory", limit, "", &memory.to_string());
        }
        self.set_if_present("memory", swap, "", &both.to_string())
    }

    fn unified(&mut self, files: &BTreeMap<String, String>) -> Result<(), Error> {
        let Some(directory) = self.group.unified_directory() else { return Ok(()) };
        for (name, value) in files {
            if name.contains('/') {
                self.warnings.push(format!("cgroup file {name:?} is not a plain name"));
                continue;
            }
            write(&directory.join(name), value)?;
        }
        Ok(())
    }

    fn set(&mut self, controller: &str, v1: &str, v2: &str, value: &str) -> Result<(), Error> {
        let Some(file) = self.group.file(controller, v1, v2) else {
            self.warnings.push(format!("this machine has no {controller} cgroup controller"));
            return Ok(());
        };
        write(&file, value)
    }

    fn set_if_present(&mut self, controller: &str, v1: &str, v2: &str, value: &str) -> Result<(), Error> {
        match self.group.file(controller, v1, v2) {
            Some(file) if file.exists() => write(&file, value),
            _ => {
                let name = if self.group.hierarchies.unified() { v2 } else { v1 };
                self.warnings.push(format!("this machine has no {name}"));
                Ok(())
            }
        }
    }
}

fn write(file: &Path, value: &str) -> Result<(), Error> {
    fs::write(file, value).map_err(Error::new("writing", file))
}
