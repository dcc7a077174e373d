//! The wire: keys, variable-length numbers, fields one after the other.

use super::ProtobufError;

/// Wire types: the low three bits of a key.
pub(super) const VARINT: u8 = 0;
pub(super) const DOUBLE: u8 = 1;
pub(super) const BYTES: u8 = 2;

/// One field of a message as it is on the wire.
#[derive(Clone, Copy)]
pub(super) enum Wire<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
pub(super) struct Message<'a>(pub(super) &'a [u8]);

pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(ProtobufError::Truncated)?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Truncated)
}

pub(super) fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// How many bytes a number takes.
pub(super) fn varint_length(number: usize) -> usize {
    let bits = usize::BITS - (number | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

pub(super) fn put_key(bytes: &mut Vec<u8>, number: u16, wire: u8) {
    put_varint(bytes, u64::from(number) << 3 | u64::from(wire));
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Result<(u64, Wire<'a>), ProtobufError> {
        let key = varint(&mut self.0)?;
        let number = key >> 3;
        let wire = match key & 7 {
            0 => Wire::Number(varint(&mut self.0)?),
            1 => Wire::Double(f64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).map_err(|_| ProtobufError::Truncated)?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Number(u32::from_le_bytes(self.fixed()?).into()),
            _ => return Err(ProtobufError::Wire(number)),
        };
        Ok((number, wire))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProtobufError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        self.take(N)?.try_into().map_err(|_| ProtobufError::Truncated)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
