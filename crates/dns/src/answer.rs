//! From a query's bytes to an answer's.

use std::sync::{Arc, PoisonError, RwLock};

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, LowerName, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinEncodable, BinEncoder};

use crate::zone::{Found, Zone};

/// Seconds that clients may keep an answer: Services change.
pub(crate) const TTL: u32 = 5;
/// Bytes of a UDP answer that survive any path.
pub(crate) const UDP_PAYLOAD: u16 = 1232;
/// Bytes of a UDP answer to clients that announce nothing.
const PLAIN_PAYLOAD: u16 = 512;
/// How many aliases are followed.
const MAX_ALIASES: usize = 8;

/// What a query leads to.
#[derive(Debug)]
pub enum Answer {
    /// Not a query: no answer, lest two servers talk to each other forever.
    Silence,
    Done(Message),
    /// Upstream knows. The message is the answer so far: complete but for what upstream says about the query, which may
    /// be for the target of aliases that are answered already.
    Ask(Message, Query),
}

/// Answers queries from a zone that changes.
#[derive(Debug, Clone)]
pub struct Responder(Arc<RwLock<Zone>>);

impl Responder {
    #[must_use]
    pub fn new(zone: Zone) -> Self {
        Self(Arc::new(RwLock::new(zone)))
    }

    /// Changes the zone; queries wait meanwhile.
    pub fn change(&self, change: impl FnOnce(&mut Zone)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers `query`. Never panics, whatever the bytes.
    #[must_use]
    pub fn answer(&self, query: &[u8]) -> Answer {
        match Message::from_bytes(query) {
            Ok(query) if query.metadata.message_type == MessageType::Query => self.respond(query),
            Ok(_) => Answer::Silence,
            Err(_) => malformed(query),
        }
    }

    fn respond(&self, query: Message) -> Answer {
        let mut answer = reply(&query);
        if query.metadata.op_code != OpCode::Query {
            return refuse(answer, ResponseCode::NotImp);
        }
        if query.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return refuse(answer, ResponseCode::BADVERS);
        }
        let [question] = query.queries.as_slice() else { return refuse(answer, ResponseCode::FormErr) };
        let question = question.clone();
        answer.add_query(question.clone());
        if question.query_class() != DNSClass::IN {
            return refuse(answer, ResponseCode::Refused);
        }
        if matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR) {
            return refuse(answer, ResponseCode::Refused);
        }
        self.resolve(answer, question)
    }

    fn resolve(&self, mut answer: Message, question: Query) -> Answer {
        let zone = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = question.query_type();
        let mut name = question.name().clone();
        for _ in 0..MAX_ALIASES {
            match zone.find(&LowerName::new(&name), wanted) {
                Found::Foreign => return Answer::Ask(answer, Query::query(name, wanted)),
                Found::Alias(target) => {
                    let data = RData::CNAME(hickory_proto::rr::rdata::CNAME(target.clone()));
                    answer.metadata.authoritative = true;
                    answer.add_answer(Record::from_rdata(name, TTL, data));
                    name = target;
                }
                Found::Records(records) => return Answer::Done(positive(answer, &zone, &name, records)),
                Found::NoData => return Answer::Done(negative(answer, &zone, ResponseCode::NoError)),
                Found::NoName => return Answer::Done(negative(answer, &zone, ResponseCode::NXDomain)),
            }
        }
        refuse(answer, ResponseCode::ServFail)
    }
}

/// Encodes an answer for UDP: in what the client can take, cut with a mark when it does not fit.
pub(crate) fn encode_datagram(answer: &Message, buffer: &mut Vec<u8>) -> bool {
    let room = answer.edns.as_ref().map_or(PLAIN_PAYLOAD, |_| UDP_PAYLOAD);
    encode(answer, room, buffer) && (!is_cut(buffer) || encode(&answer.truncate(), room, buffer))
}

/// Encodes an answer for TCP.
pub(crate) fn encode_stream(answer: &Message, buffer: &mut Vec<u8>) -> bool {
    encode(answer, u16::MAX, buffer)
}

pub(crate) fn failure(mut answer: Message, code: ResponseCode) -> Message {
    answer.metadata.response_code = code;
    answer
}

fn encode(message: &Message, room: u16, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    let mut encoder = BinEncoder::new(buffer);
    encoder.set_max_size(room);
    message.emit(&mut encoder).is_ok()
}

fn is_cut(bytes: &[u8]) -> bool {
    const TRUNCATED: u8 = 0x02;
    bytes.get(2).is_some_and(|flags| flags & TRUNCATED != 0)
}

/// An empty answer to `query`.
fn reply(query: &Message) -> Message {
    let mut answer = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&query.metadata);
    answer.metadata.recursion_available = true;
    if let Some(asked) = &query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD).set_dnssec_ok(asked.flags().dnssec_ok);
        answer.set_edns(edns);
    }
    answer
}

fn refuse(answer: Message, code: ResponseCode) -> Answer {
    Answer::Done(failure(answer, code))
}

/// Bytes that are no message get an error when they have at least a header of a query.
fn malformed(query: &[u8]) -> Answer {
    const RESPONSE: u8 = 0x80;
    match query {
        [high, low, flags, ..] if query.len() >= 12 && flags & RESPONSE == 0 => {
            let id = u16::from_be_bytes([*high, *low]);
            refuse(Message::new(id, MessageType::Response, OpCode::Query), ResponseCode::FormErr)
        }
        _ => Answer::Silence,
    }
}

fn positive(mut answer: Message, zone: &Zone, name: &Name, mut records: Vec<RData>) -> Message {
    answer.metadata.authoritative = true;
    // Clients tend to use the first: another one each time.
    let turn = usize::from(answer.metadata.id) % records.len();
    records.rotate_left(turn);
    let targets: Vec<Name> = records
        .iter()
        .filter_map(|data| if let RData::SRV(srv) = data { Some(srv.target.clone()) } else { None })
        .collect();
    answer.add_answers(records.into_iter().map(|data| Record::from_rdata(name.clone(), TTL, data)));
    let mut added: Vec<Name> = Vec::new();
    for target in targets {
        if added.contains(&target) {
            continue;
        }
        for wanted in [RecordType::A, RecordType::AAAA] {
            if let Found::Records(found) = zone.find(&LowerName::new(&target), wanted) {
                answer.add_additionals(found.into_iter().map(|data| Record::from_rdata(target.clone(), TTL, data)));
            }
        }
        added.push(target);
    }
    answer
}

fn negative(mut answer: Message, zone: &Zone, code: ResponseCode) -> Message {
    answer.metadata.authoritative = true;
    answer.metadata.response_code = code;
    let (owner, soa) = zone.authority(TTL);
    answer.add_authority(Record::from_rdata(owner, TTL, soa));
    answer
}
