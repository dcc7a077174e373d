//! How OpenAPI is served: forms, names of content, gzip.

use std::io::Read;

use http::Method;

use crate::server::{Answer, Api};

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn unpack(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&answer.bytes[..]).read_to_end(&mut plain).expect("a gzip stream");
    plain
}

#[tokio::test(start_paused = true)]
async fn v2_has_two_forms_and_one_name() {
    let api = Api::start().await;
    let ask = async |headers: &[(&str, &str)]| api.ask(Method::GET, "/openapi/v2", headers, "").await;
    let json = ask(&[]).await;
    assert_eq!((json.header("content-type"), json.header("content-encoding")), ("application/json", ""));
    let document = json.ok();
    assert!(document["paths"]["/api/v1/namespaces/{namespace}/pods"]["get"].is_object());
    let etag = json.header("etag").to_owned();
    assert_eq!(unpack(&ask(&[("accept-encoding", "gzip, deflate")]).await), json.bytes);
    let known = ask(&[("if-none-match", &format!("\"x\", {etag}"))]).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
    for accept in [PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"] {
        let encoded = ask(&[("accept", accept)]).await;
        assert_eq!((encoded.header("content-type"), encoded.header("etag")), (PROTOBUF, etag.as_str()));
        assert!(encoded.bytes.starts_with(b"\x0a\x032.0"), "{:?}", &encoded.bytes[..8]);
        assert_eq!(unpack(&ask(&[("accept", accept), ("accept-encoding", "gzip")]).await), encoded.bytes);
    }
    assert_eq!(ask(&[("accept", "text/html")]).await.status, 406);
    let head = api.ask(Method::HEAD, "/openapi/v2", &[], "").await;
    assert_eq!((head.status.as_u16(), head.bytes.len(), head.header("etag")), (200, 0, etag.as_str()));
}

#[tokio::test(start_paused = true)]
async fn documents_are_named_by_content() {
    let api = Api::start().await;
    let index = api.get("/openapi/v3").await.ok();
    let url = |name: &str| index["paths"][name]["serverRelativeURL"].as_str().expect("a URL").to_owned();
    for name in ["apis/apps/v1", "apis/apps", "api", "version"] {
        let document = api.get(&url(name)).await;
        assert!(document.ok()["paths"].as_object().is_some_and(|paths| !paths.is_empty()));
        assert!(url(name).ends_with(document.header("etag").trim_matches('"')), "{name}");
        assert!(document.header("cache-control").contains("immutable"));
    }
    let old = api.get("/openapi/v3/apis/apps/v1?hash=OLD").await;
    assert_eq!((old.status.as_u16(), old.header("location")), (301, url("apis/apps/v1").as_str()));
    assert_eq!(api.get("/openapi/v3/apis/none/v1").await.status, 404);
}
