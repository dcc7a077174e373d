//! Rules of many Services in the kernel: all at once, and one change among them.

use std::path::Path;

use informer::Key;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use netfilter::Socket;
use proxy::{Node, State, Tables, fragment};
use serde_json::json;

use super::{Figure, median, new_machine, now, since};

const INSTANCE: &str = "bench";
const SERVICES: u32 = 30_000;
/// How often one Service is changed; the median counts.
const CHANGES: u32 = 21;

pub(crate) fn section(_: &Path) -> Result<Vec<Figure>, String> {
    new_machine()?.inside(measure).map_err(|e| e.to_string())?
}

fn measure() -> Result<Vec<Figure>, String> {
    let tables = Tables::new(INSTANCE, range("10.42.0.0/16")?, range("10.43.0.0/16")?);
    let mut state = State::new();
    let started = now();
    for n in 0..SERVICES {
        set(&mut state, n, n, 2)?;
    }
    state.take();
    apply(&tables.rebuild(&state.whole()))?;
    let load = since(started) / 1000.0;
    let mut times = Vec::new();
    for round in 0..CHANGES {
        let started = now();
        set(&mut state, 77, round, 1 + round % 2)?;
        apply(&tables.update(&state.take()))?;
        times.push(since(started));
    }
    Ok(vec![
        Figure::at_most("30,000 Services with 2 endpoints: into the kernel", "s", load, 5.0, 1.5),
        Figure::at_most("one change among 30,000 Services (p50)", "ms", median(times), 50.0, 5.0),
    ])
}

fn apply(batch: &netfilter::Batch) -> Result<(), String> {
    Socket::open().and_then(|mut socket| socket.apply(batch)).map_err(|e| e.to_string())
}

fn range(text: &str) -> Result<Vec<ipnet::IpNet>, String> {
    text.parse().map(|range| vec![range]).map_err(|_| format!("{text} is no range"))
}

/// Gives Service `n` some endpoints, of which the first depends on `first`.
fn set(state: &mut State, n: u32, first: u32, count: u32) -> Result<(), String> {
    let spec =
        json!({"clusterIP": format!("10.43.{}.{}", n >> 8, n & 255), "ports": [{"port": 80, "targetPort": 8080}]});
    let endpoint = |k: u32| format!("10.42.{}.{}", (2 * first + k) >> 8 & 255, (2 * first + k) & 255);
    let endpoints: Vec<_> = (0..count).map(|k| json!({"addresses": [endpoint(k)], "nodeName": "here"})).collect();
    let slice = json!({"metadata": {}, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints});
    let service: Service = serde_json::from_value(json!({"metadata": {}, "spec": spec})).map_err(|e| e.to_string())?;
    let slice: EndpointSlice = serde_json::from_value(slice).map_err(|e| e.to_string())?;
    let node = Node { name: "here".into(), addresses: Vec::new() };
    let key = Key::new(Some("default"), &format!("service-{n}"));
    state.set(&key, 0, fragment(&service, &[Box::new(slice)], &node));
    Ok(())
}
