//! Answers a plan's queries live.

use std::collections::{BTreeMap, BTreeSet};

use informer::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::Client;
use kube::api::ListParams;
use serde::Deserialize;

use super::apply::{REQUEST_LIMIT, read};
use crate::discovery::discover;
use crate::plan::{Answer, Query};
use crate::resource::{Resource, Target};
use crate::world::Failure;

/// Objects named in the answer to a list query.
const PAGE: u32 = 500;

#[derive(Deserialize)]
struct MetadataList {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<Metadata>,
}

/// All answers, or the first question that was not answered.
pub(super) async fn ask(client: &Client, queries: BTreeSet<Query>) -> Result<BTreeMap<Query, Answer>, Failure> {
    let mut answers = BTreeMap::new();
    for query in queries {
        let answer = tokio::time::timeout(REQUEST_LIMIT, answer(client, &query)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(failure(&query, error.to_string())),
            Err(elapsed) => return Err(failure(&query, elapsed.to_string())),
        };
        answers.insert(query, answer);
    }
    Ok(answers)
}

async fn answer(client: &Client, query: &Query) -> Result<Answer, kube::Error> {
    match query {
        Query::Get(target) => read(client, target).await.map(Answer::Object),
        Query::List { resource, namespace } => list(client, resource, namespace.as_deref()).await,
        Query::Discover => discover(client).await.map(Answer::Discovered),
    }
}

async fn list(client: &Client, resource: &Resource, namespace: Option<&str>) -> Result<Answer, kube::Error> {
    let request = kube::core::Request::new(resource.path(namespace))
        .list_metadata(&ListParams::default().limit(PAGE))
        .map_err(kube::Error::BuildRequest)?;
    let list: MetadataList = client.request(request).await?;
    let unnamed = i64::from(list.metadata.continue_.is_some_and(|token| !token.is_empty()));
    let more = list.metadata.remaining_item_count.unwrap_or(unnamed);
    Ok(Answer::List { first: list.items, more: u64::try_from(more).unwrap_or(0) })
}

fn failure(query: &Query, message: String) -> Failure {
    let (verb, target) = match query {
        Query::Get(target) => ("read", target.clone()),
        Query::List { resource, namespace } => {
            let (resource, namespace) = (resource.clone(), namespace.clone());
            ("list", Target { resource, namespace, name: String::new() })
        }
        Query::Discover => {
            let resource =
                Resource { group: "".into(), version: "".into(), kind: "APIGroup".into(), plural: "apigroups".into() };
            ("discover", Target { resource, namespace: None, name: String::new() })
        }
    };
    Failure { verb: verb.to_owned(), target, message, reason: String::new() }
}
