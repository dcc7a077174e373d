//! Reading one object.

use std::sync::Arc;

use super::{Registry, Scope};
use crate::cache::Entry;
use crate::error::Result;
use crate::parameters::Freshness;

impl Registry {
    /// The object that the path names, as fresh as asked for.
    pub(crate) async fn get(&self, scope: &Scope<'_>, freshness: Freshness) -> Result<Arc<Entry>> {
        self.catch_up(freshness).await?;
        scope.resource.get(&scope.key()).ok_or_else(|| scope.not_found())
    }

    /// Waits until the cache is as fresh as asked for.
    pub(super) async fn catch_up(&self, freshness: Freshness) -> Result<()> {
        match freshness {
            Freshness::Latest => self.cache.fresh().await.map(drop),
            Freshness::Any => Ok(()),
            Freshness::NotOlderThan(revision) | Freshness::Exact(revision) => self.cache.wait(revision).await,
        }
    }
}
