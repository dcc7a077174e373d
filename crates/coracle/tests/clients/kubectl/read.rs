//! `get` in every format, selectors, and what the server says about itself.

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

pub(super) fn prints(kubectl: &Kubectl<'_>) {
    kubectl.ok(&format!("run shown --image={BUSYBOX} --labels=app=shown --command -- sleep 3600"));
    kubectl.ready("shown");
    let template = "{{range .items}}{{.metadata.name}} {{.kind}}{{end}}";
    let cases: [(&str, &[&str]); 10] = [
        ("json", &["\"kind\": \"List\"", "\"name\": \"shown\""]),
        ("yaml", &["kind: List", "  name: shown\n"]),
        ("name", &["pod/shown\n"]),
        ("wide", &["NAME", "NOMINATED NODE", "READINESS GATES", "shown", "1/1", "Running"]),
        ("jsonpath={.items[0].status.containerStatuses[0].image}", &[BUSYBOX]),
        ("jsonpath-as-json={.items[*].metadata.name}", &["[\n    \"shown\"\n]"]),
        ("custom-columns=N:.metadata.name,P:.status.phase", &["N       P\n", "shown   Running\n"]),
        (&format!("'go-template={template}'"), &["shown Pod"]),
        ("'template={{len .items}}'", &["1"]),
        ("json --show-managed-fields", &["\"managedFields\"", "\"manager\": \"kubectl-run\""]),
    ];
    for (format, parts) in cases {
        has(&kubectl.ok(&format!("get pods -l app=shown -o {format}")), parts);
    }
    assert!(!kubectl.ok("get pod shown -o yaml").contains("managedFields"), "hidden unless asked for");
    let columns = kubectl.ok("get pods -l app=shown --show-labels --show-kind -L app");
    has(&columns, &["APP", "LABELS", "pod/shown", "app=shown"]);
    has(&kubectl.ok("get pods shown --server-print=false"), &["NAME    AGE\n", "shown"]);
}

pub(super) fn selects(kubectl: &Kubectl<'_>) {
    for name in ["one", "two", "three"] {
        kubectl.ok(&format!("create configmap {name} --from-literal=set=selected"));
        kubectl.ok(&format!("label configmap {name} set=selected"));
    }
    let names = "get configmaps -o name -l set=selected";
    let sorted = kubectl.ok(&format!("{names} --sort-by=.metadata.name"));
    assert_eq!(sorted, "configmap/one\nconfigmap/three\nconfigmap/two\n");
    assert_eq!(kubectl.ok(&format!("{names} --chunk-size=1")), sorted);
    assert_eq!(kubectl.ok(&format!("{names} --field-selector=metadata.name=two")), "configmap/two\n");
    assert_eq!(
        kubectl
            .ok("get configmaps -o name -l 'set in (selected),!none' --field-selector=metadata.name!=two")
            .lines()
            .count(),
        2
    );
    has(
        &kubectl.ok("get pods -A --field-selector=status.phase=Running,metadata.namespace=kubectl-objects"),
        &["kubectl-objects", "shown"],
    );
    has(
        &kubectl.ok("get pods,configmaps,services -A"),
        &["NAMESPACE", "pod/shown", "configmap/two", "service/kubernetes"],
    );
    assert_eq!(kubectl.ok("get configmap none --ignore-not-found"), "");
    has(&kubectl.fails("get configmap none"), &["configmaps \"none\" not found"]);
    has(&kubectl.fails("get nonsense"), &["the server doesn't have a resource type \"nonsense\""]);
    has(&kubectl.fails("get pods --field-selector=spec.nonsense=1"), &["field label not supported: spec.nonsense"]);
    let watched = kubectl.run("get configmap one -w --output-watch-events --request-timeout=1s").stdout;
    has(&watched, &["EVENT", "ADDED", "one"]);
    kubectl.ok("delete configmaps -l set=selected");
}

pub(super) fn reads_the_server(kubectl: &Kubectl<'_>) {
    let wide = kubectl.ok("api-resources -o wide");
    has(&wide, &["VERBS", "CATEGORIES", "create,delete,deletecollection,get,list,patch,update,watch", "all"]);
    has(
        &kubectl.ok("api-resources --namespaced=false --verbs=list -o name"),
        &["nodes\n", "clusterroles.rbac.authorization.k8s.io\n"],
    );
    has(&kubectl.ok("api-versions"), &["v1\n", "apps/v1\n", "rbac.authorization.k8s.io/v1\n"]);
    assert_eq!(kubectl.ok("get --raw /readyz"), "ok");
    let folder = tempfile::tempdir().expect("a folder");
    kubectl.ok(&format!("cluster-info dump --output-directory={}", folder.path().display()));
    let pods = std::fs::read_to_string(folder.path().join("kubectl-objects/pods.json")).expect("the dump");
    has(&pods, &["\"name\": \"shown\""]);
    has(&kubectl.ok("events --for=pod/shown"), &["Scheduled", "Pulled", "Started"]);
    has(
        &kubectl.ok("get events --field-selector=reason=Scheduled,involvedObject.name=shown"),
        &["Successfully assigned"],
    );
    has(&kubectl.ok("describe pod shown"), &["Node:", "Started", "Successfully assigned kubectl-objects/shown"]);
    for what in ["pods", "nodes"] {
        has(&kubectl.fails(&format!("top {what}")), &["Metrics API not available"]);
    }
}
