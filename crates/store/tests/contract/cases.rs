//! What every store must do. Each case works under a prefix of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::{Batch, Error, Event, Expect, Range, Revision, Store, Watch};

type Outcome = Result<(), Error>;

/// Runs every case, one after the other.
pub(crate) async fn run(store: Arc<dyn Store>) {
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {$(
            let prefix = concat!("/", stringify!($case), "/");
            tokio::time::timeout(Duration::from_secs(60), $case(&*store, prefix))
                .await
                .unwrap_or_else(|_| panic!("{prefix} takes too long"))
                .unwrap_or_else(|error| panic!("{prefix}: {error:?}"));
        )*};
    }
    cases!(
        entries_carry_their_revisions,
        preconditions,
        deletes,
        ranges,
        old_revisions_stay_readable,
        watches_start_in_the_past,
        watches_see_their_prefix_only,
        progress_is_reported,
        compaction_cuts,
        the_future_is_refused,
        leases_end,
        leases_can_be_left,
        unknown_leases,
        limits,
        increments_are_not_lost,
        many_entries,
    );
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn put(store: &dyn Store, key: &str, value: &str) -> Result<Revision, Error> {
    store.put(key, bytes(value), Expect::Any, None).await
}

/// Reads `watch` until `count` events have come.
async fn events(watch: &mut Watch, count: usize) -> Result<Vec<Event>, Error> {
    let mut all = Vec::new();
    while all.len() < count {
        let Batch { events, revision } = watch.next().await?;
        assert!(events.last().is_none_or(|last| last.revision() <= revision));
        all.extend(events);
    }
    Ok(all)
}

async fn entries_carry_their_revisions(store: &dyn Store, prefix: &str) -> Outcome {
    let key = format!("{prefix}a");
    assert_eq!(store.get(&key, None).await?.entry, None);
    let first = put(store, &key, "1").await?;
    let second = put(store, &key, "2").await?;
    assert!(second > first && first > 1);
    let found = store.get(&key, None).await?;
    let entry = found.entry.unwrap();
    assert_eq!((&*entry.key, &*entry.value, entry.created, entry.modified), (&*key, &b"2"[..], first, second));
    assert!(found.revision >= second && store.revision().await? >= second);
    Ok(())
}

async fn preconditions(store: &dyn Store, prefix: &str) -> Outcome {
    let key = format!("{prefix}a");
    for (expect, holds) in [(Expect::Exists, false), (Expect::Revision(1), false), (Expect::Absent, true)] {
        match store.put(&key, bytes("x"), expect, None).await {
            Err(Error::Conflict { current: None, .. }) if !holds => {}
            Ok(_) if holds => {}
            other => panic!("{expect:?} on an absent key: {other:?}"),
        }
    }
    let modified = store.get(&key, None).await?.entry.unwrap().modified;
    for (expect, holds) in [
        (Expect::Absent, false),
        (Expect::Revision(modified - 1), false),
        (Expect::Revision(modified + 1), false),
        (Expect::Revision(modified), true),
        (Expect::Exists, true),
        (Expect::Any, true),
    ] {
        match store.put(&key, bytes("y"), expect, None).await {
            Err(Error::Conflict { current: Some(entry), .. }) if !holds => assert_eq!(entry.modified, modified),
            Ok(_) if holds => {}
            other => panic!("{expect:?} on a present key: {other:?}"),
        }
    }
    Ok(())
}

async fn deletes(store: &dyn Store, prefix: &str) -> Outcome {
    let key = format!("{prefix}a");
    let before = store.revision().await?;
    assert_eq!(store.delete(&key, Expect::Any).await?.entry, None);
    assert_eq!(store.revision().await?, before);
    assert!(matches!(store.delete(&key, Expect::Exists).await, Err(Error::Conflict { current: None, .. })));

    let created = put(store, &key, "1").await?;
    let wrong = store.delete(&key, Expect::Revision(created - 1)).await;
    assert!(matches!(wrong, Err(Error::Conflict { current: Some(_), .. })));
    let deleted = store.delete(&key, Expect::Revision(created)).await?;
    assert_eq!(deleted.entry.map(|e| e.value), Some(bytes("1")));
    assert!(deleted.revision > created);
    assert_eq!(store.get(&key, None).await?.entry, None);

    let again = put(store, &key, "2").await?;
    assert_eq!(store.get(&key, None).await?.entry.unwrap().created, again);
    Ok(())
}

async fn ranges(store: &dyn Store, prefix: &str) -> Outcome {
    for name in ["b", "a", "c/d", "c"] {
        put(store, &format!("{prefix}{name}"), name).await?;
    }
    put(store, &format!("{}0", prefix.trim_end_matches('/')), "a neighbour").await?;
    let start = format!("{prefix}b");
    for (start, limit, expected, remaining) in [
        (None, 0, "a b c c/d", 0),
        (None, 2, "a b", 2),
        (Some(&*start), 0, "b c c/d", 0),
        (Some(&*start), 1, "b", 2),
        (Some("/"), 1, "a", 3),
        (Some("/zzz"), 0, "", 0),
        (None, 4, "a b c c/d", 0),
    ] {
        let page = store.range(Range { prefix, start, limit, at: None }).await?;
        let found: Vec<_> = page.entries.iter().map(|e| std::str::from_utf8(&e.value).unwrap()).collect();
        assert_eq!((found.join(" "), page.remaining), (expected.to_owned(), remaining), "{start:?} {limit}");
        assert_eq!(page.more(), remaining > 0);
    }
    Ok(())
}

async fn old_revisions_stay_readable(store: &dyn Store, prefix: &str) -> Outcome {
    let (a, b) = (format!("{prefix}a"), format!("{prefix}b"));
    let first = put(store, &a, "1").await?;
    let second = put(store, &a, "2").await?;
    let third = put(store, &b, "3").await?;
    let gone = store.delete(&a, Expect::Any).await?.revision;
    for (at, value) in [(first - 1, None), (first, Some("1")), (second, Some("2")), (third, Some("2")), (gone, None)] {
        let found = store.get(&a, Some(at)).await?;
        assert_eq!((found.entry.map(|e| e.value), found.revision), (value.map(bytes), at));
    }
    let keys = |at| store.range(Range { prefix, at, ..Range::default() });
    assert_eq!(keys(Some(third)).await?.entries.len(), 2);
    assert_eq!(keys(Some(second)).await?.entries.len(), 1);
    assert_eq!(keys(None).await?.entries[0].modified, third);
    Ok(())
}

async fn watches_start_in_the_past(store: &dyn Store, prefix: &str) -> Outcome {
    let key = format!("{prefix}a");
    let before = store.revision().await?;
    let first = put(store, &key, "1").await?;
    let second = put(store, &key, "2").await?;
    let mut all = store.watch(prefix, before).await?;
    let mut rest = store.watch(prefix, first).await?;
    let mut live = store.watch(prefix, second).await?;
    let gone = store.delete(&key, Expect::Any).await?.revision;
    let revisions = |events: Vec<Event>| events.iter().map(Event::revision).collect::<Vec<_>>();
    assert_eq!(revisions(events(&mut all, 3).await?), [first, second, gone]);
    assert_eq!(revisions(events(&mut rest, 2).await?), [second, gone]);
    assert_eq!(events(&mut live, 1).await?, [Event::Delete { key: key.as_str().into(), revision: gone }]);
    Ok(())
}

async fn watches_see_their_prefix_only(store: &dyn Store, prefix: &str) -> Outcome {
    let before = store.revision().await?;
    let mut watch = store.watch(&format!("{prefix}in/"), before).await?;
    put(store, &format!("{prefix}out"), "1").await?;
    put(store, &format!("{prefix}in0"), "2").await?;
    let inside = put(store, &format!("{prefix}in/a"), "3").await?;
    let seen = events(&mut watch, 1).await?;
    assert_eq!(seen.iter().map(Event::revision).collect::<Vec<_>>(), [inside]);
    let Event::Put(entry) = &seen[0] else { panic!("not a put: {seen:?}") };
    assert_eq!((&entry.value, entry.created), (&bytes("3"), inside));
    Ok(())
}

async fn progress_is_reported(store: &dyn Store, prefix: &str) -> Outcome {
    if !store.reports_progress() {
        return Ok(());
    }
    let mut watch = store.watch(&format!("{prefix}in/"), store.revision().await?).await?;
    let present = put(store, &format!("{prefix}out"), "1").await?;
    store.progress().await?;
    while watch.next().await?.revision < present {}
    Ok(())
}

async fn compaction_cuts(store: &dyn Store, prefix: &str) -> Outcome {
    let key = format!("{prefix}a");
    let first = put(store, &key, "1").await?;
    put(store, &key, "2").await?;
    let third = put(store, &key, "3").await?;
    store.compact(third).await?;
    store.compact(third).await?;
    store.compact(first).await?;
    assert!(
        matches!(store.get(&key, Some(first)).await, Err(Error::Compacted { requested, .. }) if requested == first)
    );
    let range = Range { prefix, at: Some(first), ..Range::default() };
    assert!(matches!(store.range(range).await, Err(Error::Compacted { .. })));
    assert_eq!(store.get(&key, Some(third)).await?.entry.unwrap().value, bytes("3"));
    let cut = match store.watch(prefix, first).await {
        Ok(mut watch) => watch.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(cut, Err(Error::Compacted { requested, .. }) if requested == first), "{cut:?}");
    let mut watch = store.watch(prefix, third).await?;
    put(store, &key, "4").await?;
    assert_eq!(events(&mut watch, 1).await?.len(), 1);
    Ok(())
}

async fn the_future_is_refused(store: &dyn Store, prefix: &str) -> Outcome {
    let future = store.revision().await? + 1000;
    assert!(
        matches!(store.get(prefix, Some(future)).await, Err(Error::Future { requested, .. }) if requested == future)
    );
    assert!(matches!(store.watch(prefix, future).await, Err(Error::Future { .. })));
    assert!(matches!(store.compact(future).await, Err(Error::Future { .. })));
    assert!(matches!(store.get(prefix, Some(0)).await, Err(Error::Compacted { .. })));
    Ok(())
}

async fn leases_end(store: &dyn Store, prefix: &str) -> Outcome {
    let (a, b) = (format!("{prefix}a"), format!("{prefix}b"));
    let (short, long) = (store.grant(Duration::from_secs(1)).await?, store.grant(Duration::from_secs(600)).await?);
    store.put(&a, bytes("short"), Expect::Any, Some(short)).await?;
    let after = store.put(&b, bytes("long"), Expect::Any, Some(long)).await?;
    store.keep_alive(short).await?;
    let mut watch = store.watch(prefix, after).await?;
    let gone = events(&mut watch, 1).await?;
    assert!(matches!(&gone[0], Event::Delete { key, .. } if **key == *a), "{gone:?}");
    assert!(matches!(store.keep_alive(short).await, Err(Error::LeaseNotFound(lease)) if lease == short));
    store.revoke(long).await?;
    let gone = events(&mut watch, 1).await?;
    assert!(matches!(&gone[0], Event::Delete { key, .. } if **key == *b), "{gone:?}");
    Ok(())
}

async fn leases_can_be_left(store: &dyn Store, prefix: &str) -> Outcome {
    let (stays, goes) = (format!("{prefix}stays"), format!("{prefix}goes"));
    let lease = store.grant(Duration::from_secs(600)).await?;
    for key in [&stays, &goes] {
        store.put(key, bytes("1"), Expect::Absent, Some(lease)).await?;
    }
    put(store, &stays, "2").await?;
    store.revoke(lease).await?;
    assert!(store.get(&stays, None).await?.entry.is_some());
    assert!(store.get(&goes, None).await?.entry.is_none());
    Ok(())
}

async fn unknown_leases(store: &dyn Store, prefix: &str) -> Outcome {
    const UNKNOWN: i64 = 0x7777_7777;
    let put = store.put(prefix, bytes("1"), Expect::Any, Some(UNKNOWN)).await;
    assert!(matches!(put, Err(Error::LeaseNotFound(UNKNOWN))), "{put:?}");
    assert!(matches!(store.keep_alive(UNKNOWN).await, Err(Error::LeaseNotFound(UNKNOWN))));
    assert!(matches!(store.revoke(UNKNOWN).await, Err(Error::LeaseNotFound(UNKNOWN))));
    Ok(())
}

async fn limits(store: &dyn Store, prefix: &str) -> Outcome {
    let large = Bytes::from(vec![0; 4 << 20]);
    assert!(matches!(store.put(prefix, large, Expect::Any, None).await, Err(Error::TooLarge { .. })));
    store.put(prefix, Bytes::from(vec![0; 1 << 20]), Expect::Any, None).await?;
    let key = "k".repeat(10_000);
    assert!(matches!(store.put(&key, Bytes::new(), Expect::Any, None).await, Err(Error::BadKey { .. })));
    assert!(matches!(store.put("", Bytes::new(), Expect::Any, None).await, Err(Error::BadKey { .. })));
    Ok(())
}

async fn increments_are_not_lost(store: &dyn Store, prefix: &str) -> Outcome {
    const WRITERS: u64 = 8;
    const EACH: u64 = 10;
    let key = format!("{prefix}counter");
    put(store, &key, "0").await?;
    let increment = async || {
        loop {
            let entry = store.get(&key, None).await?.entry.unwrap();
            let count: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
            match store.put(&key, bytes(&(count + 1).to_string()), Expect::Revision(entry.modified), None).await {
                Err(Error::Conflict { .. }) => {}
                other => return other.map(drop),
            }
        }
    };
    let writer = async || {
        for _ in 0..EACH {
            increment().await?;
        }
        Ok::<_, Error>(())
    };
    futures::future::try_join_all((0..WRITERS).map(|_| writer())).await?;
    assert_eq!(store.get(&key, None).await?.entry.unwrap().value, bytes(&(WRITERS * EACH).to_string()));
    Ok(())
}

async fn many_entries(store: &dyn Store, prefix: &str) -> Outcome {
    const COUNT: usize = 1_300;
    let before = store.revision().await?;
    let keys: Vec<_> = (0..COUNT).map(|n| format!("{prefix}{n:05}")).collect();
    futures::future::try_join_all(keys.iter().map(|key| put(store, key, key))).await?;
    let page = store.range(Range { prefix, ..Range::default() }).await?;
    assert!(page.entries.iter().map(|e| &*e.key).eq(keys.iter().map(String::as_str)));
    assert_eq!(page.remaining, 0);
    let mut watch = store.watch(prefix, before).await?;
    let seen = events(&mut watch, COUNT).await?;
    assert!(seen.is_sorted_by_key(Event::revision));
    Ok(())
}
