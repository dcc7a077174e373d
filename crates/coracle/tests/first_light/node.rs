//! A second node: hollow, so that nothing assumes that there is one.

use hollow::{Hollow, Options};
use host::{Host, Ready, Role};
use informer::Informers;
use kube::config::{KubeConfigOptions, Kubeconfig};
use testing::Cluster;
use tokio::sync::oneshot;

use crate::{SOON, has};

const NAME: &str = "far-away";

pub(crate) fn has_a_second_node(cluster: &Cluster) {
    let (stop, stopped) = oneshot::channel::<()>();
    let (machine, kubeconfig) = (cluster.machine().clone(), cluster.kubeconfig());
    let node =
        std::thread::spawn(move || machine.inside(move || run(&kubeconfig, stopped)).expect("inside the machine"));
    cluster
        .wait(&["get", "nodes", "--no-headers"], SOON, |out| out.matches(" Ready ").count() == 2)
        .expect("two nodes are Ready");
    cluster.kubectl_with(&["apply", "-f", "-"], &manifest()).expect("apply");
    cluster.kubectl(&["rollout", "status", "deployment", "far", "--timeout=40s"]).expect("rollout status");
    let places = ["get", "pods", "-l", "app=far", "-o", "jsonpath={.items[*].spec.nodeName}"];
    assert_eq!(cluster.kubectl(&places).expect("places"), format!("{NAME} {NAME}"));
    cluster.kubectl(&["cordon", NAME]).expect("cordon");
    has(&cluster.kubectl(&["get", "node", NAME]).expect("get node"), &["Ready,SchedulingDisabled"]);
    cluster.kubectl(&["delete", "deployment", "far"]).expect("delete");
    cluster.wait(&["get", "pods", "-l", "app=far", "-o", "name"], SOON, str::is_empty).expect("its pods are gone");
    stop.send(()).expect("the node still runs");
    node.join().expect("the node ends");
    cluster.kubectl(&["delete", "node", NAME]).expect("delete node");
}

fn manifest() -> String {
    let pod = serde_json::json!({"nodeSelector": {"type": "hollow"}, "containers": [{"name": "main", "image": "coracle.test/none:1"}]});
    let labels = serde_json::json!({"app": "far"});
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "far"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    })
    .to_string()
}

/// Runs the hollow node on this thread until it is told to stop.
fn run(kubeconfig: &std::path::Path, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is readable");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .expect("it names a cluster");
        let host = Host::system();
        let informers = Informers::new(kube::Client::try_from(config).expect("a client"), host.clone());
        let role = Box::new(Hollow::new(Options::new(vec![NAME.to_owned()]), informers));
        let (ready, _) = Ready::new();
        tokio::select! {
            ended = role.run(host, ready) => panic!("the hollow node ended: {ended:?}"),
            _ = stopped => {}
        }
    });
}
