//! The sans-IO WebSocket (RFC 6455, RFC 7692): bytes in, messages out; messages in, bytes out.
//! The opening handshake is in [`handshake`], frames and messages in [`Receiver`] and [`Sender`].
//! No sockets, no clock, no time-outs, no policy (when to answer a ping or a close) in here.

mod close;
mod deflate;
mod error;
mod frame;
mod frames;
pub mod handshake;
mod mask;
mod message;
mod raw;
mod receiver;
mod sender;
mod url;
mod utf8;
mod zlib;

pub use close::{CloseFrame, MAX_REASON, may_be_sent};
pub use deflate::{DeflateConfig, DeflateConfigError, Negotiated};
pub use error::{ProtocolError, SendError};
pub use frames::{
    FrameDeflate, FrameFault, FrameLimits, FrameReader, FrameWriter, IncomingFrame, IncomingPayload, OutgoingFrame,
};
pub use mask::{apply_mask, copy_masked};
pub use message::{Kind, Message, Payload, Text};
pub use raw::{RawHead, RawReader, raw_frame};
pub use receiver::{Incoming, Input, Limits, Receiver};
pub use sender::Sender;
pub use url::{Host, Url, UrlError};
pub use utf8::Utf8Validator;

/// Which side of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We opened the connection: what we send is masked, what we receive is not.
    Client,
    /// We accepted the connection: what we receive is masked, what we send is not.
    Server,
}
