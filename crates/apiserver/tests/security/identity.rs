//! Certificates, tokens, and what they are bound to.

use http::Method;
use pki::Profile;
use serde_json::{Value, json};

use crate::cluster::{As, Cluster, ISSUER};

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

async fn whoami(cluster: &Cluster, client: As<'_>) -> (u16, Value) {
    let (status, answer) = cluster.post(client, REVIEW, json!({})).await;
    (status, answer["status"]["userInfo"].clone())
}

#[tokio::test]
async fn certificates_name_users_and_groups() {
    let cluster = Cluster::start().await;
    let (status, admin) = whoami(&cluster, As::Admin).await;
    assert_eq!(status, 201, "{admin}");
    assert_eq!(admin["username"], "kubernetes-admin");
    assert_eq!(admin["groups"], json!(["system:masters", "system:authenticated"]));
    let id = admin["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    assert!(id.starts_with("X509SHA256=") && id.len() == 75, "{id}");
    let (status, answer) = cluster.post(As::Nobody, REVIEW, json!({})).await;
    assert_eq!(status, 403, "{answer}");
    let stranger = cluster.pki.front_proxy().issue(&Profile::admin(), cluster.host.now()).unwrap();
    assert_eq!(cluster.get(As::Certificate(&stranger), "/livez").await.0, 401, "of another authority");
    let server = cluster.pki.certificate("apiserver", &Profile::server("kube-apiserver", ["127.0.0.1"])).unwrap();
    assert_eq!(cluster.get(As::Certificate(&server), "/livez").await.0, 401, "a server's certificate");
    let past = cluster.host.now() - jiff::SignedDuration::from_hours(24 * 400);
    let expired = cluster.pki.authority().issue(&Profile::admin(), past).unwrap();
    assert_eq!(cluster.get(As::Certificate(&expired), "/livez").await.0, 401, "expired");
}

#[tokio::test]
async fn tokens_are_good_as_long_as_what_they_are_bound_to() {
    let cluster = Cluster::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    cluster.create(accounts, json!({ "metadata": { "name": "robot" } })).await;
    cluster.create(accounts, json!({ "metadata": { "name": "default" } })).await;
    let pod = json!({ "metadata": { "name": "p" }, "spec": {
        "serviceAccountName": "robot", "containers": [{ "name": "c", "image": "i" }] } });
    let pod = cluster.create("/api/v1/namespaces/default/pods", pod).await;
    let path = format!("{accounts}/robot/token");
    let bound = json!({ "spec": { "expirationSeconds": 600, "boundObjectRef": {
        "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"] } } });
    let issued = cluster.create(&path, bound.clone()).await;
    assert_eq!(issued["spec"]["audiences"], json!([ISSUER]));
    let token = issued["status"]["token"].as_str().unwrap();
    let (status, user) = whoami(&cluster, As::Token(token)).await;
    assert_eq!(status, 201, "{user}");
    assert_eq!(user["username"], "system:serviceaccount:default:robot");
    assert_eq!(
        user["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
    );
    assert_eq!(user["extra"]["authentication.kubernetes.io/pod-name"], json!(["p"]));

    assert_eq!(cluster.post(As::Admin, &format!("{accounts}/default/token"), bound).await.0, 400, "another's pod");
    let other = |object: Value| json!({ "spec": { "boundObjectRef": object } });
    for (request, code, expected) in [
        (
            other(json!({ "apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "x" })),
            409,
            "Operation cannot be fulfilled on Pod \"p\": the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated",
        ),
        (
            other(json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "p" })),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (
            json!({ "spec": { "expirationSeconds": 599 } }),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            json!({ "metadata": { "name": "default" } }),
            422,
            "TokenRequest.authentication.k8s.io \"robot\" is invalid: metadata.name: Invalid value: \"default\": must match the service account name if specified",
        ),
    ] {
        let (status, refusal) = cluster.post(As::Admin, &path, request).await;
        assert_eq!((status, &refusal["message"]), (code, &json!(expected)));
    }
    assert_eq!(cluster.post(As::Admin, &format!("{accounts}/none/token"), json!({})).await.0, 404);

    let foreign = cluster.create(&path, json!({ "spec": { "audiences": ["vault"] } })).await;
    let foreign = foreign["status"]["token"].as_str().unwrap();
    assert_eq!(whoami(&cluster, As::Token(foreign)).await.0, 401, "for another audience");
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = |audiences: Value| json!({ "spec": { "token": foreign, "audiences": audiences } });
    let reviewed = cluster.create(reviews, review(json!(["vault"]))).await;
    assert_eq!(reviewed["status"]["authenticated"], true, "{reviewed}");
    assert_eq!(reviewed["status"]["audiences"], json!(["vault"]));
    let reviewed = cluster.create(reviews, review(json!([]))).await;
    assert_ne!(reviewed["status"]["authenticated"], true, "{reviewed}");

    let now = json!({ "gracePeriodSeconds": 0 });
    let gone = "/api/v1/namespaces/default/pods/p";
    assert_eq!(cluster.send(As::Admin, Method::DELETE, gone, now).await.0, 200);
    assert_eq!(whoami(&cluster, As::Token(token)).await.0, 401, "its pod is gone");
    assert_eq!(cluster.get(As::Token("nonsense"), "/livez").await.0, 401);
    assert_eq!(cluster.get(As::Token(&token[..token.len() - 2]), "/livez").await.0, 401);
}

#[tokio::test]
async fn the_issuer_describes_itself() {
    let cluster = Cluster::start().await;
    let (status, configuration) = cluster.get(As::Admin, "/.well-known/openid-configuration").await;
    assert_eq!((status, &configuration["issuer"]), (200, &json!(ISSUER)));
    let (status, keys) = cluster.get(As::Admin, "/openid/v1/jwks").await;
    assert_eq!((status, &keys["keys"][0]["alg"]), (200, &json!("ES256")));
    assert_eq!(cluster.get(As::Nobody, "/openid/v1/jwks").await.0, 403);
}

#[tokio::test]
async fn browsers_show_their_token_as_a_subprotocol() {
    use base64::Engine;
    use futures::StreamExt;
    let cluster = Cluster::start().await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    cluster.create(accounts, json!({ "metadata": { "name": "browser" } })).await;
    let binding = json!({ "metadata": { "name": "browser" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
        "subjects": [{ "kind": "ServiceAccount", "name": "browser", "namespace": "default" }] });
    cluster.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).await;
    let issued = cluster.create(&format!("{accounts}/browser/token"), json!({})).await;
    let token = issued["status"]["token"].as_str().unwrap();
    cluster.eventually(As::Token(token), accounts, 200).await;
    let shown = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token);
    let watch = async |protocols: String| {
        let request = http::Request::builder()
            .uri(format!("wss://127.0.0.1{accounts}?watch=1"))
            .header("host", "127.0.0.1")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tokio_tungstenite::tungstenite::handshake::client::generate_key())
            .header("sec-websocket-protocol", protocols);
        tokio_tungstenite::client_async(request.body(()).unwrap(), cluster.connect(As::Nobody).await).await
    };
    let (mut socket, response) =
        watch(format!("base64url.bearer.authorization.k8s.io.{shown}, base64.binary.k8s.io")).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "base64.binary.k8s.io", "the token is not sent back");
    let event: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(event["type"], "ADDED");
    for wrong in ["base64url.bearer.authorization.k8s.io.YWJj, x", "x"] {
        let Err(tokio_tungstenite::tungstenite::Error::Http(refusal)) = watch(wrong.to_owned()).await else {
            panic!("{wrong} is accepted")
        };
        assert_eq!(refusal.status().as_u16(), if wrong == "x" { 403 } else { 401 });
    }
}
