//! Decisions: rules, bindings, aggregation, what the built-in policy allows, and how long it takes.

use serde_json::{Value, json};

use super::rule::not_covered;
use super::*;

fn rbac(objects: impl IntoIterator<Item = Value>) -> Rbac {
    let rbac = Rbac::default();
    for object in objects {
        let (namespace, name) = (object::meta::namespace(&object).to_owned(), object::meta::name(&object).to_owned());
        let bytes = object.to_string();
        rbac.write(|index| match object.get("roleRef") {
            Some(_) => index.put_binding(&namespace, &name, bytes.as_bytes()).unwrap(),
            None => index.put_role(&namespace, &name, bytes.as_bytes()).unwrap(),
        });
    }
    rbac
}

fn role(namespace: &str, name: &str, rules: Value) -> Value {
    json!({ "metadata": { "namespace": namespace, "name": name }, "rules": rules })
}

fn binding(namespace: &str, name: &str, kind: &str, role: &str, subject: Value) -> Value {
    json!({
        "metadata": { "namespace": namespace, "name": name },
        "roleRef": { "kind": kind, "name": role }, "subjects": [subject],
    })
}

/// `verb group resource[/subresource] [namespace[/name]]`, or `verb /path`.
fn asks(rbac: &Rbac, user: &User, question: &str) -> bool {
    let words: Vec<&str> = question.split(' ').collect();
    let attributes = Attributes::of_path(user, words[0], words[1]);
    let attributes = if words[1].starts_with('/') {
        attributes
    } else {
        let (resource, subresource) = words[2].split_once('/').unwrap_or((words[2], ""));
        let place = words.get(3).copied().unwrap_or_default();
        let (namespace, name) = place.split_once('/').unwrap_or((place, ""));
        let group = if words[1] == "core" { "" } else { words[1] };
        Attributes { group, version: "v1", resource, subresource, namespace, name, path: None, ..attributes }
    };
    rbac.decide(&attributes) == Decision::Allow
}

#[test]
fn rules_match_as_upstream_has_it() {
    let check = |rule: Value, question: &str, expected: bool| {
        let user = User::new("jane");
        let subject = json!({ "kind": "User", "name": "jane" });
        let rbac = rbac([role("", "r", json!([rule])), binding("", "b", "ClusterRole", "r", subject)]);
        assert_eq!(asks(&rbac, &user, question), expected, "{rule} {question}");
    };
    let of = |resources: &[&str]| json!({ "verbs": ["get"], "apiGroups": [""], "resources": resources });
    check(of(&["pods"]), "get core pods default", true);
    check(of(&["pods"]), "list core pods default", false);
    check(of(&["pods"]), "get apps pods default", false);
    check(of(&["pods"]), "get core pods/log default", false);
    check(of(&["pods/log"]), "get core pods/log default", true);
    check(of(&["pods/log"]), "get core pods default", false);
    check(of(&["*/log"]), "get core pods/log default", true);
    check(of(&["*/log"]), "get core pods default", false);
    check(of(&["*"]), "get core pods/log default", true);
    let any = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] });
    check(any.clone(), "frob example.org frobs/knob x/y", true);
    check(any, "get /metrics", false);
    let named = json!({ "verbs": ["get", "create"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"] });
    check(named.clone(), "get core pods default/a", true);
    check(named.clone(), "get core pods default/b", false);
    check(named, "create core pods default", false);
    let urls = |urls: &[&str]| json!({ "verbs": ["get"], "nonResourceURLs": urls });
    check(urls(&["/api/*"]), "get /api/v1", true);
    check(urls(&["/api/*"]), "get /api", false);
    check(urls(&["/healthz"]), "get /healthz/ping", false);
    check(urls(&["*"]), "get /anything", true);
    check(urls(&["/api*"]), "get /apis", true);
    check(json!({ "verbs": null, "apiGroups": null }), "get core pods default", false);
}

#[test]
fn bindings_hold_where_they_are() {
    let rules = json!([{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }]);
    let account = json!({ "kind": "ServiceAccount", "name": "robot" });
    let rbac = rbac([
        role("", "reader", rules.clone()),
        role("a", "local", rules),
        binding("a", "cluster-role", "ClusterRole", "reader", json!({ "kind": "User", "name": "jane" })),
        binding("a", "own-role", "Role", "local", json!({ "kind": "Group", "name": "team" })),
        binding("b", "account", "ClusterRole", "reader", account),
        binding("a", "dangling", "Role", "gone", json!({ "kind": "User", "name": "lost" })),
    ]);
    let check = |user: User, question: &str, expected: bool| {
        assert_eq!(asks(&rbac, &user, question), expected, "{} {question}", user.name);
    };
    check(User::new("jane"), "get core pods a", true);
    check(User::new("jane"), "get core pods b", false);
    check(User::new("jane"), "get core pods", false);
    check(User::new("joe").group("team"), "get core pods a", true);
    check(User::new("team"), "get core pods a", false);
    check(User::new("system:serviceaccount:b:robot"), "get core pods b", true);
    check(User::new("system:serviceaccount:a:robot"), "get core pods b", false);
    check(User::new("root").group(MASTERS), "delete core nodes", true);
    let lost = User::new("lost");
    let asked = Attributes { resource: "pods", namespace: "a", path: None, ..Attributes::of_path(&lost, "get", "") };
    let why = r#"RBAC: role.rbac.authorization.k8s.io "gone" not found"#;
    assert_eq!(rbac.decide(&asked), Decision::NoOpinion(why.into()));
    rbac.write(|index| index.remove_binding("a", "cluster-role"));
    check(User::new("jane"), "get core pods a", false);
    rbac.write(|index| index.remove_role("a", "local"));
    check(User::new("joe").group("team"), "get core pods a", false);
}

#[test]
fn aggregation_follows_labels_and_ends() {
    let label = |to: &str| json!({ format!("to-{to}"): "true" });
    let gather = |name: &str, from: &str, to: &str| {
        json!({
            "metadata": { "name": name, "labels": label(to) },
            "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": label(from) }] },
        })
    };
    let leaf = json!({
        "metadata": { "name": "leaf", "labels": label("low") },
        "rules": [{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"] }],
    });
    let subject = json!({ "kind": "User", "name": "jane" });
    // Two roles that gather each other.
    let rbac = rbac([
        gather("high", "mid", "low"),
        gather("low", "low", "mid"),
        leaf.clone(),
        binding("", "b", "ClusterRole", "high", subject),
    ]);
    let jane = User::new("jane");
    assert!(asks(&rbac, &jane, "get core pods x"));
    rbac.write(|index| index.remove_role("", "leaf"));
    assert!(!asks(&rbac, &jane, "get core pods x"));
    rbac.write(|index| index.put_role("", "leaf", leaf.to_string().as_bytes()).unwrap());
    assert!(asks(&rbac, &jane, "get core pods x"));
}

#[test]
fn the_built_in_policy_allows_what_it_should() {
    assert_eq!(policy::objects().map(|objects| objects.len() > 120), Ok(true));
    let mut objects = desired();
    for (role, user) in [("admin", "ada"), ("edit", "ed"), ("view", "vi")] {
        objects.push(binding("team", user, "ClusterRole", role, json!({ "kind": "User", "name": user })));
    }
    let rbac = rbac(objects);
    let signed_in = |name: &str| User::new(name).authenticated();
    let node = signed_in("system:node:n").group("system:nodes");
    let (scheduler, manager) = (signed_in("system:kube-scheduler"), signed_in("system:kube-controller-manager"));
    let deployer = signed_in("system:serviceaccount:kube-system:deployment-controller");
    let (proxy, dns) = (signed_in("system:kube-proxy"), signed_in("system:kube-dns"));
    let (ada, ed, vi) = (signed_in("ada"), signed_in("ed"), signed_in("vi"));
    let account = signed_in("system:serviceaccount:x:y").group("system:serviceaccounts");
    let anonymous = User::anonymous();
    let table: &[(&User, &str, bool)] = &[
        (&anonymous, "get /healthz", true),
        (&anonymous, "get /livez", true),
        (&anonymous, "get /readyz", true),
        (&anonymous, "get /version", true),
        (&anonymous, "get /api", false),
        (&anonymous, "get /metrics", false),
        (&anonymous, "get core pods default", false),
        (&anonymous, "get /openid/v1/jwks", false),
        (&ada, "get /apis/apps/v1", true),
        (&ada, "get /openapi/v3", true),
        (&ada, "create authorization.k8s.io selfsubjectaccessreviews", true),
        (&ada, "create authorization.k8s.io subjectaccessreviews", false),
        (&ada, "create authentication.k8s.io selfsubjectreviews", true),
        (&ada, "create rbac.authorization.k8s.io rolebindings team", true),
        (&ada, "create core pods/exec team", true),
        (&ada, "update core resourcequotas team", false),
        (&ada, "delete core namespaces team/team", false),
        (&ada, "get core pods other", false),
        (&ed, "create apps deployments team", true),
        (&ed, "get core secrets team", true),
        (&ed, "create core serviceaccounts/token team", true),
        (&ed, "get rbac.authorization.k8s.io roles team", false),
        (&ed, "create core pods/portforward team", true),
        (&ed, "impersonate core serviceaccounts team", true),
        (&vi, "watch apps deployments team", true),
        (&vi, "get core pods/log team", true),
        (&vi, "get core secrets team", false),
        (&vi, "create core pods/exec team", false),
        (&vi, "delete core pods team", false),
        (&vi, "get core namespaces team/team", true),
        (&node, "update core nodes/status /n", true),
        (&node, "create core pods team", true),
        (&node, "get core secrets team", true),
        (&node, "update core secrets team", false),
        (&node, "create authentication.k8s.io tokenreviews", true),
        (&node, "update coordination.k8s.io leases kube-node-lease", true),
        (&node, "update apps deployments team", false),
        (&scheduler, "create core pods/binding team", true),
        (&scheduler, "update core pods/status team", true),
        (&scheduler, "delete core pods team", true),
        (&scheduler, "create core pods team", false),
        (&scheduler, "list core persistentvolumeclaims", true),
        (&scheduler, "update coordination.k8s.io leases kube-system/kube-scheduler", true),
        (&scheduler, "update coordination.k8s.io leases kube-system/other", false),
        (&manager, "list example.org things", true),
        (&manager, "create core pods team", true),
        (&manager, "create apps replicasets team", true),
        (&manager, "update core namespaces/finalize team/team", true),
        (&manager, "create discovery.k8s.io endpointslices team", true),
        (&manager, "create core configmaps team", true),
        (&manager, "create core serviceaccounts team", true),
        (&manager, "create rbac.authorization.k8s.io clusterrolebindings", false),
        (&deployer, "create apps replicasets team", true),
        (&deployer, "create core pods team", false),
        (&proxy, "list discovery.k8s.io endpointslices", true),
        (&proxy, "watch core services", true),
        (&proxy, "get core secrets team", false),
        (&dns, "watch discovery.k8s.io endpointslices", true),
        (&dns, "create core services kube-system", true),
        (&dns, "create core services default", false),
        (&account, "get /.well-known/openid-configuration", true),
        (&account, "get core pods x", false),
    ];
    for (user, question, expected) in table {
        assert_eq!(asks(&rbac, user, question), *expected, "{}: {question}", user.name);
    }
}

#[test]
fn the_policy_is_repaired_without_taking_away() {
    let desired = desired().into_iter().find(|object| object::meta::name(object) == "system:discovery").unwrap();
    assert_eq!(reconcile(&desired, &desired), Reconciled::Unchanged);
    let mut present = desired.clone();
    present["rules"] = json!([{ "verbs": ["get"], "nonResourceURLs": ["/mine"] }]);
    present["metadata"]["labels"] = json!({ "mine": "yes" });
    let Reconciled::Updated(updated) = reconcile(&present, &desired) else { panic!("no update") };
    assert_eq!(updated["rules"][0], present["rules"][0]);
    assert_eq!(updated["rules"][1], desired["rules"][0]);
    assert_eq!(updated["metadata"]["labels"]["mine"], "yes");
    present["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false".into();
    assert_eq!(reconcile(&present, &desired), Reconciled::Unchanged);
    let bound = binding("", "b", "ClusterRole", "one", json!({ "kind": "User", "name": "x" }));
    let other = binding("", "b", "ClusterRole", "two", json!({ "kind": "User", "name": "x" }));
    assert_eq!(reconcile(&other, &bound), Reconciled::Replaced(bound));
}

#[test]
fn what_is_not_held_is_named_in_parts() {
    let rule = |verbs: &[&str], resources: &[&str]| -> Rule {
        serde_json::from_value(json!({ "verbs": verbs, "apiGroups": [""], "resources": resources })).unwrap()
    };
    let check = |held: &[Rule], wanted: &[Rule], expected: &[&str]| {
        let missing: Vec<String> = not_covered(held, wanted).unwrap().iter().map(Rule::to_string).collect();
        assert_eq!(missing, expected);
    };
    let held = [rule(&["get"], &["pods"]), rule(&["list"], &["pods", "services"])];
    check(&held, &[rule(&["get", "list"], &["pods"])], &[]);
    check(&held, &[rule(&["get"], &["services"])], &[r#"{APIGroups:[""], Resources:["services"], Verbs:["get"]}"#]);
    check(&held, &[rule(&["*"], &["pods"])], &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["*"]}"#]);
    check(&[rule(&["*"], &["*"])], &[rule(&["get"], &["pods/log"])], &[]);
    let many: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    let huge = Rule { verbs: many.clone(), api_groups: vec![String::new()], resources: many, ..Rule::default() };
    assert_eq!(not_covered(&held, &[huge]), None, "too much to tell");
}

#[test]
fn decisions_are_fast_among_many_bindings() {
    let mut objects = desired();
    for i in 0..5000 {
        let subject = json!({ "kind": "User", "name": format!("user-{i}") });
        objects.push(binding(&format!("ns-{}", i % 100), &format!("b-{i}"), "ClusterRole", "edit", subject));
    }
    let rbac = rbac(objects);
    let user = User::new("user-4242").authenticated();
    let rounds = 2000;
    let start = tokio::time::Instant::now();
    for _ in 0..rounds {
        assert!(asks(&rbac, &user, "get core pods ns-42/p"));
        assert!(!asks(&rbac, &user, "get core pods ns-43/p"));
    }
    let each = start.elapsed() / (2 * rounds);
    println!("a decision takes {each:?} in this build");
    assert!(each < std::time::Duration::from_micros(200), "{each:?}");
}
