//! What the runtime writes down: sandboxes, containers and images, so that a restarted one knows them.
//!
//! Records are protobuf messages in files: unknown fields are skipped, missing ones are empty, and a version tells
//! whether the meaning is still the same.

use std::fs;
use std::io;
use std::path::Path;

use prost::Message;

/// The version of every record that this code writes; it reads no other.
const VERSION: u32 = 1;

/// A message with a version.
pub(crate) trait Record: Message + Default {
    /// The file in the record's directory.
    const FILE: &'static str;

    fn version(&mut self) -> &mut u32;

    /// Writes the record into a directory.
    fn save(&self, directory: &Path) -> io::Result<()> {
        self.save_as(&directory.join(Self::FILE))
    }

    fn save_as(&self, file: &Path) -> io::Result<()> {
        crate::layout::replace(file, &self.encode_to_vec())
    }

    /// Reads the record of a directory. The kind of an error tells what there is: nothing (`NotFound`), a file that is
    /// not whole (`InvalidData`), or one of another version (`Unsupported`).
    fn load(directory: &Path) -> io::Result<Self> {
        Self::load_from(&directory.join(Self::FILE))
    }

    fn load_from(file: &Path) -> io::Result<Self> {
        let read = Self::read(&fs::read(file)?);
        read.map_err(|e| io::Error::new(e.kind(), format!("{} {e}", file.display())))
    }

    fn read(bytes: &[u8]) -> io::Result<Self> {
        let torn = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut record = Self::decode(bytes).map_err(|e| torn(format!("is not whole: {e}")))?;
        match *record.version() {
            VERSION => Ok(record),
            // Nobody writes it: a file that a crash of the machine has left empty.
            0 => Err(torn("is empty".into())),
            version => {
                let message = format!("has version {version}, this program reads {VERSION}");
                Err(io::Error::new(io::ErrorKind::Unsupported, message))
            }
        }
    }

    /// An empty record of the current version.
    fn fresh() -> Self {
        let mut record = Self::default();
        *record.version() = VERSION;
        record
    }
}

/// A sandbox.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sandbox {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(message, optional, tag = "3")]
    pub config: Option<cri::PodSandboxConfig>,
    #[prost(string, tag = "4")]
    pub runtime_handler: String,
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "5")]
    pub created_at: i64,
    /// The pod's addresses.
    #[prost(string, repeated, tag = "6")]
    pub addresses: Vec<String>,
    /// The parent of its containers' cgroups.
    #[prost(string, tag = "7")]
    pub cgroup: String,
    /// Whether that parent was made for this sandbox.
    #[prost(bool, tag = "8")]
    pub cgroup_made: bool,
    /// Whether it has been stopped.
    #[prost(bool, tag = "9")]
    pub stopped: bool,
    /// Whether it is not complete yet: nobody knows its id, and what there is of it is to be removed after a crash.
    #[prost(bool, tag = "10")]
    pub making: bool,
}

impl Record for Sandbox {
    const FILE: &'static str = "sandbox.pb";

    fn version(&mut self) -> &mut u32 {
        &mut self.version
    }
}

/// A container.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Container {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(string, tag = "3")]
    pub sandbox: String,
    #[prost(message, optional, tag = "4")]
    pub config: Option<cri::ContainerConfig>,
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "5")]
    pub created_at: i64,
    #[prost(string, tag = "6")]
    pub image_id: String,
    /// The digest reference that the image was pulled as, or its id.
    #[prost(string, tag = "7")]
    pub image_ref: String,
    /// The layers it stands on, the topmost first.
    #[prost(string, repeated, tag = "8")]
    pub layers: Vec<String>,
    /// Why it never ran.
    #[prost(message, optional, tag = "9")]
    pub failure: Option<Failure>,
    /// A CRI value; what ends the container unless it is to be killed.
    #[prost(int32, tag = "10")]
    pub stop_signal: i32,
    /// The cgroup; empty until it has been started.
    #[prost(string, tag = "11")]
    pub cgroup: String,
    /// Limits in force.
    #[prost(message, optional, tag = "12")]
    pub resources: Option<cri::LinuxContainerResources>,
    /// The process that [`shim::spec::Process`] describes, as JSON: what further processes are made like.
    #[prost(bytes = "vec", tag = "13")]
    pub process: Vec<u8>,
}

/// Why a container could not be started.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Failure {
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "1")]
    pub at: i64,
    #[prost(string, tag = "2")]
    pub reason: String,
    #[prost(string, tag = "3")]
    pub message: String,
    #[prost(int32, tag = "4")]
    pub exit_code: i32,
}

impl Record for Container {
    const FILE: &'static str = "container.pb";

    fn version(&mut self) -> &mut u32 {
        &mut self.version
    }
}

/// An image. Its id is the digest of its configuration.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Image {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// `sha256:…`
    #[prost(string, tag = "2")]
    pub id: String,
    /// Full names with tags.
    #[prost(string, repeated, tag = "3")]
    pub tags: Vec<String>,
    /// Full names with digests of manifests.
    #[prost(string, repeated, tag = "4")]
    pub digests: Vec<String>,
    /// Names of the unpacked layers, the lowest first.
    #[prost(string, repeated, tag = "5")]
    pub layers: Vec<String>,
    /// Bytes of configuration and layers, as they came.
    #[prost(uint64, tag = "6")]
    pub size: u64,
    /// The configuration document.
    #[prost(bytes = "vec", tag = "7")]
    pub document: Vec<u8>,
}

impl Record for Image {
    const FILE: &'static str = "image.pb";

    fn version(&mut self) -> &mut u32 {
        &mut self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_and_unknown_versions_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut sandbox = Sandbox { id: "x".into(), ..Sandbox::fresh() };
        sandbox.save(dir.path()).unwrap();
        assert_eq!(Sandbox::load(dir.path()).unwrap(), sandbox);
        sandbox.version = 2;
        sandbox.save(dir.path()).unwrap();
        let error = Sandbox::load(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("sandbox.pb has version 2, this program reads 1"), "{error}");
    }

    /// As the first release wrote them.
    #[test]
    fn records_of_earlier_releases_are_read() {
        let sandbox = Sandbox::read(include_bytes!("../tests/fixtures/v1/sandbox.pb")).unwrap();
        let config = sandbox.config.unwrap();
        assert_eq!((config.hostname.as_str(), config.port_mappings[0].host_port), ("old", 8099));
        assert_eq!((sandbox.addresses, sandbox.stopped, sandbox.making), (vec!["10.78.0.2".to_owned()], false, false));
        let container = Container::read(include_bytes!("../tests/fixtures/v1/container.pb")).unwrap();
        assert_eq!((&container.sandbox, container.layers.len()), (&sandbox.id, 1));
        assert_eq!(container.cgroup, format!("{}/{}", sandbox.cgroup, container.id));
        assert_eq!(container.config.unwrap().command, ["/bin/sh", "-c", "sleep 1000000"]);
        let process: shim::spec::Process = serde_json::from_slice(&container.process).unwrap();
        assert_eq!(process.args, ["/bin/sh", "-c", "sleep 1000000"]);
        let image = Image::read(include_bytes!("../tests/fixtures/v1/image.pb")).unwrap();
        assert_eq!((&image.id, image.tags), (&container.image_id, vec!["coracle.test/busybox:1".to_owned()]));
    }

    #[test]
    fn what_there_is_shows_in_the_kind_of_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let kind = || Sandbox::load(dir.path()).unwrap_err().kind();
        assert_eq!(kind(), io::ErrorKind::NotFound);
        for torn in [&b""[..], b"\xff", b"\x08"] {
            fs::write(dir.path().join(Sandbox::FILE), torn).unwrap();
            assert_eq!(kind(), io::ErrorKind::InvalidData, "{torn:?}");
        }
        Sandbox { version: 9, ..Sandbox::default() }.save(dir.path()).unwrap();
        assert_eq!(kind(), io::ErrorKind::Unsupported);
    }
}
