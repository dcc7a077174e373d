//! The table of request lines and what they mean.

use super::*;

fn parse(method: &str, uri: &str) -> RequestInfo {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    RequestInfo::parse(&method, &uri.parse().expect("a uri")).expect("a request")
}

fn check(method: &str, uri: &str, verb: Verb, expected: [&str; 6]) {
    let info = parse(method, uri);
    let target = info.target.as_ref().expect("a resource request");
    let found = [
        target.group.as_str(),
        &target.version,
        &target.namespace,
        &target.resource,
        &target.name,
        &target.subresource,
    ];
    assert_eq!((info.verb, found), (verb, expected), "{method} {uri}");
}

#[test]
fn resources() {
    check("GET", "/api/v1/pods", Verb::List, ["", "v1", "", "pods", "", ""]);
    check("GET", "/api/v1/pods?watch=true", Verb::Watch, ["", "v1", "", "pods", "", ""]);
    check("GET", "/api/v1/pods?watch=0", Verb::List, ["", "v1", "", "pods", "", ""]);
    check("GET", "/api/v1/namespaces", Verb::List, ["", "v1", "", "namespaces", "", ""]);
    check("GET", "/api/v1/namespaces/a", Verb::Get, ["", "v1", "a", "namespaces", "a", ""]);
    check("PUT", "/api/v1/namespaces/a/finalize", Verb::Update, ["", "v1", "a", "namespaces", "a", "finalize"]);
    check("PATCH", "/api/v1/namespaces/a/status", Verb::Patch, ["", "v1", "a", "namespaces", "a", "status"]);
    check("POST", "/api/v1/namespaces/a/pods", Verb::Create, ["", "v1", "a", "pods", "", ""]);
    check("DELETE", "/api/v1/namespaces/a/pods", Verb::DeleteCollection, ["", "v1", "a", "pods", "", ""]);
    check("DELETE", "/api/v1/namespaces/a/pods/p", Verb::Delete, ["", "v1", "a", "pods", "p", ""]);
    check("POST", "/api/v1/namespaces/a/pods/p/exec?x=y", Verb::Create, ["", "v1", "a", "pods", "p", "exec"]);
    check("GET", "/apis/apps/v1/deployments", Verb::List, ["apps", "v1", "", "deployments", "", ""]);
    check("HEAD", "/apis/apps/v1/namespaces/a/deployments/d", Verb::Get, ["apps", "v1", "a", "deployments", "d", ""]);
    check("GET", "/api/v1/watch/pods", Verb::Watch, ["", "v1", "", "pods", "", ""]);
    check("GET", "/api/v1/watch/namespaces/a/pods/p", Verb::Watch, ["", "v1", "a", "pods", "p", ""]);
    check("GET", "/apis/g.io/v1/namespaces/a/x/a%3Ab", Verb::Get, ["g.io", "v1", "a", "x", "a:b", ""]);
}

#[test]
fn paths() {
    for uri in
        ["/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/apis/apps/v1/", "/metrics"]
    {
        assert_eq!(parse("GET", uri).target, None, "{uri}");
    }
}

#[test]
fn selectors_count_on_collections() {
    let info = parse("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dweb&labelSelector=a+in+(b)");
    let target = info.target.expect("a resource request");
    assert_eq!((target.name.as_str(), target.label_selector.as_str()), ("web", "a in (b)"));
}

#[test]
fn the_rest_is_kept_raw() {
    let rest = |uri| parse("GET", uri).target.expect("a resource request").rest;
    assert_eq!(rest("/api/v1/namespaces/a/services/http:s:80/proxy/x%2Fy/z/"), "/x%2Fy/z/");
    assert_eq!(rest("/api/v1/nodes/n/proxy/"), "/");
    assert_eq!(rest("/api/v1/nodes/n/proxy"), "");
}

#[test]
fn a_bare_watch_prefix_is_refused() {
    assert!(RequestInfo::parse(&Method::GET, &"/api/v1/watch".parse().expect("a uri")).is_err());
}

proptest::proptest! {
    #[test]
    fn nothing_panics(path in "/(api|apis)(/[a-z%:.0-9]{0,6}){0,8}/?") {
        if let Ok(uri) = path.parse::<Uri>() {
            let _ = RequestInfo::parse(&Method::GET, &uri);
        }
    }
}
