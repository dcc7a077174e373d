//! Lists: pages, selectors, revisions.

use serde_json::{Value, json};

use crate::server::Api;

const CM: &str = "/api/v1/namespaces/default/configmaps";

async fn fill(api: &Api, count: usize) {
    for n in 0..count {
        let parity = if n % 2 == 0 { "even" } else { "odd" };
        let body = json!({"metadata": {"name": format!("m{n:03}"), "labels": {"parity": parity}}});
        api.post(CM, &body).await.ok();
    }
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_are_one_state() {
    let api = Api::start().await;
    fill(&api, 10).await;
    let first = api.get(&format!("{CM}?limit=4")).await.ok();
    assert_eq!(first["metadata"]["remainingItemCount"], 6);
    // What changes between pages must not show.
    api.delete(&format!("{CM}/m005")).await.ok();
    api.post(CM, &json!({"metadata": {"name": "m0055"}})).await.ok();
    let mut seen = names(&first);
    let mut token = first["metadata"]["continue"].as_str().expect("more").to_owned();
    loop {
        let page = api.get(&format!("{CM}?limit=4&continue={token}")).await.ok();
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        seen.extend(names(&page));
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..10).map(|n| format!("m{n:03}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn selectors_choose() {
    let api = Api::start().await;
    fill(&api, 6).await;
    for (query, expected) in [
        ("labelSelector=parity%3Dodd", vec!["m001", "m003", "m005"]),
        ("labelSelector=parity%20in%20(odd,none),parity", vec!["m001", "m003", "m005"]),
        ("labelSelector=!parity", vec![]),
        ("fieldSelector=metadata.name%3Dm002", vec!["m002"]),
        ("fieldSelector=metadata.name!%3Dm002&labelSelector=parity%3Deven", vec!["m000", "m004"]),
        ("limit=2&labelSelector=parity%3Deven", vec!["m000", "m002"]),
    ] {
        let list = api.get(&format!("{CM}?{query}")).await.ok();
        assert_eq!(names(&list), expected, "{query}");
        assert_eq!(list["metadata"]["remainingItemCount"], Value::Null, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn old_states_can_be_read() {
    let api = Api::start().await;
    fill(&api, 3).await;
    let before = api.get(CM).await.ok();
    let revision = before["metadata"]["resourceVersion"].as_str().expect("a revision").to_owned();
    api.delete(&format!("{CM}/m001")).await.ok();
    let exact = api.get(&format!("{CM}?resourceVersion={revision}&resourceVersionMatch=Exact")).await.ok();
    assert_eq!(exact["items"], before["items"]);
    assert_eq!(exact["metadata"]["resourceVersion"], revision);
    let newer = api.get(&format!("{CM}?resourceVersion={revision}&resourceVersionMatch=NotOlderThan")).await.ok();
    assert_eq!(names(&newer), ["m000", "m002"]);
    assert_eq!(names(&api.get(&format!("{CM}?resourceVersion=0")).await.ok()), ["m000", "m002"]);
}

#[tokio::test(start_paused = true)]
async fn long_lists_arrive_in_pieces() {
    let api = Api::start().await;
    let data = "x".repeat(10_000);
    for n in 0..100 {
        api.post(CM, &json!({"metadata": {"name": format!("m{n:03}")}, "data": {"a": data}})).await.ok();
    }
    let list = api.get(CM).await.ok();
    assert_eq!((names(&list).len(), list["items"][99]["data"]["a"].as_str().map(str::len)), (100, Some(10_000)));
}
