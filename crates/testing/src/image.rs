//! Images for tests, made from Debian's static busybox.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// A shell and the usual tools. Its registry does not exist, so that a pull by accident fails loudly.
pub const BUSYBOX: &str = "coracle.test/busybox:1";
/// Serves `web v1` on port 80.
pub const WEB_V1: &str = "coracle.test/web:1";
/// Serves `web v2` on port 80.
pub const WEB_V2: &str = "coracle.test/web:2";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:100:101:web:/home/web:/bin/sh\nnobody:x:65534:65534::/:\n";
const GROUP: &str = "root:x:0:\nweb:x:101:\nlogs:x:200:web\nnobody:x:65534:\n";

/// An image: layers as tar archives, and what its configuration says about running it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The full reference.
    pub name: String,
    layers: Vec<Vec<u8>>,
    /// The `config` member of an image configuration: `Entrypoint`, `Env`, `User`, …
    config: Value,
}

impl Image {
    /// Busybox with a link for each of its applets in `/bin`, and a few users.
    pub fn busybox(name: &str) -> io::Result<Self> {
        let layer = busybox_layer()?;
        let config = json!({ "Cmd": ["/bin/sh"], "Env": ["PATH=/bin"] });
        Ok(Self { name: name.to_owned(), layers: vec![layer], config })
    }

    /// Busybox serving one page on port 80.
    pub fn web(name: &str, page: &str) -> io::Result<Self> {
        let mut layer = Layer::new();
        layer.directory("www", 0o755)?.file("www/index.html", 0o644, page.as_bytes())?;
        let entrypoint = json!(["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]);
        let web =
            Self::busybox(name)?.layer(layer.finish()?).config("Entrypoint", entrypoint).config("Cmd", Value::Null);
        // As process 1 it has no handler for SIGTERM, which the kernel then withholds: ending it would take all its grace.
        Ok(web.config("StopSignal", json!("SIGKILL")))
    }

    /// An image without a layer, for what nobody is to run.
    #[must_use]
    pub fn scratch(name: &str) -> Self {
        Self { name: name.to_owned(), layers: Vec::new(), config: json!({ "Cmd": ["/none"] }) }
    }

    /// Puts a layer (a tar archive) on top.
    #[must_use]
    pub fn layer(mut self, layer: Vec<u8>) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets a member of `config`.
    #[must_use]
    pub fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// The configuration document.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|layer| digest(layer)).collect();
        let document = json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": ids },
        });
        document.to_string().into_bytes()
    }

    /// The layers, gzipped as registries have them.
    pub fn compressed(&self) -> io::Result<Vec<Vec<u8>>> {
        let compress = |layer: &Vec<u8>| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(layer)?;
            encoder.finish()
        };
        self.layers.iter().map(compress).collect()
    }
}

/// An archive under construction.
pub struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    #[must_use]
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub fn directory(&mut self, path: &str, mode: u32) -> io::Result<&mut Self> {
        self.add(path, EntryType::Directory, mode, None, &[])
    }

    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<&mut Self> {
        self.add(path, EntryType::Regular, mode, None, content)
    }

    pub fn link(&mut self, path: &str, target: &str) -> io::Result<&mut Self> {
        self.add(path, EntryType::Symlink, 0o777, Some(target), &[])
    }

    /// The tar archive.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }

    fn add(
        &mut self,
        path: &str,
        kind: EntryType,
        mode: u32,
        link: Option<&str>,
        content: &[u8],
    ) -> io::Result<&mut Self> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        if let Some(link) = link {
            header.set_link_name(link)?;
        }
        self.0.append_data(&mut header, path, content)?;
        Ok(self)
    }
}

/// A docker-archive (what `docker save` writes) of [`BUSYBOX`], [`WEB_V1`] and [`WEB_V2`].
pub fn busybox_archive() -> io::Result<tempfile::NamedTempFile> {
    let images = [Image::busybox(BUSYBOX)?, Image::web(WEB_V1, "web v1\n")?, Image::web(WEB_V2, "web v2\n")?];
    archive(&images)
}

/// A docker-archive of images.
pub fn archive(images: &[Image]) -> io::Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    let mut layer = Layer::new();
    let mut manifest = Vec::new();
    let mut written = std::collections::BTreeSet::new();
    for image in images {
        let document = image.document();
        let config = format!("{}.json", hex(&document));
        layer.file(&config, 0o644, &document)?;
        let names: Vec<String> = image.layers.iter().map(|layer| format!("{}.tar", hex(layer))).collect();
        for (name, content) in names.iter().zip(&image.layers) {
            if written.insert(name.clone()) {
                layer.file(name, 0o644, content)?;
            }
        }
        manifest.push(json!({ "Config": config, "RepoTags": [image.name], "Layers": names }));
    }
    layer.file("manifest.json", 0o644, Value::Array(manifest).to_string().as_bytes())?;
    fs::write(file.path(), layer.finish()?)?;
    Ok(file)
}

/// `sha256:…`
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn busybox_layer() -> io::Result<Vec<u8>> {
    let path = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let path =
        path.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "busybox is not installed (busybox-static)"))?;
    let applets = Command::new(path).arg("--list").output()?;
    let mut layer = Layer::new();
    for (directory, mode) in [("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("home/web", 0o777), ("root", 0o700)] {
        layer.directory(directory, mode)?;
    }
    layer.directory("tmp", 0o1777)?;
    layer.file("bin/busybox", 0o755, &fs::read(path)?)?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|applet| *applet != "busybox") {
        layer.link(&format!("bin/{applet}"), "busybox")?;
    }
    layer.file("etc/passwd", 0o644, PASSWD.as_bytes())?.file("etc/group", 0o644, GROUP.as_bytes())?;
    layer.finish()
}
