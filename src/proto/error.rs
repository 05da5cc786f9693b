//! What can be wrong with what the peer sent ([`ProtocolError`]) and with what we were asked to send
//! ([`SendError`]). The errors of the opening handshake are in `handshake`.

use thiserror::Error;

use super::CloseFrame;

/// The peer broke a rule of RFC 6455 or one of our limits: the connection must be failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set and no extension that owns it was agreed (section 5.2).
    #[error("frame has reserved bits {bits:#05b} (RSV1..RSV3) set, but no extension was agreed")]
    ReservedBits {
        /// RSV1 is the highest of the three bits.
        bits: u8,
    },
    /// RSV1, which marks a compressed message, elsewhere than on its first frame (RFC 7692 section 6).
    #[error("frame with opcode {opcode:#x} has RSV1 set; only the first frame of a message may have")]
    CompressedBit {
        /// The opcode of the frame.
        opcode: u8,
    },
    /// Opcodes 3-7 and 11-15 (section 5.2).
    #[error("frame has the reserved opcode {opcode:#x}; known are 0, 1, 2, 8, 9 and 0xa")]
    ReservedOpcode {
        /// The opcode received.
        opcode: u8,
    },
    /// A client sent a frame without a mask (section 5.1).
    #[error("frame from the client is not masked; a client must mask every frame")]
    NotMasked,
    /// A server sent a masked frame (section 5.1).
    #[error("frame from the server is masked; a server must not mask")]
    Masked,
    /// A control frame is longer than 125 bytes (section 5.5).
    #[error("control frame claims a payload of more than 125 bytes")]
    ControlTooLong,
    /// A control frame has FIN clear (section 5.5).
    #[error("control frame is fragmented (FIN is 0)")]
    ControlFragmented,
    /// A continuation frame with no message to continue (section 5.4).
    #[error("continuation frame, but no fragmented message is open")]
    NothingToContinue,
    /// A new message began before the fragmented one was finished (section 5.4).
    #[error("new {opcode} frame inside a fragmented message; expected a continuation frame")]
    ContinuationExpected {
        /// `text` or `binary`.
        opcode: &'static str,
    },
    /// The payload length is not in its shortest form (section 5.2).
    #[error("payload length {length} is encoded in {bytes} bytes; the shortest form is required")]
    LengthNotMinimal {
        /// The length claimed.
        length: u64,
        /// Bytes of its encoding: 2 or 8.
        bytes: u8,
    },
    /// The most significant bit of a 64-bit length is 1 (section 5.2).
    #[error("payload length {length:#x} has its most significant bit set")]
    LengthOutOfRange {
        /// The length claimed.
        length: u64,
    },
    /// The message is longer than [`Limits::max_message_size`](super::Limits).
    #[error("message of at least {size} bytes exceeds max_message_size ({limit} bytes)")]
    MessageTooBig {
        /// The limit in bytes.
        limit: usize,
        /// Bytes of the message as far as its frames announced them or, compressed, as it was inflated.
        size: u64,
    },
    /// A compressed message is no deflate stream (RFC 7692 section 7.2.2). The RFC names no close
    /// code for it; this is the one of `websockets`, 1002.
    #[error("compressed message cannot be decompressed: {reason}")]
    Inflate {
        /// What zlib says.
        reason: &'static str,
    },
    /// No memory to decompress with.
    #[error("no memory to decompress the message with")]
    InflateMemory,
    /// No memory for the message.
    #[error("no memory for a message of at least {size} bytes")]
    NoMemory {
        /// Bytes of it, up to where memory ended.
        size: usize,
    },
    /// The message has more frames than [`Limits::max_fragments`](super::Limits).
    #[error("message of at least {fragments} fragments exceeds max_fragments ({limit})")]
    TooManyFragments {
        /// The limit in frames.
        limit: usize,
        /// Frames of the message so far.
        fragments: usize,
    },
    /// A text message is not UTF-8 (section 8.1).
    #[error("text message is not valid UTF-8")]
    TextNotUtf8,
    /// A close frame with a payload of one byte (section 5.5.1).
    #[error("close frame has a payload of 1 byte; expected none, or 2 bytes of code and a reason")]
    CloseTruncated,
    /// A close code that must not appear in a frame (section 7.4).
    #[error("close frame has the invalid code {code}")]
    CloseCode {
        /// The code received.
        code: u16,
    },
    /// The reason of a close frame is not UTF-8 (section 5.5.1).
    #[error("close frame with code {code} has a reason that is not valid UTF-8")]
    CloseReasonNotUtf8 {
        /// The code received.
        code: u16,
    },
}

impl ProtocolError {
    /// The code to fail the connection with: 1002, 1007, 1009 or 1011 (RFC 6455 section 7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 { .. } => 1007,
            Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => 1009,
            Self::InflateMemory | Self::NoMemory { .. } => 1011,
            _ => 1002,
        }
    }

    /// The close frame that tells the peer: the code, and the message as the reason.
    pub fn close_frame(&self) -> CloseFrame {
        CloseFrame::truncated(self.close_code(), self.to_string())
    }
}

/// A frame that must not be sent; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nothing follows a close frame (RFC 6455 section 5.5.1).
    #[error("cannot send {what}: the close frame was already sent")]
    CloseSent {
        /// What was to be sent.
        what: &'static str,
    },
    /// The payload of a ping or pong is longer than 125 bytes (section 5.5).
    #[error("payload of {what} is {size} bytes long; at most 125 are allowed")]
    ControlTooLong {
        /// `ping` or `pong`.
        what: &'static str,
        /// Bytes asked for.
        size: usize,
    },
    /// A close code that must not be sent (section 7.4).
    #[error("close code {code} must not be sent; allowed are 1000-1003, 1007-1014 and 3000-4999")]
    CloseCode {
        /// The code asked for.
        code: u16,
    },
    /// The reason of a close frame is longer than 123 bytes (section 5.5).
    #[error("close reason is {size} bytes of UTF-8 long; at most 123 are allowed")]
    ReasonTooLong {
        /// Bytes asked for.
        size: usize,
    },
    /// A new message inside a fragmented one (section 5.4).
    #[error("cannot send a new message: a fragmented message is not finished")]
    MessageOpen,
    /// zlib could not go on within a fragmented message. The connection is of no more use.
    #[error("cannot compress a further fragment: zlib failed")]
    Deflate,
    /// A further fragment of no message, or of a message of the other kind.
    #[error("cannot send a further fragment: no fragmented message of this kind was begun")]
    NoMessageOpen,
}
