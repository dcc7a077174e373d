//! Roles over the wire: refusals, reviews, escalation.

use std::sync::Arc;
use std::time::Duration;

use host::{Host, Tasks};
use http::Method;
use serde_json::{Value, json};
use store::{Embedded, Store};

use crate::cluster::{As, Cluster};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[tokio::test]
async fn refusals_have_upstreams_words() {
    let cluster = Cluster::start().await;
    let jane = cluster.user("jane");
    let jane = As::Certificate(&jane);
    let check = async |client: As<'_>, path: &str, expected: &str| {
        let (status, answer) = cluster.get(client, path).await;
        assert_eq!((status, answer["message"].as_str()), (403, Some(expected)), "{path}");
        assert_eq!(answer["reason"], "Forbidden");
    };
    let list = r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "y""#;
    check(jane, "/api/v1/namespaces/y/pods", list).await;
    let get = r#"deployments.apps "d" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" in the namespace "y""#;
    check(jane, "/apis/apps/v1/namespaces/y/deployments/d", get).await;
    let nodes = r#"nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope"#;
    check(jane, "/api/v1/nodes", nodes).await;
    let path = r#"forbidden: User "system:anonymous" cannot get path "/metrics""#;
    check(As::Nobody, "/metrics", path).await;
    let log =
        r#"pods "p" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "y""#;
    check(jane, "/api/v1/namespaces/y/pods/p/log", log).await;
    for open in ["/livez", "/readyz", "/version"] {
        assert_eq!(cluster.get(As::Nobody, open).await.0, 200, "{open}");
    }
    assert_eq!(cluster.get(jane, "/api").await.0, 200);
}

async fn bind(cluster: &Cluster, namespace: &str, role: &str, user: &str) {
    let binding = json!({
        "metadata": { "name": format!("{user}-{role}") },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" }],
    });
    cluster.create(&format!("{RBAC}/namespaces/{namespace}/rolebindings"), binding).await;
}

#[tokio::test]
async fn bindings_take_effect_and_end() {
    let cluster = Cluster::start().await;
    let vi = cluster.user("vi");
    let vi = As::Certificate(&vi);
    bind(&cluster, "default", "view", "vi").await;
    cluster.eventually(vi, "/api/v1/namespaces/default/pods", 200).await;
    assert_eq!(cluster.get(vi, "/api/v1/namespaces/default/secrets").await.0, 403);
    assert_eq!(cluster.get(vi, "/api/v1/namespaces/kube-system/pods").await.0, 403);
    let ask = |verb: &str, resource: &str| json!({ "spec": { "resourceAttributes": { "namespace": "default", "verb": verb, "resource": resource } } });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let allowed = async |question: Value| cluster.post(vi, reviews, question).await.1["status"]["allowed"].clone();
    assert_eq!(allowed(ask("list", "pods")).await, true);
    assert_eq!(allowed(ask("create", "pods")).await, false);
    let mut about_vi = ask("list", "pods");
    about_vi["spec"]["user"] = "vi".into();
    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert_eq!(cluster.create(reviews, about_vi.clone()).await["status"]["allowed"], true);
    assert_eq!(cluster.post(vi, reviews, about_vi).await.0, 403);
    assert_eq!(cluster.post(As::Admin, reviews, ask("list", "pods")).await.0, 422, "nobody is named");
    let rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let (_, rules) = cluster.post(vi, rules, json!({ "spec": { "namespace": "default" } })).await;
    let rules = rules["status"]["resourceRules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["resources"][0] == "namespaces"), "{rules:?}");
    let binding = format!("{RBAC}/namespaces/default/rolebindings/vi-view");
    assert_eq!(cluster.send(As::Admin, Method::DELETE, &binding, Value::Null).await.0, 200);
    cluster.eventually(vi, "/api/v1/namespaces/default/pods", 403).await;
}

#[tokio::test]
async fn another_server_over_the_same_store_knows_the_bindings() {
    let host = Host::system();
    let store: Arc<dyn Store> = Arc::new(Embedded::memory(&host).unwrap());
    let first = Cluster::over(store.clone(), Host { tasks: Tasks::new(), ..host.clone() }).await;
    bind(&first, "default", "view", "vi").await;
    first.host.tasks.drain(Duration::from_secs(10)).await;
    let second = Cluster::over(store, Host { tasks: Tasks::new(), ..host }).await;
    let vi = second.user("vi");
    second.eventually(As::Certificate(&vi), "/api/v1/namespaces/default/pods", 200).await;
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_hold() {
    let cluster = Cluster::start().await;
    let ada = cluster.user("ada");
    let ada = As::Certificate(&ada);
    bind(&cluster, "default", "admin", "ada").await;
    cluster.eventually(ada, "/api/v1/namespaces/default/pods", 200).await;
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |name: &str, resource: &str| {
        json!({ "metadata": { "name": name }, "rules": [
            { "verbs": ["update"], "apiGroups": [""], "resources": [resource] }] })
    };
    assert_eq!(cluster.post(ada, &roles, role("fine", "configmaps")).await.0, 201);
    let (status, refusal) = cluster.post(ada, &roles, role("much", "resourcequotas")).await;
    assert_eq!(status, 403);
    let message = refusal["message"].as_str().unwrap();
    let expected = "roles.rbac.authorization.k8s.io \"much\" is forbidden: user \"ada\" (groups=[\"system:authenticated\"]) \
                    is attempting to grant RBAC permissions not currently held:\n\
                    {APIGroups:[\"\"], Resources:[\"resourcequotas\"], Verbs:[\"update\"]}";
    assert_eq!(message, expected);
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let binding = |role: &str| {
        json!({
            "metadata": { "name": format!("b-{role}") },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "User", "name": "x", "apiGroup": "rbac.authorization.k8s.io" }],
        })
    };
    assert_eq!(cluster.post(ada, &bindings, binding("view")).await.0, 201);
    assert_eq!(cluster.post(ada, &bindings, binding("cluster-admin")).await.0, 403);
    assert_eq!(cluster.post(ada, &bindings, binding("none")).await.0, 404);
}

/// A role in `default` with one rule, bound to a user of the same name.
async fn grant(cluster: &Cluster, user: &str, rule: Value) {
    let roles = format!("{RBAC}/namespaces/default/roles");
    cluster.create(&roles, json!({ "metadata": { "name": user }, "rules": [rule] })).await;
    let binding = json!({
        "metadata": { "name": user },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user },
        "subjects": [{ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" }],
    });
    cluster.create(&format!("{RBAC}/namespaces/default/rolebindings"), binding).await;
}

#[tokio::test]
async fn a_watch_shows_the_object_that_was_asked_for() {
    let cluster = Cluster::start().await;
    let eve = cluster.user("eve");
    let eve = As::Certificate(&eve);
    let rule = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["watch"], "resourceNames": ["mine"] });
    grant(&cluster, "eve", rule).await;
    let mine = "/api/v1/watch/namespaces/default/secrets/mine?timeoutSeconds=1";
    cluster.eventually(eve, mine, 200).await;
    let other = format!("{mine}&fieldSelector=metadata.name=admin-token");
    assert_eq!(cluster.get(eve, &other).await.0, 400);
}

#[tokio::test]
async fn creating_by_an_update_takes_the_right_to_create() {
    let cluster = Cluster::start().await;
    let eve = cluster.user("eve");
    let eve = As::Certificate(&eve);
    let rule = json!({ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update", "get"] });
    grant(&cluster, "eve", rule).await;
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader";
    cluster.eventually(eve, path, 404).await;
    let lease = json!({ "metadata": { "name": "leader" }, "spec": { "holderIdentity": "eve" } });
    assert_eq!(cluster.send(eve, Method::PUT, path, lease.clone()).await.0, 403);
    assert_eq!(cluster.send(As::Admin, Method::PUT, path, lease).await.0, 201);
}

/// A cluster role with rules, bound to a user of the same name.
async fn grant_everywhere(cluster: &Cluster, user: &str, rules: Value) {
    cluster.create(&format!("{RBAC}/clusterroles"), json!({ "metadata": { "name": user }, "rules": rules })).await;
    let binding = json!({
        "metadata": { "name": user },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user },
        "subjects": [{ "kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io" }],
    });
    cluster.create(&format!("{RBAC}/clusterrolebindings"), binding).await;
}

/// A request for a certificate, in the form of an object's field.
fn signing_request(organization: &str) -> String {
    use base64::Engine as _;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
    let request = params.serialize_request(&rcgen::KeyPair::generate().expect("a key")).expect("a request");
    base64::engine::general_purpose::STANDARD.encode(request.pem().expect("text"))
}

#[tokio::test]
async fn acting_for_a_signer_takes_its_permission() {
    let cluster = Cluster::start().await;
    let group = "certificates.k8s.io";
    let requests = format!("/apis/{group}/v1/certificatesigningrequests");
    let request = |signer: &str, organization: &str| {
        json!({ "metadata": { "name": "r" }, "spec": {
            "request": signing_request(organization), "signerName": signer, "usages": ["client auth"] } })
    };
    let all = json!({ "apiGroups": [group], "verbs": ["*"],
        "resources": ["certificatesigningrequests", "certificatesigningrequests/approval", "certificatesigningrequests/status"] });
    let signers = |verb: &str| json!({ "apiGroups": [group], "resources": ["signers"], "resourceNames": ["x.io/*"], "verbs": [verb] });
    grant_everywhere(&cluster, "ann", json!([all])).await;
    grant_everywhere(&cluster, "bob", json!([all, signers("approve")])).await;
    let (ann, bob) = (cluster.user("ann"), cluster.user("bob"));
    let (ann, bob) = (As::Certificate(&ann), As::Certificate(&bob));
    cluster.eventually(ann, &requests, 200).await;
    cluster.eventually(bob, &requests, 200).await;
    let (_, mut object) = cluster.post(ann, &requests, request("x.io/s", "o")).await;
    assert_eq!(object["spec"]["username"], "ann");
    object["status"] = json!({ "conditions": [{ "type": "Approved", "status": "True", "reason": "R" }] });
    let approval = format!("{requests}/r/approval");
    let (status, answer) = cluster.send(ann, Method::PUT, &approval, object.clone()).await;
    let refused = "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to approve requests \
                   with signerName \"x.io/s\"";
    assert_eq!((status, answer["message"].as_str()), (403, Some(refused)));
    let (status, approved) = cluster.send(bob, Method::PUT, &approval, object).await;
    assert_eq!((status, &approved["status"]["conditions"][0]["type"]), (200, &json!("Approved")));
    let mut signed = approved.clone();
    signed["status"]["conditions"].as_array_mut().unwrap().push(json!({ "type": "Failed", "status": "True" }));
    assert_eq!(cluster.send(bob, Method::PUT, &format!("{requests}/r/status"), signed).await.0, 403);
    let mut masters = request("kubernetes.io/kube-apiserver-client", "system:masters");
    masters["metadata"]["name"] = "m".into();
    let (status, answer) = cluster.post(bob, &requests, masters).await;
    let refused = "certificatesigningrequests.certificates.k8s.io \"m\" is forbidden: use of kubernetes.io/kube-apiserver-client \
                   signer with system:masters group is not allowed";
    assert_eq!((status, answer["message"].as_str()), (403, Some(refused)));
}
