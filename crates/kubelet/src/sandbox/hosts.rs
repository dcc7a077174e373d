//! The hosts file of a pod.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::HostAlias;

use super::Hostname;

const OWN: &str = "\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
";

/// The file of a pod with addresses of its own.
#[must_use]
pub fn own(ips: &[IpAddr], name: &Hostname, aliases: &[HostAlias]) -> String {
    let mut text = OWN.to_owned();
    for ip in ips {
        text += &match &name.domain {
            Some(domain) => format!("{ip}\t{host}.{domain}\t{host}\n", host = name.host),
            None => format!("{ip}\t{}\n", name.host),
        };
    }
    text + &added(aliases)
}

/// The file of a pod in the node's network, which starts from the node's own.
#[must_use]
pub fn of_node(node: &str, aliases: &[HostAlias]) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{node}{}", added(aliases))
}

fn added(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let lines = aliases.iter().map(|alias| {
        let names = alias.hostnames.iter().flatten().map(|name| format!("\t{name}")).collect::<String>();
        format!("{}{names}\n", alias.ip)
    });
    format!("\n# Entries added by HostAliases.\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_and_aliases() {
        let name = Hostname { host: "web".into(), domain: Some("s.ns.svc.cluster.local".into()) };
        let alias = HostAlias { ip: "1.2.3.4".into(), hostnames: Some(vec!["a".into(), "b".into()]) };
        let text = own(&["10.42.0.5".parse().unwrap()], &name, &[alias]);
        assert!(text.starts_with(OWN));
        assert!(text.ends_with(
            "10.42.0.5\tweb.s.ns.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
        ));
    }

    #[test]
    fn of_the_node() {
        assert_eq!(
            of_node("127.0.0.1 localhost\n", &[]),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"
        );
    }
}
