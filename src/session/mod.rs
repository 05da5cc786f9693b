//! One connection, sans-IO: `proto` and `media` composed. No socket, no clock, no runtime: bytes, times and
//! messages come in as arguments, and what has to happen comes out.
//!
//! The parts are separate on purpose, because the threads that use them are: `inbound` belongs to whoever reads the
//! socket, `Outbound` is shared by all who send, `Streams` by the reader and the pacer. A driver locks each for as
//! long as one step takes and never two at once.

pub mod inbound;
mod keepalive;
mod outbound;
mod outstream;
mod streams;

pub use keepalive::{Keepalive, KeepaliveAction};
pub use outbound::{Outbound, OutboundError};
pub use outstream::OutStream;
pub use streams::{Applied, MediaRefusal, Output, Pauses, Stereo, Streams, StreamsConfig};
