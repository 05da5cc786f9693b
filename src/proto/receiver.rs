//! Bytes in, messages out: puts frames together, decompresses, and enforces every rule of RFC 6455 and
//! RFC 7692 and our limits.
//! Answers nothing (a pong, a close): that is for who drives it.
//!
//! A message in one frame that lies wholly in the chunk just read is unmasked in place and lent
//! out, without a copy. Anything else is collected in a buffer that grows with the bytes received,
//! never with the length claimed, and that leaves with the message: an idle receiver holds no heap.

mod partial;

use std::{borrow::Cow, ops::Range};

use self::partial::Partial;
use super::{
    Role,
    close::CloseFrame,
    deflate::{Inflater, Negotiated},
    error::ProtocolError,
    frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode},
    mask::apply_mask,
    message::{Kind, Message, Payload, Text},
};

/// What a peer may make us hold. Beyond either, the connection is failed with 1009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message, all fragments together, decompressed. Default 16 MiB.
    pub max_message_size: usize,
    /// Frames of one message. Default 4096.
    pub max_fragments: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message_size: 16 * 1024 * 1024, max_fragments: 4096 }
    }
}

/// A chunk of bytes just read, and how much of it has been used.
#[derive(Debug)]
pub struct Input<'b> {
    buf: &'b mut [u8],
    pos: usize,
}

impl<'b> Input<'b> {
    /// A chunk of which nothing has been used. Its bytes are unmasked in place.
    pub fn new(buf: &'b mut [u8]) -> Self {
        Self { buf, pos: 0 }
    }

    /// Bytes not used yet.
    pub fn remaining(&self) -> usize {
        self.buf.len() - self.pos
    }

    /// The bytes not used yet, as they came.
    pub fn unread(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    /// Uses up to `count` bytes and says which.
    fn take(&mut self, count: u64) -> Range<usize> {
        let start = self.pos;
        self.pos += usize::try_from(count).unwrap_or(usize::MAX).min(self.remaining());
        start..self.pos
    }
}

/// What comes next; see [`Receiver::next_or_long`].
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'m> {
    /// A message, or a control frame.
    Message(Message<'m>),
    /// A message of one plain frame that goes on far behind the chunk. Its bytes are not touched: whoever reads puts
    /// what the chunk has of it, and then what the socket brings, where the message is to be. What comes behind it goes
    /// to the receiver again. That a text is UTF-8 is for the caller to check.
    Long {
        /// Text or binary.
        kind: Kind,
        /// Bytes of it, within the limit for messages.
        length: usize,
    },
}

/// A message that claims more than this is collected as it comes: room is made for what is there, not for a claim.
const LONGEST_CLAIM: u64 = 16 * 1024 * 1024;

/// Reads frames; see the module.
#[derive(Debug)]
pub struct Receiver {
    role: Role,
    limits: Limits,
    /// Nothing more is read: after a close frame or an error.
    done: bool,
    /// A header cut off by the end of a chunk.
    head: Held<MAX_HEADER>,
    /// The frame whose payload is not complete.
    frame: Option<Frame>,
    /// The payload of a control frame that was cut off.
    control: Held<MAX_CONTROL>,
    /// The data message that is not complete.
    message: Option<Partial>,
    /// Decompresses, where that was agreed.
    inflate: Option<Inflater>,
}

/// A frame in the middle of its payload.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    compressed: bool,
    key: [u8; 4],
    received: u64,
    missing: u64,
}

/// A few bytes kept between chunks, without the heap.
#[derive(Debug)]
struct Held<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Held<N> {
    const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// Adds what there is room for. The callers never have more.
    fn push(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.len += count;
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A finished payload: where it is. Names no borrow, so that the loop that finds it may go on.
enum Ready {
    /// In the chunk, unmasked.
    InChunk(Opcode, Range<usize>),
    /// In `control`.
    Held(Opcode),
    /// Put together.
    Assembled(Partial),
    /// Not here yet, and left to the caller.
    Long(Kind, usize),
}

impl Receiver {
    /// A receiver for a connection on which we are `role`, before the first frame.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self::with_deflate(role, limits, None)
    }

    /// The same, where permessage-deflate may have been agreed.
    pub fn with_deflate(role: Role, limits: Limits, agreed: Option<&Negotiated>) -> Self {
        Self {
            role,
            limits,
            done: false,
            head: Held::EMPTY,
            frame: None,
            control: Held::EMPTY,
            message: None,
            inflate: agreed.map(|agreed| agreed.inflater(role)),
        }
    }

    /// True after a close frame or an error: whatever else arrives is thrown away.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes of heap held for a message that is not complete.
    pub fn held(&self) -> usize {
        self.message.as_ref().map_or(0, Partial::held)
    }

    /// True while decompression holds memory: a context, which with context takeover stays from the
    /// first compressed message to the end.
    pub fn holds_context(&self) -> bool {
        self.inflate.as_ref().is_some_and(Inflater::is_allocated)
    }

    /// The next message in the chunk. `None`: the chunk is used up, read another one. After an
    /// error, fail the connection with [`ProtocolError::close_code`].
    pub fn next<'m>(&'m mut self, input: &'m mut Input<'_>) -> Result<Option<Message<'m>>, ProtocolError> {
        match self.next_or_long(input, u64::MAX)? {
            Some(Incoming::Message(message)) => Ok(Some(message)),
            Some(Incoming::Long { .. }) | None => Ok(None),
        }
    }

    /// The same, for callers that read long messages by themselves, to where they are to be: those of which at least
    /// `behind` bytes are not in the chunk. Only where we are the client, so that nothing has to be unmasked.
    #[inline]
    pub fn next_or_long<'m>(
        &'m mut self,
        input: &'m mut Input<'_>,
        behind: u64,
    ) -> Result<Option<Incoming<'m>>, ProtocolError> {
        if self.done {
            input.pos = input.buf.len();
            return Ok(None);
        }
        match self.advance(input, behind) {
            Ok(Some(ready)) => self.incoming(ready, input).map(Some),
            Ok(None) => Ok(None),
            Err(error) => {
                self.done = true;
                self.message = None;
                self.inflate = None;
                Err(error)
            }
        }
    }

    /// Reads up to the end of a payload that can be delivered, or of the chunk.
    fn advance(&mut self, input: &mut Input<'_>, behind: u64) -> Result<Option<Ready>, ProtocolError> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.header(input)? {
                    Some(header) => self.begin(header)?,
                    None => return Ok(None),
                },
            };
            let taken = input.take(frame.missing);
            let complete = taken.len() as u64 == frame.missing;
            if complete && frame.received == 0 && self.stands_alone(frame) {
                // A server does not mask, and its frames have the key 0.
                if self.role == Role::Server {
                    apply_mask(&mut input.buf[taken.clone()], frame.key, 0);
                }
                return Ok(Some(Ready::InChunk(frame.opcode, taken)));
            }
            if frame.missing - taken.len() as u64 >= behind
                && let Some(kind) = self.is_left_to_caller(frame)
            {
                input.pos = taken.start;
                return Ok(Some(Ready::Long(kind, frame.missing as usize)));
            }
            let part = &mut input.buf[taken];
            if frame.opcode.is_control() {
                apply_mask(part, frame.key, frame.received as usize);
                self.control.push(part);
                if complete {
                    return Ok(Some(Ready::Held(frame.opcode)));
                }
            } else if let Some(message) = self.collect(frame, part)? {
                return Ok(Some(Ready::Assembled(message)));
            }
            if !complete {
                self.frame = Some(Frame {
                    received: frame.received + part.len() as u64,
                    missing: frame.missing - part.len() as u64,
                    ..frame
                });
                return Ok(None);
            }
        }
    }

    /// The next header, if the chunk has the end of it.
    #[inline]
    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, ProtocolError> {
        if self.head.len == 0 {
            if let Some(header) = Header::decode(input.unread(), self.role, self.inflate.is_some())? {
                input.pos += header.size;
                return Ok(Some(header));
            }
            self.head.push(input.unread());
            input.pos = input.buf.len();
            return Ok(None);
        }
        // Byte by byte: a header is cut at most once a chunk, and never has more than 14.
        while let Some(byte) = input.unread().first() {
            self.head.push(&[*byte]);
            input.pos += 1;
            if let Some(header) = Header::decode(self.head.as_slice(), self.role, self.inflate.is_some())? {
                self.head.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Judges a header by what came before it, and by the limits.
    fn begin(&mut self, header: Header) -> Result<Frame, ProtocolError> {
        let Header { fin, opcode, compressed, length, key, .. } = header;
        if opcode.is_control() {
            self.control.len = 0;
        } else {
            let (open, fragments) = match (&self.message, opcode) {
                (None, Opcode::Continuation) => return Err(ProtocolError::NothingToContinue),
                (Some(open), Opcode::Continuation) => (Some(open), open.fragments + 1),
                (None, _) => (None, 1),
                (Some(_), Opcode::Text) => {
                    return Err(ProtocolError::ContinuationExpected { opcode: "text" });
                }
                (Some(_), _) => {
                    return Err(ProtocolError::ContinuationExpected { opcode: "binary" });
                }
            };
            let limit = self.limits.max_message_size;
            let (size, allowed) = if compressed || open.is_some_and(|open| open.compressed) {
                // Inflating is what bounds the message. This is more than a frame of one may take.
                (length, (limit as u64).saturating_add(limit as u64 / 16 + 64))
            } else {
                (length.saturating_add(open.map_or(0, Partial::len) as u64), limit as u64)
            };
            if size > allowed {
                return Err(ProtocolError::MessageTooBig { limit, size });
            }
            let limit = self.limits.max_fragments;
            if fragments > limit {
                return Err(ProtocolError::TooManyFragments { limit, fragments });
            }
            if let Some(open) = &mut self.message {
                open.fragments = fragments;
            }
        }
        Ok(Frame { fin, opcode, compressed, key, received: 0, missing: length })
    }

    /// The kind of a message that the caller can read by itself: one plain frame of which nothing was taken yet.
    fn is_left_to_caller(&self, frame: Frame) -> Option<Kind> {
        let kind = match frame.opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            _ => return None,
        };
        let plain = self.role == Role::Client && frame.received == 0 && frame.missing <= LONGEST_CLAIM;
        (plain && self.stands_alone(frame)).then_some(kind)
    }

    /// True if the frame is all there is to its message, and what it says.
    fn stands_alone(&self, frame: Frame) -> bool {
        frame.opcode.is_control() || frame.fin && !frame.compressed && self.message.is_none()
    }

    /// Adds a part of a frame to the message; gives the message if that was its end.
    fn collect(&mut self, frame: Frame, part: &mut [u8]) -> Result<Option<Partial>, ProtocolError> {
        let kind = if frame.opcode == Opcode::Text { Kind::Text } else { Kind::Binary };
        let message = self.message.get_or_insert_with(|| Partial::new(kind, frame.compressed));
        let (missing, offset) = (usize::try_from(frame.missing).unwrap_or(usize::MAX), frame.received as usize);
        let last = frame.fin && part.len() == missing;
        match &mut self.inflate {
            Some(inflate) if message.compressed => {
                apply_mask(part, frame.key, offset);
                message.inflate(inflate, self.limits.max_message_size, part)?;
                if last {
                    message.finish_inflating(inflate, self.limits.max_message_size)?;
                }
            }
            _ => message.copy(part, frame.key, offset, frame.fin.then_some(missing))?,
        }
        if last && !message.may_end() {
            return Err(ProtocolError::TextNotUtf8);
        }
        Ok(if last { self.message.take() } else { None })
    }

    /// Makes the message from where its payload is.
    fn incoming<'m>(&'m mut self, ready: Ready, input: &'m mut Input<'_>) -> Result<Incoming<'m>, ProtocolError> {
        let (opcode, payload) = match ready {
            Ready::Assembled(message) => return Ok(Incoming::Message(message.into_message())),
            Ready::Long(kind, length) => return Ok(Incoming::Long { kind, length }),
            Ready::InChunk(opcode, range) => (opcode, &input.buf[range]),
            Ready::Held(opcode) => (opcode, self.control.as_slice()),
        };
        Ok(Incoming::Message(match opcode {
            Opcode::Ping => Message::Ping(payload),
            Opcode::Pong => Message::Pong(payload),
            Opcode::Close => {
                self.done = true;
                self.message = None;
                self.inflate = None;
                Message::Close(CloseFrame::parse(payload)?)
            }
            Opcode::Text => {
                let Ok(text) = simdutf8::basic::from_utf8(payload) else {
                    self.done = true;
                    self.inflate = None;
                    return Err(ProtocolError::TextNotUtf8);
                };
                Message::Text(Text(Cow::Borrowed(text)))
            }
            Opcode::Binary | Opcode::Continuation => Message::Binary(Payload(Cow::Borrowed(payload))),
        }))
    }
}

#[cfg(test)]
mod tests;
