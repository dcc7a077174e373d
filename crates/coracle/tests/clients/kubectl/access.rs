//! `auth` and tokens.

use super::Kubectl;
use crate::has;

pub(super) fn asks(kubectl: &Kubectl<'_>) {
    assert_eq!(kubectl.ok("auth can-i create pods"), "yes\n");
    let listed = kubectl.ok("auth can-i --list");
    has(&listed, &["Resources", "Non-Resource URLs", "*.*", "selfsubjectreviews.authentication.k8s.io", "[/api/*]"]);
    has(&kubectl.ok("auth whoami"), &["Username", "kubernetes-admin", "system:masters"]);
    has(&kubectl.ok("auth whoami -o json"), &["\"kind\": \"SelfSubjectReview\"", "\"username\": \"kubernetes-admin\""]);
    weak(kubectl);
}

/// A service account that may read config maps of one name and nothing else.
fn weak(kubectl: &Kubectl<'_>) {
    kubectl.ok("create serviceaccount weak");
    kubectl.ok("create role weak --verb=get --resource=configmaps --resource-name=open");
    kubectl.ok("create rolebinding weak --role=weak --serviceaccount=kubectl-objects:weak");
    let token = kubectl.ok("create token weak --duration=1h");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    std::fs::copy(kubectl.cluster.kubeconfig(), &path).expect("copied");
    let own = format!("--kubeconfig={}", path.display());
    for (user, token) in [("weak", token.trim()), ("stranger", "nonsense")] {
        kubectl.ok(&format!("{own} config set-credentials {user} --token={token}"));
    }
    let limited = format!("{own} --user=weak");
    has(&kubectl.ok(&format!("{limited} auth whoami")), &["system:serviceaccount:kubectl-objects:weak"]);
    assert_eq!(kubectl.ok(&format!("{limited} auth can-i get configmap/open")), "yes\n");
    let refused = kubectl.run(&format!("{limited} auth can-i list pods"));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), "no\n"));
    has(
        &kubectl.fails(&format!("{limited} get pods")),
        &["Error from server (Forbidden)", "cannot list resource \"pods\""],
    );
    has(&kubectl.fails(&format!("{own} --user=stranger get pods")), &["You must be logged in to the server"]);
}
