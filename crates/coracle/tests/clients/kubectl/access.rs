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
    let kubeconfig = std::fs::read_to_string(kubectl.cluster.kubeconfig()).expect("the kubeconfig is readable");
    let kept = kubeconfig.lines().filter(|line| !line.contains("client-certificate") && !line.contains("client-key"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kept.collect::<Vec<_>>().join("\n")).expect("written");
    let limited = format!("--kubeconfig={} --token={}", path.display(), token.trim());
    has(&kubectl.ok(&format!("{limited} auth whoami")), &["system:serviceaccount:kubectl-objects:weak"]);
    assert_eq!(kubectl.ok(&format!("{limited} auth can-i get configmap/open")), "yes\n");
    let refused = kubectl.run(&format!("{limited} auth can-i list pods"));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), "no\n"));
    has(
        &kubectl.fails(&format!("{limited} get pods")),
        &["Error from server (Forbidden)", "cannot list resource \"pods\""],
    );
    has(
        &kubectl.fails(&format!("--kubeconfig={} --token=nonsense get pods", path.display())),
        &["You must be logged in to the server"],
    );
}
