//! Pools shared by writes, and by servers.

use std::time::Duration;

use host::SeededEntropy;
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::cache::Cache;

/// Two servers over one store.
struct Bench {
    host: Host,
    storage: Storage,
    objects: Objects,
}

impl Bench {
    fn new() -> Self {
        let host = Host::simulated(Timestamp::UNIX_EPOCH, 1);
        let storage = Storage::new(Arc::new(store::Embedded::memory(&host).unwrap()));
        let objects = Objects::new(Cache::new(storage.clone()), Arc::new(Table::builtin()));
        Self { host, storage, objects }
    }

    fn pools(&self, cidr: &str, ports: RangeInclusive<u16>) -> Allocators {
        Allocators::new(&[cidr.to_owned()], ports, self.storage.clone(), &Table::builtin()).unwrap()
    }

    fn hold(&self, allocators: &Allocators, owner: &str) -> Hold {
        allocators.hold(&self.host, &self.objects, owner, false)
    }

    /// Lets what was spawned run.
    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn claims(&self) -> usize {
        let prefix = Claims::new(self.storage.clone(), &Table::builtin()).prefix;
        let range = store::Range { prefix: &prefix, ..store::Range::default() };
        self.storage.store.range(range).await.unwrap().entries.len()
    }
}

#[tokio::test(start_paused = true)]
async fn every_address_is_handed_out_once() {
    let (bench, entropy) = (Bench::new(), SeededEntropy::new(1));
    let allocators = bench.pools("10.0.0.0/28", NODE_PORTS);
    let mut first = bench.hold(&allocators, "a/a");
    let mut all = Vec::new();
    for _ in 0..14 {
        all.push(first.next_address(Family::IPv4, &entropy).await.unwrap());
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), bench.claims().await), (14, 14));
    let mut second = bench.hold(&allocators, "b/b");
    assert_eq!(second.next_address(Family::IPv4, &entropy).await, Err(AllocationError::Full));
    assert_eq!(second.take_address(all[0]).await, Err(AllocationError::AddressTaken));
    drop(first);
    assert_eq!(second.take_address(all[0]).await, Ok(()), "even before the old claim is withdrawn");
    bench.settle().await;
    assert_eq!(bench.claims().await, 1);
}

#[tokio::test(start_paused = true)]
async fn two_servers_do_not_hand_out_the_same() {
    let (bench, entropy) = (Bench::new(), SeededEntropy::new(1));
    let (here, there) = (bench.pools("10.0.0.0/30", NODE_PORTS), bench.pools("10.0.0.0/30", NODE_PORTS));
    let mut first = bench.hold(&here, "a/a");
    let taken = first.next_address(Family::IPv4, &entropy).await.unwrap();
    Box::new(first).commit();
    let mut second = bench.hold(&there, "b/b");
    assert_eq!(second.take_address(taken).await, Err(AllocationError::AddressTaken));
    let other = second.next_address(Family::IPv4, &entropy).await.unwrap();
    assert_ne!(other, taken);
    assert_eq!(second.next_address(Family::IPv4, &entropy).await, Err(AllocationError::Full));

    // The Service never came to be: after a while its claim is void.
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(second.next_address(Family::IPv4, &entropy).await, Ok(taken));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_claims_nothing() {
    let (bench, entropy) = (Bench::new(), SeededEntropy::new(1));
    let allocators = bench.pools("10.0.0.0/28", NODE_PORTS);
    let mut hold = allocators.hold(&bench.host, &bench.objects, "a/a", true);
    hold.next_address(Family::IPv4, &entropy).await.unwrap();
    assert_eq!(bench.claims().await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_stays_taken_until_released() {
    let bench = Bench::new();
    let allocators = bench.pools("10.0.0.0/24", 30_000..=30_001);
    let mut first = bench.hold(&allocators, "a/a");
    first.take_port(30_000).unwrap();
    first.take_port(30_000).unwrap();
    Box::new(first).commit();
    assert_eq!(bench.hold(&allocators, "b/b").take_port(30_000), Err(AllocationError::PortTaken));
    let service = json!({"metadata": {"namespace": "a", "name": "a"}, "spec": {"ports": [{"nodePort": 30_000}]}});
    allocators.release(&bench.host, "b/b", &service);
    assert_eq!(bench.hold(&allocators, "b/b").take_port(30_000), Err(AllocationError::PortTaken));
    allocators.release(&bench.host, "a/a", &service);
    assert_eq!(bench.hold(&allocators, "b/b").take_port(30_000), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn ranges_are_kept_to() {
    let bench = Bench::new();
    let allocators = bench.pools("10.0.0.0/24", 30_000..=30_001);
    let mut hold = bench.hold(&allocators, "a/a");
    for outside in ["10.0.0.0", "10.0.0.255", "10.0.1.1"] {
        let error = hold.take_address(outside.parse().unwrap()).await.unwrap_err();
        let expected =
            format!("the provided IP ({outside}) is not in the valid range. The range of valid IPs is 10.0.0.0/24");
        assert_eq!(error.to_string(), expected);
    }
    let error = hold.take_port(80).unwrap_err();
    let expected = "provided port is not in the valid range. The range of valid ports is 30000-30001";
    assert_eq!(error.to_string(), expected);
    assert_eq!(hold.take_address("fd00::1".parse().unwrap()).await, Err(AllocationError::NoRange(Family::IPv6)));
}
