//! Measures the OpenAPI documents: `cargo run --release -p schema --example documents`. Prints sizes, plain and packed, the time
//! that making them takes, and the memory that is resident before and after.
#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the machine's clock")]

use std::io::Write;
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use schema::Table;
use schema::openapi::{self, Texts};

fn main() {
    let snapshot = Table::builtin().snapshot();
    println!("resident before       {:8} KB", resident());
    let texts = measure("texts", Texts::read);
    let json = measure("v2 JSON", || {
        let mut json = Vec::new();
        openapi::write_v2(&snapshot, &texts, &mut json).expect("memory takes everything");
        json
    });
    let packed = measure("v2 JSON, packed", || {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        openapi::write_v2(&snapshot, &texts, &mut gzip).expect("memory takes everything");
        gzip.finish().expect("memory takes everything")
    });
    let protobuf = measure("v2 protobuf", || openapi::v2_protobuf(&snapshot, &texts));
    let all = measure("v3, all, packed", || {
        let documents = openapi::documents(&snapshot).into_iter();
        let documents = documents.filter_map(|name| openapi::document(&snapshot, &name, &texts));
        documents.map(|document| pack(&serde_json::to_vec(&document).expect("JSON"))).collect::<Vec<_>>()
    });
    println!("v2 JSON               {:8} KB, packed {} KB", json.len() / 1024, packed.len() / 1024);
    println!("v2 protobuf           {:8} KB, packed {} KB", protobuf.len() / 1024, pack(&protobuf).len() / 1024);
    println!("v3, {} documents      {:8} KB packed", all.len(), all.iter().map(Vec::len).sum::<usize>() / 1024);
    drop((json, protobuf, texts));
    println!("resident after        {:8} KB", resident());
}

fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).and_then(|()| gzip.finish()).expect("memory takes everything")
}

fn measure<T>(what: &str, make: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let made = make();
    println!("{what:<21} {:8} ms", start.elapsed().as_millis());
    made
}

/// Kilobytes of resident memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
