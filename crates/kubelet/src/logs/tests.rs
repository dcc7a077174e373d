//! Reading logs.

use super::*;
use crate::pod::observed::{Container, Exit, Observed, State};
use crate::registry::View;
use std::sync::Arc;
use tokio::sync::watch;

const LOG: &str = "\
2026-01-01T00:00:01.000000001Z stdout F one
2026-01-01T00:00:02.000000002Z stderr P tw
2026-01-01T00:00:02.000000003Z stderr F o
2026-01-01T00:00:03.000000004Z stdout F three
";

async fn read(path: &Path, query: Query, follow: Option<Follow>) -> String {
    let (out, mut pieces) = mpsc::channel::<Bytes>(4);
    let collect = async {
        let mut text = Vec::new();
        while let Some(piece) = pieces.recv().await {
            text.extend_from_slice(&piece);
        }
        String::from_utf8(text).unwrap()
    };
    let (result, text) = tokio::join!(stream(path, &query, follow, out), collect);
    result.unwrap();
    text
}

async fn check(query: Query, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, LOG).unwrap();
    assert_eq!(read(&path, query.clone(), None).await, expected, "{query:?}");
}

#[tokio::test]
async fn queries() {
    check(Query::default(), "one\ntwo\nthree\n").await;
    check(Query { tail: Some(1), ..Default::default() }, "three\n").await;
    check(Query { tail: Some(0), ..Default::default() }, "").await;
    check(Query { tail: Some(99), ..Default::default() }, "one\ntwo\nthree\n").await;
    check(Query { limit: Some(5), ..Default::default() }, "one\nt").await;
    check(Query { stream: Some(line::Stream::Stderr), ..Default::default() }, "two\n").await;
    let since = "2026-01-01T00:00:03Z".parse().ok();
    check(Query { since, ..Default::default() }, "three\n").await;
    let stamped = "2026-01-01T00:00:03.000000004Z three\n";
    check(Query { tail: Some(1), timestamps: true, ..Default::default() }, stamped).await;
}

fn view(state: State) -> Arc<View> {
    let container = Container {
        id: "c1".into(),
        sandbox_id: "s".into(),
        name: "c".into(),
        attempt: 0,
        image: String::new(),
        image_ref: String::new(),
        hash: String::new(),
        created_at: Timestamp::UNIX_EPOCH,
        state,
        log_path: String::new(),
    };
    Arc::new(View { observed: Observed { sandboxes: Vec::new(), containers: vec![container] }, ..Default::default() })
}

#[tokio::test]
async fn following_survives_rotation_and_ends_with_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(&path, "2026-01-01T00:00:01Z stdout F one\n").unwrap();
    let (sender, receiver) = watch::channel(view(State::Running { started_at: Timestamp::UNIX_EPOCH }));
    let follow = Follow::new(&path, receiver, "c1".into()).unwrap();
    let (out, mut pieces) = mpsc::channel::<Bytes>(4);
    let query = Query { follow: true, ..Default::default() };
    let writer = async {
        assert_eq!(pieces.recv().await.unwrap(), "one\n");
        std::fs::rename(&path, dir.path().join("0.log.1")).unwrap();
        std::fs::write(&path, "2026-01-01T00:00:02Z stdout F two\n").unwrap();
        assert_eq!(pieces.recv().await.unwrap(), "two\n");
        std::fs::write(&path, "2026-01-01T00:00:02Z stdout F two\n2026-01-01T00:00:03Z stdout F three\n").unwrap();
        let exit = Exit {
            code: 0,
            reason: String::new(),
            message: String::new(),
            started_at: None,
            finished_at: Timestamp::UNIX_EPOCH,
        };
        sender.send_replace(view(State::Exited(exit)));
        assert_eq!(pieces.recv().await.unwrap(), "three\n");
        assert!(pieces.recv().await.is_none());
    };
    let (result, ()) = tokio::join!(stream(&path, &query, Some(follow), out), writer);
    result.unwrap();
}
