//! Watches on a resource whose changes the test makes.

use object::{FieldSelector, LabelSelector};

use super::*;
use crate::cache::event::Shown;

fn resource() -> Resource {
    let selectable = vec![Selectable {
        label: "spec.nodeName".into(),
        path: ["spec".into(), "nodeName".into()].into(),
        default: "".into(),
    }];
    Resource::new(Definition { prefix: "/registry/pods/".into(), selectable, trigger: Some(0) })
}

fn put(resource: &Resource, revision: u64, key: &str, node: &str) {
    let name = key.rsplit('/').next().unwrap_or_default();
    let json = format!(r#"{{"metadata":{{"name":"{name}","uid":"u"}},"spec":{{"nodeName":"{node}"}}}}"#);
    let entry = Entry::new(key, revision, json.as_bytes(), &resource.definition().selectable).expect("json");
    resource.put(Arc::new(entry));
}

fn filter(resource: &Resource, fields: &str) -> Filter {
    let fields = FieldSelector::parse(fields).expect("fields");
    Filter::new(None, LabelSelector::default(), &fields, |label| resource.definition().field(label)).expect("supported")
}

fn drain(subscription: &mut Subscription, filter: &Filter) -> Vec<(Shown, u64)> {
    let mut seen: Vec<_> = subscription.backlog.drain(..).collect();
    while let Ok(event) = subscription.events.try_recv() {
        seen.push(event);
    }
    seen.iter().filter_map(|event| event.shown_to(filter).map(|shown| (shown, event.revision()))).collect()
}

#[test]
fn selectors_see_objects_come_and_go() {
    let resource = resource();
    put(&resource, 2, "ns/a", "");
    let filter = filter(&resource, "spec.nodeName=n1");
    let mut watch = resource.watch(&filter);
    assert_eq!((watch.initial.as_ref().map(Sorted::len), watch.revision), (Some(1), 2));
    put(&resource, 3, "ns/a", "n1");
    put(&resource, 4, "ns/b", "n2");
    put(&resource, 5, "ns/a", "n1");
    put(&resource, 6, "ns/a", "n2");
    resource.delete("ns/a", 7);
    assert_eq!(drain(&mut watch, &filter), [(Shown::Added, 3), (Shown::Modified, 5), (Shown::Deleted, 6)]);
}

#[test]
fn only_those_concerned_are_woken() {
    let resource = resource();
    let mut watches: Vec<_> = ["spec.nodeName=n1", "spec.nodeName=n2", "metadata.name=a", ""]
        .map(|fields| resource.watch(&filter(&resource, fields)))
        .into();
    put(&resource, 2, "ns/a", "n1");
    put(&resource, 3, "ns/b", "n2");
    let counts: Vec<_> =
        watches.iter_mut().map(|watch| std::iter::from_fn(|| watch.events.try_recv().ok()).count()).collect();
    assert_eq!(counts, [1, 1, 1, 2]);
}

#[test]
fn the_past_is_kept_for_a_while() {
    let resource = resource();
    for revision in 1..=RING as u64 + 10 {
        put(&resource, revision, "ns/a", "");
    }
    let everything = Filter::default();
    assert_eq!(resource.watch_after(9, &everything).expect_err("forgotten"), TooOld { requested: 9, oldest: 10 });
    let mut watch = resource.watch_after(RING as u64 + 8, &everything).expect("kept");
    assert_eq!(drain(&mut watch, &everything).len(), 2);
}

#[test]
fn a_slow_watcher_is_cut() {
    let resource = resource();
    let mut slow = resource.watch(&Filter::default());
    for revision in 1..=9000 {
        put(&resource, revision, "ns/a", "");
    }
    assert_eq!(resource.watchers(), 0);
    let read = std::iter::from_fn(|| slow.events.try_recv().ok()).count();
    assert_eq!(read, 8192);
    assert!(slow.events.is_closed());
}

#[test]
fn renderings_are_shared_and_forgotten() {
    let resource = resource();
    let mut watch = resource.watch(&Filter::default());
    put(&resource, 1, "ns/a", "");
    let event = watch.events.try_recv().expect("an event");
    let mut made = 0;
    for _ in 0..3 {
        let bytes = event.rendered::<()>(Shown::Added, 0, |entry| {
            made += 1;
            Ok(entry.bytes().clone())
        });
        assert!(bytes.is_ok_and(|bytes| !bytes.is_empty()));
    }
    assert_eq!(made, 1);
    for revision in 2..2 + NEWS as u64 {
        put(&resource, revision, "ns/a", "");
    }
    let again = event.rendered(Shown::Added, 0, |_| Err("made again"));
    assert_eq!(again, Err("made again"));
}

#[test]
fn a_load_replaces_everything() {
    let resource = resource();
    put(&resource, 2, "ns/a", "");
    let watch = resource.watch(&Filter::default());
    resource.load(Sorted::default(), 9);
    put(&resource, 8, "ns/old", "");
    assert!(watch.events.is_closed() && resource.is_empty());
    assert!(resource.watch_after(8, &Filter::default()).is_err());
    assert!(resource.watch_after(9, &Filter::default()).is_ok());
}
