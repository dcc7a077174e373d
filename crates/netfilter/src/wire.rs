//! Netlink messages and attributes as bytes.

/// Bytes of a netlink header: length, type, flags, sequence, port.
pub(crate) const HEADER: usize = 16;
/// Bytes of the netfilter header that follows: family, version, resource.
const NETFILTER_HEADER: usize = 4;
/// Bytes of an attribute's length and type.
const ATTRIBUTE: usize = 4;
/// Marks an attribute that holds attributes.
const NESTED: u16 = 1 << 15;
/// Bits of an attribute's type proper.
const TYPE_MASK: u16 = 0x3fff;
/// The largest content of one attribute.
pub(crate) const MAX_ATTRIBUTE: usize = u16::MAX as usize - ATTRIBUTE;

/// Appends messages and attributes to a buffer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// Appends one message; its length is filled in when `content` is done.
    pub(crate) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        start: [u8; NETFILTER_HEADER],
        content: impl FnOnce(&mut Self),
    ) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&start);
        content(self);
        let length = u32::try_from(self.bytes.len() - at).unwrap_or(u32::MAX);
        self.bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub(crate) fn bytes(&mut self, kind: u16, content: &[u8]) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(content);
        self.close(at);
    }

    /// A number in network order, as all numbers of nftables are.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// A string with the zero that the kernel expects.
    pub(crate) fn text(&mut self, kind: u16, text: &str) {
        let at = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(at);
    }

    pub(crate) fn nested(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let at = self.open(kind | NESTED);
        content(self);
        self.close(at);
    }

    fn open(&mut self, kind: u16) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        at
    }

    fn close(&mut self, at: usize) {
        // Names are bounded by the kernel and lists are cut by their writers; a longer one is refused, not misread.
        let length = u16::try_from(self.bytes.len() - at).unwrap_or(0);
        self.bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// One message of a buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    /// What follows the netlink header.
    pub(crate) content: &'a [u8],
}

/// The messages of `bytes`; stops at the first that is cut.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let length = word(header, 0)? as usize;
        let content = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind: half(header, 4)?, flags: half(header, 6)?, sequence: word(header, 8)?, content })
    })
}

/// The attributes of `bytes` as types and contents; stops at the first that is cut.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)? & TYPE_MASK;
        let content = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
    })
}

/// The attributes of a netfilter message's content.
pub(crate) fn netfilter_attributes(content: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    attributes(content.get(NETFILTER_HEADER..).unwrap_or_default())
}

/// The text of an attribute up to its zero.
pub(crate) fn text(content: &[u8]) -> String {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    String::from_utf8_lossy(&content[..end]).into_owned()
}

/// A number in host order.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let mut writer = Writer::default();
        writer.text(1, "ab");
        writer.nested(2, |writer| writer.number(3, 7));
        assert_eq!(
            writer.bytes,
            [7, 0, 1, 0, b'a', b'b', 0, 0, 12, 0, 2, 0x80, 8, 0, 3, 0, 0, 0, 0, 7],
            "lengths exclude the padding, numbers are in network order"
        );
        let read: Vec<_> = attributes(&writer.bytes).collect();
        assert_eq!(read[0], (1, &b"ab\0"[..]));
        assert_eq!(attributes(read[1].1).collect::<Vec<_>>(), [(3, &[0, 0, 0, 7][..])]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let read: usize = messages(&bytes).map(|message| netfilter_attributes(message.content).count()).sum();
            proptest::prop_assert!(read + attributes(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn messages_are_read_back_and_cut_ones_are_not() {
        let mut writer = Writer::default();
        writer.message(9, 5, 1, [2, 0, 0, 0], |writer| writer.text(1, "name"));
        writer.message(10, 0, 2, [0; 4], |_| ());
        let read: Vec<_> = messages(&writer.bytes).map(|m| (m.kind, m.flags, m.sequence)).collect();
        assert_eq!(read, [(9, 5, 1), (10, 0, 2)]);
        for cut in 0..writer.bytes.len() {
            assert!(messages(&writer.bytes[..cut]).count() < 2);
        }
    }
}
