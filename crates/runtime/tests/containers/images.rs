//! Pulling, finding and removing images.

use testing::image::{BUSYBOX, Image, Layer};
use testing::registry::Registry;

use crate::node::{Node, shell};

fn spec(image: &str) -> Option<cri::ImageSpec> {
    Some(cri::ImageSpec { image: image.into(), ..Default::default() })
}

async fn pull(node: &Node, image: &str, auth: Option<cri::AuthConfig>) -> Result<String, tonic::Status> {
    let request = cri::PullImageRequest { image: spec(image), auth, sandbox_config: None };
    Ok(node.images().pull_image(request).await?.into_inner().image_ref)
}

async fn find(node: &Node, image: &str) -> Option<cri::Image> {
    let request = cri::ImageStatusRequest { image: spec(image), verbose: false };
    node.images().image_status(request).await.unwrap().into_inner().image
}

/// Two layers: a file is hidden, another replaced.
fn layered() -> Image {
    let mut lower = Layer::new();
    lower.directory("data", 0o755).unwrap().file("data/gone", 0o644, b"1").unwrap();
    lower.file("data/kept", 0o644, b"2").unwrap().file("data/changed", 0o644, b"3").unwrap();
    let mut upper = Layer::new();
    upper.file("data/.wh.gone", 0o644, b"").unwrap().file("data/changed", 0o644, b"4").unwrap();
    Image::busybox("unused")
        .unwrap()
        .layer(lower.finish().unwrap())
        .layer(upper.finish().unwrap())
        .config("User", "web".into())
        .config("WorkingDir", "/data/work".into())
        .config("Env", serde_json::json!(["PATH=/bin", "FROM=image"]))
        .config("Entrypoint", serde_json::json!(["/bin/sh", "-c"]))
        .config("Cmd", serde_json::json!(["id -un; pwd; echo $FROM; ls -A /data; cat /data/changed /data/kept"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_runs_as_it_says() {
    let Some(node) = Node::start().await else { return };
    let registry = Registry::start(None).unwrap();
    let digest = registry.push("a/b", "1", &layered()).unwrap();
    let name = format!("{}/a/b:1", registry.host());
    assert!(find(&node, &name).await.is_none());
    let id = pull(&node, &name, None).await.unwrap();
    let image = find(&node, &name).await.unwrap();
    assert_eq!((image.id.as_str(), image.repo_tags.as_slice()), (id.as_str(), [name.clone()].as_slice()));
    assert_eq!((image.username.as_str(), image.uid), ("web", None));
    assert!(image.size > 0);
    assert_eq!(find(&node, &id).await.unwrap().id, id);
    assert_eq!(find(&node, &image.repo_digests[0]).await.unwrap().id, id);
    let by_digest = format!("{}/a/b@{digest}", registry.host());
    assert_eq!(pull(&node, &by_digest, None).await.unwrap(), id);

    let pod = node.plain_pod().await;
    let mut config = shell("");
    config.image = spec(&id);
    (config.command, config.args) = (Vec::new(), Vec::new());
    let container = node.run(&pod, config).await;
    assert_eq!(node.ended(&container).await.exit_code, 0, "{}", node.printed(&container).await);
    assert_eq!(node.printed(&container).await, "web\n/data/work\nimage\nchanged\nkept\nwork\n42");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_pulled_once_and_removed_with_their_last_user() {
    let Some(node) = Node::start().await else { return };
    let layers = || std::fs::read_dir(node.options().directory().join("layers")).unwrap().count();
    let before = layers();
    let registry = Registry::start(None).unwrap();
    registry.push("a", "1", &layered()).unwrap();
    let name = format!("{}/a:1", registry.host());
    pull(&node, &name, None).await.unwrap();
    // Busybox itself was there already.
    assert_eq!(layers(), before + 2);
    let blobs = registry.requests().iter().filter(|path| path.contains("/blobs/")).count();
    assert_eq!(blobs, 3, "{:?}", registry.requests());
    pull(&node, &name, None).await.unwrap();
    let request = cri::RemoveImageRequest { image: spec(&name) };
    node.images().remove_image(request.clone()).await.unwrap();
    node.images().remove_image(request).await.unwrap();
    assert_eq!(layers(), before);
    assert!(find(&node, BUSYBOX).await.is_some());
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pulled_says_why() {
    let Some(node) = Node::start().await else { return };
    let registry = Registry::start(None).unwrap();
    registry.push("a", "1", &layered()).unwrap();
    let missing = pull(&node, &format!("{}/a:2", registry.host()), None).await.unwrap_err();
    assert_eq!(missing.code(), tonic::Code::NotFound, "{missing}");
    let invalid = pull(&node, "UPPER", None).await.unwrap_err();
    assert_eq!(invalid.code(), tonic::Code::InvalidArgument, "{invalid}");
    registry.require("me", "secret");
    let name = format!("{}/a:1", registry.host());
    let denied = pull(&node, &name, None).await.unwrap_err();
    assert_eq!(denied.code(), tonic::Code::PermissionDenied, "{denied}");
    let auth = cri::AuthConfig { username: "me".into(), password: "secret".into(), ..Default::default() };
    pull(&node, &name, Some(auth)).await.unwrap();
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_content_is_refused() {
    let Some(node) = Node::start().await else { return };
    let registry = Registry::start(None).unwrap();
    registry.push("a", "1", &layered()).unwrap();
    registry.corrupt("a", b"something else");
    let error = pull(&node, &format!("{}/a:1", registry.host()), None).await.unwrap_err();
    assert!(error.message().contains("bytes, not the "), "{error}");
    node.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_usage_is_told() {
    let Some(node) = Node::start().await else { return };
    let info = node.images().image_fs_info(cri::ImageFsInfoRequest {}).await.unwrap().into_inner();
    assert!(info.image_filesystems[0].used_bytes.as_ref().unwrap().value > 500_000);
    assert!(info.image_filesystems[0].inodes_used.as_ref().unwrap().value > 100);
    node.finish().await;
}
