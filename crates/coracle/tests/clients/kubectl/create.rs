//! `create` of every kind that it knows.

use testing::image::BUSYBOX;

use super::Kubectl;
use crate::has;

/// What is created, and how kubectl and the server call it.
const KINDS: &[(&str, &str)] = &[
    ("clusterrole kc --verb=get --resource=pods", "clusterrole.rbac.authorization.k8s.io/kc"),
    ("clusterrolebinding kc --clusterrole=kc --user=u", "clusterrolebinding.rbac.authorization.k8s.io/kc"),
    ("configmap made --from-literal=a=b", "configmap/made"),
    ("cronjob made --image=IMAGE --schedule='*/5 * * * *'", "cronjob.batch/made"),
    ("deployment made --image=IMAGE --replicas=0 --port=80", "deployment.apps/made"),
    ("ingress made --rule=host/path*=svc:80", "ingress.networking.k8s.io/made"),
    ("job made --image=IMAGE -- true", "job.batch/made"),
    ("namespace kubectl-made", "namespace/kubectl-made"),
    ("poddisruptionbudget made --selector=a=b --min-available=50%", "poddisruptionbudget.policy/made"),
    ("priorityclass kc --value=5 --description=five", "priorityclass.scheduling.k8s.io/kc"),
    ("quota made --hard=pods=100", "resourcequota/made"),
    ("role made --verb=get,list --resource=pods,deployments.apps", "role.rbac.authorization.k8s.io/made"),
    ("rolebinding made --role=made --group=g", "rolebinding.rbac.authorization.k8s.io/made"),
    ("secret generic made --from-literal=a=b", "secret/made"),
    ("secret docker-registry registry --docker-server=s --docker-username=u --docker-password=p", "secret/registry"),
    ("service clusterip made --tcp=80:8080", "service/made"),
    ("service nodeport ported --tcp=80", "service/ported"),
    ("service loadbalancer balanced --tcp=80", "service/balanced"),
    ("service externalname named --external-name=example.test", "service/named"),
    ("serviceaccount made", "serviceaccount/made"),
];

pub(super) fn creates_every_kind(kubectl: &Kubectl<'_>) {
    for (line, name) in KINDS {
        let line = line.replace("IMAGE", BUSYBOX);
        assert_eq!(kubectl.ok(&format!("create --dry-run=server --output=name {line}")), format!("{name}\n"), "{line}");
        assert_eq!(kubectl.ok(&format!("create {line}")), format!("{name} created\n"));
        has(&kubectl.fails(&format!("create {line}")), &["already exists"]);
    }
    has(&kubectl.ok("get service ported -o jsonpath={.spec.type}{.spec.ports[0].nodePort}"), &["NodePort3"]);
    assert_eq!(kubectl.ok("get secret made -o jsonpath={.data.a}"), "Yg==");
    assert_eq!(kubectl.ok("create token made").trim().split('.').count(), 3);
    has(&kubectl.fails("create configmap Bad_Name"), &["a lowercase RFC 1123 subdomain must consist of"]);
    let kinds = "cronjob,deployment,ingress,job,poddisruptionbudget,quota,role,rolebinding";
    has(&kubectl.ok(&format!("delete {kinds} made")), &["cronjob.batch \"made\" deleted"]);
    kubectl.ok("delete services --all");
    kubectl.ok("delete namespace kubectl-made --wait=false");
    kubectl.ok("delete clusterrole,clusterrolebinding,priorityclass kc");
}
