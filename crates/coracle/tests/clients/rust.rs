//! Rust's `kube` with its runtime: watchers, reflectors, controllers, finalizers, conditions, streams.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret};
use kube::api::{Api, AttachParams, DeleteParams, LogParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Resource, ResourceExt};
use kube_runtime::controller::Action;
use kube_runtime::finalizer::{Event as Finalizing, finalizer};
use kube_runtime::watcher::{self, Event, watcher};
use kube_runtime::{Controller, WatchStreamExt, conditions, reflector, wait};
use serde_json::json;
use testing::Cluster;
use testing::image::{BUSYBOX, WEB_V1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::SOON;

const NAMESPACE: &str = "rust";
const FINALIZER: &str = "coracle.test/cleanup";

/// More changes of one type than a server remembers: the first ones are too old to be watched from.
const HISTORY: usize = 4_200;

pub(crate) fn passes(cluster: &Cluster) {
    on(cluster, uses_everything);
}

/// Changes ConfigMaps so often that watches from the beginning are told that it is too old.
pub(crate) fn makes_history(cluster: &Cluster) {
    on(cluster, |client| async move {
        let maps = Api::<ConfigMap>::default_namespaced(client);
        let names: Vec<_> = (0..32).map(|n| format!("history-{n}")).collect();
        for name in &names {
            maps.create(&PostParams::default(), &config_map(name, "history")).await.expect("create");
        }
        let changes = futures::stream::iter(&names).map(async |name| {
            for round in 0..=HISTORY / names.len() {
                patch(&maps, name, &round.to_string()).await;
            }
        });
        changes.buffer_unordered(names.len()).collect::<()>().await;
    });
}

/// Runs `work` with a client on the cluster's machine.
fn on<F: Future<Output = ()>>(cluster: &Cluster, work: impl FnOnce(Client) -> F + Send + 'static) {
    let kubeconfig = cluster.kubeconfig();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async { work(connect(&kubeconfig).await).await });
    };
    cluster.machine().inside(run).expect("inside the machine");
}

async fn connect(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is readable");
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("it names a cluster");
    Client::try_from(config).expect("a client")
}

async fn uses_everything(client: Client) {
    let namespaces = Api::<Namespace>::all(client.clone());
    let meta = ObjectMeta { name: Some(NAMESPACE.into()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata: meta, ..Namespace::default() };
    namespaces.create(&PostParams::default(), &namespace).await.expect("the namespace is made");
    within("watches", watches(&client, watcher::Config::default())).await;
    within("watches streamed lists", watches(&client, watcher::Config::default().streaming_lists())).await;
    within("reflects", reflects(&client)).await;
    within("controls", controls(&client)).await;
    within("runs pods", Box::pin(runs_pods(&client))).await;
    namespaces.delete(NAMESPACE, &DeleteParams::default()).await.expect("the namespace goes");
}

async fn within(what: &str, work: impl Future<Output = ()>) {
    assert!(tokio::time::timeout(SOON, work).await.is_ok(), "{what}: not within {SOON:?}");
}

fn config_map(name: &str, label: &str) -> ConfigMap {
    let labels = BTreeMap::from([("case".to_owned(), label.to_owned())]);
    let metadata = ObjectMeta { name: Some(name.into()), labels: Some(labels), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

async fn patch(maps: &Api<ConfigMap>, name: &str, value: &str) {
    let data = json!({ "data": { "value": value } });
    maps.patch(name, &PatchParams::default(), &Patch::Merge(data)).await.expect("patch");
}

/// What the watcher tells next: a letter for the event, and the object's name.
async fn told(events: &mut (impl Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin)) -> String {
    match events.next().await.expect("watchers have no end").expect("no error") {
        Event::Init => "init".into(),
        Event::InitApply(map) => format!("init {}", map.name_any()),
        Event::InitDone => "done".into(),
        Event::Apply(map) => format!("apply {}", map.name_any()),
        Event::Delete(map) => format!("delete {}", map.name_any()),
    }
}

async fn watches(client: &Client, config: watcher::Config) {
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    maps.create(&PostParams::default(), &config_map("early", "watch")).await.expect("create");
    let mut events = pin!(watcher(maps.clone(), config.labels("case=watch")));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(told(&mut events).await);
    }
    maps.create(&PostParams::default(), &config_map("late", "watch")).await.expect("create");
    seen.push(told(&mut events).await);
    patch(&maps, "late", "1").await;
    seen.push(told(&mut events).await);
    for name in ["early", "late"] {
        maps.delete(name, &DeleteParams::default()).await.expect("delete");
        seen.push(told(&mut events).await);
    }
    assert_eq!(seen, ["init", "init early", "done", "apply late", "apply late", "delete early", "delete late"]);
}

async fn reflects(client: &Client) {
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    maps.create(&PostParams::default(), &config_map("mirrored", "reflect")).await.expect("create");
    let (reader, writer) = reflector::store();
    let events = watcher(maps.clone(), watcher::Config::default().labels("case=reflect"));
    let mut changes = pin!(reflector(writer, events).default_backoff().applied_objects());
    let known = |name: &str| reader.find(|map: &ConfigMap| map.name_any() == name).is_some();
    tokio::select! {
        ready = reader.wait_until_ready() => ready.expect("the reflector lives"),
        () = changes.by_ref().for_each(|_| std::future::ready(())) => panic!("the reflector ended"),
    }
    assert!(known("mirrored") && !known("later"));
    maps.create(&PostParams::default(), &config_map("later", "reflect")).await.expect("create");
    changes.try_next().await.expect("no error").expect("a change");
    assert!(known("later"));
    for name in ["mirrored", "later"] {
        maps.delete(name, &DeleteParams::default()).await.expect("delete");
    }
}

/// A controller that keeps a Secret beside each config map, and cleans up by a finalizer.
async fn controls(client: &Client) {
    let maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let secrets = Api::<Secret>::namespaced(client.clone(), NAMESPACE);
    let controller = Controller::new(maps.clone(), watcher::Config::default().labels("case=control"))
        .owns(secrets.clone(), watcher::Config::default());
    let again = |_: Arc<ConfigMap>, _: &kube_runtime::finalizer::Error<kube::Error>, _: Arc<Client>| {
        Action::requeue(Duration::from_millis(100))
    };
    let running = controller.run(reconcile, again, Arc::new(client.clone())).for_each(|_| std::future::ready(()));
    let use_it = async {
        let made = maps.create(&PostParams::default(), &config_map("owner", "control")).await.expect("create");
        let uid = made.uid().expect("a uid");
        let secret = wait::await_condition(secrets.clone(), "owner", conditions::is_created()).await.expect("wait");
        let owners = secret.expect("it exists").metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.first().map(|owner| owner.uid.as_str()), Some(uid.as_str()));
        secrets.delete("owner", &DeleteParams::default()).await.expect("delete");
        wait::await_condition(secrets.clone(), "owner", conditions::is_created()).await.expect("it comes again");
        assert_eq!(maps.get("owner").await.expect("get").finalizers(), [FINALIZER]);
        maps.delete("owner", &DeleteParams::default()).await.expect("delete");
        wait::await_condition(maps.clone(), "owner", conditions::is_deleted(&uid)).await.expect("it goes");
        let cleaned = maps.get("cleaned-owner").await.expect("the finalizer ran");
        maps.delete(&cleaned.name_any(), &DeleteParams::default()).await.expect("delete");
    };
    tokio::select! {
        () = running => panic!("the controller ended"),
        () = use_it => {}
    }
}

async fn reconcile(
    map: Arc<ConfigMap>,
    client: Arc<Client>,
) -> Result<Action, kube_runtime::finalizer::Error<kube::Error>> {
    let maps = Api::<ConfigMap>::namespaced((*client).clone(), NAMESPACE);
    finalizer(&maps, FINALIZER, map, |event| async {
        match event {
            Finalizing::Apply(map) => {
                let owner = map.controller_owner_ref(&());
                let metadata = ObjectMeta {
                    name: map.metadata.name.clone(),
                    owner_references: owner.map(|o| vec![o]),
                    ..ObjectMeta::default()
                };
                let secrets = Api::<Secret>::namespaced((*client).clone(), NAMESPACE);
                unless_exists(secrets.create(&PostParams::default(), &Secret { metadata, ..Secret::default() }).await)?;
            }
            Finalizing::Cleanup(map) => {
                let mark = config_map(&format!("cleaned-{}", map.name_any()), "cleaned");
                let maps = Api::<ConfigMap>::namespaced((*client).clone(), NAMESPACE);
                unless_exists(maps.create(&PostParams::default(), &mark).await)?;
            }
        }
        Ok(Action::await_change())
    })
    .await
}

fn unless_exists<T>(made: kube::Result<T>) -> kube::Result<()> {
    match made {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}

fn pod(name: &str, image: &str, command: &[&str]) -> Pod {
    let manifest = json!({
        "metadata": { "name": name },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": "main", "image": image, "command": command }],
        },
    });
    serde_json::from_value(manifest).expect("a pod")
}

async fn runs_pods(client: &Client) {
    let pods = Api::<Pod>::namespaced(client.clone(), NAMESPACE);
    for pod in [pod("shell", BUSYBOX, &["sh", "-c", "echo up; exec sleep 3600"]), pod("web", WEB_V1, &[])] {
        pods.create(&PostParams::default(), &pod).await.expect("create");
    }
    for name in ["shell", "web"] {
        wait::await_condition(pods.clone(), name, conditions::is_pod_running()).await.expect("it runs");
    }
    let logs = pods.log_stream("shell", &LogParams { follow: true, ..LogParams::default() }).await.expect("logs");
    let mut line = [0; 3];
    pin!(futures::AsyncReadExt::read_exact(&mut pin!(logs), &mut line)).await.expect("a line");
    assert_eq!(&line, b"up\n");
    runs_a_command(&pods).await;
    forwards_a_port(&pods).await.expect("port-forward");
    for name in ["shell", "web"] {
        wait::delete::delete_and_finalize(pods.clone(), name, &DeleteParams::default()).await.expect("it goes");
    }
}

async fn runs_a_command(pods: &Api<Pod>) {
    let parameters = AttachParams { stdin: true, stdout: true, stderr: true, ..AttachParams::default() };
    let command = ["sh", "-c", "read word; echo got $word; echo bad >&2; exit 6"];
    let mut process = pods.exec("shell", command, &parameters).await.expect("exec");
    process.stdin().expect("stdin").write_all(b"it\n").await.expect("write");
    let status = process.take_status().expect("a status");
    let (mut stdout, mut stderr) = (String::new(), String::new());
    process.stdout().expect("stdout").read_to_string(&mut stdout).await.expect("stdout");
    process.stderr().expect("stderr").read_to_string(&mut stderr).await.expect("stderr");
    let status = status.await.expect("the command ended");
    process.join().await.expect("the session ends");
    let causes = status.details.and_then(|details| details.causes).unwrap_or_default();
    let code = causes.first().and_then(|cause| cause.message.clone());
    assert_eq!((stdout.as_str(), stderr.as_str(), code.as_deref()), ("got it\n", "bad\n", Some("6")));
}

async fn forwards_a_port(pods: &Api<Pod>) -> io::Result<()> {
    let mut forwarder = pods.portforward("web", &[80]).await.map_err(io::Error::other)?;
    let mut stream = forwarder.take_stream(80).ok_or_else(|| io::Error::other("no stream"))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    assert!(page.starts_with("HTTP/1.") && page.ends_with("web v1\n"), "{page}");
    // Joining would fail: kube says goodbye after the server has done so.
    forwarder.abort();
    Ok(())
}
