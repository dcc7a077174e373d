//! Generates the gRPC client and server glue from the tables of methods below; needs no protoc.

use tonic_build::manual::{Builder, Method, Service};

/// Methods of `runtime.v1.RuntimeService`. A method named `Foo` takes `FooRequest` and returns `FooResponse`.
const RUNTIME: &[&str] = &[
    "Version",
    "RunPodSandbox",
    "StopPodSandbox",
    "RemovePodSandbox",
    "PodSandboxStatus",
    "ListPodSandbox",
    "CreateContainer",
    "StartContainer",
    "StopContainer",
    "RemoveContainer",
    "ListContainers",
    "ContainerStatus",
    "UpdateContainerResources",
    "ReopenContainerLog",
    "ExecSync",
    "Exec",
    "Attach",
    "PortForward",
    "ContainerStats",
    "ListContainerStats",
    "PodSandboxStats",
    "ListPodSandboxStats",
    "UpdateRuntimeConfig",
    "Status",
    "RuntimeConfig",
    "UpdatePodSandboxResources",
];

/// Methods of `runtime.v1.ImageService`.
const IMAGE: &[&str] = &["ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let events = method("GetContainerEvents", "GetEventsRequest", "ContainerEventResponse").server_streaming();
    let runtime = RUNTIME
        .iter()
        .fold(service("RuntimeService"), |service, name| service.method(unary(name).build()))
        .method(events.build());
    let image = IMAGE.iter().fold(service("ImageService"), |service, name| service.method(unary(name).build()));
    Builder::new().compile(&[runtime.build(), image.build()]);
}

fn service(name: &str) -> tonic_build::manual::ServiceBuilder {
    Service::builder().name(name).package("runtime.v1")
}

fn unary(name: &str) -> tonic_build::manual::MethodBuilder {
    method(name, &format!("{name}Request"), &format!("{name}Response"))
}

fn method(route: &str, input: &str, output: &str) -> tonic_build::manual::MethodBuilder {
    Method::builder()
        .name(snake(route))
        .route_name(route)
        .input_type(format!("crate::{input}"))
        .output_type(format!("crate::{output}"))
        .codec_path("tonic_prost::ProstCodec")
}

fn snake(camel: &str) -> String {
    let mut out = String::new();
    for c in camel.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
