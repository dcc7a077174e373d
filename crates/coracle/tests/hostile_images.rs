//! Registries that lie and images that attack: what the user reads in the pod, and that nothing of them stays.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use testing::cluster::{kubectl_program, run};
use testing::image::{BUSYBOX, Image, Layer, busybox_archive, digest};
use testing::registry::{Answer, Length, Registry};
use testing::{Cluster, Machine};

const SOON: Duration = Duration::from_secs(120);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const GZIPPED: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const MEBIBYTE: usize = 1 << 20;

/// A name, what the registry does under this name, and words that the pod's status has then.
type Case = (&'static str, fn(&Offer<'_>), &'static str);

const CASES: &[Case] = &[
    ("honest-but-missing", |_| (), "not found"),
    (
        "header-lies",
        |o| o.manifest(&o.good(), "Docker-Content-Digest: sha256:0123"),
        "the manifest sha256:0123 has the digest sha256:",
    ),
    (
        "huge-manifest",
        |o| o.tag(Answer::ok(vec![b' '; 5 * MEBIBYTE])),
        "an image's manifest has more than 4194304 bytes",
    ),
    (
        "endless-manifest",
        |o| o.tag(Answer::ok("{").length(Length::Endless)),
        "an image's manifest has more than 4194304 bytes",
    ),
    ("page", |o| o.tag(Answer::ok("<html>sign in</html>")), "reading an image's manifest: expected value"),
    ("old-manifest", |o| o.tag(Answer::ok(r#"{"schemaVersion":1}"#)), "only version 2 is supported"),
    (
        "chart",
        |o| o.tag(Answer::ok(r#"{"schemaVersion":2,"mediaType":"text/html"}"#)),
        "is not the media type of an image",
    ),
    ("index-lies", |o| o.index_lies(), "has the digest sha256:"),
    ("foreign", |o| o.tag(Answer::ok(foreign_index())), "an image for this machine's platform not found"),
    (
        "loop",
        |o| o.tag(Answer::ok("").status("302 Found", &format!("Location: /v2/{}/manifests/1", o.name))),
        "more than 10 redirects",
    ),
    (
        "fails",
        |o| {
            o.tag(
                Answer::ok(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\u0007 down"}]}"#)
                    .status("429 Too Many", ""),
            )
        },
        "TOOMANYREQUESTS: slow down",
    ),
    (
        "endless-token",
        |o| o.challenge(Answer::ok("").length(Length::Endless)),
        "the answer with a token has more than 262144 bytes",
    ),
    ("no-token", |o| o.challenge(Answer::ok("{}")), "asking for a token: there is none"),
    ("config-is-text", |o| o.image(b"none".to_vec(), vec![layer(&[])]), "reading an image's configuration: expected"),
    (
        "config-is-huge",
        |o| o.image(vec![b' '; 5 * MEBIBYTE], vec![layer(&[])]),
        "the image's configuration has more than 4194304 bytes",
    ),
    (
        "config-is-another",
        |o| o.blob_of_config(Answer::ok(vec![b' '; o.good_document().len()])),
        "has the digest sha256:",
    ),
    (
        "layers-are-missing",
        |o| o.image(document(&[b"1", b"2"]), vec![layer(&[])]),
        "it has 1 layers, its configuration 2",
    ),
    ("no-layers", |o| o.image(document(&[]), Vec::new()), "the image has 0 layers"),
    ("layer-is-another", |o| o.blob(Answer::ok(vec![b'x'; o.good_layer().len()])), "unpacking layer sha256:"),
    ("layer-is-longer", |o| o.blob(Answer::ok([o.good_layer(), vec![0; 9]].concat())), "bytes that were told"),
    ("layer-is-endless", |o| o.blob(Answer::ok(o.good_layer()).length(Length::Endless)), "bytes that were told"),
    ("layer-is-shorter", |o| o.blob(Answer::ok(&o.good_layer()[..60])), "has 60 bytes, not the "),
    (
        "layer-is-cut",
        |o| o.blob(Answer::ok(&o.good_layer()[..60]).length(Length::Told(o.good_layer().len()))),
        "unpacking layer sha256:",
    ),
    ("layer-is-missing", |o| o.blob(Answer::ok("").status("404 Not Found", "")), "not found"),
    ("other-content", |o| o.image(document(&[b"another"]), vec![layer(&[])]), "its content has the digest sha256:"),
    ("zstd", |o| o.pack(vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0]), "compressed with zstd, which is not supported"),
    (
        "zstd-by-type",
        |o| o.typed("application/vnd.oci.image.layer.v1.tar+zstd"),
        "compressed with zstd, which is not supported",
    ),
    (
        "no-layer-type",
        |o| o.typed("application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
        "is not the media type of a layer",
    ),
    ("no-archive", |o| o.pack(gzip(&[b'x'; 4000])), "unpacking layer sha256:"),
    ("half-an-archive", |o| o.pack(gzip(&tar(&[("a", "hello")]))[..40].to_vec()), "unpacking layer sha256:"),
    ("climbs", |o| o.pack(gzip(&tar(&[("../../../../tmp/evil", "x")]))), "a path with .."),
    ("climbs-by-link", |o| o.pack(gzip(&linked("../../../../etc/shadow"))), "a path with .."),
    ("hides-everything", |o| o.pack(gzip(&tar(&[("a/.wh...", "")]))), "a whiteout that hides no file"),
    ("fills-the-disk", |o| o.pack(gzip(&sized(70 << 40))), "the layer has more than "),
    ("fills-memory", |o| o.pack(long_name(300)), "memory"),
    (
        "never-ends",
        |o| o.pack(gzip(&[tar(&[("a", "x")]), vec![0; 20 * MEBIBYTE]].concat())),
        "bytes follow the layer's end",
    ),
    ("is-deep", |o| o.pack(gzip(&tar(&[(&["d"; 300].join("/"), "")]))), "deeper than 256 directories"),
];

/// A repository in which a case sets its trap.
struct Offer<'a> {
    name: &'a str,
    registry: &'a Registry,
}

impl Offer<'_> {
    fn path(&self, rest: &str) -> String {
        format!("{}/{rest}", self.name)
    }

    fn tag(&self, answer: Answer) {
        self.registry.answer(&self.path("manifests/1"), answer);
    }

    fn manifest(&self, manifest: &Value, header: &str) {
        self.tag(Answer::ok(manifest.to_string()).status("200 OK", header));
    }

    /// An image of a configuration and packed layers, with true digests.
    fn image(&self, document: Vec<u8>, layers: Vec<Vec<u8>>) {
        self.manifest(&manifest(&document, &layers, GZIPPED), "X-Case: true");
        for blob in layers.into_iter().chain([document]) {
            self.registry.answer(&self.path(&format!("blobs/{}", digest(&blob))), Answer::ok(blob));
        }
    }

    /// An image of one layer that is what it is said to be; its unpacked form is never reached.
    fn pack(&self, packed: Vec<u8>) {
        self.image(document(&[self.name.as_bytes()]), vec![packed]);
    }

    fn good_layer(&self) -> Vec<u8> {
        gzip(&tar(&[("file", &self.name.repeat(50))]))
    }

    fn good_document(&self) -> Vec<u8> {
        document(&[&tar(&[("file", &self.name.repeat(50))])])
    }

    fn good(&self) -> Value {
        manifest(&self.good_document(), &[self.good_layer()], GZIPPED)
    }

    /// A good image, but for what its layer's blob answers.
    fn blob(&self, answer: Answer) {
        self.image(self.good_document(), vec![self.good_layer()]);
        self.registry.answer(&self.path(&format!("blobs/{}", digest(&self.good_layer()))), answer);
    }

    fn blob_of_config(&self, answer: Answer) {
        self.image(self.good_document(), vec![self.good_layer()]);
        self.registry.answer(&self.path(&format!("blobs/{}", digest(&self.good_document()))), answer);
    }

    fn typed(&self, kind: &str) {
        self.image(self.good_document(), vec![self.good_layer()]);
        self.manifest(&manifest(&self.good_document(), &[self.good_layer()], kind), "X-Case: true");
    }

    fn index_lies(&self) {
        let own = json!({"mediaType": MANIFEST, "digest": digest(b"promised"), "size": 8});
        self.tag(Answer::ok(json!({"schemaVersion": 2, "manifests": [own]}).to_string()));
        let path = self.path(&format!("manifests/{}", digest(b"promised")));
        self.registry.answer(&path, Answer::ok(self.good().to_string()));
    }

    fn challenge(&self, token: Answer) {
        let realm = format!("http://{}/{}/token", self.registry.host(), self.name);
        let header = format!("WWW-Authenticate: Bearer realm=\"{realm}\",service=\"test\"");
        self.tag(Answer::ok("").status("401 Unauthorized", &header));
        self.registry.answer(&format!("/{}/token", self.name), token);
    }
}

fn manifest(document: &[u8], layers: &[Vec<u8>], kind: &str) -> Value {
    let blob = |kind: &str, blob: &[u8]| json!({"mediaType": kind, "digest": digest(blob), "size": blob.len()});
    let layers: Vec<Value> = layers.iter().map(|layer| blob(kind, layer)).collect();
    let config = blob("application/vnd.oci.image.config.v1+json", document);
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers})
}

fn document(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]}, "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

fn foreign_index() -> String {
    let foreign = json!({"digest": digest(b"x"), "size": 1, "platform": {"os": "plan9", "architecture": "vax"}});
    json!({"schemaVersion": 2, "manifests": [foreign]}).to_string()
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    gzip(&tar(files))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes it")
}

/// An archive of files, whose names may be as no archiver writes them.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = header(tar::EntryType::Regular, content.len() as u64);
        if path.len() >= 100 {
            builder.append_data(&mut header, path, content.as_bytes()).expect("memory takes it");
            continue;
        }
        header.as_gnu_mut().expect("a GNU header").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_path("file").expect("a short name");
    header.set_cksum();
    header
}

fn linked(target: &str) -> Vec<u8> {
    let mut header = header(tar::EntryType::Link, 0);
    header.as_gnu_mut().expect("a GNU header").linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// The beginning of an archive whose first file is said to have this size.
fn sized(size: u64) -> Vec<u8> {
    header(tar::EntryType::Regular, size).as_bytes().to_vec()
}

/// A file whose name has this many mebibytes, packed.
fn long_name(mebibytes: usize) -> Vec<u8> {
    let head = header(tar::EntryType::GNULongName, (mebibytes * MEBIBYTE) as u64);
    let part = gzip(&vec![b'a'; MEBIBYTE]);
    [gzip(head.as_bytes()), part.repeat(mebibytes), gzip(&tar(&[("x", "")]))].concat()
}

#[test]
fn what_is_hostile_is_refused_in_words_and_leaves_nothing() {
    let (Ok(machine), true) = (Machine::new(), kubectl_program().is_some()) else {
        println!("skipped: a cluster needs root, network namespaces and kubectl 1.32 or newer");
        return;
    };
    let registry = Registry::start(Some(&machine)).expect("a registry");
    let program = Path::new(env!("CARGO_BIN_EXE_coracle"));
    let cluster = Cluster::start(program, machine).unwrap_or_else(|error| panic!("coracle up: {error}"));
    cluster.wait(&["get", "serviceaccount", "default"], SOON, |_| true).expect("a service account");
    let archive = busybox_archive().expect("the test image is made");
    run(cluster.coracle("image load").arg(archive.path())).expect("image load");
    let before = kept(&cluster);
    for (name, trap, _) in CASES {
        trap(&Offer { name, registry: &registry });
        let image = format!("--image={}/{name}:1", registry.host());
        cluster.kubectl(&["run", name, "--restart=Never", &image]).expect("run");
    }
    for (name, _, words) in CASES {
        let events = [
            "get",
            "events",
            "--field-selector",
            &format!("involvedObject.name={name},reason=Failed"),
            "-o",
            "jsonpath={.items[*].message}",
        ];
        let said = cluster.wait(&events, SOON, |text| text.contains("Failed to pull image")).expect("an event");
        assert!(said.contains(words), "{name}: {words:?} is missing in {said}");
        let state = ["get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"];
        let reason = cluster.kubectl(&state).expect("get pod");
        assert!(["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()), "{name}: {reason}");
    }
    cluster.kubectl(&["delete", "pods", "--all", "--now"]).expect("delete");
    cluster.wait(&["get", "pods", "-o", "name"], SOON, str::is_empty).expect("the pods go");
    assert_eq!(kept(&cluster), before, "something hostile stays");
    let image = format!("--image={BUSYBOX}");
    cluster.kubectl(&["run", "well", &image, "--", "sleep", "60"]).expect("run");
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod/well", "--timeout=60s"]).expect("the node is well");
}

/// What may go wrong in an image and yet is let in: it is as harmless as any program in a container.
#[test]
fn what_is_let_in_stays_in() {
    let (Ok(machine), true) = (Machine::new(), kubectl_program().is_some()) else {
        println!("skipped: a cluster needs root, network namespaces and kubectl 1.32 or newer");
        return;
    };
    let registry = Registry::start(Some(&machine)).expect("a registry");
    let victim = tempfile::NamedTempFile::new().expect("a file of the host's");
    std::fs::write(victim.path(), "kept").expect("its content");
    let mut evil = Layer::new();
    let target = victim.path().to_str().expect("a plain path");
    evil.link("evil", target).and_then(|layer| layer.link("up", "../../../../../..")).expect("links");
    evil.file("setuid", 0o4755, b"#!/bin/sh\n").expect("a file");
    let mut evil = evil.finish().expect("memory takes it");
    evil.truncate(evil.len() - 1024);
    evil.extend(device());
    let image = Image::busybox("unused").expect("busybox").layer(evil);
    registry.push("evil", "1", &image).expect("push");
    let cluster =
        Cluster::start(Path::new(env!("CARGO_BIN_EXE_coracle")), machine).unwrap_or_else(|e| panic!("coracle up: {e}"));
    cluster.wait(&["get", "serviceaccount", "default"], SOON, |_| true).expect("a service account");
    let script = "cat /evil; echo broken > /evil; ls /up/data /disk; test -u /setuid && echo setuid; sleep 600";
    let image = format!("--image={}/evil:1", registry.host());
    cluster.kubectl(&["run", "evil", &image, "--", "sh", "-c", script]).expect("run");
    let said = cluster.wait(&["logs", "evil"], SOON, |text| text.contains("setuid")).expect("its output");
    for expected in ["'/evil': No such file", "/up/data: No such file", "/disk: No such file", "setuid"] {
        assert!(said.contains(expected), "{expected} is missing in {said}");
    }
    assert_eq!(std::fs::read_to_string(victim.path()).expect("it is there"), "kept");
    let unpacked = cluster.data_dir().join("runtime");
    let mode = std::os::unix::fs::PermissionsExt::mode(&unpacked.metadata().expect("it is there").permissions());
    assert_eq!(mode & 0o077, 0, "nobody else runs what has setuid in it");
}

/// The disk of the host, as a device node in an archive.
fn device() -> Vec<u8> {
    let mut header = header(tar::EntryType::Block, 0);
    header.set_path("disk").expect("a short name");
    header.set_device_major(254).and_then(|()| header.set_device_minor(0)).expect("small numbers");
    header.set_cksum();
    [header.as_bytes().to_vec(), vec![0; 1024]].concat()
}

/// The names of layers, images and whatever is unfinished.
fn kept(cluster: &Cluster) -> Vec<String> {
    let runtime = cluster.data_dir().join("runtime");
    let names = ["layers", "images", "blobs"].map(|name| runtime.join(name));
    let entries = names.iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten());
    let mut names: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    names.sort();
    names
}
