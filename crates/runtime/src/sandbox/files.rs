//! Files that the containers of a sandbox see in `/etc`.

use std::fs;
use std::io;
use std::path::Path;

/// Writes `hostname`, `hosts` and `resolv.conf`; those that the host's are good for are copied from it.
pub(super) fn write(directory: &Path, config: &cri::PodSandboxConfig, addresses: &[String]) -> io::Result<()> {
    let hostname = if config.hostname.is_empty() { host_name() } else { config.hostname.clone() };
    fs::write(directory.join("hostname"), format!("{hostname}\n"))?;
    fs::write(directory.join("hosts"), hosts(&config.hostname, addresses))?;
    let resolver = match &config.dns_config {
        Some(dns) if !dns.servers.is_empty() || !dns.searches.is_empty() || !dns.options.is_empty() => resolver(dns),
        _ => fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
    };
    fs::write(directory.join("resolv.conf"), resolver)
}

fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Pods on the host's network see its names; the others their own.
fn hosts(hostname: &str, addresses: &[String]) -> String {
    if addresses.is_empty() {
        return fs::read_to_string("/etc/hosts").unwrap_or_default();
    }
    let own = addresses.iter().map(|address| format!("{address}\t{hostname}\n"));
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        .chars()
        .chain(own.collect::<String>().chars())
        .collect()
}

fn resolver(dns: &cri::DNSConfig) -> String {
    let mut text = String::new();
    if !dns.searches.is_empty() {
        text.push_str(&format!("search {}\n", dns.searches.join(" ")));
    }
    dns.servers.iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
    if !dns.options.is_empty() {
        text.push_str(&format!("options {}\n", dns.options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_files_are_spelt_as_the_resolver_reads_them() {
        let strings = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let dns = cri::DNSConfig {
            servers: strings(&["10.43.0.10"]),
            searches: strings(&["a.svc", "svc"]),
            options: strings(&["ndots:5"]),
        };
        assert_eq!(resolver(&dns), "search a.svc svc\nnameserver 10.43.0.10\noptions ndots:5\n");
    }

    #[test]
    fn pods_know_their_own_name() {
        let text = hosts("web-0", &["10.42.0.9".to_owned()]);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n") && text.ends_with("10.42.0.9\tweb-0\n"), "{text}");
    }
}
