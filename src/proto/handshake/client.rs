//! The client's side of the opening handshake (RFC 6455 section 4.1): the request, and the checks
//! of the response.

use thiserror::Error;
use tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{
    Headers,
    body::BodyStart,
    extensions::{self, Extensions, ExtensionsError},
    head::{HandshakeLimits, Head, HeadError, HeadReader, MAX_INTERIM, starts_a_response},
    headers::{RequestError, check, has_member, is_token, owned, single, values, write},
};
use crate::proto::deflate::{DeflateConfig, Negotiated};

pub(super) const USER_AGENT: &str = concat!("voxwire/", env!("CARGO_PKG_VERSION"));

/// What to ask the server for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientRequest {
    /// The value of the `Host` header: host, and port unless it is the scheme's own.
    pub host: String,
    /// The request target, percent-encoded: `/path?query`.
    pub path_and_query: String,
    /// Subprotocols offered, the preferred one first.
    pub protocols: Vec<String>,
    /// Compression to offer; `None` for none.
    pub deflate: Option<DeflateConfig>,
    /// Further headers. `Host` and `User-Agent` replace the default; the handshake's own
    /// (`Sec-WebSocket-*`, `Upgrade`, `Connection`, …) are refused.
    pub headers: Headers,
}

impl ClientRequest {
    /// The bytes of the request, and the key that [`ResponseParser::new`] needs.
    pub fn encode(&self) -> Result<(Vec<u8>, String), RequestError> {
        let key = generate_key();
        check_path(&self.path_and_query)?;
        for (name, value) in &self.headers {
            check(name, value)?;
        }
        let host = match single(&self.headers, "Host") {
            Ok(host) => host.unwrap_or(&self.host),
            Err(()) => return Err(RequestError::HeaderRepeated { name: "Host".to_owned() }),
        };
        check_host(host)?;

        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.path_and_query.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write(&mut out, "Host", host);
        write(&mut out, "Upgrade", "websocket");
        write(&mut out, "Connection", "Upgrade");
        write(&mut out, "Sec-WebSocket-Key", &key);
        write(&mut out, "Sec-WebSocket-Version", "13");
        if let Some(config) = &self.deflate {
            config.check()?;
            write(&mut out, extensions::HEADER, &extensions::offer(config).to_string());
        }
        if !self.protocols.is_empty() {
            check_protocols(&self.protocols)?;
            write(&mut out, "Sec-WebSocket-Protocol", &self.protocols.join(", "));
        }
        if values(&self.headers, "User-Agent").next().is_none() {
            write(&mut out, "User-Agent", USER_AGENT);
        }
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Host") {
                write(&mut out, name, value);
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok((out, key))
    }
}

fn check_path(path: &str) -> Result<(), RequestError> {
    if path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Ok(());
    }
    // The query may hold a credential.
    let path = path.split('?').next().unwrap_or_default().to_owned();
    Err(RequestError::Path { path })
}

fn check_host(host: &str) -> Result<(), RequestError> {
    // Looser than RFC 3986: a URL parser takes hosts such as "a_b" and "{x}".
    let of_host = |b: u8| b.is_ascii_graphic() && !b"/?#@\\<>".contains(&b);
    if !host.is_empty() && host.bytes().all(of_host) {
        return Ok(());
    }
    Err(RequestError::Host { host: host.to_owned() })
}

fn check_protocols(protocols: &[String]) -> Result<(), RequestError> {
    for (index, protocol) in protocols.iter().enumerate() {
        if !is_token(protocol) {
            return Err(RequestError::Protocol { protocol: protocol.clone() });
        }
        if protocols.iter().take(index).any(|before| before == protocol) {
            return Err(RequestError::ProtocolRepeated { protocol: protocol.clone() });
        }
    }
    Ok(())
}

/// The server accepted: the connection is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The subprotocol that the server chose, if any.
    pub protocol: Option<String>,
    /// Compression as the server accepted it; `None` for none.
    pub deflate: Option<Negotiated>,
    /// All headers of the response.
    pub headers: Headers,
    /// Bytes behind the response: the first frames.
    pub rest: Vec<u8>,
}

/// Why the handshake failed. The connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The response exceeds a limit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The peer speaks something else.
    #[error("peer does not speak HTTP/1.1: its answer begins with {start:?}{}", hint(.start))]
    NotHttp {
        /// The first bytes.
        start: String,
    },
    /// A line of the response cannot be read.
    #[error("HTTP response is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// The server answered, but not with 101.
    #[error("server refused the handshake with HTTP status {status} {reason}; expected 101{}", begin(.body))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// The headers of the response.
        headers: Headers,
        /// The first bytes of the body, up to 1,024.
        body: Vec<u8>,
    },
    /// A 101 without a header that it must have, or with a wrong one.
    #[error("header {name} of the 101 response is {found:?}; expected {expected}")]
    Header {
        /// The name of the header.
        name: &'static str,
        /// Its values.
        found: Vec<String>,
        /// What it must be.
        expected: String,
    },
    /// A subprotocol that was not offered.
    #[error("server chose the subprotocol {found:?}, but {offered:?} was offered")]
    Protocol {
        /// What the server chose.
        found: String,
        /// What we offered.
        offered: Vec<String>,
    },
    /// An extension, though none was offered.
    #[error("server turned on the extension {found:?}, but none was offered")]
    Extension {
        /// What the server turned on.
        found: String,
    },
    /// The server's answer about extensions cannot be read.
    #[error(transparent)]
    Extensions(#[from] ExtensionsError),
    /// An answer about extensions that our offer does not allow.
    #[error("server answered the offer {offered:?} with the extensions {found:?}: {reason}")]
    Negotiation {
        /// What we offered.
        offered: String,
        /// What the server turned on.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection ended before the response was complete.
    #[error("connection ended after {received} bytes of the HTTP response")]
    Closed {
        /// Bytes received.
        received: usize,
    },
    /// More was fed after the handshake was over.
    #[error("the handshake is already over")]
    Over,
}

/// What the body of a refusal says, as far as a line can hold it.
fn begin(body: &[u8]) -> String {
    const LONGEST: usize = 200;
    if body.is_empty() {
        return String::new();
    }
    let text = String::from_utf8_lossy(body);
    let start: String = text.trim().chars().take(LONGEST).collect();
    format!("; its body begins with {start:?}")
}

fn hint(start: &str) -> &'static str {
    // A TLS record of type alert.
    if start.starts_with('\u{15}') { " (a TLS alert: does the server expect wss?)" } else { "" }
}

/// Reads the response to a [`ClientRequest`].
#[derive(Debug)]
pub struct ResponseParser {
    accept: String,
    offered: Vec<String>,
    deflate: Option<DeflateConfig>,
    interim: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body { status: u16, reason: String, headers: Headers, body: BodyStart },
    Over,
}

impl ResponseParser {
    /// A parser for the response to the request that had this key and offered these subprotocols.
    pub fn new(key: &str, offered: &[String]) -> Self {
        Self::with_limits(key, offered, HandshakeLimits::default())
    }

    /// The same, with other limits than the default.
    pub fn with_limits(key: &str, offered: &[String], limits: HandshakeLimits) -> Self {
        Self {
            accept: derive_accept_key(key.as_bytes()),
            offered: offered.to_vec(),
            deflate: None,
            interim: 0,
            state: State::Head(HeadReader::new(limits)),
        }
    }

    /// The same, where the request offered this compression.
    #[must_use]
    pub fn with_deflate(self, deflate: Option<DeflateConfig>) -> Self {
        Self { deflate, ..self }
    }

    /// Adds bytes read from the server. `None`: more are needed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Accepted>, HandshakeError> {
        match &mut self.state {
            State::Head(reader) => {
                let fed = reader.feed(bytes).map_err(HandshakeError::from);
                match check_start(reader.bytes()).and(fed) {
                    Ok(None) => Ok(None),
                    Ok(Some(head)) => self.head(head),
                    Err(error) => {
                        self.state = State::Over;
                        Err(error)
                    }
                }
            }
            State::Body { body, .. } => {
                if body.feed(bytes) {
                    Err(self.eof())
                } else {
                    Ok(None)
                }
            }
            State::Over => Err(HandshakeError::Over),
        }
    }

    /// The server has refused; what is still to come is only what it says about it.
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Body { .. })
    }

    /// The connection ended, or nothing more shall be waited for: why the handshake failed.
    pub fn eof(&mut self) -> HandshakeError {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(reader) => HandshakeError::Closed { received: reader.bytes().len() },
            State::Body { status, reason, headers, body } => {
                HandshakeError::Status { status, reason, headers, body: body.into_bytes() }
            }
            State::Over => HandshakeError::Over,
        }
    }

    fn head(&mut self, head: Head) -> Result<Option<Accepted>, HandshakeError> {
        let state = std::mem::replace(&mut self.state, State::Over);
        let Head { bytes, headers, rest } = head;
        check_start(&bytes)?;
        let mut parsed = vec![httparse::EMPTY_HEADER; headers];
        let mut response = httparse::Response::new(&mut parsed);
        let malformed = |reason: &str| HandshakeError::Malformed { reason: reason.to_owned() };
        response.parse(&bytes).map_err(|error| malformed(&error.to_string()))?;
        let status = response.code.ok_or_else(|| malformed("no status"))?;
        let reason = response.reason.unwrap_or_default().to_owned();
        let headers = owned(response.headers);
        match status {
            101 => self.switch(headers, rest).map(Some),
            // Interim responses may precede the one that counts (RFC 9110 section 15.2).
            100..=199 => {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(malformed(&format!("more than {MAX_INTERIM} interim responses (status {status})")));
                }
                self.state = state;
                self.feed(&rest)
            }
            _ => {
                let body = BodyStart::new(status, &headers);
                self.state = State::Body { status, reason, headers, body };
                self.feed(&rest)
            }
        }
    }

    /// Checks a 101 (RFC 6455 section 4.1, the list at its end).
    fn switch(&self, headers: Headers, rest: Vec<u8>) -> Result<Accepted, HandshakeError> {
        let wrong = |name: &'static str, expected: String| HandshakeError::Header {
            name,
            found: values(&headers, name).map(str::to_owned).collect(),
            expected,
        };
        let upgrade = single(&headers, "Upgrade").ok().flatten();
        if !upgrade.is_some_and(|value| value.trim().eq_ignore_ascii_case("websocket")) {
            return Err(wrong("Upgrade", "websocket, once".to_owned()));
        }
        if !has_member(&headers, "Connection", "upgrade") {
            return Err(wrong("Connection", "Upgrade".to_owned()));
        }
        let accept = single(&headers, "Sec-WebSocket-Accept").ok().flatten();
        if accept.map(str::trim) != Some(self.accept.as_str()) {
            return Err(wrong("Sec-WebSocket-Accept", format!("{:?}, once", self.accept)));
        }
        let Ok(protocol) = single(&headers, "Sec-WebSocket-Protocol") else {
            return Err(wrong("Sec-WebSocket-Protocol", "at most one".to_owned()));
        };
        let protocol = protocol.map(str::trim).map(str::to_owned);
        if let Some(found) = protocol.clone().filter(|found| !self.offered.contains(found)) {
            return Err(HandshakeError::Protocol { found, offered: self.offered.clone() });
        }
        let deflate = self.negotiated(&Extensions::of(&headers)?)?;
        Ok(Accepted { protocol, deflate, headers, rest })
    }

    /// Checks the extensions that the server turned on.
    fn negotiated(&self, found: &Extensions) -> Result<Option<Negotiated>, HandshakeError> {
        match &self.deflate {
            None if found.0.is_empty() => Ok(None),
            None => Err(HandshakeError::Extension { found: found.to_string() }),
            Some(config) => extensions::confirm(found, config).map_err(|reason| HandshakeError::Negotiation {
                offered: extensions::offer(config).to_string(),
                found: found.to_string(),
                reason,
            }),
        }
    }
}

/// Fails at the first byte that shows that this is not HTTP/1.
fn check_start(bytes: &[u8]) -> Result<(), HandshakeError> {
    if starts_a_response(bytes) {
        return Ok(());
    }
    let breaks = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let start = &bytes[breaks..];
    let start = String::from_utf8_lossy(&start[..start.len().min(32)]).into_owned();
    Err(HandshakeError::NotHttp { start })
}

#[cfg(test)]
mod tests;
