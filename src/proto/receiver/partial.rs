//! The data message that is not complete: its payload so far, copied or decompressed, and the check
//! that a text is UTF-8 as far as it goes. Frames and their rules are the receiver's.

use std::borrow::Cow;

use crate::proto::{
    deflate::Inflater,
    error::ProtocolError,
    mask::copy_masked_from,
    message::{Kind, Message, Payload, Text},
    utf8::Utf8Validator,
};

/// A message in the making.
#[derive(Debug)]
pub(super) struct Partial {
    kind: Kind,
    pub(super) compressed: bool,
    pub(super) fragments: usize,
    payload: Vec<u8>,
    utf8: Utf8Validator,
}

impl Partial {
    pub(super) fn new(kind: Kind, compressed: bool) -> Self {
        Self { kind, compressed, fragments: 1, payload: Vec::new(), utf8: Utf8Validator::default() }
    }

    /// Bytes of the payload so far.
    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Bytes of heap for the payload.
    pub(super) fn held(&self) -> usize {
        self.payload.capacity()
    }

    /// Appends a masked part of a frame, `offset` bytes into its payload. `missing`: bytes from here
    /// to the end of the message, the part included, if that is known.
    pub(super) fn copy(
        &mut self,
        part: &[u8],
        key: [u8; 4],
        offset: usize,
        missing: Option<usize>,
    ) -> Result<(), ProtocolError> {
        let start = self.payload.len();
        grow(&mut self.payload, part.len(), missing)?;
        copy_masked_from(part, key, offset, &mut self.payload);
        self.validate(start)
    }

    /// Decompresses and appends.
    pub(super) fn inflate(
        &mut self,
        inflater: &mut Inflater,
        limit: usize,
        mut part: &[u8],
    ) -> Result<(), ProtocolError> {
        if part.is_empty() {
            return Ok(());
        }
        loop {
            let start = self.payload.len();
            let more = inflater.step(&mut part, limit, &mut self.payload);
            // First, since what came out before an error came earlier than the error: so however the
            // bytes are cut, the same rule is broken first.
            self.validate(start)?;
            if !more? {
                return Ok(());
            }
        }
    }

    /// The end of a compressed message.
    pub(super) fn finish_inflating(&mut self, inflater: &mut Inflater, limit: usize) -> Result<(), ProtocolError> {
        let tail = inflater.tail();
        self.inflate(inflater, limit, tail)?;
        inflater.finish()?;
        trim(&mut self.payload);
        Ok(())
    }

    /// True if the message may end here.
    pub(super) fn may_end(&self) -> bool {
        self.utf8.is_complete()
    }

    /// Checks what was appended from `start` on, if it is text.
    fn validate(&mut self, start: usize) -> Result<(), ProtocolError> {
        if self.kind == Kind::Text && self.utf8.push(&self.payload[start..]).is_err() {
            return Err(ProtocolError::TextNotUtf8);
        }
        Ok(())
    }

    /// The message. Only for one that [may end](Self::may_end) where it does.
    pub(super) fn into_message<'m>(self) -> Message<'m> {
        match self.kind {
            Kind::Binary => Message::Binary(Payload(Cow::Owned(self.payload))),
            Kind::Text => {
                debug_assert!(str::from_utf8(&self.payload).is_ok());
                // SAFETY: `validate` has passed every byte of `payload`, in order, to `utf8`, which
                // accepted all of them; else it had returned an error, and the receiver had stopped.
                // That `utf8` is complete was checked by `may_end`.
                let text = unsafe { String::from_utf8_unchecked(self.payload) };
                Message::Text(Text(Cow::Owned(text)))
            }
        }
    }
}

/// Gives back room that was made for more than came out.
fn trim(buffer: &mut Vec<u8>) {
    if buffer.capacity() - buffer.len() > buffer.len() / 4 {
        buffer.shrink_to_fit();
    }
}

/// Makes room for `part` more bytes: doubles like a `Vec`, but where the end is known (`missing`
/// bytes from here, the part included) not beyond it.
///
/// Where there is no memory the connection fails, and not the process: whoever may send long messages must not end it.
fn grow(buffer: &mut Vec<u8>, part: usize, missing: Option<usize>) -> Result<(), ProtocolError> {
    if buffer.capacity() - buffer.len() >= part {
        return Ok(());
    }
    let reserved = match missing {
        None => buffer.try_reserve(part),
        Some(missing) => buffer.try_reserve_exact(missing.min(part.max(buffer.capacity()))),
    };
    reserved.map_err(|_| ProtocolError::NoMemory { size: buffer.len() + part })
}
