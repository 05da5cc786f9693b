//! A request that the application decides about: what it is told, what it may answer. Nothing waits here.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::sync::oneshot;

use crate::net::runtime::lock;
use crate::proto::handshake::{Headers, RequestError, Response, check_headers};

/// A request that waits for the application.
#[derive(Debug)]
pub struct Question {
    /// Tells it from others of its listener.
    pub id: u64,
    /// `GET` or `HEAD`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `Host` header.
    pub host: String,
    /// All headers.
    pub headers: Headers,
    /// Subprotocols offered.
    pub protocols: Vec<String>,
    /// Whether it asks for a WebSocket; else it is plain HTTP.
    pub upgrade: bool,
    /// Who asks; a Unix socket does not tell.
    pub peer: Option<SocketAddr>,
    /// The certificate that the client showed (DER).
    pub certificate: Option<Vec<u8>>,
    answer: Mutex<Option<oneshot::Sender<Verdict>>>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on as without anybody to ask: a WebSocket is opened, plain HTTP refused.
    GoOn {
        /// The subprotocol, or none; `None` leaves the choice to the listener.
        protocol: Option<Option<String>>,
        /// More headers for the response that opens the connection.
        headers: Headers,
    },
    /// It is answered so, and the connection ends.
    Respond(Response),
}

impl Default for Verdict {
    fn default() -> Self {
        Self::GoOn { protocol: None, headers: Headers::new() }
    }
}

/// What a question is made of.
pub(super) struct Facts<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) host: &'a str,
    pub(super) headers: &'a Headers,
    /// `None`: no WebSocket is asked for.
    pub(super) protocols: Option<&'a [String]>,
}

impl Question {
    pub(super) fn new(
        id: u64,
        facts: &Facts<'_>,
        peer: Option<SocketAddr>,
        certificate: Option<Vec<u8>>,
    ) -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        let question = Self {
            id,
            method: facts.method.to_owned(),
            path: facts.path.to_owned(),
            host: facts.host.to_owned(),
            headers: facts.headers.clone(),
            protocols: facts.protocols.unwrap_or_default().to_vec(),
            upgrade: facts.protocols.is_some(),
            peer,
            certificate,
            answer: Mutex::new(Some(sender)),
        };
        (question, receiver)
    }

    /// Decides. Fails for an answer that cannot be sent, and then another one may be given. Once answered, or when nobody
    /// waits any more, it does nothing.
    pub fn answer(&self, verdict: Verdict) -> Result<(), RequestError> {
        match &verdict {
            Verdict::Respond(response) => response.check()?,
            Verdict::GoOn { protocol, headers } => {
                check_headers(headers)?;
                if let Some(Some(protocol)) = protocol
                    && self.upgrade
                    && !self.protocols.contains(protocol)
                {
                    let (protocol, offered) = (protocol.clone(), self.protocols.clone());
                    return Err(RequestError::ProtocolNotOffered { protocol, offered });
                }
            }
        }
        if let Some(answer) = lock(&self.answer).take() {
            let _ = answer.send(verdict);
        }
        Ok(())
    }
}
