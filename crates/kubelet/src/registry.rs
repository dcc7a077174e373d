//! The pods of this node as the server shows them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;

use crate::pod::observed::Observed;

/// A pod with its present status, and what the runtime has of it.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub pod: Arc<Pod>,
    pub observed: Observed,
}

/// The views of all pods; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<String, watch::Receiver<Arc<View>>>>>);

impl Registry {
    /// Adds pod `uid`; its worker keeps the view up to date through the returned end.
    pub fn add(&self, uid: &str, pod: Arc<Pod>) -> watch::Sender<Arc<View>> {
        let (sender, receiver) = watch::channel(Arc::new(View { pod, observed: Observed::default() }));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), receiver);
        sender
    }

    pub fn remove(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// The pod of this name, and of this uid where one is given.
    #[must_use]
    pub fn find(&self, namespace: &str, name: &str, uid: Option<&str>) -> Option<watch::Receiver<Arc<View>>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |view: &View| {
            let meta = &view.pod.metadata;
            meta.namespace.as_deref() == Some(namespace) && meta.name.as_deref() == Some(name)
        };
        let mut found = map.iter().filter(|(known, view)| uid.is_none_or(|uid| uid == *known) && named(&view.borrow()));
        found.next().map(|(_, view)| view.clone())
    }

    /// All pods, ordered by uid.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<View>> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.values().map(|view| view.borrow().clone()).collect()
    }
}
