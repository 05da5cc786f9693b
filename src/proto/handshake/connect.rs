//! The client's side of an HTTP proxy: the CONNECT request (RFC 9110 section 9.3.6) and the checks of its answer. Bytes
//! in, bytes out; who the proxy is and how it is reached is not known here.

use thiserror::Error;

use super::{
    Headers, RequestError,
    body::BodyStart,
    client::USER_AGENT,
    head::{HandshakeLimits, Head, HeadError, HeadReader, MAX_INTERIM, starts_a_response},
    headers::{check, owned, write},
};

/// The bytes that ask a proxy for a tunnel to `authority` (host and port); `authorization` is the value of
/// `Proxy-Authorization`.
pub fn connect_request(authority: &str, authorization: Option<&str>) -> Result<Vec<u8>, RequestError> {
    let of_authority = |b: u8| b.is_ascii_graphic() && !b"/?#@\\<>".contains(&b);
    if authority.is_empty() || !authority.bytes().all(of_authority) {
        return Err(RequestError::Host { host: authority.to_owned() });
    }
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"CONNECT ");
    out.extend_from_slice(authority.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write(&mut out, "Host", authority);
    write(&mut out, "User-Agent", USER_AGENT);
    if let Some(value) = authorization {
        check("Proxy-Authorization", value)?;
        write(&mut out, "Proxy-Authorization", value);
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Why a proxy gave no tunnel. The connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TunnelError {
    /// The answer exceeds a limit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The answer is no HTTP.
    #[error("it does not speak HTTP/1.1: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// It answered, but not with a status from 200 to 299.
    #[error("it refused with HTTP status {status} {reason}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The reason phrase.
        reason: String,
        /// The headers of the answer.
        headers: Headers,
        /// The first bytes of the body, up to 1,024.
        body: Vec<u8>,
    },
    /// Bytes behind the answer: nobody can have sent them but the proxy itself, since the client speaks first.
    #[error("it sent {bytes} bytes behind its answer, before there was anything to answer to")]
    Early {
        /// How many.
        bytes: usize,
    },
    /// The connection ended before the answer was complete.
    #[error("it closed the connection after {received} bytes of its answer")]
    Closed {
        /// Bytes received.
        received: usize,
    },
}

/// What a [`TunnelParser`] knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// More bytes are needed.
    Waiting,
    /// The proxy has refused; only its body is incomplete.
    Refused,
    /// The tunnel is there.
    Open,
}

/// Reads the answer to a CONNECT request.
#[derive(Debug)]
pub struct TunnelParser {
    interim: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    Body { status: u16, reason: String, headers: Headers, body: BodyStart },
    Over,
}

impl Default for TunnelParser {
    fn default() -> Self {
        Self { interim: 0, state: State::Head(HeadReader::new(HandshakeLimits::default())) }
    }
}

impl TunnelParser {
    /// Adds bytes read from the proxy.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Tunnel, TunnelError> {
        match &mut self.state {
            State::Head(reader) => {
                let fed = reader.feed(bytes);
                if !starts_a_response(reader.bytes()) {
                    return Err(not_http(reader.bytes()));
                }
                match fed? {
                    Some(head) => self.head(head),
                    None => Ok(Tunnel::Waiting),
                }
            }
            State::Body { body, .. } => {
                if body.feed(bytes) {
                    return Err(self.eof());
                }
                Ok(Tunnel::Refused)
            }
            State::Over => Err(TunnelError::Early { bytes: bytes.len() }),
        }
    }

    /// The connection ended, or nothing more shall be waited for: why there is no tunnel.
    pub fn eof(&mut self) -> TunnelError {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(reader) => TunnelError::Closed { received: reader.bytes().len() },
            State::Body { status, reason, headers, body } => {
                TunnelError::Status { status, reason, headers, body: body.into_bytes() }
            }
            State::Over => TunnelError::Closed { received: 0 },
        }
    }

    fn head(&mut self, head: Head) -> Result<Tunnel, TunnelError> {
        self.state = State::Over;
        let Head { bytes, headers, rest } = head;
        let mut parsed = vec![httparse::EMPTY_HEADER; headers];
        let mut response = httparse::Response::new(&mut parsed);
        if !starts_a_response(&bytes) || response.parse(&bytes).is_err() {
            return Err(not_http(&bytes));
        }
        let Some(status) = response.code else { return Err(not_http(&bytes)) };
        match status {
            200..=299 if rest.is_empty() => Ok(Tunnel::Open),
            200..=299 => Err(TunnelError::Early { bytes: rest.len() }),
            // Interim answers may precede the one that counts (RFC 9110 section 15.2).
            100 | 102..=199 => {
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    let reason = format!("it sent more than {MAX_INTERIM} interim responses (status {status})");
                    return Err(TunnelError::Malformed { reason });
                }
                *self = Self { interim: self.interim, ..Self::default() };
                self.feed(&rest)
            }
            _ => {
                let reason = response.reason.unwrap_or_default().to_owned();
                let headers = owned(response.headers);
                let body = BodyStart::new(status, &headers);
                self.state = State::Body { status, reason, headers, body };
                self.feed(&rest)
            }
        }
    }
}

fn not_http(bytes: &[u8]) -> TunnelError {
    const SHOWN: usize = 40;
    let start = String::from_utf8_lossy(bytes.get(..SHOWN).unwrap_or(bytes));
    TunnelError::Malformed { reason: format!("its answer begins with {start:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds one byte at a time, then ends the connection.
    fn read(answer: &str) -> Result<Tunnel, TunnelError> {
        let mut parser = TunnelParser::default();
        for byte in answer.as_bytes() {
            match parser.feed(&[*byte])? {
                Tunnel::Open => return Ok(Tunnel::Open),
                Tunnel::Waiting | Tunnel::Refused => {}
            }
        }
        Err(parser.eof())
    }

    fn status(error: TunnelError) -> (u16, String, Vec<u8>) {
        match error {
            TunnelError::Status { status, reason, body, .. } => (status, reason, body),
            other => panic!("no status: {other}"),
        }
    }

    #[test]
    fn the_request() {
        let request = String::from_utf8(connect_request("[::1]:443", Some("Basic YTpi")).unwrap()).unwrap();
        let lines: Vec<&str> = request.split("\r\n").collect();
        assert_eq!(lines[..2], ["CONNECT [::1]:443 HTTP/1.1", "Host: [::1]:443"]);
        assert!(lines.contains(&"Proxy-Authorization: Basic YTpi"));
        assert!(request.ends_with("\r\n\r\n"));
        assert!(!String::from_utf8(connect_request("h:1", None).unwrap()).unwrap().contains("Authorization"));
        for authority in ["", "h:1\r\nX: y", "h :1", "u@h:1"] {
            assert!(connect_request(authority, None).is_err(), "{authority:?}");
        }
        assert!(connect_request("h:1", Some("Basic\r\nX: y")).is_err());
    }

    #[test]
    fn any_2xx_opens_the_tunnel_and_has_no_body() {
        for answer in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
            "HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "\r\nHTTP/1.1 100 Continue\r\n\r\n\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(read(answer), Ok(Tunnel::Open), "{answer}");
            assert_eq!(TunnelParser::default().feed(answer.as_bytes()), Ok(Tunnel::Open), "{answer}");
        }
        let interim = |count: usize| format!("{}HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Go on\r\n\r\n".repeat(count));
        assert_eq!(read(&interim(16)), Ok(Tunnel::Open));
        for error in [read(&interim(17)), TunnelParser::default().feed(interim(100_000).as_bytes())] {
            assert!(error.unwrap_err().to_string().contains("more than 16 interim responses"));
        }
        let early = TunnelParser::default().feed(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101");
        assert_eq!(early, Err(TunnelError::Early { bytes: 12 }));
        // The same when it is asked once more: what follows an answer is no answer.
        let mut parser = TunnelParser::default();
        assert_eq!(parser.feed(b"HTTP/1.1 200 OK\r\n\r\n"), Ok(Tunnel::Open));
        assert_eq!(parser.feed(b"HTTP/1.1 407 No\r\n"), Err(TunnelError::Early { bytes: 17 }));
        assert_eq!(parser.eof(), TunnelError::Closed { received: 0 });
    }

    #[test]
    fn a_refusal_comes_with_status_and_start_of_the_body() {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nwho?";
        assert_eq!(status(read(answer).unwrap_err()), (407, "Proxy Authentication Required".into(), b"who?".to_vec()));
        let whole = TunnelParser::default().feed(answer.as_bytes());
        assert_eq!(status(whole.unwrap_err()).0, 407);
        // Without a length the caller decides how long to wait.
        let mut parser = TunnelParser::default();
        assert_eq!(parser.feed(b"HTTP/1.1 503 Busy\r\n\r\nlat"), Ok(Tunnel::Refused));
        assert_eq!(parser.feed(b"er"), Ok(Tunnel::Refused));
        assert_eq!(status(parser.eof()), (503, "Busy".into(), b"later".to_vec()));
        assert_eq!(status(read("HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap_err()).0, 101);
        assert_eq!(status(read("HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n").unwrap_err()).0, 302);
    }

    #[test]
    fn junk_silence_and_endless_heads_are_errors() {
        for junk in ["SSH-2.0-x\r\n", "\u{5}\u{0}", "HTTP/2 200\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "<html>"] {
            let error = read(junk).unwrap_err();
            assert!(matches!(error, TunnelError::Malformed { .. }), "{junk:?}: {error}");
        }
        assert_eq!(read(""), Err(TunnelError::Closed { received: 0 }));
        assert_eq!(read("HTTP/1.1 200"), Err(TunnelError::Closed { received: 12 }));
        let long = format!("HTTP/1.1 200 {}", "x".repeat(9000));
        assert!(matches!(read(&long), Err(TunnelError::Head(HeadError::Line { .. }))));
    }
}
