//! The server's side of the opening handshake (RFC 6455 section 4.2): the checks of the request, and
//! the two answers to it.

use thiserror::Error;
use tungstenite::handshake::derive_accept_key;

use super::{
    Headers,
    extensions::{self, Extensions},
    head::{HandshakeLimits, Head, HeadError, HeadReader},
    headers::{RequestError, check, has_member, list, owned, single, values, write},
};
use crate::proto::deflate::{DeflateConfig, Negotiated};

/// A valid request to open a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The request target, percent-encoded: `/path?query`.
    pub path: String,
    /// The value of the `Host` header.
    pub host: String,
    /// All headers.
    pub headers: Headers,
    /// Subprotocols that the client offers, the preferred one first.
    pub protocols: Vec<String>,
    /// Extensions that the client offers, the preferred one first.
    pub extensions: Extensions,
    /// The value of `Sec-WebSocket-Key`.
    pub key: String,
    /// Bytes behind the request. A client should not send any before it has the answer.
    pub rest: Vec<u8>,
}

impl Request {
    /// The value of a header, in any case; the first where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }

    /// The response that opens the connection, with one of the offered subprotocols or none.
    pub fn accept(&self, protocol: Option<&str>, headers: &[(String, String)]) -> Result<Vec<u8>, RequestError> {
        self.accept_with(protocol, None, headers).map(|(response, _)| response)
    }

    /// The same, and compression where the client offers any that `deflate` allows.
    pub fn accept_with(
        &self,
        protocol: Option<&str>,
        deflate: Option<&DeflateConfig>,
        headers: &[(String, String)],
    ) -> Result<(Vec<u8>, Option<Negotiated>), RequestError> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        write(&mut out, "Upgrade", "websocket");
        write(&mut out, "Connection", "Upgrade");
        write(&mut out, "Sec-WebSocket-Accept", &derive_accept_key(self.key.as_bytes()));
        if let Some(protocol) = protocol {
            if !self.protocols.iter().any(|offered| offered == protocol) {
                return Err(RequestError::ProtocolNotOffered {
                    protocol: protocol.to_owned(),
                    offered: self.protocols.clone(),
                });
            }
            write(&mut out, "Sec-WebSocket-Protocol", protocol);
        }
        let mut agreed = None;
        if let Some(config) = deflate {
            config.check()?;
            agreed = extensions::choose(&self.extensions, config);
        }
        if let Some(agreed) = &agreed {
            write(&mut out, extensions::HEADER, &agreed.to_string());
        }
        for (name, value) in headers {
            check(name, value)?;
            write(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        Ok((out, agreed))
    }
}

/// The response that refuses a request: status 300 to 599 (but for 304) and a body of plain text.
pub fn reject(status: u16, body: &str, headers: &[(String, String)]) -> Result<Vec<u8>, RequestError> {
    // A 304 must not have a body.
    if !matches!(status, 300..=303 | 305..=599) {
        return Err(RequestError::Status { status });
    }
    let mut headers = headers.to_vec();
    if values(&headers, "Content-Type").next().is_none() {
        headers.insert(0, ("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned()));
    }
    Response { status, headers, body: body.as_bytes().to_vec() }.encode("GET")
}

/// A plain HTTP response, after which the connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 200 to 599.
    pub status: u16,
    /// Its headers, without those that say how long it is and what becomes of the connection.
    pub headers: Headers,
    /// Its content. What has none by its status (204, 205, 304) is sent without.
    pub body: Vec<u8>,
}

impl Response {
    /// Fails with what must not be sent.
    pub fn check(&self) -> Result<(), RequestError> {
        if !matches!(self.status, 200..=599) {
            return Err(RequestError::FinalStatus { status: self.status });
        }
        check_headers(&self.headers)
    }

    /// The bytes that answer a request with this method.
    pub fn encode(&self, method: &str) -> Result<Vec<u8>, RequestError> {
        self.check()?;
        let Self { status, headers, body } = self;
        let body: &[u8] = if matches!(status, 204 | 205 | 304) { &[] } else { body };
        let mut out = Vec::with_capacity(256 + body.len());
        let code = http::StatusCode::from_u16(*status).ok();
        let reason = code.and_then(|code| code.canonical_reason()).unwrap_or_default();
        out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        write_ending(&mut out, *status);
        // RFC 9110 section 8.6: never with a 204; with a 304 it would be that of another response.
        if !matches!(status, 204 | 304) {
            write(&mut out, "Content-Length", &body.len().to_string());
        }
        for (name, value) in headers {
            write(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        if method != "HEAD" {
            out.extend_from_slice(body);
        }
        Ok(out)
    }
}

/// Fails with the first header that must not be added to a response.
pub fn check_headers(headers: &[(String, String)]) -> Result<(), RequestError> {
    headers.iter().try_for_each(|(name, value)| check(name, value))
}

/// The headers that say that the connection ends here; a 426 also says what to ask for (RFC 9110 section 15.5.22, RFC
/// 6455 section 4.4).
fn write_ending(out: &mut Vec<u8>, status: u16) {
    if status == 426 {
        write(out, "Upgrade", "websocket");
        write(out, "Sec-WebSocket-Version", "13");
        write(out, "Connection", "Upgrade, close");
    } else {
        write(out, "Connection", "close");
    }
}

/// A request that does not open a WebSocket. Send [`response`](Self::response), then close.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("request refused with HTTP status {status}: {reason}")]
pub struct RequestRejected {
    /// The HTTP status to answer with.
    pub status: u16,
    /// What is wrong with the request.
    pub reason: String,
}

impl RequestRejected {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    /// The bytes that tell the client.
    pub fn response(&self) -> Vec<u8> {
        let status = http::StatusCode::from_u16(self.status).unwrap_or_default();
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(format!("HTTP/1.1 {status}\r\n").as_bytes());
        if self.status == 405 {
            write(&mut out, "Allow", "GET");
        }
        write_ending(&mut out, self.status);
        write(&mut out, "Content-Type", "text/plain; charset=utf-8");
        write(&mut out, "Content-Length", &(self.reason.len() + 1).to_string());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.reason.as_bytes());
        out.push(b'\n');
        out
    }
}

impl From<HeadError> for RequestRejected {
    fn from(error: HeadError) -> Self {
        let status = if matches!(error, HeadError::Line { line: 1, .. }) { 414 } else { 431 };
        Self::new(status, error.to_string())
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A WebSocket.
    Upgrade(Request),
    /// Something that is plain HTTP: the health check of a load balancer, a page.
    Plain(PlainRequest),
}

/// A valid GET or HEAD request that has no body and does not ask for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainRequest {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The request target, percent-encoded: `/path?query`.
    pub path: String,
    /// The value of the `Host` header.
    pub host: String,
    /// All headers.
    pub headers: Headers,
    /// The answer, when nobody has a better one.
    pub refusal: RequestRejected,
}

/// Reads the request of a client.
#[derive(Debug)]
pub struct RequestParser {
    reader: HeadReader,
}

impl RequestParser {
    /// A parser for a connection just accepted.
    pub fn new(limits: HandshakeLimits) -> Self {
        Self { reader: HeadReader::new(limits) }
    }

    /// Adds bytes read from the client. `None`: more are needed. A parser reads one request. What does not ask for a
    /// WebSocket is rejected.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Request>, RequestRejected> {
        match self.feed_any(bytes)? {
            None => Ok(None),
            Some(Asked::Upgrade(request)) => Ok(Some(request)),
            Some(Asked::Plain(request)) => Err(request.refusal),
        }
    }

    /// The same, and valid requests for something else are told.
    pub fn feed_any(&mut self, bytes: &[u8]) -> Result<Option<Asked>, RequestRejected> {
        let fed = self.reader.feed(bytes);
        check_start(self.reader.bytes())?;
        match fed? {
            Some(head) => {
                check_start(&head.bytes)?;
                parse(head).map(Some)
            }
            None => Ok(None),
        }
    }
}

/// Fails at the first byte that cannot begin a request, so that a TLS client is not waited for.
fn check_start(bytes: &[u8]) -> Result<(), RequestRejected> {
    match bytes.iter().find(|byte| !matches!(byte, b'\r' | b'\n')) {
        Some(0x16) => Err(RequestRejected::new(400, "TLS handshake on a port without TLS")),
        Some(byte) if !byte.is_ascii_graphic() => {
            Err(RequestRejected::new(400, format!("not HTTP: first byte is {byte:#04x}")))
        }
        _ => Ok(()),
    }
}

fn parse(head: Head) -> Result<Asked, RequestRejected> {
    let bad = |reason: String| RequestRejected::new(400, reason);
    let mut parsed = vec![httparse::EMPTY_HEADER; head.headers];
    let mut request = httparse::Request::new(&mut parsed);
    match request.parse(&head.bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(bad("HTTP request is incomplete".to_owned())),
        Err(httparse::Error::Version) => return Err(version()),
        Err(error) => return Err(bad(format!("HTTP request is malformed: {error}"))),
    }
    let method = request.method.unwrap_or_default().to_owned();
    let other_method = || RequestRejected::new(405, format!("method is {method:?}; expected GET"));
    if method != "GET" && method != "HEAD" {
        return Err(other_method());
    }
    if request.version != Some(1) {
        return Err(version());
    }
    let path =
        origin_form(request.path.unwrap_or_default()).ok_or_else(|| bad("request target is not a path".to_owned()))?;
    let headers = owned(request.headers);
    let once = |name: &str| match single(&headers, name) {
        Ok(Some(value)) => Ok(value.trim().to_owned()),
        Ok(None) => Err(bad(format!("header {name} is missing"))),
        Err(()) => Err(bad(format!("header {name} is given more than once"))),
    };
    let host = once("Host")?;
    let length = single(&headers, "Content-Length").map(|length| length.unwrap_or("0").trim());
    let body = length != Ok("0") || values(&headers, "Transfer-Encoding").next().is_some();
    if !has_member(&headers, "Upgrade", "websocket") {
        let reason = "only WebSocket connections are served here (Upgrade: websocket is missing)";
        let refusal = if method == "GET" { RequestRejected::new(426, reason) } else { other_method() };
        if body {
            return Err(refusal);
        }
        return Ok(Asked::Plain(PlainRequest { method, path, host, headers, refusal }));
    }
    if method != "GET" {
        return Err(other_method());
    }
    if !has_member(&headers, "Connection", "upgrade") {
        return Err(bad("header Connection does not have Upgrade".to_owned()));
    }
    let version = once("Sec-WebSocket-Version")?;
    if version != "13" {
        let reason = format!("Sec-WebSocket-Version is {version:?}; expected 13");
        return Err(RequestRejected::new(426, reason));
    }
    let key = once("Sec-WebSocket-Key")?;
    if base64_simd::STANDARD.decode_to_vec(&key).map_or(true, |nonce| nonce.len() != 16) {
        return Err(bad("Sec-WebSocket-Key is not the base64 of 16 bytes".to_owned()));
    }
    if body {
        return Err(bad("a WebSocket request must not have a body".to_owned()));
    }
    let protocols = list(&headers, "Sec-WebSocket-Protocol").map(str::to_owned).collect();
    let extensions = Extensions::of(&headers).map_err(|error| bad(error.to_string()))?;
    Ok(Asked::Upgrade(Request { path, host, headers, protocols, extensions, key, rest: head.rest }))
}

fn version() -> RequestRejected {
    RequestRejected::new(505, "HTTP version is not supported; expected HTTP/1.1")
}

/// Path and query of a request target, which may also be a whole URI (RFC 6455 section 4.2.1).
fn origin_form(target: &str) -> Option<String> {
    if target.starts_with('/') {
        return Some(target.to_owned());
    }
    let (_, after) = target.split_once("://")?;
    let path = after.find(['/', '?']).map_or("", |at| &after[at..]);
    Some(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

#[cfg(test)]
mod tests;
