//! Header fields: looking them up in what the peer sent, checking what our own side wants to send.

use thiserror::Error;

use super::Headers;
use crate::proto::deflate::DeflateConfigError;

/// Our own side asked for a request or response that must not be sent. Names the field, and never
/// repeats a header value (it may be a credential).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A header name is not a token (RFC 9110 section 5.6.2).
    #[error("header name {name:?} is not valid: expected letters, digits and !#$%&'*+-.^_`|~")]
    HeaderName {
        /// The name.
        name: String,
    },
    /// A control character in a header value.
    #[error("value of header {name:?} has the control character {found:?} at byte {position}")]
    HeaderValue {
        /// The name of the header.
        name: String,
        /// The character.
        found: char,
        /// Where, in bytes from the start of the value.
        position: usize,
    },
    /// A header that the handshake itself sets.
    #[error("header {name:?} is set by the handshake and cannot be given")]
    HeaderReserved {
        /// The name of the header.
        name: String,
    },
    /// `Host` was given more than once.
    #[error("header {name:?} is given more than once")]
    HeaderRepeated {
        /// The name of the header.
        name: String,
    },
    /// A subprotocol is not a token.
    #[error("subprotocol {protocol:?} is not valid: expected letters, digits and !#$%&'*+-.^_`|~")]
    Protocol {
        /// The subprotocol.
        protocol: String,
    },
    /// A subprotocol is offered twice.
    #[error("subprotocol {protocol:?} is given more than once")]
    ProtocolRepeated {
        /// The subprotocol.
        protocol: String,
    },
    /// The server chose a subprotocol that the client did not offer.
    #[error("subprotocol {protocol:?} was not offered by the client (offered: {offered:?})")]
    ProtocolNotOffered {
        /// The subprotocol.
        protocol: String,
        /// What the client offered.
        offered: Vec<String>,
    },
    /// The host is empty or has characters that no host has.
    #[error("host {host:?} is not valid in a Host header")]
    Host {
        /// The host.
        host: String,
    },
    /// The path does not begin with `/`, or has characters that must be percent-encoded.
    #[error("path {path:?} is not valid: expected / and printable ASCII without space and #")]
    Path {
        /// The path (without its query).
        path: String,
    },
    /// A parameter of compression is out of its range.
    #[error("compression: {0}")]
    Deflate(#[from] DeflateConfigError),
    /// A status that does not end a request.
    #[error("status {status} cannot be the answer to a request; expected 200 to 599")]
    FinalStatus {
        /// The status.
        status: u16,
    },
    /// A status that does not refuse a request.
    #[error("status {status} cannot refuse a handshake; expected 300 to 599, and not 304")]
    Status {
        /// The status.
        status: u16,
    },
}

/// Header names that only the handshake sets. `Sec-WebSocket-*` too.
const RESERVED: [&str; 4] = ["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];

/// The values of all headers of this name.
pub(super) fn values<'h>(headers: &'h [(String, String)], name: &str) -> impl Iterator<Item = &'h str> {
    let same =
        move |(candidate, value): &'h (String, String)| candidate.eq_ignore_ascii_case(name).then_some(value.as_str());
    headers.iter().filter_map(same)
}

/// The value of a header that may occur once: `Err` if it occurs more often.
pub(super) fn single<'h>(headers: &'h [(String, String)], name: &str) -> Result<Option<&'h str>, ()> {
    let mut values = values(headers, name);
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

/// The members of the comma-separated lists in all headers of this name.
pub(super) fn list<'h>(headers: &'h [(String, String)], name: &str) -> impl Iterator<Item = &'h str> {
    values(headers, name).flat_map(|value| value.split(',')).map(str::trim).filter(|m| !m.is_empty())
}

/// True if a list has this member, in any case.
pub(super) fn has_member(headers: &[(String, String)], name: &str, member: &str) -> bool {
    list(headers, name).any(|candidate| candidate.eq_ignore_ascii_case(member))
}

/// Copies parsed header fields. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn owned(parsed: &[httparse::Header<'_>]) -> Headers {
    parsed.iter().map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned())).collect()
}

/// True if `text` is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(of_token)
}

/// Checks the name and the value of a header that our own side adds.
pub(super) fn check(name: &str, value: &str) -> Result<(), RequestError> {
    if !is_token(name) {
        return Err(RequestError::HeaderName { name: name.to_owned() });
    }
    let sec = name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("Sec-WebSocket-"));
    if sec || RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err(RequestError::HeaderReserved { name: name.to_owned() });
    }
    match value.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        None => Ok(()),
        Some((position, found)) => Err(RequestError::HeaderValue { name: name.to_owned(), found, position }),
    }
}

/// Appends `name: value` and a line break.
pub(super) fn write(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_that_would_inject_are_refused() {
        assert_eq!(check("X-Ok", "a\tb ü"), Ok(()));
        for name in ["", "a b", "a:", "a\r\nb", "ü", "a\0"] {
            assert_eq!(check(name, ""), Err(RequestError::HeaderName { name: name.into() }));
        }
        for (value, found) in [("a\r\nb: c", '\r'), ("a\nb", '\n'), ("a\0", '\0'), ("a\x7f", '\x7f')] {
            let expected = RequestError::HeaderValue { name: "X".into(), found, position: 1 };
            assert_eq!(check("X", value), Err(expected));
        }
        for name in ["sec-websocket-key", "Sec-WebSocket-Anything", "UPGRADE", "content-length"] {
            let expected = RequestError::HeaderReserved { name: name.into() };
            assert_eq!(check(name, "x"), Err(expected));
        }
        assert_eq!(check("Sec-Fetch-Mode", "websocket"), Ok(()));
    }

    #[test]
    fn lookups_ignore_case_and_join_lists() {
        let headers: Headers = [("Connection", "keep-alive, "), ("CONNECTION", " x ,UPGRADE")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into();
        assert_eq!(list(&headers, "connection").collect::<Vec<_>>(), ["keep-alive", "x", "UPGRADE"]);
        assert!(has_member(&headers, "connection", "upgrade"));
        assert!(!has_member(&headers, "connection", "grade"));
        assert_eq!(single(&headers, "connection"), Err(()));
        assert_eq!(single(&headers[..1], "connection"), Ok(Some("keep-alive, ")));
        assert_eq!(single(&headers, "host"), Ok(None));
    }
}
