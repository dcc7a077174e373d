//! Frames on a shim's socket: a little-endian length of four bytes, then JSON; descriptors travel beside the bytes.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes in a frame: arguments and environment of a process may have 2 MiB in all.
pub const MAX_FRAME: usize = 8 << 20;

/// Most descriptors with one read.
const MAX_DESCRIPTORS: usize = 4;

/// The bytes of a frame.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME {
        return Err(invalid(format!("frame of {length} bytes, the limit is {MAX_FRAME}")));
    }
    let length = u32::try_from(length).map_err(|_| invalid("frame too long".into()))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Sends a frame with descriptors on a blocking socket.
pub fn send<T: Serialize, F: AsFd>(stream: &UnixStream, message: &T, descriptors: &[F]) -> io::Result<()> {
    let bytes = encode(message)?;
    let sent = send_bytes(stream, &bytes, descriptors)?;
    (&*stream).write_all(&bytes[sent..])
}

/// Sends what the socket takes of `bytes`; the descriptors go with the first byte.
pub fn send_bytes<F: AsFd>(stream: &UnixStream, bytes: &[u8], descriptors: &[F]) -> io::Result<usize> {
    let raw: Vec<RawFd> = descriptors.iter().map(|d| d.as_fd().as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(stream.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None)?)
}

/// Collects frames, and the descriptors that came with them, from a socket.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Reader {
    /// Reads once, at most `chunk` bytes; zero bytes are the end.
    pub fn fill(&mut self, stream: &UnixStream, chunk: &mut [u8]) -> io::Result<usize> {
        let mut space = cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let mut slices = [IoSliceMut::new(chunk)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                self.descriptors.extend(raw.into_iter().map(own));
            }
        }
        let read = message.bytes;
        if self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(invalid(format!("more than {MAX_DESCRIPTORS} descriptors for one frame")));
        }
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read)
    }

    /// Takes bytes that were read elsewhere.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there, with the descriptors received so far.
    pub fn take<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(invalid(format!("frame of {length} bytes, the limit is {MAX_FRAME}")));
        }
        let Some(body) = self.buffer.get(4..4 + length) else { return Ok(None) };
        let message = serde_json::from_slice(body)?;
        self.buffer.drain(..4 + length);
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        Ok(Some((message, std::mem::take(&mut self.descriptors))))
    }
}

/// Receives one frame on a blocking socket. What follows the frame stays in `reader`.
pub fn receive<T: DeserializeOwned>(stream: &UnixStream, reader: &mut Reader) -> io::Result<(T, Vec<OwnedFd>)> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(frame) = reader.take()? {
            return Ok(frame);
        }
        if reader.fill(stream, &mut chunk)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[expect(unsafe_code, reason = "received descriptors come as numbers")]
fn own(raw: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd as _;
    // SAFETY: the kernel has just installed this descriptor for us, and nothing else knows of it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Hello;

    #[test]
    fn frames_and_descriptors_arrive_together() {
        let (a, b) = UnixStream::pair().unwrap();
        let (extra, _other) = UnixStream::pair().unwrap();
        send(&a, &Hello { versions: vec![1] }, &[extra]).unwrap();
        send::<_, OwnedFd>(&a, &Hello { versions: vec![2] }, &[]).unwrap();
        let mut reader = Reader::default();
        let (hello, descriptors) = receive::<Hello>(&b, &mut reader).unwrap();
        assert_eq!((hello.versions, descriptors.len()), (vec![1], 1));
        let (hello, descriptors) = receive::<Hello>(&b, &mut reader).unwrap();
        assert_eq!((hello.versions, descriptors.len()), (vec![2], 0));
    }

    #[test]
    fn oversized_and_broken_frames_are_refused() {
        let check = |bytes: &[u8]| {
            let (a, b) = UnixStream::pair().unwrap();
            (&a).write_all(bytes).unwrap();
            drop(a);
            assert!(receive::<Hello>(&b, &mut Reader::default()).is_err());
        };
        check(&u32::MAX.to_le_bytes());
        check(&[3, 0, 0, 0, b'x', b'y', b'z']);
        check(&[3, 0, 0, 0, b'x']);
        check(&[]);
    }
}
