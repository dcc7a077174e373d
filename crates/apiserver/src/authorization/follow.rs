//! Keeping the index up to date with the watch cache.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use host::{Host, OnEnd};

use super::{GROUP, Index, Rbac};
use crate::cache::{Entry, Event, Filter, Resource};

/// The four resources, and whether each holds roles.
const RESOURCES: [(&str, bool); 4] =
    [("clusterroles", true), ("roles", true), ("clusterrolebindings", false), ("rolebindings", false)];

/// Follows roles and bindings in tasks of `host`.
pub fn follow(rbac: &Rbac, objects: &crate::Objects, host: &Host) {
    let followers: FuturesUnordered<_> = RESOURCES
        .into_iter()
        .filter_map(|(resource, roles)| Some((objects.resource(GROUP, resource)?, roles)))
        .map(|(resource, roles)| follow_one(rbac.clone(), resource, roles))
        .collect();
    let shutdown = host.shutdown();
    host.tasks.spawn("role index", OnEnd::Fatal, async move {
        shutdown.run_until_cancelled(followers.collect::<()>()).await;
    });
}

/// Names of objects that the index holds.
type Known = BTreeSet<(Box<str>, Box<str>)>;

/// Follows one resource; a watch that is cut off starts again from the present state.
async fn follow_one(rbac: Rbac, resource: Arc<Resource>, roles: bool) {
    let mut known = Known::new();
    loop {
        let mut watch = resource.watch(&Filter::default());
        let initial = watch.initial.take().unwrap_or_default();
        rbac.write(|index| {
            for (namespace, name) in std::mem::take(&mut known) {
                remove(index, roles, &namespace, &name);
            }
            initial.under("").for_each(|entry| put(index, roles, entry));
        });
        known.extend(initial.under("").map(|entry| key(entry)));
        for event in std::mem::take(&mut watch.backlog) {
            apply(&rbac, roles, &event, &mut known);
        }
        while let Some(event) = watch.events.recv().await {
            apply(&rbac, roles, &event, &mut known);
        }
        tokio::task::yield_now().await;
    }
}

fn apply(rbac: &Rbac, roles: bool, event: &Event, known: &mut Known) {
    match (event.current(), event.previous()) {
        (Some(entry), _) => {
            known.insert(key(entry));
            rbac.write(|index| put(index, roles, entry));
        }
        (None, Some(entry)) => {
            known.remove(&key(entry));
            rbac.write(|index| remove(index, roles, entry.namespace(), entry.name()));
        }
        (None, None) => {}
    }
}

fn key(entry: &Entry) -> (Box<str>, Box<str>) {
    (entry.namespace().into(), entry.name().into())
}

fn put(index: &mut Index, roles: bool, entry: &Entry) {
    let (namespace, name) = (entry.namespace(), entry.name());
    let put = if roles {
        index.put_role(namespace, name, entry.bytes())
    } else {
        index.put_binding(namespace, name, entry.bytes())
    };
    if let Err(error) = put {
        tracing::warn!(namespace, name, %error, "a role or binding that cannot be read grants nothing");
        remove(index, roles, namespace, name);
    }
}

fn remove(index: &mut Index, roles: bool, namespace: &str, name: &str) {
    if roles {
        index.remove_role(namespace, name);
    } else {
        index.remove_binding(namespace, name);
    }
}
