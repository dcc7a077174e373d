//! `coracle image load|list`.

use std::path::Path;

use cri::ListImagesRequest;
use host::Host;

use crate::Failure;
use crate::cluster::node_of;
use crate::grammar::{DataDir, Format, Image, ImageList, ImageLoad, ImageVerb};
use crate::instance::{Instance, Lock};
use crate::node;
use crate::ranges::Ranges;
use crate::supervisor::Supervisor;

pub(crate) async fn run(options: Image) -> Result<(), Failure> {
    match options.verb {
        ImageVerb::Load(options) => load(options).await,
        ImageVerb::List(options) => list(options).await,
    }
}

/// The runtime that has the images: the running cluster's, or one that lives as long as this value.
struct Access {
    socket: std::path::PathBuf,
    own: Option<(Supervisor, Lock)>,
}

impl Access {
    async fn open(data: &DataDir) -> Result<Self, Failure> {
        let instance = Instance::open(&data.data_dir)?;
        let node = node_of(&instance, &Ranges::of(&instance)?, node::default_name()?);
        let socket = node.cri_socket();
        // The runtime may be a process of its own, which does not hold the instance.
        if instance.holder().is_some() || std::os::unix::net::UnixStream::connect(&socket).is_ok() {
            return Ok(Self { socket, own: None });
        }
        let lock = instance.lock()?;
        let mut supervisor = Supervisor::start(Host::system(), vec![node.image_store()]);
        supervisor.ready().await?;
        Ok(Self { socket, own: Some((supervisor, lock)) })
    }

    async fn close(self) {
        if let Some((supervisor, _lock)) = self.own {
            supervisor.stop().await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "the names are what the user asked for")]
async fn load(options: ImageLoad) -> Result<(), Failure> {
    let what = format!("loading images from {}", options.file.display());
    let file = options
        .file
        .canonicalize()
        .map_err(|e| Failure::new(&what, e).next("name a tar file as `docker save` writes it"))?;
    let access = Access::open(&options.data).await?;
    let loaded = load_through(&access.socket, &file).await;
    access.close().await;
    for name in loaded.map_err(|why| Failure::new(what, why))? {
        println!("loaded {name}");
    }
    Ok(())
}

async fn load_through(socket: &Path, file: &Path) -> Result<Vec<String>, String> {
    let loaded = runtime::client::load(socket, file).await.map_err(|e| crate::failure::chain(&e))?;
    Ok(loaded.into_iter().flat_map(|image| image.names).collect())
}

async fn list(options: ImageList) -> Result<(), Failure> {
    let access = Access::open(&options.data).await?;
    let listed = images(&access.socket).await;
    access.close().await;
    let images = listed.map_err(|why| Failure::new("listing images", why))?;
    print(&images, options.output.output);
    Ok(())
}

async fn images(socket: &Path) -> Result<Vec<cri::Image>, String> {
    let mut client = cri::connect(socket).await.map_err(|e| crate::failure::chain(&e))?;
    let listed = client.images.list_images(ListImagesRequest::default()).await;
    Ok(listed.map_err(|e| e.message().to_owned())?.into_inner().images)
}

#[expect(clippy::print_stdout, reason = "the images are what the user asked for")]
fn print(images: &[cri::Image], format: Format) {
    if format == Format::Json {
        let entry = |i: &cri::Image| serde_json::json!({"id": i.id, "names": i.repo_tags, "digests": i.repo_digests, "size": i.size});
        println!("{}", images.iter().map(entry).collect::<serde_json::Value>());
        return;
    }
    println!("{:<60} {:<20} {:>10}", "IMAGE", "ID", "SIZE");
    for image in images {
        let id = image.id.trim_start_matches("sha256:").get(..12).unwrap_or(&image.id);
        let names = if image.repo_tags.is_empty() { &image.repo_digests } else { &image.repo_tags };
        for name in names {
            println!("{name:<60} {id:<20} {:>7.1} MB", image.size as f64 / 1e6);
        }
    }
}
