//! The instance's pod and Service ranges: chosen once so that instances do not meet, then kept.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::instance::Instance;

/// Version of the file's form.
const VERSION: u32 = 1;
/// Below the data directory.
const FILE: &str = "instance.json";

/// Where pods and Services have their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ranges {
    version: u32,
    pub pods: Ipv4Net,
    pub services: Ipv4Net,
}

impl Ranges {
    /// The instance's ranges; on its first start ranges that no route of this machine covers.
    pub(crate) fn of(instance: &Instance) -> Result<Self, Failure> {
        let file = instance.path(FILE);
        match fs::read_to_string(&file) {
            Ok(text) => parse(&text).map_err(|why| {
                Failure::new(format!("reading {}", file.display()), why)
                    .next("use the version that wrote it, or another --data-dir")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => choose(instance, &file),
            Err(e) => Err(Failure::new(format!("reading {}", file.display()), e)),
        }
    }

    /// The node's address towards its pods.
    pub(crate) fn gateway(&self) -> IpAddr {
        network::first_address(&IpNet::V4(self.pods))
    }

    /// The Service address of the API server: the first.
    pub(crate) fn kubernetes(&self) -> IpAddr {
        self.service_address(1)
    }

    /// The Service address of cluster DNS: the tenth.
    pub(crate) fn dns(&self) -> IpAddr {
        self.service_address(10)
    }

    fn service_address(&self, number: u32) -> IpAddr {
        Ipv4Addr::from_bits(self.services.network().to_bits() + number).into()
    }
}

fn parse(text: &str) -> Result<Ranges, String> {
    let version = serde_json::from_str::<serde_json::Value>(text).map_err(|e| e.to_string())?["version"].clone();
    if version != VERSION {
        return Err(format!("its form has version {version}, this program knows {VERSION}"));
    }
    serde_json::from_str(text).map_err(|e| e.to_string())
}

fn choose(instance: &Instance, file: &Path) -> Result<Ranges, Failure> {
    let what = "choosing address ranges for pods and Services";
    let existing = network::existing_routes().map_err(|e| Failure::caused(what, &e))?;
    let Some((IpNet::V4(pods), IpNet::V4(services))) = network::choose_cidrs(&instance.id, &existing) else {
        return Err(Failure::new(what, "the machine's routes cover every private range that could be used"));
    };
    let ranges = Ranges { version: VERSION, pods, services };
    let text = serde_json::to_string_pretty(&ranges).map_err(|e| Failure::new(what, e))?;
    fs::write(file, text).map_err(|e| Failure::new(format!("writing {}", file.display()), e))?;
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let ranges = parse(r#"{"version":1,"pods":"10.42.0.0/16","services":"10.43.0.0/16"}"#).unwrap();
        assert_eq!(ranges.gateway().to_string(), "10.42.0.1");
        assert_eq!(ranges.dns().to_string(), "10.43.0.10");
        assert_eq!(parse(r#"{"version":2}"#).unwrap_err(), "its form has version 2, this program knows 1");
        assert!(parse("{").is_err());
    }
}
