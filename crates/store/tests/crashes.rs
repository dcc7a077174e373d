//! Power cuts, torn and reordered writes, failing syncs and full disks against a model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::{Entropy, Host};
use jiff::Timestamp;
use proptest::prelude::*;
use store::disk::{Disk, Faults, FaultyDisk, MemoryDisk};
use store::{Embedded, Entry, Error, Event, Expect, OpenError, Options, Range, Revision, Store};

/// What the keys should hold.
type Model = BTreeMap<String, Bytes>;

#[derive(Debug, Clone)]
enum Step {
    Put { key: u8, value: u8, size: usize },
    Delete { key: u8 },
    Compact,
}

impl Step {
    fn apply(&self, model: &mut Model) {
        match self {
            Self::Put { key, value, size } => drop(model.insert(name(*key), vec![*value; *size].into())),
            Self::Delete { key } => drop(model.remove(&name(*key))),
            Self::Compact => {}
        }
    }

    async fn run(&self, store: &Embedded) -> Result<Revision, Error> {
        match self {
            Self::Put { key, value, size } => {
                store.put(&name(*key), vec![*value; *size].into(), Expect::Any, None).await
            }
            Self::Delete { key } => Ok(store.delete(&name(*key), Expect::Any).await?.revision),
            Self::Compact => {
                let revision = store.revision().await?;
                store.compact(revision).await?;
                Ok(revision)
            }
        }
    }
}

fn name(key: u8) -> String {
    format!("/registry/things/{key}")
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..6_u8, any::<u8>(), 0..6000_usize).prop_map(|(key, value, size)| Step::Put { key, value, size }),
        2 => (0..6_u8).prop_map(|key| Step::Delete { key }),
        1 => Just(Step::Compact),
    ];
    proptest::collection::vec(step, 1..12)
}

fn on_paused_time<F: Future>(test: impl FnOnce(Host) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { test(Host::simulated(Timestamp::UNIX_EPOCH, 1)).await })
}

fn open(disk: impl Disk, host: &Host) -> Result<Embedded, OpenError> {
    Embedded::on(Arc::new(disk), Options::default(), host)
}

async fn content(store: &Embedded) -> Model {
    let page = store.range(Range { prefix: "/", ..Range::default() }).await.unwrap();
    page.entries.into_iter().map(|Entry { key, value, .. }| (key.to_string(), value)).collect()
}

/// Runs `steps` until the power goes after `power` operations of the disk. Returns the model of what was acknowledged,
/// the model in which the step that failed counts too, and the last acknowledged revision.
async fn run_until_dark(disk: &FaultyDisk, steps: &[Step], power: u64, host: &Host) -> (Model, Model, Revision) {
    let (mut acknowledged, mut revision) = (Model::new(), 1);
    // A new store comes into being whole (a file by renaming), so the power may go from then on.
    drop(open(disk.clone(), host).unwrap());
    disk.set_faults(Faults { power_after: Some(power), ..Faults::default() });
    let Ok(store) = open(disk.clone(), host) else {
        return (Model::new(), Model::new(), revision);
    };
    for step in steps {
        let mut perhaps = acknowledged.clone();
        step.apply(&mut perhaps);
        match step.run(&store).await {
            Ok(new) => {
                assert!(new >= revision, "revisions never go back");
                (acknowledged, revision) = (perhaps, new);
            }
            Err(_) => return (acknowledged, perhaps, revision),
        }
    }
    (acknowledged.clone(), acknowledged, revision)
}

/// Counts the disk operations of a run in which the power stays on.
async fn operations(steps: &[Step], host: &Host) -> u64 {
    let disk = FaultyDisk::new(0);
    run_until_dark(&disk, steps, u64::MAX, host).await;
    disk.operations()
}

#[tokio::test]
async fn an_unfinished_store_is_made_anew() {
    let (host, directory) = (Host::system(), tempfile::tempdir().unwrap());
    std::fs::write(directory.path().join("store.redb.new"), b"half a header").unwrap();
    let store = Embedded::open(directory.path(), Options::default(), &host).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), 1);
}

#[tokio::test]
async fn an_unknown_file_is_refused_and_left_alone() {
    let (host, directory) = (Host::system(), tempfile::tempdir().unwrap());
    let path = directory.path().join("store.redb");
    std::fs::write(&path, b"somebody's letters").unwrap();
    assert!(Embedded::open(directory.path(), Options::default(), &host).await.is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's letters");
}

/// A store with some history, as the bytes of its file and what it holds.
async fn written(host: &Host) -> (Vec<u8>, Model) {
    let disk = FaultyDisk::new(11);
    let store = open(disk.clone(), host).unwrap();
    for round in 0..3_u8 {
        for key in 0..40 {
            let value = Bytes::from(vec![round; 200 + usize::from(key)]);
            store.put(&name(key), value, Expect::Any, None).await.unwrap();
        }
    }
    let held = content(&store).await;
    drop(store);
    let mut bytes = vec![0; usize::try_from(disk.size().unwrap()).unwrap()];
    disk.read(0, &mut bytes).unwrap();
    (bytes, held)
}

/// Whatever has happened to the file: it is refused with words, or holds what it held.
async fn check_damage(what: &str, bytes: Vec<u8>, held: &Model, host: &Host) -> bool {
    match open(MemoryDisk::new(bytes), host) {
        Ok(store) => {
            assert_eq!(&content(&store).await, held, "{what}: opened with other content");
            true
        }
        Err(error) => {
            let words = error.to_string();
            assert!(words.contains("put a backup in its place") || words.contains("use a version"), "{what}: {words}");
            false
        }
    }
}

#[test]
fn damage_is_refused_or_repaired_and_never_served() {
    on_paused_time(async |host| {
        let (bytes, held) = written(&host).await;
        assert!(check_damage("nothing", bytes.clone(), &held, &host).await);
        let entropy = host::SeededEntropy::new(5);
        let mut refused = 0;
        for round in 0..400 {
            // The header and the first pages in full, then anywhere.
            let at = if round < 128 { round } else { (entropy.fraction() * bytes.len() as f64) as usize };
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (round % 8);
            refused += usize::from(!check_damage(&format!("flipped byte {at}"), flipped, &held, &host).await);
        }
        assert!(refused > 10, "only {refused} of 400 were noticed");
        for part in [0, 1, 100, 4095, 4096, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
            let mut cut = bytes.clone();
            cut.truncate(part);
            if part > 0 {
                check_damage(&format!("cut to {part}"), cut, &held, &host).await;
            }
            let mut zeroed = bytes.clone();
            zeroed[part..].fill(0);
            check_damage(&format!("zeroed from {part}"), zeroed, &held, &host).await;
            let mut longer = bytes.clone();
            longer.resize(bytes.len() + part, 0xff);
            check_damage(&format!("{part} bytes longer"), longer, &held, &host).await;
        }
    });
}

#[tokio::test]
async fn an_empty_file_has_lost_its_store() {
    let (host, directory) = (Host::system(), tempfile::tempdir().unwrap());
    let path = directory.path().join("store.redb");
    std::fs::write(&path, b"").unwrap();
    let error = Embedded::open(directory.path(), Options::default(), &host).await.unwrap_err();
    assert!(error.to_string().contains("is empty): put a backup in its place"), "{error}");
}

async fn check_power_cut(steps: &[Step], power: u64, seed: u64, host: &Host) {
    let disk = FaultyDisk::new(seed);
    let (acknowledged, perhaps, revision) = run_until_dark(&disk, steps, power, host).await;
    let store = open(disk.crash(), host).unwrap_or_else(|e| panic!("power cut after {power}: {e:?}"));
    let found = content(&store).await;
    assert!(found == acknowledged || found == perhaps, "power cut after {power} operations, seed {seed}");
    assert!(store.revision().await.unwrap() >= revision);
    let next = store.put("/registry/after", Bytes::new(), Expect::Absent, None).await.unwrap();
    assert!(next > revision);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// The power goes at every single write, resize and sync of a run.
    #[test]
    fn no_power_cut_loses_or_halves_a_write(steps in steps(), seed in any::<u64>()) {
        on_paused_time(async |host| {
            for power in 0..operations(&steps, &host).await {
                check_power_cut(&steps, power, seed.wrapping_add(power), &host).await;
            }
        });
    }

    /// Reads at old revisions and watches agree with a model that keeps everything.
    #[test]
    fn history_is_what_happened(steps in steps()) {
        on_paused_time(async |host| {
            let store = Embedded::memory(&host).unwrap();
            let (mut model, mut history) = (Model::new(), BTreeMap::new());
            for step in steps.iter().filter(|step| !matches!(step, Step::Compact)) {
                step.apply(&mut model);
                history.insert(step.run(&store).await.unwrap(), model.clone());
            }
            for (revision, model) in &history {
                let page = store.range(Range { prefix: "/", at: Some(*revision), ..Range::default() }).await.unwrap();
                assert!(page.entries.iter().map(|e| (e.key.to_string(), e.value.clone())).eq(model.clone()));
            }
            assert_eq!(replay(&store, 1).await, model);
        });
    }
}

/// What a watcher that starts after `after` ends up with.
async fn replay(store: &Embedded, after: Revision) -> Model {
    let present = store.revision().await.unwrap();
    let mut watch = store.watch("/", after).await.unwrap();
    let (mut seen, mut model) = (after, Model::new());
    while seen < present {
        let batch = watch.next().await.unwrap();
        seen = batch.revision;
        for event in batch.events {
            match event {
                Event::Put(entry) => drop(model.insert(entry.key.to_string(), entry.value)),
                Event::Delete { key, .. } => drop(model.remove(&*key)),
            }
        }
    }
    model
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    on_paused_time(async |host| {
        let disk = FaultyDisk::new(7);
        let store = open(disk.clone(), &host).unwrap();
        disk.set_faults(Faults { capacity: Some(disk.size().unwrap() + 8192), ..Faults::default() });
        let value = Bytes::from(vec![1; 64 << 10]);
        let mut written = 0;
        let error = loop {
            match store.put(&format!("/{written:05}"), value.clone(), Expect::Absent, None).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
            assert!(written < 10_000, "the disk never fills");
        };
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        assert_eq!(content(&store).await.len(), written);
        assert!(matches!(store.trouble(), Some(Error::Full { .. })));
        let again = store.put("/again", value.clone(), Expect::Absent, None).await;
        assert!(matches!(again, Err(Error::Full { .. })), "{again:?}");

        disk.set_faults(Faults::default());
        store.put("/again", value, Expect::Absent, None).await.unwrap();
        assert!(store.trouble().is_none());
        assert_eq!(content(&store).await.len(), written + 1);
        drop(store);
        assert_eq!(content(&open(disk, &host).unwrap()).await.len(), written + 1);
    });
}

#[test]
fn a_failed_sync_ends_writing_for_good() {
    on_paused_time(async |host| {
        let disk = FaultyDisk::new(9);
        let store = open(disk.clone(), &host).unwrap();
        let durable = store.put("/durable", Bytes::new(), Expect::Any, None).await.unwrap();
        disk.set_faults(Faults { failing_sync: true, ..Faults::default() });
        assert!(matches!(store.put("/lost", Bytes::new(), Expect::Any, None).await, Err(Error::Unavailable { .. })));
        disk.set_faults(Faults::default());
        let error = store.put("/late", Bytes::new(), Expect::Any, None).await.unwrap_err();
        assert!(error.to_string().contains("restarted"), "{error}");
        assert_eq!(store.revision().await.unwrap(), durable);
        let after = open(disk.crash(), &host).unwrap();
        assert!(content(&after).await.contains_key("/durable"));
    });
}

#[test]
fn compaction_gives_space_back() {
    on_paused_time(async |host| {
        let disk = Arc::new(FaultyDisk::new(3));
        let store = Embedded::on(disk.clone(), Options::default(), &host).unwrap();
        let mut settled = 0;
        for round in 0..40 {
            for _ in 0..50 {
                store.put("/hot", vec![round; 16 << 10].into(), Expect::Any, None).await.unwrap();
            }
            store.compact(store.revision().await.unwrap()).await.unwrap();
            if round == 10 {
                settled = disk.size().unwrap();
            }
        }
        assert!(disk.size().unwrap() <= settled * 2, "{} grew to {}", settled, disk.size().unwrap());
    });
}

#[test]
fn history_is_bounded_without_compaction() {
    on_paused_time(async |host| {
        let options = Options { keep_revisions: 100, ..Options::default() };
        let store = Embedded::on(Arc::new(FaultyDisk::new(1)), options, &host).unwrap();
        for _ in 0..150 {
            store.put("/hot", Bytes::new(), Expect::Any, None).await.unwrap();
        }
        let present = store.revision().await.unwrap();
        assert!(matches!(store.get("/hot", Some(present - 101)).await, Err(Error::Compacted { .. })));
        assert!(store.get("/hot", Some(present - 70)).await.is_ok());
    });
}

#[test]
fn leases_survive_a_restart_and_end_on_time() {
    on_paused_time(async |host| {
        let disk = FaultyDisk::new(1);
        let store = open(disk.clone(), &host).unwrap();
        let lease = store.grant(Duration::from_secs(60)).await.unwrap();
        store.put("/event", Bytes::new(), Expect::Any, Some(lease)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(50)).await;
        drop(store);
        let store = open(disk, &host).unwrap();
        assert_ne!(store.grant(Duration::from_secs(1)).await.unwrap(), lease);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(store.get("/event", None).await.unwrap().entry.is_some());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(store.get("/event", None).await.unwrap().entry.is_none());
    });
}

#[test]
fn a_slow_watcher_is_cut() {
    on_paused_time(async |host| {
        let store = Embedded::memory(&host).unwrap();
        let mut watch = store.watch("/", 1).await.unwrap();
        let value = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..8 {
            store.put("/large", value.clone(), Expect::Any, None).await.unwrap();
        }
        store.compact(store.revision().await.unwrap()).await.unwrap();
        assert!(matches!(watch.next().await, Err(Error::Compacted { .. })));
        assert!(matches!(watch.next().await, Err(Error::Closed)));
    });
}

#[test]
fn watches_end_when_the_store_closes() {
    on_paused_time(async |host| {
        let store = Embedded::memory(&host).unwrap();
        let mut watch = store.watch("/", 1).await.unwrap();
        store.put("/last", Bytes::new(), Expect::Any, None).await.unwrap();
        drop(store);
        assert_eq!(watch.next().await.unwrap().events.len(), 1);
        assert!(matches!(watch.next().await, Err(Error::Closed)));
    });
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let (host, directory) = (Host::system(), tempfile::tempdir().unwrap());
    let store = Embedded::open(directory.path(), Options::default(), &host).await.unwrap();
    let revision = store.put("/a", Bytes::new(), Expect::Any, None).await.unwrap();
    let error = Embedded::open(directory.path(), Options::default(), &host).await.unwrap_err();
    let expected = format!("store at {} is in use by process {}", directory.path().display(), std::process::id());
    assert_eq!(error.to_string(), expected);

    let mut watch = store.watch("/", revision).await.unwrap();
    drop(store);
    assert!(matches!(watch.next().await, Err(Error::Closed)));
    drop(watch);
    assert!(host.tasks.drain(Duration::from_secs(5)).await);
}
