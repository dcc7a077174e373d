//! Directories, certificates in real handshakes, and kubeconfig files of others.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use host::{Clock, Host};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::ServerName;
use tokio::io::duplex;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::kubeconfig::{Credentials, Entry};
use super::*;

/// A clock that stands still.
struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn host_after(days: i64) -> Host {
    let now = Host::system().now() + SignedDuration::from_hours(24 * days);
    Host { clock: Arc::new(Fixed(now)), ..Host::system() }
}

#[test]
fn opening_again_loads_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let first = Pki::open(directory.path(), &host_after(0)).unwrap();
    let second = Pki::open(directory.path(), &host_after(1)).unwrap();
    assert_eq!(first.authority().pem(), second.authority().pem());
    assert_eq!(first.signing_key().verifying_key(), second.signing_key().verifying_key());
    let admin = first.certificate("admin", &Profile::admin()).unwrap();
    assert_eq!(second.certificate("admin", &Profile::admin()).unwrap().certificate_pem, admin.certificate_pem);
}

#[test]
fn everything_is_for_its_owner_only() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("pki");
    let pki = Pki::open(&directory, &host_after(0)).unwrap();
    pki.certificate("apiserver", &Profile::server("kube-apiserver", ["127.0.0.1"])).unwrap();
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    let mut seen = BTreeSet::new();
    for entry in std::fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen.insert(entry.file_name().into_string().unwrap());
    }
    let expected =
        ["apiserver.crt", "apiserver.key", "ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key"];
    assert_eq!(seen, expected.map(String::from).into());
}

#[test]
fn certificates_are_made_again_when_they_must() {
    let directory = tempfile::tempdir().unwrap();
    let now = Pki::open(directory.path(), &host_after(0)).unwrap();
    let server = |names: &[&str]| Profile::server("kube-apiserver", names.iter().copied());
    let first = now.certificate("apiserver", &server(&["127.0.0.1", "kubernetes"])).unwrap().certificate_pem;
    let again = |pki: &Pki, names: &[&str]| pki.certificate("apiserver", &server(names)).unwrap().certificate_pem;
    assert_eq!(again(&now, &["kubernetes", "127.0.0.1"]), first, "the order of names does not matter");
    let second = again(&now, &["127.0.0.1", "kubernetes", "::1"]);
    assert_ne!(second, first, "another name");
    let later = Pki::open(directory.path(), &host_after(200)).unwrap();
    assert_eq!(again(&later, &["127.0.0.1", "kubernetes", "::1"]), second);
    let late = Pki::open(directory.path(), &host_after(300)).unwrap();
    let third = again(&late, &["127.0.0.1", "kubernetes", "::1"]);
    assert_ne!(third, second, "about to expire");
    std::fs::write(directory.path().join("apiserver.key"), "garbage").unwrap();
    let fourth = again(&late, &["127.0.0.1", "kubernetes", "::1"]);
    assert_ne!(fourth, third, "damaged");
    for name in ["ca.crt", "ca.key"] {
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
    let other = Pki::open(directory.path(), &host_after(300)).unwrap();
    assert_ne!(again(&other, &["127.0.0.1", "kubernetes", "::1"]), fourth, "another authority");
}

#[test]
fn damage_and_expiry_of_an_authority_are_said() {
    let directory = tempfile::tempdir().unwrap();
    Pki::open(directory.path(), &host_after(0)).unwrap();
    let error = Pki::open(directory.path(), &host_after(4000)).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let other = tempfile::tempdir().unwrap();
    Pki::open(other.path(), &host_after(0)).unwrap();
    std::fs::copy(other.path().join("ca.key"), directory.path().join("ca.key")).unwrap();
    let error = Pki::open(directory.path(), &host_after(0)).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    std::fs::write(directory.path().join("ca.crt"), "").unwrap();
    let error = Pki::open(directory.path(), &host_after(0)).unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
}

async fn handshake(server: Arc<rustls::ServerConfig>, client: rustls::ClientConfig, name: &str) -> Option<usize> {
    let (left, right) = duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (accepted, connected) = tokio::join!(TlsAcceptor::from(server).accept(right), connector.connect(name, left));
    connected.ok()?;
    Some(accepted.ok()?.get_ref().1.peer_certificates().map_or(0, <[_]>::len))
}

#[tokio::test]
async fn certificates_work_in_handshakes() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::open(directory.path(), &host_after(0)).unwrap();
    let profile = Profile::server("kube-apiserver", ["127.0.0.1", "kubernetes.default.svc"]);
    let server =
        server_config(&pki.certificate("apiserver", &profile).unwrap(), Some(&pki.authority().roots())).unwrap();
    let admin = pki.certificate("admin", &Profile::admin()).unwrap();
    let config = |client| client_config(pki.authority().roots(), client).unwrap();
    assert_eq!(handshake(server.clone(), config(Some(&admin)), "127.0.0.1").await, Some(1));
    assert_eq!(handshake(server.clone(), config(None), "kubernetes.default.svc").await, Some(0));
    assert_eq!(handshake(server.clone(), config(None), "example.org").await, None, "a name it does not have");
    let stranger = client_config(pki.front_proxy().roots(), None).unwrap();
    assert_eq!(handshake(server, stranger, "127.0.0.1").await, None, "an authority it is not of");
}

#[test]
fn signatures_verify_and_forgeries_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::open(directory.path(), &host_after(0)).unwrap();
    let (key, public) = (pki.signing_key(), pki.signing_key().verifying_key());
    let mut signature = key.sign(b"message").unwrap();
    assert_eq!(signature.len(), 64);
    assert!(public.verify(b"message", &signature));
    assert!(!public.verify(b"massage", &signature));
    signature[10] ^= 1;
    assert!(!public.verify(b"message", &signature));
    assert!(!public.verify(b"message", b""));
    assert_eq!(public.jwk()["kid"], public.id());
}

const OTHERS: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: work\n  cluster: {server: 'https://work:6443', insecure-skip-tls-verify: true}\nusers:\n- name: work\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: login, args: [\"--no\", \"123\", \"yes\"]}\ncontexts:\n- name: work\n  context: {cluster: work, user: work, namespace: team}\ncurrent-context: work\nextensions:\n- name: theirs\n  extension: {a: 1}\n";

fn entry<'a>(name: &'a str, token: &'a str) -> Entry<'a> {
    let credentials = Credentials::Token(token);
    Entry { name, server: "https://127.0.0.1:6443", authority_pem: "PEM", credentials, namespace: None }
}

fn parsed(path: &Path) -> serde_json::Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn merging_leaves_what_others_have() {
    let directory = tempfile::tempdir().unwrap();
    let real = directory.path().join("real");
    let path = directory.path().join("config");
    std::fs::write(&real, OTHERS).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    let before = parsed(&path);
    kubeconfig::merge(&path, &entry("coracle", "one")).unwrap();
    kubeconfig::merge(&path, &entry("coracle", "two")).unwrap();
    let merged = parsed(&path);
    assert_eq!(merged["current-context"], "coracle");
    assert_eq!(merged["extensions"], before["extensions"]);
    for section in ["clusters", "users", "contexts"] {
        assert_eq!(merged[section].as_array().unwrap().len(), 2, "{section}");
        assert_eq!(merged[section][0], before[section][0], "{section}");
    }
    assert_eq!(merged["users"][1]["user"]["token"], "two");
    assert!(std::fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    kubeconfig::remove(&path, "coracle").unwrap();
    let mut expected = before;
    expected["current-context"] = "".into();
    assert_eq!(parsed(&path), expected);
}

#[test]
fn kubeconfigs_are_made_locked_and_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".kube/config");
    kubeconfig::remove(&path, "coracle").unwrap();
    kubeconfig::merge(&path, &entry("coracle", "one")).unwrap();
    assert_eq!(parsed(&path)["contexts"][0]["context"]["cluster"], "coracle");
    assert_eq!(kubeconfig::authority(&path).unwrap(), "PEM");
    assert_eq!(kubeconfig::authority_of(&path, "coracle").unwrap().as_deref(), Some("PEM"));
    assert_eq!(kubeconfig::authority_of(&path, "coracl").unwrap(), None);
    assert!(!kubeconfig::is_empty(&path).unwrap());
    kubeconfig::remove(&path, "coracle").unwrap();
    assert!(kubeconfig::is_empty(&path).unwrap());
    let lock = directory.path().join(".kube/config.lock");
    assert!(!lock.exists());
    std::fs::write(&lock, "").unwrap();
    assert!(matches!(kubeconfig::merge(&path, &entry("x", "y")), Err(Error::Locked { .. })));
    std::fs::remove_file(&lock).unwrap();
    std::fs::write(&path, "[1, 2]").unwrap();
    assert!(kubeconfig::merge(&path, &entry("x", "y")).is_err());
    assert!(!lock.exists());
}
