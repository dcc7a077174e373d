//! The resolvers of this machine: what the cluster does not know, they may.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::LowerName;
use hickory_proto::serialize::binary::BinDecodable;
use host::Entropy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::answer::{UDP_PAYLOAD, failure};
use crate::cache::{Cache, Question};

/// How long one resolver may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many resolvers are used, as in the C library.
const MAX_SERVERS: usize = 3;
/// How many queries may wait for upstream at once; more fail at once.
const MAX_WAITING: usize = 1024;
/// Bytes of a resolv.conf that are looked at.
const MAX_FILE: u64 = 64 * 1024;

/// Asks the resolvers that a resolv.conf names, in order; follows changes of the file.
pub struct Upstream {
    file: PathBuf,
    /// Addresses of ourselves: asking them would go around in circles.
    own: Vec<SocketAddr>,
    entropy: Arc<dyn Entropy>,
    servers: Mutex<Servers>,
    cache: Cache,
    waiting: Semaphore,
}

#[derive(Default, Clone)]
struct Servers {
    read_at: Option<SystemTime>,
    addresses: Vec<SocketAddr>,
}

impl Upstream {
    /// `own` are the addresses that this name server listens on.
    pub fn new(file: PathBuf, own: Vec<SocketAddr>, entropy: Arc<dyn Entropy>) -> Self {
        let (servers, cache) = (Mutex::default(), Cache::default());
        Self { file, own, entropy, servers, cache, waiting: Semaphore::new(MAX_WAITING) }
    }

    /// Completes `answer` with what upstream says about `question`: SERVFAIL when nobody says anything.
    pub async fn complete(&self, mut answer: Message, question: Query) -> Message {
        let signed = answer.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let key: Question = (LowerName::new(question.name()), question.query_type(), signed);
        let now = Instant::now();
        let (found, age) = match self.cache.get(&key, now) {
            Some(kept) => kept,
            None => match self.ask(&question, signed).await {
                Some(found) => {
                    let found = Arc::new(found);
                    self.cache.put(key, found.clone(), Instant::now());
                    (found, 0)
                }
                None => return failure(answer, ResponseCode::ServFail),
            },
        };
        merge(&mut answer, &found, age);
        answer
    }

    async fn ask(&self, question: &Query, signed: bool) -> Option<Message> {
        let _permit = self.waiting.try_acquire().ok()?;
        let mut last = None;
        for server in self.servers() {
            match timeout(PATIENCE, self.ask_one(server, question, signed)).await {
                Ok(Ok(found)) if found.metadata.response_code != ResponseCode::ServFail => return Some(found),
                Ok(Ok(found)) => last = Some(found),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver did not answer"),
                Err(_) => tracing::debug!(%server, "a resolver took too long"),
            }
        }
        last
    }

    async fn ask_one(&self, server: SocketAddr, question: &Query, signed: bool) -> io::Result<Message> {
        let mut id = [0; 2];
        self.entropy.fill(&mut id);
        let query = query(u16::from_be_bytes(id), question, signed);
        let bytes = query.to_vec().map_err(io::Error::other)?;
        let found = ask_datagram(server, &bytes, &query).await?;
        if found.metadata.truncation { ask_stream(server, &bytes, &query).await } else { Ok(found) }
    }

    /// The resolvers of the file as it is now: machines move between networks.
    fn servers(&self) -> Vec<SocketAddr> {
        let modified = fs::metadata(&self.file).and_then(|meta| meta.modified()).ok();
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.read_at != modified || modified.is_none() {
            let small = fs::metadata(&self.file).is_ok_and(|meta| meta.len() <= MAX_FILE);
            let text = if small { fs::read_to_string(&self.file).unwrap_or_default() } else { String::new() };
            let addresses = name_servers(&text).filter(|server| !self.own.contains(server)).take(MAX_SERVERS).collect();
            *servers = Servers { read_at: modified, addresses };
        }
        servers.addresses.clone()
    }
}

/// The resolvers that the text of a resolv.conf names.
fn name_servers(text: &str) -> impl Iterator<Item = SocketAddr> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    // A scope (fe80::1%eth0) is no part of an address.
    lines.filter_map(|word| word.parse::<IpAddr>().ok()).map(|address| SocketAddr::new(address, 53))
}

fn query(id: u16, question: &Query, signed: bool) -> Message {
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(question.clone());
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(signed);
    query.set_edns(edns);
    query
}

/// Asks from a fresh port: with the id, what a forger would have to guess.
async fn ask_datagram(server: SocketAddr, bytes: &[u8], query: &Message) -> io::Result<Message> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        match Message::from_bytes(&buffer[..length]) {
            Ok(found) if answers(&found, query) => return Ok(found),
            _ => {}
        }
    }
}

async fn ask_stream(server: SocketAddr, bytes: &[u8], query: &Message) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    let found = Message::from_bytes(&buffer).map_err(io::Error::other)?;
    if answers(&found, query) { Ok(found) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn answers(found: &Message, query: &Message) -> bool {
    found.metadata.id == query.metadata.id
        && found.metadata.message_type == MessageType::Response
        && found.queries == query.queries
}

/// Takes over what upstream said `age` seconds ago.
fn merge(answer: &mut Message, found: &Message, age: u32) {
    answer.metadata.response_code = found.metadata.response_code;
    answer.metadata.authoritative = false;
    answer.metadata.authentic_data = found.metadata.authentic_data;
    let aged = |records: &[hickory_proto::rr::Record]| {
        let mut records = records.to_vec();
        records.iter_mut().for_each(|record| record.ttl = record.ttl.saturating_sub(age));
        records
    };
    answer.add_answers(aged(&found.answers));
    answer.add_authorities(aged(&found.authorities));
    answer.add_additionals(aged(&found.additionals));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_the_c_library_does() {
        let text =
            "# a comment\nnameserver 192.0.2.1\n  nameserver\t::1 trailing\nnameserver nonsense\nsearch example.com\n";
        let found: Vec<String> = name_servers(text).map(|server| server.to_string()).collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53"]);
    }
}
