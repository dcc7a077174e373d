//! Requests that are refused, and with which words.

use http::Method;
use serde_json::{Value, json};

use crate::server::Api;

struct Case {
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    code: u16,
    reason: &'static str,
    /// Part of the message.
    message: &'static str,
}

const CM: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &[(&str, &str)] = &[("content-type", "application/merge-patch+json")];

const fn case(
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    code: u16,
    reason: &'static str,
    message: &'static str,
) -> Case {
    Case { method, path, headers, body, code, reason, message }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case(Method::GET, "/api/v1/namespaces/default/configmaps/none", &[], "", 404, "NotFound", "configmaps \"none\" not found"),
    case(Method::GET, "/apis/apps/v1/namespaces/default/deployments/none", &[], "", 404, "NotFound", "deployments.apps \"none\" not found"),
    case(Method::GET, "/api/v1/nothings", &[], "", 404, "NotFound", "could not find the requested resource"),
    case(Method::GET, "/apis/none/v1/things", &[], "", 404, "NotFound", "could not find the requested resource"),
    case(Method::GET, "/nowhere", &[], "", 404, "NotFound", "could not find the requested resource"),
    case(Method::GET, "/api/v1/namespaces/default/nodes", &[], "", 404, "NotFound", ""),
    case(Method::DELETE, "/api/v1/pods", &[], "", 405, "MethodNotAllowed", "does not allow this method"),
    case(Method::POST, "/api/v1/configmaps", &[], "{}", 405, "MethodNotAllowed", ""),
    case(Method::POST, "/version", &[], "", 405, "MethodNotAllowed", ""),
    case(Method::POST, CM, &[], "", 400, "BadRequest", ""),
    case(Method::POST, CM, &[], "{", 400, "BadRequest", ""),
    case(Method::POST, CM, &[], "[]", 400, "BadRequest", ""),
    case(Method::POST, CM, &[("content-type", "text/plain")], "{}", 415, "UnsupportedMediaType", "unknown format"),
    case(Method::POST, CM, &[], r#"{"kind":"Pod","apiVersion":"v1"}"#, 400, "BadRequest", "cannot be handled as a ConfigMap"),
    case(Method::POST, CM, &[], r#"{"apiVersion":"v2"}"#, 400, "BadRequest", "the API version in the data (v2) does not match the expected API version (v1)"),
    case(Method::POST, CM, &[], r#"{"metadata":{}}"#, 422, "Invalid", "name or generateName is required"),
    case(Method::POST, CM, &[], r#"{"metadata":{"name":"A_b"}}"#, 422, "Invalid", "a lowercase RFC 1123 subdomain must consist of"),
    case(Method::POST, CM, &[], r#"{"metadata":{"name":"a","namespace":"other"}}"#, 400, "BadRequest", "the namespace of the provided object does not match"),
    case(Method::POST, CM, &[], r#"{"metadata":{"name":"a","resourceVersion":"5"}}"#, 400, "BadRequest", "resourceVersion should not be set"),
    case(Method::POST, CM, &[], r#"{"metadata":{"name":"a","labels":{"x":"-"}}}"#, 422, "Invalid", "metadata.labels: Invalid value: \"-\""),
    case(Method::POST, "/api/v1/namespaces/default/configmaps?fieldValidation=Strict", &[], r#"{"metadata":{"name":"a"},"dota":{}}"#, 400, "BadRequest", "strict decoding error: unknown field \"dota\""),
    case(Method::POST, "/api/v1/namespaces/default/configmaps?dryRun=Some", &[], "{}", 422, "Invalid", "dryRun"),
    case(Method::POST, "/api/v1/namespaces/default/configmaps?fieldValidation=No", &[], "{}", 422, "Invalid", "fieldValidation"),
    case(Method::PUT, "/api/v1/namespaces/default/configmaps/none", &[], r#"{"metadata":{"name":"none"}}"#, 404, "NotFound", "configmaps \"none\" not found"),
    case(Method::PUT, "/api/v1/namespaces/default/configmaps/there", &[], r#"{"metadata":{"name":"other"}}"#, 400, "BadRequest", "the name of the object (other) does not match the name on the URL (there)"),
    case(Method::PUT, "/api/v1/namespaces/default/configmaps/there", &[], r#"{"metadata":{}}"#, 400, "BadRequest", "name must be provided"),
    case(Method::PUT, "/api/v1/namespaces/default/configmaps/there", &[], r#"{"metadata":{"name":"there","resourceVersion":"1"}}"#, 409, "Conflict", "the object has been modified; please apply your changes"),
    case(Method::PUT, "/api/v1/namespaces/default/configmaps/there", &[], r#"{"metadata":{"name":"there","uid":"x"}}"#, 409, "Conflict", "Precondition failed: UID in precondition: x"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/none", MERGE, "{}", 404, "NotFound", ""),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there", &[("content-type", "application/json")], "{}", 415, "UnsupportedMediaType", "application/strategic-merge-patch+json"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there", &[("content-type", "application/apply-patch+yaml")], "{}", 415, "UnsupportedMediaType", "server-side apply is not supported"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there?force=true", &[("content-type", "application/apply-patch+yaml")], "{}", 415, "UnsupportedMediaType", "server-side apply is not supported"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there?force=true", MERGE, "{}", 422, "Invalid", "may not be specified for non-apply patch"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there", MERGE, r#"{"metadata":{"name":"x"}}"#, 400, "BadRequest", "does not match the name on the URL"),
    case(Method::PATCH, "/api/v1/namespaces/default/configmaps/there", MERGE, r#"{"data":{"a":1}}"#, 400, "BadRequest", "cannot be handled as a ConfigMap"),
    case(Method::GET, "/api/v1/namespaces/default/configmaps/there", &[("accept", "text/html")], "", 406, "NotAcceptable", "accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"),
    case(Method::GET, "/api/v1/configmaps?fieldSelector=data.x%3D1", &[], "", 400, "BadRequest", "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    case(Method::GET, "/api/v1/configmaps?labelSelector=a%3D%3D%3Db", &[], "", 400, "BadRequest", "unable to parse requirement"),
    case(Method::GET, "/api/v1/configmaps?limit=1&continue=xx", &[], "", 400, "BadRequest", "continue key is not valid"),
    case(Method::GET, "/api/v1/configmaps?resourceVersion=x", &[], "", 422, "Invalid", "resourceVersion"),
    case(Method::GET, "/api/v1/configmaps?resourceVersion=99999999", &[], "", 504, "Timeout", "Too large resource version: 99999999"),
    case(Method::DELETE, "/api/v1/namespaces/default/configmaps/none", &[], "", 404, "NotFound", ""),
    case(Method::DELETE, "/api/v1/namespaces/default/configmaps/there?propagationPolicy=X", &[], "", 422, "Invalid", "propagationPolicy: Unsupported value: \"X\""),
    case(Method::DELETE, "/api/v1/namespaces/default/configmaps/there", &[], r#"{"preconditions":{"uid":"x"}}"#, 409, "Conflict", "Precondition failed: UID in precondition: x"),
    case(Method::GET, "/api/v1/namespaces/default/configmaps/there/status", &[], "", 404, "NotFound", ""),
    case(Method::GET, "/api/v1/namespaces/default/configmaps/there", &[("impersonate-user", "x")], "", 403, "Forbidden", "impersonation is not supported"),
    case(Method::GET, "/api/v1/pods?timeout=x", &[], "", 400, "BadRequest", "invalid timeout"),
];

#[tokio::test(start_paused = true)]
async fn refusals_use_upstreams_words() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "there"}, "data": {"a": "b"}})).await.ok();
    for case in CASES {
        let answer = api.ask(case.method.clone(), case.path, case.headers, case.body).await;
        let status = answer.json();
        let said = format!("{} {} {}: {status}", case.method, case.path, case.body);
        assert_eq!(answer.status.as_u16(), case.code, "{said}");
        assert_eq!(
            (&status["kind"], &status["status"], &status["code"]),
            (&json!("Status"), &json!("Failure"), &json!(case.code)),
            "{said}"
        );
        assert_eq!(status["reason"], case.reason, "{said}");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains(case.message), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_may_not_are_told_what() {
    let api = Api::start().await;
    let client = api.handle.client(apiserver::User::new("nobody"));
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = kube::Api::namespaced(client.clone(), "default");
    let Err(kube::Error::Api(status)) = pods.get("p").await else { panic!("nobody may read pods") };
    assert_eq!(
        status.message,
        r#"pods "p" is forbidden: User "nobody" cannot get resource "pods" in API group "" in the namespace "default""#
    );
    let Err(kube::Error::Api(status)) = client.apiserver_version().await else { panic!("nobody may ask") };
    assert_eq!(status.message, r#"forbidden: User "nobody" cannot get path "/version""#);
}

#[tokio::test(start_paused = true)]
async fn large_bodies_are_refused() {
    let api = Api::start().await;
    let body = json!({"metadata": {"name": "big"}, "data": {"a": "x".repeat(4 << 20)}});
    let answer = api.post(CM, &body).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (413, &json!("RequestEntityTooLarge")));
}

#[tokio::test(start_paused = true)]
async fn answers_carry_ids_and_warnings() {
    let api = Api::start().await;
    let body = r#"{"metadata":{"name":"w"},"dota":{},"data":{"a":"1","a":"2"}}"#;
    let answer = api.ask(Method::POST, CM, &[("audit-id", "my-id")], body).await;
    answer.ok();
    assert_eq!((answer.header("audit-id"), answer.header("cache-control")), ("my-id", "no-cache, private"));
    let warnings: Vec<_> = answer.headers.get_all("warning").iter().filter_map(|value| value.to_str().ok()).collect();
    assert_eq!(warnings, [r#"299 - "unknown field \"dota\"""#, r#"299 - "duplicate field \"data.a\"""#]);
    assert_eq!(api.get("/version").await.header("audit-id").len(), 36);
}

#[tokio::test(start_paused = true)]
async fn other_forms_are_negotiated() {
    let api = Api::start().await;
    api.post(CM, &json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}})).await.ok();
    let path = format!("{CM}/a");
    let yaml = api.ask(Method::GET, &path, &[("accept", "application/yaml")], "").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: ConfigMap\n"), "{yaml:?}");
    let both = "text/html,application/json";
    assert_eq!(api.ask(Method::GET, &path, &[("accept", both)], "").await.ok()["kind"], "ConfigMap");
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = api.ask(Method::GET, CM, &[("accept", table)], "").await.ok();
    assert_eq!((&table["kind"], &table["columnDefinitions"][0]["name"]), (&json!("Table"), &json!("Name")));
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = api.ask(Method::GET, CM, &[("accept", partial)], "").await.ok();
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!(
        (&partial["items"][0]["metadata"]["labels"]["x"], &partial["items"][0]["data"]),
        (&json!("y"), &Value::Null)
    );
    let written = "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: from-yaml\ndata:\n  a: \"1\"\n";
    let answer = api.ask(Method::POST, CM, &[("content-type", "application/yaml")], written).await;
    assert_eq!(answer.ok()["data"]["a"], "1");
}
