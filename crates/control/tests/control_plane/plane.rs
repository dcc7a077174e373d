//! A control plane in one process, on one thread, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::admission::{DefaultTolerationSeconds, NamespaceLifecycle, Priority};
use apiserver::endpoints::Endpoints;
use apiserver::{
    Attributes, Authenticator, Authorizer, Credentials, Decision, Handle, Options, Security, Server, User,
};
use async_trait::async_trait;
use host::{Host, OnEnd, Ready, Role, RoleState};
use informer::Informers;
use kube::Client;
use store::{Embedded, Event, Store};

const START: &str = "2026-01-01T00:00:00Z";
const NODES: [&str; 2] = ["node-1", "node-2"];
const CONTROLLERS: [&str; 3] = ["deployment", "replicaset", "endpointslice"];

pub(crate) struct Plane {
    host: Host,
    handle: Handle,
    pub(crate) informers: Informers,
    log: Arc<Mutex<Vec<String>>>,
}

impl Plane {
    /// Store, API server, the controllers of a rollout, scheduler and nodes.
    pub(crate) async fn start(seed: u64) -> Self {
        Self::start_with(seed, &CONTROLLERS).await
    }

    /// As [`Plane::start`], with other controllers.
    pub(crate) async fn start_with(seed: u64, controllers: &[&str]) -> Self {
        let host = Host::simulated(START.parse().expect("a time"), seed);
        let store: Arc<dyn Store> = Arc::new(Embedded::memory(&host).expect("a store"));
        let log = follow(&store, &host).await;
        let (server, handle) = Server::new(Options::new(store, |_| Ok(open())), &host);
        run(&host, Box::new(server)).await;
        let informers = Informers::new(handle.client(User::new("system:informer")), host.clone());
        let acting = |name: &str| informers.acting_as(handle.client(User::new(name)));
        let options = control::Options {
            controllers: controllers.iter().map(ToString::to_string).collect(),
            candidate: Some(candidate(control::ControllerManager::LEASE)),
            ..control::Options::default()
        };
        run(&host, Box::new(control::ControllerManager::new(acting("system:kube-controller-manager"), options))).await;
        let options = scheduler::Options {
            candidate: Some(candidate(scheduler::Scheduler::LEASE)),
            ..scheduler::Options::default()
        };
        run(&host, Box::new(scheduler::Scheduler::new(acting("system:kube-scheduler"), options))).await;
        let options = hollow::Options::new(NODES.map(str::to_owned).to_vec());
        run(&host, Box::new(hollow::Hollow::new(options, acting("system:hollow")))).await;
        Self { host, handle, informers, log }
    }

    pub(crate) fn client(&self) -> Client {
        self.handle.client(User::new("tester"))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Stops everything and returns every change of the store: revision, key, bytes.
    pub(crate) async fn stop(self) -> Vec<String> {
        let Self { host, handle, informers, log } = self;
        drop((handle, informers));
        assert!(host.tasks.drain(Duration::from_secs(60)).await, "{} tasks do not end", host.tasks.alive());
        let log = log.lock().expect("nobody panics with the log");
        log.clone()
    }
}

fn candidate(lease: &'static str) -> control::Candidate {
    control::Candidate { lease, identity: "plane".to_owned() }
}

/// Starts a role and waits until it is ready.
async fn run(host: &Host, role: Box<dyn Role>) {
    let (ready, mut state) = Ready::new();
    let (own, name) = (host.clone(), role.name());
    host.tasks.spawn(name, OnEnd::Expected, async move {
        if let Err(error) = role.run(own, ready).await {
            panic!("{name}: {error}");
        }
    });
    state.wait_for(|state| *state == RoleState::Ready).await.unwrap_or_else(|_| panic!("{name} does not start"));
}

/// Writes down every change of the store.
async fn follow(store: &Arc<dyn Store>, host: &Host) -> Arc<Mutex<Vec<String>>> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut watch = store.watch("", 1).await.expect("a watch");
    let (lines, shutdown) = (Arc::clone(&log), host.shutdown());
    host.tasks.spawn("log", OnEnd::Expected, async move {
        let write = async {
            while let Ok(batch) = watch.next().await {
                lines.lock().expect("nobody panics with the log").extend(batch.events.iter().map(line));
            }
        };
        tokio::select! {
            biased;
            () = write => {}
            () = shutdown.cancelled() => {}
        }
    });
    log
}

fn line(event: &Event) -> String {
    match event {
        Event::Put(entry) => {
            format!("{} {} {}", entry.modified, entry.key, String::from_utf8_lossy(&entry.value))
        }
        Event::Delete { key, revision } => format!("{revision} {key} deleted"),
    }
}

struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: Credentials<'_>) -> apiserver::Result<Option<User>> {
        Ok(None)
    }
}

struct Everything;

#[async_trait]
impl Authorizer for Everything {
    async fn authorize(&self, _: &Attributes<'_>) -> Decision {
        Decision::Allow
    }
}

fn open() -> Security {
    Security {
        authenticator: Arc::new(Nobody),
        anonymous: true,
        authorizer: Arc::new(Everything),
        admission: vec![Arc::new(NamespaceLifecycle), Arc::new(Priority), Arc::new(DefaultTolerationSeconds)],
        endpoints: Endpoints::default(),
    }
}
