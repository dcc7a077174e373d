//! All pods of the node: a worker for each, from the first sight of it to its last trace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use host::OnEnd;
use informer::{Cache, Change};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use tokio::sync::{mpsc, watch};

use crate::context::Context;
use crate::pod::desired::Desired;
use crate::runtime::Wakers;
use crate::runtime::observe::Owner;
use crate::worker::{Update, Worker};

/// Keeps a worker for each pod.
pub struct Pods {
    context: Arc<Context>,
    cache: Cache<Pod>,
    wakers: Wakers,
    workers: BTreeMap<String, watch::Sender<Update>>,
    /// Pods that are over here while the API still shows them.
    finished: BTreeSet<String>,
    over: (mpsc::UnboundedSender<String>, mpsc::UnboundedReceiver<String>),
}

impl Pods {
    #[must_use]
    pub fn new(context: Arc<Context>, cache: Cache<Pod>, wakers: Wakers) -> Self {
        Self {
            context,
            cache,
            wakers,
            workers: BTreeMap::new(),
            finished: BTreeSet::new(),
            over: mpsc::unbounded_channel(),
        }
    }

    /// Follows the pods bound to this node until shutdown. `strays` are pods that the runtime has and nobody works on.
    pub async fn run(mut self, mut strays: mpsc::Receiver<Owner>) {
        let shutdown = self.context.host.shutdown();
        let mut changes = self.cache.subscribe();
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = self.cache.synced() => {}
        }
        for change in changes.take() {
            self.change(change);
        }
        self.adopt_directories();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(uid) = self.over.1.recv() => self.forget(&uid),
                change = changes.next() => match change {
                    Some(change) => self.change(change),
                    None => return,
                },
                Some(owner) = strays.recv() => self.adopt(owner),
            }
        }
    }

    fn change(&mut self, change: Change<Pod>) {
        match change {
            Change::Applied { old, new } => {
                // a pod of the same name may have taken its place
                if let Some(old) = old.filter(|old| old.metadata.uid != new.metadata.uid) {
                    self.gone(old);
                }
                self.update(new, false);
            }
            Change::Deleted(old) => self.gone(old),
        }
    }

    fn gone(&mut self, pod: Arc<Pod>) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if !self.finished.remove(&uid) && self.workers.contains_key(&uid) {
            self.update(pod, true);
        }
    }

    fn update(&mut self, pod: Arc<Pod>, gone: bool) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if self.finished.contains(&uid) {
            return;
        }
        let update = Update { desired: Arc::new(Desired::new(pod)), gone };
        match self.workers.get(&uid) {
            Some(worker) => {
                worker.send_replace(update);
            }
            None => self.start(uid, update),
        }
    }

    fn start(&mut self, uid: String, update: Update) {
        let (sender, updates) = watch::channel(update);
        let worker = Worker::new(self.context.clone(), updates, self.wakers.register(&uid));
        let over = self.over.0.clone();
        self.workers.insert(uid.clone(), sender);
        self.context.host.tasks.spawn("pod worker", OnEnd::Expected, async move {
            worker.run().await;
            let _ = over.send(uid);
        });
    }

    fn forget(&mut self, uid: &str) {
        self.wakers.remove(uid);
        let last = self.workers.remove(uid).map(|worker| worker.borrow().clone());
        if last.is_some_and(|update| !update.gone) {
            self.finished.insert(uid.to_owned());
        }
    }

    /// Takes on a pod of which only the runtime knows: it is ended and cleared away.
    fn adopt(&mut self, owner: Owner) {
        if owner.uid.is_empty() || self.workers.contains_key(&owner.uid) {
            return;
        }
        let pod = Pod {
            metadata: ObjectMeta {
                name: Some(owner.name),
                namespace: Some(owner.namespace),
                uid: Some(owner.uid.clone()),
                deletion_timestamp: Some(Time(self.context.host.now())),
                // nobody waits for it
                deletion_grace_period_seconds: Some(1),
                ..Default::default()
            },
            ..Default::default()
        };
        let update = Update { desired: Arc::new(Desired::new(Arc::new(pod))), gone: true };
        self.start(owner.uid, update);
    }

    /// Clears directories away whose pods went while nobody looked.
    fn adopt_directories(&mut self) {
        let options = &self.context.options;
        let (logs, pods) = (names(&options.log_dir), names(&options.data_dir.join("pods")));
        // those of logs tell who the pod was
        logs.iter().filter_map(|name| Owner::of_log_directory(name)).for_each(|owner| self.adopt(owner));
        for uid in pods {
            self.adopt(Owner { uid, namespace: String::new(), name: String::new() });
        }
    }
}

/// What is in a directory, which need not be there.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
