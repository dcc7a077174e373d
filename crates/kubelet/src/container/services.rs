//! Environment variables that tell containers where Services are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort};

/// The variables for `services` that have a cluster address.
#[must_use]
pub fn variables<'a>(services: impl IntoIterator<Item = &'a Service>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for service in services {
        add(&mut variables, service);
    }
    variables
}

fn add(variables: &mut BTreeMap<String, String>, service: &Service) -> Option<()> {
    let spec = service.spec.as_ref()?;
    let address = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")?;
    let ports = spec.ports.as_deref().unwrap_or_default();
    let first = ports.first()?;
    let name = variable_name(service.metadata.name.as_deref()?);
    variables.insert(format!("{name}_SERVICE_HOST"), address.to_owned());
    variables.insert(format!("{name}_SERVICE_PORT"), first.port.to_string());
    for port in ports {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            variables.insert(format!("{name}_SERVICE_PORT_{}", variable_name(port_name)), port.port.to_string());
        }
    }
    variables.insert(format!("{name}_PORT"), url(address, first));
    for port in ports {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        variables.insert(format!("{prefix}_PROTO"), protocol.to_lowercase());
        variables.insert(format!("{prefix}_PORT"), port.port.to_string());
        variables.insert(format!("{prefix}_ADDR"), address.to_owned());
        variables.insert(prefix, url(address, port));
    }
    Some(())
}

fn url(address: &str, port: &ServicePort) -> String {
    let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
    match address.contains(':') {
        true => format!("{protocol}://[{address}]:{}", port.port),
        false => format!("{protocol}://{address}:{}", port.port),
    }
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_of_a_service() {
        let service = |name: &str, ip: &str| -> Service {
            serde_json::from_value(json!({
                "metadata": {"name": name},
                "spec": {"clusterIP": ip, "ports": [{"name": "web-1", "port": 80}, {"port": 53, "protocol": "UDP"}]}
            }))
            .unwrap()
        };
        let services = [service("my-db", "10.43.0.9"), service("headless", "None")];
        let expected = [
            ("MY_DB_PORT", "tcp://10.43.0.9:80"),
            ("MY_DB_PORT_53_UDP", "udp://10.43.0.9:53"),
            ("MY_DB_PORT_53_UDP_ADDR", "10.43.0.9"),
            ("MY_DB_PORT_53_UDP_PORT", "53"),
            ("MY_DB_PORT_53_UDP_PROTO", "udp"),
            ("MY_DB_PORT_80_TCP", "tcp://10.43.0.9:80"),
            ("MY_DB_PORT_80_TCP_ADDR", "10.43.0.9"),
            ("MY_DB_PORT_80_TCP_PORT", "80"),
            ("MY_DB_PORT_80_TCP_PROTO", "tcp"),
            ("MY_DB_SERVICE_HOST", "10.43.0.9"),
            ("MY_DB_SERVICE_PORT", "80"),
            ("MY_DB_SERVICE_PORT_WEB_1", "80"),
        ];
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(variables(&services), expected);
    }
}
