//! Finds the shim program that `make embedded` has prepared, so that the binary can carry it, and generates the glue of
//! our own service.

use std::fs;
use std::path::Path;

fn main() {
    generate_service();
    embed_shim();
}

fn generate_service() {
    let load = tonic_build::manual::Method::builder()
        .name("load")
        .route_name("Load")
        .input_type("crate::server::LoadRequest")
        .output_type("crate::server::LoadResponse")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    let images = tonic_build::manual::Service::builder().name("Images").package("coracle.runtime.v1").method(load);
    tonic_build::manual::Builder::new().compile(&[images.build()]);
}

fn embed_shim() {
    println!("cargo::rustc-check-cfg=cfg(embedded_shim)");
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets this");
    let directory = Path::new(&manifest).join("../../target/embedded");
    // Watching what does not exist would mean running at every build.
    fs::create_dir_all(&directory).expect("the target directory can be written");
    println!("cargo::rerun-if-changed={}", directory.display());
    let program = directory.join("shim");
    if program.exists() {
        println!("cargo::rustc-cfg=embedded_shim");
        println!("cargo::rustc-env=EMBEDDED_SHIM={}", program.display());
    }
}
