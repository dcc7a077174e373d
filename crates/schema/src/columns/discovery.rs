//! The table of endpoint slices.

use serde_json::Value;

use super::{Column, read};

pub(super) static ENDPOINT_SLICES: &[Column] = &[
    Column::name(),
    Column::path("AddressType", "addressType"),
    Column::text("Ports", |o, _| ports(o).into()),
    Column::text("Endpoints", |o, _| endpoints(o).into()),
    Column::age(),
];

fn ports(slice: &Value) -> String {
    let ports = read::list(slice, "ports");
    let port = |port: &Value| match read::printed(port, "port", "") {
        number if !number.is_empty() => number,
        _ => read::printed(port, "name", "*"),
    };
    read::shortened_or_unset(ports.iter().map(port).collect())
}

fn endpoints(slice: &Value) -> String {
    let endpoints = read::list(slice, "endpoints");
    let addresses = endpoints.iter().flat_map(|e| read::list(e, "addresses")).filter_map(Value::as_str);
    read::shortened_or_unset(addresses.map(str::to_owned).collect())
}
