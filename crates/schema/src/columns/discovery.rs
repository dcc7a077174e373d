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

/// Entries beyond these are only counted.
const SHOWN: usize = 3;

fn ports(slice: &Value) -> String {
    let ports = read::list(slice, "ports");
    if ports.is_empty() {
        return "<unset>".to_owned();
    }
    let port = |port: &Value| match read::printed(port, "port", "") {
        number if !number.is_empty() => number,
        _ => read::text_or(port, "name", "*").to_owned(),
    };
    shortened(ports.iter().map(port).collect())
}

fn endpoints(slice: &Value) -> String {
    let endpoints = read::list(slice, "endpoints");
    if endpoints.is_empty() {
        return "<unset>".to_owned();
    }
    let addresses = endpoints.iter().flat_map(|e| read::list(e, "addresses")).filter_map(Value::as_str);
    shortened(addresses.map(str::to_owned).collect())
}

fn shortened(mut entries: Vec<String>) -> String {
    let more = entries.len().saturating_sub(SHOWN);
    entries.truncate(SHOWN);
    let shown = entries.join(",");
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}
