//! Ogg Opus (RFC 7845): a stream of Opus packets as pages, read from pieces of any size and written page by page.
//!
//! `page` is the container (RFC 3533), `header` the two packets that open a stream, `reader` and `writer` the stream itself.
//! Packets stay packets here: `opus` decodes them.

mod header;
mod page;
mod reader;
mod writer;

pub use header::{Head, HeadError, Tags};
pub use reader::{Event, Reader, Statistics};
pub use writer::{Writer, WriterConfig};

use thiserror::Error;

/// The longest packet of a mono or stereo stream that is worth taking (RFC 7845 section 6).
pub const MAX_PACKET: usize = 61_440;

/// A packet that cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// Bytes that are no Opus packet.
    #[error("Ogg Opus: a packet of {bytes} bytes is malformed; expected a packet as in RFC 6716 section 3")]
    Packet {
        /// Its length.
        bytes: usize,
    },
    /// More than `MAX_PACKET`.
    #[error("Ogg Opus: a packet of {bytes} bytes; expected up to 61440")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

#[cfg(test)]
mod tests;
