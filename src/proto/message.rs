//! What the receiver hands out: one message, borrowed from the chunk just read where that is
//! possible, owned where it had to be put together.

use std::borrow::Cow;

use super::{CloseFrame, ProtocolError};

/// Text or binary: the two kinds of data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text (opcode 1).
    Text,
    /// Bytes (opcode 2).
    Binary,
}

/// A message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'m> {
    /// A whole text message, valid UTF-8.
    Text(Text<'m>),
    /// A whole binary message.
    Binary(Payload<'m>),
    /// A ping; the peer waits for a pong with the same payload.
    Ping(&'m [u8]),
    /// A pong.
    Pong(&'m [u8]),
    /// The close frame; nothing follows.
    Close(Option<CloseFrame>),
}

/// The bytes of a binary message.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload<'m>(pub(super) Cow<'m, [u8]>);

impl From<Vec<u8>> for Payload<'static> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }
}

impl TryFrom<Vec<u8>> for Text<'static> {
    type Error = ProtocolError;

    /// Text, if it is UTF-8.
    fn try_from(bytes: Vec<u8>) -> Result<Self, ProtocolError> {
        match simdutf8::basic::from_utf8(&bytes) {
            // SAFETY: this was just checked.
            Ok(_) => Ok(Self(Cow::Owned(unsafe { String::from_utf8_unchecked(bytes) }))),
            Err(_) => Err(ProtocolError::TextNotUtf8),
        }
    }
}

impl Payload<'_> {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a vector; moved if the message had to be put together, else copied.
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_owned()
    }

    /// True if the bytes are still in the chunk that was read: nothing was copied.
    pub fn is_borrowed(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }
}

/// The text of a text message.
#[derive(Debug, PartialEq, Eq)]
pub struct Text<'m>(pub(super) Cow<'m, str>);

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as a string; moved if the message had to be put together, else copied.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }

    /// True if the text is still in the chunk that was read: nothing was copied.
    pub fn is_borrowed(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }
}
