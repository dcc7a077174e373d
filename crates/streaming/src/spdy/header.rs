//! Header blocks and their compression, whose state lasts as long as the connection.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::dictionary::DICTIONARY;
use super::frame::Error;

/// Decompressed bytes of one header block.
const BLOCK_LIMIT: usize = 64 * 1024;
/// Pairs in one header block.
const PAIR_LIMIT: usize = 128;

/// Header names, in lower case, and values, in the order sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Names are put in lower case, as the protocol demands.
    pub fn new<N: AsRef<str>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.into())).collect())
    }

    /// The first value of `name`, whatever its case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(64);
        put_length(&mut block, self.0.len());
        for (name, value) in &self.0 {
            put_length(&mut block, name.len());
            block.extend_from_slice(name.as_bytes());
            put_length(&mut block, value.len());
            block.extend_from_slice(value.as_bytes());
        }
        block
    }

    fn decode(block: &[u8]) -> Result<Self, Error> {
        let mut rest = block;
        let count = take_length(&mut rest)?;
        if count > PAIR_LIMIT {
            return Err(Error::Headers("too many pairs"));
        }
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = take_text(&mut rest)?;
            if name.is_empty() {
                return Err(Error::Headers("an empty name"));
            }
            pairs.push((name.to_ascii_lowercase(), take_text(&mut rest)?));
        }
        if rest.is_empty() { Ok(Self(pairs)) } else { Err(Error::Headers("bytes after the last pair")) }
    }
}

fn put_length(block: &mut Vec<u8>, length: usize) {
    block.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

fn take_length(rest: &mut &[u8]) -> Result<usize, Error> {
    let (length, tail) = rest.split_first_chunk::<4>().ok_or(Error::Headers("a cut length"))?;
    *rest = tail;
    usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Error::Headers("a huge length"))
}

fn take_text(rest: &mut &[u8]) -> Result<String, Error> {
    let length = take_length(rest)?;
    let (text, tail) = rest.split_at_checked(length).ok_or(Error::Headers("a cut name or value"))?;
    *rest = tail;
    String::from_utf8(text.to_vec()).map_err(|_| Error::Headers("a name or value that is not UTF-8"))
}

/// The sending half.
pub(super) struct Deflater(Compress);

impl Deflater {
    pub(super) fn new() -> Self {
        let mut compress = Compress::new(Compression::default(), true);
        // A fresh stream takes any dictionary; without it the peer still decodes what is sent.
        let _ = compress.set_dictionary(DICTIONARY);
        Self(compress)
    }

    pub(super) fn compress(&mut self, headers: &Headers) -> Result<Vec<u8>, Error> {
        let block = headers.encode();
        if block.len() > BLOCK_LIMIT {
            return Err(Error::Headers("a block that is too large"));
        }
        let start = self.0.total_in();
        let mut out = Vec::with_capacity(block.len() + 64);
        loop {
            let taken = usize::try_from(self.0.total_in() - start).unwrap_or(usize::MAX).min(block.len());
            let written = self.0.compress_vec(&block[taken..], &mut out, FlushCompress::Sync);
            written.map_err(|_| Error::Headers("a block that cannot be compressed"))?;
            if out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(out.capacity());
        }
    }
}

/// The receiving half.
pub(super) struct Inflater(Decompress);

impl Inflater {
    pub(super) fn new() -> Self {
        Self(Decompress::new(true))
    }

    pub(super) fn decompress(&mut self, compressed: &[u8]) -> Result<Headers, Error> {
        let mut block = Vec::with_capacity(256);
        let mut rest = compressed;
        let mut chunk = [0; 4096];
        loop {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let result = self.0.decompress(rest, &mut chunk, FlushDecompress::Sync);
            let taken = usize::try_from(self.0.total_in() - before_in).unwrap_or(usize::MAX);
            let given = usize::try_from(self.0.total_out() - before_out).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or_default();
            block.extend_from_slice(chunk.get(..given).unwrap_or_default());
            if block.len() > BLOCK_LIMIT {
                return Err(Error::Headers("a block that is too large"));
            }
            match result {
                Ok(_) if given == chunk.len() => {}
                Ok(_) if rest.is_empty() => return Headers::decode(&block),
                Ok(_) if taken > 0 || given > 0 => {}
                Err(error) if error.needs_dictionary().is_some() => {
                    self.0.set_dictionary(DICTIONARY).map_err(|_| Error::Headers("another dictionary"))?;
                }
                _ => return Err(Error::Headers("a block that cannot be decompressed")),
            }
        }
    }
}
