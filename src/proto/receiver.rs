//! Bytes in, messages out: puts frames together and enforces every rule of RFC 6455 and our limits.
//! Answers nothing (a pong, a close): that is for who drives it.
//!
//! A message in one frame that lies wholly in the chunk just read is unmasked in place and lent
//! out, without a copy. Anything else is collected in a buffer that grows with the bytes received,
//! never with the length claimed, and that leaves with the message: an idle receiver holds no heap.

use std::{borrow::Cow, ops::Range};

use super::{
    Role,
    close::CloseFrame,
    error::ProtocolError,
    frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode},
    mask::{apply_mask, copy_masked_from},
    message::{Kind, Message, Payload, Text},
    utf8::Utf8Validator,
};

/// What a peer may make us hold. Beyond either, the connection is failed with 1009.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message, all fragments together. Default 16 MiB.
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

    fn unread(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    /// Uses up to `count` bytes and says which.
    fn take(&mut self, count: u64) -> Range<usize> {
        let start = self.pos;
        self.pos += usize::try_from(count).unwrap_or(usize::MAX).min(self.remaining());
        start..self.pos
    }
}

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
}

/// A frame in the middle of its payload.
#[derive(Clone, Copy, Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    key: [u8; 4],
    received: u64,
    missing: u64,
}

/// A message in the making.
#[derive(Debug)]
struct Partial {
    kind: Kind,
    fragments: usize,
    payload: Vec<u8>,
    utf8: Utf8Validator,
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
}

impl Receiver {
    /// A receiver for a connection on which we are `role`, before the first frame.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self { role, limits, done: false, head: Held::EMPTY, frame: None, control: Held::EMPTY, message: None }
    }

    /// True after a close frame or an error: whatever else arrives is thrown away.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes of heap held for a message that is not complete.
    pub fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.payload.capacity())
    }

    /// The next message in the chunk. `None`: the chunk is used up, read another one. After an
    /// error, fail the connection with [`ProtocolError::close_code`].
    pub fn next<'m>(&'m mut self, input: &'m mut Input<'_>) -> Result<Option<Message<'m>>, ProtocolError> {
        if self.done {
            input.pos = input.buf.len();
            return Ok(None);
        }
        match self.advance(input) {
            Ok(Some(ready)) => self.message(ready, input).map(Some),
            Ok(None) => Ok(None),
            Err(error) => {
                self.done = true;
                self.message = None;
                Err(error)
            }
        }
    }

    /// Reads up to the end of a payload that can be delivered, or of the chunk.
    fn advance(&mut self, input: &mut Input<'_>) -> Result<Option<Ready>, ProtocolError> {
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
            if let Some(header) = Header::decode(input.unread(), self.role)? {
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
            if let Some(header) = Header::decode(self.head.as_slice(), self.role)? {
                self.head.len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Judges a header by what came before it, and by the limits.
    fn begin(&mut self, header: Header) -> Result<Frame, ProtocolError> {
        let Header { fin, opcode, length, key, .. } = header;
        if opcode.is_control() {
            self.control.len = 0;
        } else {
            let (before, fragments) = match (&self.message, opcode) {
                (None, Opcode::Continuation) => return Err(ProtocolError::NothingToContinue),
                (Some(open), Opcode::Continuation) => (open.payload.len(), open.fragments + 1),
                (None, _) => (0, 1),
                (Some(_), Opcode::Text) => {
                    return Err(ProtocolError::ContinuationExpected { opcode: "text" });
                }
                (Some(_), _) => {
                    return Err(ProtocolError::ContinuationExpected { opcode: "binary" });
                }
            };
            let (size, limit) = (length.saturating_add(before as u64), self.limits.max_message_size);
            if size > limit as u64 {
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
        Ok(Frame { fin, opcode, key, received: 0, missing: length })
    }

    /// True if the frame is all there is to its message.
    fn stands_alone(&self, frame: Frame) -> bool {
        frame.opcode.is_control() || frame.fin && self.message.is_none()
    }

    /// Adds a part of a frame to the message; gives the message if that was its end.
    fn collect(&mut self, frame: Frame, part: &[u8]) -> Result<Option<Partial>, ProtocolError> {
        let message = self.message.get_or_insert_with(|| Partial {
            kind: if frame.opcode == Opcode::Text { Kind::Text } else { Kind::Binary },
            fragments: 1,
            payload: Vec::new(),
            utf8: Utf8Validator::default(),
        });
        let start = message.payload.len();
        let missing = usize::try_from(frame.missing).unwrap_or(usize::MAX);
        grow(&mut message.payload, part.len(), frame.fin.then_some(missing));
        copy_masked_from(part, frame.key, frame.received as usize, &mut message.payload);
        let last = frame.fin && part.len() == missing;
        if message.kind == Kind::Text {
            let valid = message.utf8.push(&message.payload[start..]);
            if valid.is_err() || last && !message.utf8.is_complete() {
                return Err(ProtocolError::TextNotUtf8);
            }
        }
        Ok(if last { self.message.take() } else { None })
    }

    /// Makes the message from where its payload is.
    fn message<'m>(&'m mut self, ready: Ready, input: &'m mut Input<'_>) -> Result<Message<'m>, ProtocolError> {
        let (opcode, payload) = match ready {
            Ready::Assembled(message) => return Ok(assembled(message)),
            Ready::InChunk(opcode, range) => (opcode, &input.buf[range]),
            Ready::Held(opcode) => (opcode, self.control.as_slice()),
        };
        match opcode {
            Opcode::Ping => Ok(Message::Ping(payload)),
            Opcode::Pong => Ok(Message::Pong(payload)),
            Opcode::Close => {
                self.done = true;
                self.message = None;
                CloseFrame::parse(payload).map(Message::Close)
            }
            Opcode::Text => {
                let Ok(text) = simdutf8::basic::from_utf8(payload) else {
                    self.done = true;
                    return Err(ProtocolError::TextNotUtf8);
                };
                Ok(Message::Text(Text(Cow::Borrowed(text))))
            }
            Opcode::Binary | Opcode::Continuation => Ok(Message::Binary(Payload(Cow::Borrowed(payload)))),
        }
    }
}

fn assembled<'m>(message: Partial) -> Message<'m> {
    match message.kind {
        Kind::Binary => Message::Binary(Payload(Cow::Owned(message.payload))),
        Kind::Text => {
            debug_assert!(str::from_utf8(&message.payload).is_ok());
            // SAFETY: `collect` has passed every byte of `payload`, in order, to `utf8`, which
            // accepted all of them and is complete; else it had returned an error.
            let text = unsafe { String::from_utf8_unchecked(message.payload) };
            Message::Text(Text(Cow::Owned(text)))
        }
    }
}

/// Makes room for `part` more bytes: doubles like a `Vec`, but where the end is known (`missing`
/// bytes from here, the part included) not beyond it.
fn grow(buffer: &mut Vec<u8>, part: usize, missing: Option<usize>) {
    if buffer.capacity() - buffer.len() >= part {
        return;
    }
    match missing {
        None => buffer.reserve(part),
        Some(missing) => buffer.reserve_exact(missing.min(part.max(buffer.capacity()))),
    }
}

#[cfg(test)]
mod tests;
