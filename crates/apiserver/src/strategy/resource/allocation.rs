//! What a claim was given: devices, who uses them, and how they are.

use object::field::{Error, ErrorList};
use object::names;
use serde_json::{Value, json};

use super::claim::{self, RequestNames};
use super::{binding_conditions, by_text, driver, each, each_once, may_be_admin, parameters, pool_name, unchanged};
use crate::strategy::field::{At, conditions, object_at, required, supported, well_formed};
use crate::strategy::{Context, pod};

const MAX_CONSUMERS: usize = 256;
const MAX_CONDITIONS: usize = 8;
/// In bytes.
const MAX_DATA: usize = 10 << 10;
const MAX_INTERFACE_NAME: usize = 256;
const MAX_HARDWARE_ADDRESS: usize = 128;
const MAX_ADDRESSES: usize = 16;

/// A result with admin access that was not granted before, where its namespace does not allow it.
pub(super) fn wants_admin(cx: &Context<'_>, root: &At<'_>, old: &Value) -> Option<Error> {
    let admin = |at: &At<'_>| at.at("adminAccess").flag();
    if results(&At::root(old)).items().any(|result| admin(&result)) {
        return None;
    }
    let wanted = results(root).items().find(admin)?;
    may_be_admin(cx, &wanted.at("adminAccess"))
}

fn results<'a>(root: &At<'a>) -> At<'a> {
    root.at("status").at("allocation").at("devices").at("results")
}

/// A device, with the share of it that is meant.
fn device_id(value: &Value) -> [&str; 4] {
    ["driver", "pool", "device", "shareID"].map(|field| value[field].as_str().unwrap_or_default())
}

fn allocated(object: &Value) -> impl Iterator<Item = [&str; 4]> {
    object["status"]["allocation"]["devices"]["results"].as_array().into_iter().flatten().map(device_id)
}

/// Drops the status of devices that an update gives back.
pub(super) fn drop_freed_devices(object: &mut Value, old: &Value) {
    let freed: Vec<[&str; 4]> = {
        let kept: Vec<_> = allocated(object).collect();
        allocated(old).filter(|id| !kept.contains(id)).collect()
    };
    let devices = object.pointer_mut("/status/devices").and_then(Value::as_array_mut);
    let Some(devices) = devices else { return };
    devices.retain(|device| !freed.contains(&device_id(device)));
    if devices.is_empty() {
        object_at(object, "status").shift_remove("devices");
    }
}

pub(super) fn status(root: &At<'_>, old: &Value, errors: &mut ErrorList) {
    let status = root.at("status");
    let (consumers, allocation) = (status.at("reservedFor"), status.at("allocation"));
    each_once(&consumers, MAX_CONSUMERS, consumer, |at| at.value["uid"].clone(), errors);
    let known: Vec<[&str; 4]> = allocated(root.value).collect();
    let key = |at: &At<'_>| shared_id(device_id(at.value));
    each_once(&status.at("devices"), usize::MAX, |at, errors| device(at, &known, errors), key, errors);
    if !consumers.is_empty() && !allocation.is_set() {
        errors.push(consumers.forbidden("may not be specified when `allocated` is not set"));
    } else if root.at("metadata").at("deletionTimestamp").is_set() {
        let before = old["status"]["reservedFor"].as_array();
        let is_new = |at: &At<'_>| !before.is_some_and(|before| before.contains(at.value));
        if consumers.items().any(|consumer| is_new(&consumer)) {
            let detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.push(consumers.forbidden(detail));
        }
    }
    let before = &old["status"]["allocation"];
    if !before.is_null() && allocation.is_set() {
        unchanged(&allocation, before, "resource.v1.AllocationResult", errors);
    } else if allocation.is_set() {
        let requests = root.at("spec").at("devices").at("requests");
        result(&allocation, &RequestNames { requests: &requests }, errors);
    }
}

fn consumer(at: &At<'_>, errors: &mut ErrorList) {
    for field in ["resource", "name", "uid"] {
        required(&at.at(field), errors);
    }
}

fn result(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    let devices = at.at("devices");
    each(&devices.at("results"), claim::MAX_RESULTS, |at, errors| device_result(at, names, errors), errors);
    // Those of the class and those of the claim.
    each(&devices.at("config"), 2 * claim::MAX_CONFIG, |at, errors| configuration(at, names, errors), errors);
    if at.at("nodeSelector").is_set() {
        pod::scheduling::node_selector(&at.at("nodeSelector"), false, errors);
    }
}

fn device_result(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    claim::request_reference(&at.at("request"), names, errors);
    driver(&at.at("driver"), errors);
    pool_name(&at.at("pool"), errors);
    well_formed(&at.at("device"), names::dns1123_label, errors);
    binding_conditions(at, errors);
    share(&at.at("shareID"), errors);
}

fn configuration(at: &At<'_>, names: &RequestNames<'_>, errors: &mut ErrorList) {
    if required(&at.at("source"), errors) {
        supported(&at.at("source"), &["FromClaim", "FromClass"], errors);
    }
    claim::request_references(&at.at("requests"), names, errors);
    claim::configuration(at, errors);
}

/// The uid of a share.
fn share(at: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    let uid = at.text();
    if let Some(why) = uid_error(uid) {
        errors.push(at.invalid(format!("error validating uid: {why}")));
    } else if uid.len() != 36 || uid.bytes().any(|b| b.is_ascii_uppercase()) {
        let detail = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase \
                      hexadecimal characters";
        errors.push(at.invalid(detail));
    }
}

/// What is no uid in any of the forms that are in use.
fn uid_error(uid: &str) -> Option<String> {
    let bytes = uid.as_bytes();
    let plain = match bytes.len() {
        36 => bytes,
        45 if bytes[..9].eq_ignore_ascii_case(b"urn:uuid:") => &bytes[9..],
        45 => return Some(format!("invalid urn prefix: {}", object::field::quote(uid.get(..9).unwrap_or_default()))),
        38 if bytes[0] == b'{' && bytes[37] == b'}' => &bytes[1..37],
        38 => return Some("invalid bracketed UUID format".to_owned()),
        32 => bytes,
        length => return Some(format!("invalid UUID length: {length}")),
    };
    let dashes = plain.len() == 36;
    let fits = plain.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 if dashes => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (!fits).then(|| "invalid UUID format".to_owned())
}

fn device(at: &At<'_>, known: &[[&str; 4]], errors: &mut ErrorList) {
    driver(&at.at("driver"), errors);
    pool_name(&at.at("pool"), errors);
    well_formed(&at.at("device"), names::dns1123_label, errors);
    share(&at.at("shareID"), errors);
    let id = device_id(at.value);
    if !known.contains(&id) {
        errors.push(Error::invalid(&at.path, shared_id(id), "must be an allocated device in the claim"));
    }
    let list = at.at("conditions");
    if list.count() > MAX_CONDITIONS {
        errors.push(Error::too_many(&list.path, list.count(), MAX_CONDITIONS));
    }
    conditions(&list, errors);
    if at.at("data").is_set() {
        parameters(&at.at("data"), MAX_DATA, errors);
    }
    network(&at.at("networkData"), errors);
}

/// A device as messages show it.
fn shared_id([driver, pool, device, share]: [&str; 4]) -> Value {
    json!({"Driver": driver, "Pool": pool, "Device": device, "ShareID": share})
}

fn network(at: &At<'_>, errors: &mut ErrorList) {
    for (field, max) in [("interfaceName", MAX_INTERFACE_NAME), ("hardwareAddress", MAX_HARDWARE_ADDRESS)] {
        if at.at(field).text().len() > max {
            errors.push(Error::too_long(&at.at(field).path, max));
        }
    }
    each_once(&at.at("ips"), MAX_ADDRESSES, address, by_text, errors);
}

/// An address with the size of its network.
fn address(at: &At<'_>, errors: &mut ErrorList) {
    let Some((ip, bits)) = names::parse_cidr(at.text()) else {
        let detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        errors.push(at.invalid(detail));
        return;
    };
    let (ip, bits) = match ip.to_canonical() {
        canonical if canonical != ip => (canonical, bits.saturating_sub(96)),
        canonical => (canonical, bits),
    };
    let canonical = format!("{ip}/{bits}");
    if at.text() != canonical {
        errors.push(at.invalid(format!("must be in canonical form (\"{canonical}\")")));
    }
}
