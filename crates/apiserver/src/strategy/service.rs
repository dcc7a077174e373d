//! Services: what they draw from the pools, what they keep over updates, what they may be.

mod families;
mod update;
mod validate;

use std::net::IpAddr;

use futures::future::BoxFuture;
use object::field::{Error as FieldError, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, object_at};
use super::{Context, Reservation, Strategy, without_final_dash};
use crate::allocator::{AllocationError, Family, Hold, items, owner_of};
use crate::error::{Error, Result};

pub(super) struct Service;

/// Upstream's word for a Service without an address of its own.
pub(super) const HEADLESS: &str = "None";

impl Strategy for Service {
    fn prepare_create(&self, _: &Context<'_>, object: &mut Value) {
        object["status"] = serde_json::json!({"loadBalancer": {}});
        update::align_addresses(object, None);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource.is_empty() {
            update::align_addresses(object, Some(old));
            update::drop_type_dependent(object, old);
            update::keep_allocated(object, old);
        }
    }

    fn reserve<'a>(
        &'a self,
        cx: &'a Context<'_>,
        object: &'a mut Value,
        old: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Reservation>>>> {
        Box::pin(reserve(cx, object, old))
    }

    fn released(&self, cx: &Context<'_>, object: &Value) {
        cx.allocators.release(cx.host, &owner_of(object), object);
    }

    fn validate(&self, _: &Context<'_>, object: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        validate::spec(&At::root(object).at("spec"), &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if cx.subresource == "status" {
            validate::status(&At::root(object).at("status"), &mut errors);
            return errors;
        }
        validate::changed_addresses(object, old, &mut errors);
        errors.extend(self.validate(cx, object));
        errors
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::dns1035_label(&without_final_dash(name, prefix))
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

/// Whether a Service of this kind has an address in the cluster.
pub(super) fn has_address(spec: &Value) -> bool {
    kind(spec) != "ExternalName" && !is_headless(spec)
}

pub(super) fn is_headless(spec: &Value) -> bool {
    spec["clusterIP"] == HEADLESS || spec["clusterIPs"][0] == HEADLESS
}

/// The type of a Service.
pub(super) fn kind(spec: &Value) -> &str {
    spec["type"].as_str().unwrap_or("ClusterIP")
}

/// Whether its ports are open on every node.
pub(super) fn has_node_ports(spec: &Value) -> bool {
    match kind(spec) {
        "NodePort" => true,
        "LoadBalancer" => spec["allocateLoadBalancerNodePorts"].as_bool().unwrap_or(true),
        _ => false,
    }
}

/// Whether load balancers ask its nodes for their health.
pub(super) fn has_health_port(spec: &Value) -> bool {
    kind(spec) == "LoadBalancer" && spec["externalTrafficPolicy"] == "Local"
}

async fn reserve(cx: &Context<'_>, object: &mut Value, old: Option<&Value>) -> Result<Option<Box<dyn Reservation>>> {
    if !cx.subresource.is_empty() {
        return Ok(None);
    }
    let errors = families::settle(object, &cx.allocators.families());
    if !errors.is_empty() {
        return Err(invalid(object, errors));
    }
    let mut hold = cx.allocators.hold(cx.host, cx.objects, &owner_of(object), cx.dry_run);
    addresses(cx, object, &mut hold).await?;
    node_ports(cx, object, &mut hold)?;
    if let Some(old) = old {
        let needed: Vec<_> = items(object).collect();
        items(old).filter(|item| !needed.contains(item)).for_each(|item| hold.give(item));
    }
    Ok(Some(Box::new(hold)))
}

/// One address for each family, those that are chosen first.
async fn addresses(cx: &Context<'_>, object: &mut Value, hold: &mut Hold) -> Result<()> {
    if !has_address(&object["spec"]) {
        return Ok(());
    }
    let spec = At::root(object).at("spec");
    let chosen: Vec<String> = spec.at("clusterIPs").items().map(|ip| ip.text().to_owned()).collect();
    let families: Vec<Family> =
        spec.at("ipFamilies").items().filter_map(|family| Family::parse(family.text())).collect();
    let mut addresses = Vec::new();
    for address in &chosen {
        // What is no address is for validation to say.
        if let Ok(parsed) = address.parse::<IpAddr>() {
            hold.take_address(parsed).await.map_err(|e| taken_address(object, address, &e))?;
        }
        addresses.push(address.clone());
    }
    for family in families.into_iter().skip(chosen.len()) {
        let entropy = &*cx.host.entropy;
        let address = hold.next_address(family, entropy).await.map_err(|e| exhausted("serviceIP", &e))?;
        addresses.push(address.to_string());
    }
    let spec = object_at(object, "spec");
    spec.insert("clusterIP".to_owned(), addresses.first().cloned().unwrap_or_default().into());
    spec.insert("clusterIPs".to_owned(), addresses.into());
    Ok(())
}

fn taken_address(object: &Value, address: &str, error: &AllocationError) -> Error {
    let value = object["spec"]["clusterIPs"].clone();
    let detail = format!("failed to allocate IP {address}: {error}");
    invalid(object, FieldError::invalid(&Path::new("spec.clusterIPs"), value, detail).into())
}

/// A node port for each port; ports with the same number share one, for their protocols.
fn node_ports(cx: &Context<'_>, object: &mut Value, hold: &mut Hold) -> Result<()> {
    let entropy = &*cx.host.entropy;
    if has_node_ports(&object["spec"]) {
        let ports: Vec<Value> = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
        for (index, port) in ports.iter().enumerate() {
            let chosen = port["nodePort"].as_u64().unwrap_or_default();
            let path = Path::new("spec.ports").index(index).child("nodePort");
            let number = match (chosen, shared_port(object, index)) {
                (0, Some(shared)) => shared,
                (0, None) => u64::from(hold.next_port(entropy).map_err(|e| exhausted("nodePort", &e))?),
                (chosen, _) => {
                    take_port(hold, chosen)
                        .map_err(|e| invalid(object, FieldError::invalid(&path, chosen, e.to_string()).into()))?;
                    chosen
                }
            };
            object["spec"]["ports"][index]["nodePort"] = number.into();
        }
    }
    let health = object["spec"]["healthCheckNodePort"].as_u64().unwrap_or_default();
    if has_health_port(&object["spec"]) && health == 0 {
        let port = hold.next_port(entropy).map_err(|e| exhausted("HealthCheck NodePort", &e))?;
        object["spec"]["healthCheckNodePort"] = port.into();
    } else if health != 0 {
        let path = Path::new("spec.healthCheckNodePort");
        take_port(hold, health)
            .map_err(|e| invalid(object, FieldError::invalid(&path, health, e.to_string()).into()))?;
    }
    Ok(())
}

fn take_port(hold: &mut Hold, port: u64) -> std::result::Result<(), AllocationError> {
    hold.take_port(u16::try_from(port).unwrap_or(0))
}

/// The node port of an earlier port with the same number and another protocol.
fn shared_port(object: &Value, index: usize) -> Option<u64> {
    let ports = object["spec"]["ports"].as_array()?;
    let port = &ports[index];
    let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] != port["protocol"];
    ports[..index].iter().find(same)?["nodePort"].as_u64().filter(|port| *port != 0)
}

fn invalid(object: &Value, errors: ErrorList) -> Error {
    Error::invalid("", "Service", object::meta::name(object), &errors)
}

fn exhausted(what: &str, error: &AllocationError) -> Error {
    Error::internal(std::io::Error::other(format!("failed to allocate a {what}: {error}")))
}
