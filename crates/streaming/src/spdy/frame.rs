//! Frames: the head that is read first, and the control frames' payloads.

use bytes::{BufMut, Bytes, BytesMut};

use super::header::{Deflater, Headers, Inflater};

pub(super) const HEAD: usize = 8;
/// Payload of a control frame that is accepted; data frames are never held whole.
pub(super) const CONTROL_LIMIT: usize = 64 * 1024;
/// The window every stream starts with.
pub(super) const INITIAL_WINDOW: u32 = 64 * 1024;
/// Largest window the protocol allows.
pub(super) const WINDOW_LIMIT: i64 = i32::MAX as i64;

const VERSION: u16 = 3;
const FIN: u8 = 1;
const UNIDIRECTIONAL: u8 = 2;
const SETTING_INITIAL_WINDOW: u32 = 7;

/// Why a SPDY connection failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the peer sent headers with {0}")]
    Headers(&'static str),
    #[error("the peer sent a {0} frame with {1}")]
    Frame(&'static str, &'static str),
    #[error("the peer speaks version {0} of the protocol")]
    Version(u16),
    #[error("the connection is closed")]
    Closed,
    #[error("the peer refused the stream")]
    Refused,
    #[error("the connection has as many streams as it may")]
    Streams,
}

/// Codes of `RST_STREAM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    Protocol = 1,
    InvalidStream = 2,
    Refused = 3,
    Cancel = 5,
}

/// The eight bytes before every payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Data { stream: u32, fin: bool, length: usize },
    Control { kind: u16, flags: u8, length: usize },
}

impl Head {
    pub(super) fn decode(bytes: [u8; HEAD]) -> Result<Self, Error> {
        let [a, b, c, d, flags, e, f, g] = bytes;
        let length = usize::from(e) << 16 | usize::from(f) << 8 | usize::from(g);
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            return Ok(Self::Data { stream, fin: flags & FIN != 0, length });
        }
        let version = u16::from_be_bytes([a & 0x7f, b]);
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let kind = u16::from_be_bytes([c, d]);
        if length > CONTROL_LIMIT {
            return Err(Error::Frame("control", "a payload that is too large"));
        }
        Ok(Self::Control { kind, flags, length })
    }
}

/// A control frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Control {
    SynStream {
        stream: u32,
        fin: bool,
        unidirectional: bool,
        headers: Headers,
    },
    SynReply {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    RstStream {
        stream: u32,
        code: u32,
    },
    Settings {
        initial_window: Option<u32>,
    },
    Ping {
        id: u32,
    },
    GoAway {
        last: u32,
        code: u32,
    },
    Headers {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    WindowUpdate {
        stream: u32,
        delta: u32,
    },
    /// A kind this version does not define; to be skipped.
    Unknown,
}

impl Control {
    pub(super) fn decode(kind: u16, flags: u8, payload: &[u8], inflater: &mut Inflater) -> Result<Self, Error> {
        let fin = flags & FIN != 0;
        let mut fields = Fields { kind: name(kind), rest: payload };
        match kind {
            1 => {
                let stream = fields.stream()?;
                fields.skip(6)?;
                let headers = inflater.decompress(fields.rest)?;
                Ok(Self::SynStream { stream, fin, unidirectional: flags & UNIDIRECTIONAL != 0, headers })
            }
            2 => Ok(Self::SynReply { stream: fields.stream()?, fin, headers: inflater.decompress(fields.rest)? }),
            3 => Ok(Self::RstStream { stream: fields.stream()?, code: fields.number()? }),
            4 => fields.settings(),
            6 => Ok(Self::Ping { id: fields.number()? }),
            7 => Ok(Self::GoAway { last: fields.number()? & 0x7fff_ffff, code: fields.number()? }),
            8 => Ok(Self::Headers { stream: fields.stream()?, fin, headers: inflater.decompress(fields.rest)? }),
            9 => Ok(Self::WindowUpdate { stream: fields.stream()?, delta: fields.number()? & 0x7fff_ffff }),
            _ => Ok(Self::Unknown),
        }
    }

    pub(super) fn encode(&self, deflater: &mut Deflater) -> Result<Bytes, Error> {
        let word = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
        let flag = |fin: bool| if fin { FIN } else { 0 };
        Ok(match self {
            Self::SynStream { stream, fin, unidirectional, headers } => {
                let mut payload = word(&[*stream, 0]);
                payload.extend_from_slice(&[0, 0]);
                payload.extend(deflater.compress(headers)?);
                control(1, flag(*fin) | if *unidirectional { UNIDIRECTIONAL } else { 0 }, &payload)
            }
            Self::SynReply { stream, fin, headers } => with_headers(2, flag(*fin), *stream, headers, deflater)?,
            Self::RstStream { stream, code } => control(3, 0, &word(&[*stream, *code])),
            Self::Settings { initial_window: Some(size) } => control(4, 0, &word(&[1, SETTING_INITIAL_WINDOW, *size])),
            Self::Settings { initial_window: None } | Self::Unknown => control(4, 0, &word(&[0])),
            Self::Ping { id } => control(6, 0, &word(&[*id])),
            Self::GoAway { last, code } => control(7, 0, &word(&[*last, *code])),
            Self::Headers { stream, fin, headers } => with_headers(8, flag(*fin), *stream, headers, deflater)?,
            Self::WindowUpdate { stream, delta } => control(9, 0, &word(&[*stream, *delta])),
        })
    }
}

/// A data frame with its payload copied; `payload` must be shorter than 16 MiB.
pub(super) fn data(stream: u32, fin: bool, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + payload.len());
    frame.put_u32(stream & 0x7fff_ffff);
    put_tail(&mut frame, if fin { FIN } else { 0 }, payload);
    frame.freeze()
}

fn with_headers(kind: u16, flags: u8, stream: u32, headers: &Headers, deflater: &mut Deflater) -> Result<Bytes, Error> {
    let mut payload = stream.to_be_bytes().to_vec();
    payload.extend(deflater.compress(headers)?);
    Ok(control(kind, flags, &payload))
}

fn control(kind: u16, flags: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD + payload.len());
    frame.put_u16(0x8000 | VERSION);
    frame.put_u16(kind);
    put_tail(&mut frame, flags, payload);
    frame.freeze()
}

fn put_tail(frame: &mut BytesMut, flags: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX) & 0x00ff_ffff;
    frame.put_u32(u32::from(flags) << 24 | length);
    frame.put_slice(payload);
}

fn name(kind: u16) -> &'static str {
    const NAMES: [&str; 10] = [
        "control",
        "SYN_STREAM",
        "SYN_REPLY",
        "RST_STREAM",
        "SETTINGS",
        "control",
        "PING",
        "GOAWAY",
        "HEADERS",
        "WINDOW_UPDATE",
    ];
    NAMES.get(usize::from(kind)).copied().unwrap_or("control")
}

/// Takes fixed fields off a payload.
struct Fields<'a> {
    kind: &'static str,
    rest: &'a [u8],
}

impl Fields<'_> {
    fn number(&mut self) -> Result<u32, Error> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(Error::Frame(self.kind, "a cut payload"))?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    fn stream(&mut self) -> Result<u32, Error> {
        match self.number()? & 0x7fff_ffff {
            0 => Err(Error::Frame(self.kind, "no stream")),
            stream => Ok(stream),
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Error> {
        self.rest = self.rest.get(count..).ok_or(Error::Frame(self.kind, "a cut payload"))?;
        Ok(())
    }

    /// The count is not trusted: what the payload holds decides.
    fn settings(&mut self) -> Result<Control, Error> {
        let count = self.number()?;
        let mut initial_window = None;
        for _ in 0..count {
            let (id, value) = (self.number()? & 0x00ff_ffff, self.number()?);
            if id == SETTING_INITIAL_WINDOW {
                initial_window = Some(value & 0x7fff_ffff);
            }
        }
        Ok(Control::Settings { initial_window })
    }
}
