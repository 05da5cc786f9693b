//! Frames one by one, for programs that handle fragments themselves and keep their own account of the connection: bytes
//! in, frames out; frames in, bytes out. Puts no messages together, checks no UTF-8, answers nothing.
//!
//! The rules are those of the `websockets` library, so that code written for it sees the same faults in the same order:
//! a payload is judged when it is complete, and lengths need not be in their shortest form. [`Receiver`](super::Receiver)
//! is stricter and puts messages together.

use std::borrow::Cow;

use rand::Rng as _;
use thiserror::Error;

use super::{
    Role,
    deflate::{DeflateConfig, Deflater, Inflater, Negotiated},
    error::ProtocolError,
    frame::MAX_CONTROL,
    mask::{copy_masked, copy_masked_to},
};

const FIN: u8 = 0x80;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;
const RSV1: u8 = 0x40;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
/// What is allocated for a frame on the word of its header alone; more as its bytes come.
const MAX_FIRST: usize = 64 * 1024;

/// Sizes in bytes that incoming payloads may have; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameLimits {
    /// Of all fragments of a message together.
    pub message: Option<usize>,
    /// Of one fragment.
    pub fragment: Option<usize>,
}

/// permessage-deflate as it was agreed, in terms of our side and the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameDeflate {
    /// What the peer sends: each message stands for itself.
    pub remote_no_context_takeover: bool,
    /// What we send: each message stands for itself.
    pub local_no_context_takeover: bool,
    /// Window of what the peer sends, 8 to 15 bits.
    pub remote_max_window_bits: u8,
    /// Window of what we send, 8 to 15 bits.
    pub local_max_window_bits: u8,
    /// Effort: 0 (none) to 9 (best).
    pub level: u8,
    /// Memory for the compressor: 1 to 9.
    pub mem_level: u8,
    /// Messages whose first frame has fewer bytes are not compressed.
    pub threshold: usize,
}

impl FrameDeflate {
    fn agreed(&self, role: Role) -> Negotiated {
        let (client, server) = match role {
            Role::Client => (
                (self.local_no_context_takeover, self.local_max_window_bits),
                (self.remote_no_context_takeover, self.remote_max_window_bits),
            ),
            Role::Server => (
                (self.remote_no_context_takeover, self.remote_max_window_bits),
                (self.local_no_context_takeover, self.local_max_window_bits),
            ),
        };
        let config = DeflateConfig {
            server_no_context_takeover: server.0,
            client_no_context_takeover: client.0,
            server_max_window_bits: server.1,
            client_max_window_bits: client.1,
            own_max_window_bits: self.local_max_window_bits,
            threshold: self.threshold,
            level: self.level,
            mem_level: self.mem_level,
        };
        Negotiated {
            server_no_context_takeover: server.0,
            client_no_context_takeover: client.0,
            server_max_window_bits: Some(server.1),
            client_max_window_bits: Some(client.1),
            config,
        }
    }
}

/// The peer broke a rule; nothing more is read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// Opcodes 3-7 and 11-15.
    #[error("invalid opcode")]
    Opcode(u8),
    /// A client's frame without a mask, or a server's with one.
    #[error("incorrect masking")]
    Masking,
    /// A reserved bit without an extension that owns it.
    #[error("reserved bits must be 0")]
    ReservedBits,
    /// RSV1 within a compressed message.
    #[error("RSV1 bit set in continuation frame")]
    CompressedContinuation,
    /// A control frame of more than 125 bytes.
    #[error("control frame too long")]
    ControlTooLong,
    /// A control frame with FIN clear.
    #[error("fragmented control frame")]
    ControlFragmented,
    /// A new message inside a fragmented one.
    #[error("expected a continuation frame")]
    ContinuationExpected,
    /// A continuation of nothing.
    #[error("unexpected continuation frame")]
    ContinuationUnexpected,
    /// The payload is no deflate stream.
    #[error("decompression failed")]
    Inflate,
    /// The payload is too long.
    #[error("frame exceeds limit of {limit} bytes")]
    TooBig {
        /// Bytes of the frame, if its header says so; `None` if it was decompressed.
        size: Option<u64>,
        /// Bytes that this frame may have.
        limit: usize,
        /// Bytes of the fragments of this message before it.
        before: Option<usize>,
    },
}

/// A frame as it came, unmasked and decompressed.
#[derive(Debug, PartialEq, Eq)]
pub struct IncomingFrame<'a> {
    /// 0, 1, 2, 8, 9 or 10.
    pub opcode: u8,
    /// The last of its message.
    pub fin: bool,
    /// Where the payload is.
    pub payload: IncomingPayload<'a>,
}

/// The bytes of a frame, still masked unless they were decompressed: whoever takes them copies and unmasks in one go.
#[derive(Debug, PartialEq, Eq)]
pub enum IncomingPayload<'a> {
    /// In the chunk it came with.
    Masked(&'a [u8], [u8; 4]),
    /// Collected from several chunks: behind this many bytes of header.
    Collected(Vec<u8>, usize, [u8; 4]),
    /// Decompressed.
    Plain(Vec<u8>),
}

impl IncomingPayload<'_> {
    /// Bytes of the payload.
    pub fn len(&self) -> usize {
        self.parts().0.len()
    }

    /// True for an empty payload.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload, where it is not masked.
    pub fn plain(&self) -> Option<&[u8]> {
        let (bytes, key) = self.parts();
        (key == [0; 4]).then_some(bytes)
    }

    /// Writes the payload to `out`, which has its length.
    pub fn copy_to(&self, out: &mut [u8]) {
        let (bytes, key) = self.parts();
        copy_masked_to(bytes, key, out);
    }

    fn unmasked(&self) -> Vec<u8> {
        let (bytes, key) = self.parts();
        let mut plain = Vec::new();
        copy_masked(bytes, key, &mut plain);
        plain
    }

    fn parts(&self) -> (&[u8], [u8; 4]) {
        match self {
            Self::Masked(bytes, key) => (bytes, *key),
            Self::Collected(bytes, start, key) => (bytes.get(*start..).unwrap_or_default(), *key),
            Self::Plain(bytes) => (bytes, [0; 4]),
        }
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug)]
struct Head {
    first: u8,
    length: usize,
    key: [u8; 4],
    size: usize,
}

impl Head {
    fn opcode(self) -> u8 {
        self.first & 0xf
    }
}

/// Takes a stream of bytes apart.
#[derive(Debug)]
pub struct FrameReader {
    role: Role,
    limits: FrameLimits,
    inflater: Option<Inflater>,
    /// The beginning of a frame that is not complete.
    held: Vec<u8>,
    /// Bytes of the fragments so far, inside a fragmented message.
    current: Option<usize>,
    /// The message that is open is compressed.
    compressed: bool,
    /// A close frame or a fault came: what follows is passed over.
    over: bool,
}

impl FrameReader {
    /// A reader for a connection on which we are `role`.
    pub fn new(role: Role, limits: FrameLimits) -> Self {
        Self { role, limits, inflater: None, held: Vec::new(), current: None, compressed: false, over: false }
    }

    /// From now on frames may be compressed.
    pub fn set_deflate(&mut self, deflate: &FrameDeflate) {
        self.inflater = Some(deflate.agreed(self.role).inflater(self.role));
    }

    /// True inside a fragmented message.
    pub fn is_fragmented(&self) -> bool {
        self.current.is_some()
    }

    /// Where the stream would end within a frame, if it ended now: bytes of its next part that are there, and how many the
    /// part has. `None` between frames.
    pub fn unfinished(&self) -> Option<(usize, usize)> {
        let &[_, second, ref rest @ ..] = self.held.as_slice() else {
            return (!self.held.is_empty()).then_some((self.held.len(), 2));
        };
        let extra = match second & !MASKED {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        if rest.len() < extra {
            return Some((rest.len(), extra));
        }
        let key = if second & MASKED == 0 { 0 } else { 4 };
        if rest.len() < extra + key {
            return Some((rest.len() - extra, key));
        }
        let head = self.head(&self.held).ok()??;
        Some((self.held.len() - head.size, head.length))
    }

    /// The next frame. `input` is moved on; `None`: all of it is used. After a close frame and after a fault there is no
    /// other.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<IncomingFrame<'a>>, FrameFault> {
        if self.over {
            *input = &[];
            return Ok(None);
        }
        let frame = self.read(input);
        if !matches!(&frame, Ok(None)) && !matches!(&frame, Ok(Some(frame)) if frame.opcode != CLOSE) {
            self.over = true;
            self.held = Vec::new();
        }
        frame
    }

    fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<IncomingFrame<'a>>, FrameFault> {
        if self.held.is_empty() {
            if let Some(head) = self.head(input)? {
                let total = head.size + head.length;
                if let Some((frame, rest)) = input.split_at_checked(total) {
                    *input = rest;
                    let payload = IncomingPayload::Masked(&frame[head.size..], head.key);
                    return self.frame(head, payload).map(Some);
                }
                self.make_room(total, input.len());
            }
            self.held.extend_from_slice(input);
            *input = &[];
            return Ok(None);
        }
        // A header is completed byte by byte: there are at most 13 to come.
        let head = loop {
            if let Some(head) = self.head(&self.held)? {
                break head;
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            self.held.push(*byte);
            *input = rest;
        };
        let total = head.size + head.length;
        let (part, rest) = input.split_at(input.len().min(total.saturating_sub(self.held.len())));
        self.make_room(total, part.len());
        self.held.extend_from_slice(part);
        *input = rest;
        if self.held.len() < total {
            return Ok(None);
        }
        let collected = std::mem::take(&mut self.held);
        self.frame(head, IncomingPayload::Collected(collected, head.size, head.key)).map(Some)
    }

    /// Room in `held` for the `came` bytes that are there and, within reason, the rest of a frame of `total` bytes: what
    /// has come is doubled at most, or grows by `MAX_FIRST`.
    fn make_room(&mut self, total: usize, came: usize) {
        let there = self.held.len() + came;
        if self.held.capacity() < there {
            let ahead = total.saturating_sub(there).min(MAX_FIRST.max(there));
            self.held.reserve_exact(came + ahead);
        }
    }

    /// The header at the start of `bytes`, `None` if it goes on behind them.
    fn head(&self, bytes: &[u8]) -> Result<Option<Head>, FrameFault> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
        let opcode = first & 0xf;
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(FrameFault::Opcode(opcode));
        }
        let masked = second & MASKED != 0;
        if masked != (self.role == Role::Server) {
            return Err(FrameFault::Masking);
        }
        let (length, rest, extra) = match second & !MASKED {
            LENGTH_16 => {
                let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*length)), rest, 2)
            }
            LENGTH_64 => {
                let Some((length, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
                (u64::from_be_bytes(*length), rest, 8)
            }
            length => (u64::from(length), rest, 0),
        };
        // Without a limit a length that no memory has is one.
        let limit = self.limit().unwrap_or(usize::MAX >> 1);
        let length = match usize::try_from(length) {
            Ok(length) if length <= limit => length,
            _ => return Err(FrameFault::TooBig { size: Some(length), limit, before: self.current }),
        };
        let key = match rest.first_chunk::<4>() {
            _ if !masked => [0; 4],
            Some(key) => *key,
            None => return Ok(None),
        };
        Ok(Some(Head { first, length, key, size: 2 + extra + if masked { 4 } else { 0 } }))
    }

    /// Bytes that the next frame may have.
    fn limit(&self) -> Option<usize> {
        let message = self.limits.message.map(|limit| limit.saturating_sub(self.current.unwrap_or(0)));
        match (message, self.limits.fragment) {
            (Some(message), Some(fragment)) => Some(message.min(fragment)),
            (message, fragment) => message.or(fragment),
        }
    }

    fn frame<'a>(&mut self, head: Head, payload: IncomingPayload<'a>) -> Result<IncomingFrame<'a>, FrameFault> {
        let (opcode, fin) = (head.opcode(), head.first & FIN != 0);
        let mut reserved = head.first & RESERVED;
        let control = opcode >= CLOSE;
        let mut payload = payload;
        if self.inflater.is_some() && !control {
            let inflate = if opcode == CONTINUATION {
                if self.compressed && reserved & RSV1 != 0 {
                    return Err(FrameFault::CompressedContinuation);
                }
                self.compressed
            } else {
                reserved & RSV1 != 0
            };
            if inflate {
                let unmasked = match payload.plain() {
                    Some(bytes) => Cow::Borrowed(bytes),
                    None => Cow::Owned(payload.unmasked()),
                };
                payload = IncomingPayload::Plain(self.inflate(&unmasked, fin)?);
                self.compressed = !fin;
                reserved &= !RSV1;
            }
        }
        if reserved != 0 {
            return Err(FrameFault::ReservedBits);
        }
        if control {
            if payload.len() > MAX_CONTROL {
                return Err(FrameFault::ControlTooLong);
            }
            if !fin {
                return Err(FrameFault::ControlFragmented);
            }
        } else if opcode == CONTINUATION {
            let before = self.current.ok_or(FrameFault::ContinuationUnexpected)?;
            self.current = (!fin).then(|| before + payload.len());
        } else {
            if self.current.is_some() {
                return Err(FrameFault::ContinuationExpected);
            }
            self.current = (!fin).then(|| payload.len());
        }
        Ok(IncomingFrame { opcode, fin, payload })
    }

    fn inflate(&mut self, payload: &[u8], fin: bool) -> Result<Vec<u8>, FrameFault> {
        let limit = self.limit();
        let before = self.current;
        let Some(inflater) = &mut self.inflater else { return Ok(payload.to_vec()) };
        let most = limit.unwrap_or(usize::MAX >> 1);
        let mut out = Vec::new();
        let mut run = |inflater: &mut Inflater, mut input: &[u8]| -> Result<(), ProtocolError> {
            while !input.is_empty() && inflater.step(&mut input, most, &mut out)? {}
            Ok(())
        };
        let done = run(inflater, payload).and_then(|()| {
            if fin {
                let tail = inflater.tail();
                run(inflater, tail)?;
                inflater.finish()?;
            }
            Ok(())
        });
        match done {
            Ok(()) => Ok(out),
            Err(ProtocolError::MessageTooBig { .. }) => Err(FrameFault::TooBig { size: None, limit: most, before }),
            Err(_) => Err(FrameFault::Inflate),
        }
    }
}

/// Writes frames.
#[derive(Debug)]
pub struct FrameWriter {
    role: Role,
    deflater: Option<Deflater>,
    /// The message that is open is compressed.
    compressed: bool,
}

impl FrameWriter {
    /// A writer for a connection on which we are `role`.
    pub fn new(role: Role) -> Self {
        Self { role, deflater: None, compressed: false }
    }

    /// From now on messages may be compressed.
    pub fn set_deflate(&mut self, deflate: &FrameDeflate) {
        self.deflater = Some(deflate.agreed(self.role).deflater(self.role));
    }

    /// Appends a frame. See [`prepare`](Self::prepare).
    pub fn frame(
        &mut self,
        opcode: u8,
        payload: &[u8],
        fin: bool,
        key: Option<[u8; 4]>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let frame = self.prepare(opcode, payload, fin, key)?;
        out.reserve_exact(frame.len());
        out.extend_from_slice(frame.head());
        copy_masked(&frame.payload, frame.key, out);
        Some(())
    }

    /// A frame to be written once, to where there is room for it; on a client masked with `key` or a random one. The caller
    /// keeps the order of fragments. `None`: zlib has no memory in the middle of a message.
    pub fn prepare<'a>(
        &mut self,
        opcode: u8,
        payload: &'a [u8],
        fin: bool,
        key: Option<[u8; 4]>,
    ) -> Option<OutgoingFrame<'a>> {
        let mut first = opcode & 0xf | if fin { FIN } else { 0 };
        let mut payload = Cow::Borrowed(payload);
        if let Some(deflater) = &mut self.deflater {
            if matches!(opcode, TEXT | BINARY) && deflater.wants(payload.len()) {
                if let Some(smaller) = deflater.compress(&payload, fin) {
                    self.compressed = !fin;
                    first |= RSV1;
                    payload = Cow::Owned(smaller);
                }
            } else if opcode == CONTINUATION && self.compressed {
                payload = Cow::Owned(deflater.compress(&payload, fin)?);
                self.compressed = !fin;
            }
        }
        let masked = if self.role == Role::Client { MASKED } else { 0 };
        let mut frame = OutgoingFrame { head: [0; MAX_HEAD], head_size: 0, key: [0; 4], payload };
        let length = frame.payload.len();
        match u16::try_from(length) {
            Ok(short @ 0..126) => frame.push(&[first, masked | short as u8]),
            Ok(length) => {
                frame.push(&[first, masked | LENGTH_16]);
                frame.push(&length.to_be_bytes());
            }
            Err(_) => {
                frame.push(&[first, masked | LENGTH_64]);
                frame.push(&(length as u64).to_be_bytes());
            }
        }
        if self.role == Role::Client {
            frame.key = key.unwrap_or_else(|| rand::rng().next_u32().to_ne_bytes());
            let key = frame.key;
            frame.push(&key);
        }
        Some(frame)
    }
}

/// The longest header: two bytes, a length of eight and a key.
const MAX_HEAD: usize = 14;

/// A frame that is ready to be written.
#[derive(Debug)]
pub struct OutgoingFrame<'a> {
    head: [u8; MAX_HEAD],
    head_size: usize,
    key: [u8; 4],
    payload: Cow<'a, [u8]>,
}

impl OutgoingFrame<'_> {
    /// Bytes of the frame.
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    pub fn len(&self) -> usize {
        self.head_size + self.payload.len()
    }

    /// Writes the frame to `out`, which has its length.
    pub fn copy_to(&self, out: &mut [u8]) {
        let Some((head, payload)) = out.split_at_mut_checked(self.head_size) else { return };
        head.copy_from_slice(self.head());
        copy_masked_to(&self.payload, self.key, payload);
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_size).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.head.get_mut(self.head_size..self.head_size + bytes.len()) {
            room.copy_from_slice(bytes);
            self.head_size += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests;
