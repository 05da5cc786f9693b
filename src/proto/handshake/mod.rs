//! The opening handshake (RFC 6455 section 4) as bytes in, bytes out: what a client sends and how it
//! reads the answer, what a server accepts and how it answers. No sockets, no time-outs.

mod body;
mod client;
mod connect;
mod extensions;
mod head;
mod headers;
mod origin;
mod server;

pub use client::{Accepted, ClientRequest, HandshakeError, ResponseParser};
pub use connect::{Tunnel, TunnelError, TunnelParser, connect_request};
pub use extensions::{Extension, Extensions, ExtensionsError};
pub use head::{HandshakeLimits, HeadError};
pub use headers::RequestError;
pub use origin::Origins;
pub use server::{Asked, PlainRequest, Request, RequestParser, RequestRejected, Response, check_headers, reject};

/// Names and values in the order of the wire. Names keep their case; compare without it.
pub type Headers = Vec<(String, String)>;
