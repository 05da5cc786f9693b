//! What can go wrong with a connection, and how it reads. One enum, because all of it goes to one place: the ERROR event.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::proto::ProtocolError;
use crate::proto::handshake::{HandshakeError, RequestError};
use crate::session::MediaRefusal;

use super::connect::RedirectError;
use super::proxy::ProxyError;

/// Where an attempt to connect was when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Name resolution, TCP or TLS.
    Connect,
    /// The HTTP upgrade.
    Handshake,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect_timeout",
            Self::Handshake => "handshake_timeout",
        })
    }
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("the redirect from {from} to {to:?} is not followed: {error}")]
pub struct Refused {
    /// Who sends us, without what may be secret.
    pub from: String,
    /// Where to, without what may be secret.
    pub to: String,
    /// Why not.
    pub error: RedirectError,
    /// The answer.
    pub answer: HandshakeError,
}

/// Why a connection failed, or (for `Media`) what of it could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The name has no address.
    #[error("cannot resolve host {host:?}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address could be reached.
    #[error("cannot connect to {host}:{port}: {attempts}")]
    Connect {
        /// Name or address from the URL.
        host: String,
        /// Port.
        port: u16,
        /// Each address with its error.
        attempts: String,
        /// Error number of the last attempt.
        errno: Option<i32>,
    },
    /// The proxy did not bring us to the server.
    #[error("cannot connect to {server} through the proxy {proxy}: {error}")]
    Proxy {
        /// Scheme, host and port of the proxy.
        proxy: String,
        /// Host and port from the URL.
        server: String,
        /// What was wrong.
        error: Box<ProxyError>,
    },
    /// TLS could not be agreed on.
    #[error("TLS with {host}:{port} failed: {reason}")]
    Tls {
        /// Name from the URL.
        host: String,
        /// Port.
        port: u16,
        /// What was wrong with the certificate or the protocol.
        reason: String,
        /// The connection broke in the middle of it: nothing is known to be wrong.
        broken: bool,
    },
    /// Time ran out while connecting.
    #[error("no connection to {host}:{port} within {stage} = {} s: {waiting}", seconds.as_secs_f64())]
    Timeout {
        /// Name or address from the URL.
        host: String,
        /// Port.
        port: u16,
        /// What was waited for.
        stage: Stage,
        /// The time-out.
        seconds: Duration,
        /// How far it had come.
        waiting: String,
    },
    /// The request cannot be written.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The server refused the upgrade or answered it wrongly.
    #[error("WebSocket handshake with {host}:{port} failed: {error}")]
    Handshake {
        /// Name or address from the URL.
        host: String,
        /// Port.
        port: u16,
        /// What was wrong.
        error: HandshakeError,
    },
    /// The server sends us somewhere else, where we do not go.
    #[error(transparent)]
    Redirect(Box<Refused>),
    /// The connection broke before the handshake was done.
    #[error("connection to {host}:{port} lost during the handshake: {source}")]
    Interrupted {
        /// Name or address from the URL.
        host: String,
        /// Port.
        port: u16,
        /// What happened.
        source: io::Error,
    },
    /// The server chose none of the subprotocols and `require_protocol` is set.
    #[error("the server chose no subprotocol; offered were {offered} and require_protocol is set")]
    NoProtocol {
        /// What was offered.
        offered: String,
    },
    /// `close()` was called before the connection was open.
    #[error("the connection was closed before it was open")]
    Cancelled,
    /// The peer broke the protocol or a limit; it was told with a close code.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Transport(io::Error),
    /// The peer does not answer pings.
    #[error("the peer did not answer a ping within ping_timeout = {} s", .0.as_secs_f64())]
    Keepalive(Duration),
    /// A media event that could not be used. The connection lives.
    #[error(transparent)]
    Media(#[from] MediaRefusal),
}
