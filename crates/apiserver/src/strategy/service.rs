//! Services: what they draw from the pools, what they keep over updates, what they may be.

mod addresses;
mod families;
mod traffic;
mod update;
mod validate;
mod warnings;

use std::net::IpAddr;

use futures::future::BoxFuture;
use object::field::{Error as FieldError, ErrorList, Path};
use object::names;
use serde_json::Value;

use super::field::{At, object_at, remove};
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
        drop_inner_policy(object);
    }

    fn prepare_update(&self, cx: &Context<'_>, object: &mut Value, old: &Value) {
        if cx.subresource.is_empty() {
            update::align_addresses(object, Some(old));
            update::drop_type_dependent(object, old);
            update::keep_allocated(object, old);
            drop_inner_policy(object);
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
        validate::service(&At::root(object), None, &mut errors);
        errors
    }

    fn validate_update(&self, cx: &Context<'_>, object: &Value, old: &Value) -> ErrorList {
        let (root, mut errors) = (At::root(object), ErrorList::new());
        if cx.subresource == "status" {
            validate::status(&root, old, &mut errors);
        } else {
            validate::update(&root, old, &mut errors);
            validate::service(&root, Some(old), &mut errors);
        }
        errors
    }

    fn warnings(&self, cx: &Context<'_>, object: &Value, _: Option<&Value>) -> Vec<String> {
        if cx.subresource == "status" { warnings::of_status(object) } else { warnings::of(object) }
    }

    fn check_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::dns1123_label(&without_final_dash(name, prefix))
    }

    fn allows_create_on_update(&self) -> bool {
        true
    }

    fn returns_deleted(&self) -> bool {
        true
    }
}

/// A name elsewhere has no traffic inside of the cluster.
fn drop_inner_policy(object: &mut Value) {
    if kind(&object["spec"]) == "ExternalName" {
        remove(&mut object["spec"], "internalTrafficPolicy");
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
    let mut errors = ErrorList::new();
    let before = old.map_or(&Value::Null, |old| &old["spec"]);
    addresses::validate(&At::root(object).at("spec"), before, &mut errors);
    if errors.is_empty() {
        errors = families::settle(object, &cx.allocators.families());
    }
    if !errors.is_empty() {
        return Err(invalid(object, errors));
    }
    let mut hold = cx.allocators.hold(cx.host, cx.objects, &owner_of(object), cx.dry_run);
    take_addresses(cx, object, &mut hold).await?;
    node_ports(cx, object, old.is_none(), &mut hold)?;
    health_port(cx, object, &mut hold)?;
    if let Some(old) = old {
        let needed: Vec<_> = items(object).collect();
        items(old).filter(|item| !needed.contains(item)).for_each(|item| hold.give(item));
    }
    Ok(Some(Box::new(hold)))
}

/// One address for each family, those that are chosen first.
async fn take_addresses(cx: &Context<'_>, object: &mut Value, hold: &mut Hold) -> Result<()> {
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

/// A port of the nodes for each port of the Service that wants one. In a new Service, ports with the same number share
/// one, for their protocols.
fn node_ports(cx: &Context<'_>, object: &mut Value, is_new: bool, hold: &mut Hold) -> Result<()> {
    if !matches!(kind(&object["spec"]), "NodePort" | "LoadBalancer") {
        return Ok(());
    }
    let mut taken: Vec<(Value, u64)> = Vec::new();
    for index in 0..object["spec"]["ports"].as_array().map_or(0, Vec::len) {
        let port = object["spec"]["ports"][index]["port"].clone();
        let shared = taken.iter().find(|(other, _)| is_new && *other == port).map(|(_, number)| *number);
        let number = match chosen_port(&object["spec"], index) {
            0 if !has_node_ports(&object["spec"]) => continue,
            0 => match shared.or_else(|| later_port(&object["spec"], &port).filter(|_| is_new)) {
                Some(number) => number,
                None => u64::from(hold.next_port(&*cx.host.entropy).map_err(|e| exhausted("nodePort", &e))?),
            },
            chosen => chosen,
        };
        let clash = is_new && shared != Some(number) && taken.iter().any(|(_, other)| *other == number);
        let claimed = if clash { Err(AllocationError::PortTaken) } else { take_port(hold, number) };
        let path = Path::new("spec.ports").index(index).child("nodePort");
        claimed.map_err(|e| invalid(object, FieldError::invalid(&path, number, e.to_string()).into()))?;
        taken.push((port, number));
        object["spec"]["ports"][index]["nodePort"] = number.into();
    }
    Ok(())
}

fn chosen_port(spec: &Value, index: usize) -> u64 {
    spec["ports"][index]["nodePort"].as_u64().unwrap_or_default()
}

/// The node port that another entry with the same number asks for.
fn later_port(spec: &Value, port: &Value) -> Option<u64> {
    let count = spec["ports"].as_array().map_or(0, Vec::len);
    (0..count)
        .filter(|index| spec["ports"][*index]["port"] == *port)
        .map(|index| chosen_port(spec, index))
        .find(|n| *n != 0)
}

/// The port at which load balancers ask the nodes for their health.
fn health_port(cx: &Context<'_>, object: &mut Value, hold: &mut Hold) -> Result<()> {
    let health = object["spec"]["healthCheckNodePort"].as_u64().unwrap_or_default();
    if has_health_port(&object["spec"]) && health == 0 {
        let port = hold.next_port(&*cx.host.entropy).map_err(|e| exhausted("HealthCheck NodePort", &e))?;
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

fn invalid(object: &Value, errors: ErrorList) -> Error {
    Error::invalid("", "Service", object::meta::name(object), &errors)
}

fn exhausted(what: &str, error: &AllocationError) -> Error {
    Error::internal(std::io::Error::other(format!("failed to allocate a {what}: {error}")))
}
