//! `rollout`, `set`, `autoscale`, `scale`, `expose`.

use testing::image::{BUSYBOX, WEB_V1, WEB_V2};

use super::Kubectl;
use crate::has;

pub(super) fn rolls_out(kubectl: &Kubectl<'_>) {
    let done = || has(&kubectl.ok("rollout status deployment rolled --timeout=60s"), &["successfully rolled out"]);
    let image = || kubectl.ok("get deployment rolled -o jsonpath={.spec.template.spec.containers[0].image}");
    kubectl.ok(&format!("create deployment rolled --image={WEB_V1}"));
    kubectl.ok("annotate deployment rolled kubernetes.io/change-cause=first");
    done();
    kubectl.ok(&format!("set image deployment/rolled web={WEB_V2}"));
    kubectl.ok("annotate deployment rolled kubernetes.io/change-cause=second --overwrite");
    done();
    has(
        &kubectl.ok("rollout history deployment rolled"),
        &["REVISION  CHANGE-CAUSE", "1         first", "2         second"],
    );
    has(&kubectl.ok("rollout history deployment rolled --revision=1"), &["with revision #1", WEB_V1]);
    has(&kubectl.ok("rollout undo deployment rolled --to-revision=1"), &["rolled back"]);
    done();
    assert_eq!(image(), WEB_V1);
    has(
        &kubectl.fails("rollout undo deployment rolled --to-revision=9"),
        &["unable to find specified revision 9 in history"],
    );
    has(&kubectl.ok("rollout pause deployment rolled"), &["deployment.apps/rolled paused"]);
    has(&kubectl.fails("rollout undo deployment rolled"), &["cannot rollback a paused deployment"]);
    has(&kubectl.ok("rollout resume deployment rolled"), &["deployment.apps/rolled resumed"]);
    has(&kubectl.ok("rollout restart deployment rolled"), &["deployment.apps/rolled restarted"]);
    done();
    has(
        &kubectl.ok("get pods -l app=rolled -o jsonpath={.items[*].metadata.annotations}"),
        &["kubectl.kubernetes.io/restartedAt"],
    );
}

pub(super) fn sets(kubectl: &Kubectl<'_>) {
    let container = || kubectl.ok("get deployment rolled -o jsonpath={.spec.template.spec}");
    kubectl.ok("rollout pause deployment rolled");
    kubectl.ok("set env deployment/rolled A=B");
    kubectl.ok("set resources deployment/rolled --limits=cpu=100m,memory=32Mi --requests=cpu=10m");
    kubectl.ok("set serviceaccount deployment/rolled weak");
    has(
        &container(),
        &[
            r#"{"name":"A","value":"B"}"#,
            r#""limits":{"cpu":"100m","memory":"32Mi"}"#,
            r#""serviceAccountName":"weak""#,
        ],
    );
    has(&kubectl.ok("set env deployment/rolled --list"), &["A=B"]);
    kubectl.ok("set env deployment/rolled A-");
    assert!(!container().contains("\"env\""), "{}", container());
    kubectl.ok("expose deployment rolled --port=80 --name=exposed");
    kubectl.ok("set selector service/exposed app=other");
    assert_eq!(kubectl.ok("get service exposed -o jsonpath={.spec.selector}"), r#"{"app":"other"}"#);
    kubectl.ok("create rolebinding subjects --clusterrole=view --user=first");
    kubectl.ok("set subject rolebinding subjects --user=second");
    assert_eq!(kubectl.ok("get rolebinding subjects -o jsonpath={.subjects[*].name}"), "first second");
    has(
        &kubectl.fails(&format!("set image deployment/rolled none={BUSYBOX}")),
        &["unable to find container named \"none\""],
    );
}

pub(super) fn autoscales(kubectl: &Kubectl<'_>) {
    has(
        &kubectl.ok("autoscale deployment rolled --min=1 --max=3 --cpu-percent=50"),
        &["horizontalpodautoscaler.autoscaling/rolled autoscaled"],
    );
    has(&kubectl.ok("get hpa rolled --no-headers"), &["Deployment/rolled", "<unknown>/50%", " 1 ", " 3 "]);
    kubectl.ok("delete hpa rolled");
    has(&kubectl.ok("scale deployment rolled --replicas=2"), &["deployment.apps/rolled scaled"]);
    has(
        &kubectl.fails("scale deployment rolled --replicas=3 --current-replicas=7"),
        &["Expected replicas to be 7, was 2"],
    );
    let scale = r#"patch deployment rolled --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'"#;
    has(&kubectl.ok(scale), &["patched"]);
    assert_eq!(kubectl.ok("get deployment rolled -o jsonpath={.spec.replicas}"), "1");
    assert_eq!(kubectl.ok("get deployment rolled --subresource=scale -o jsonpath={.kind}"), "Scale");
}
