//! What may be said of what a peer sent: on one line, and of a private connection nothing. Error by error, so that a new
//! one has to be thought about.

use crate::media::event::EventError;
use crate::proto::handshake::{HandshakeError, RequestError, TunnelError};
use crate::session::MediaRefusal;

use super::connect::RedirectError;
use super::error::Failure;
use super::proxy::ProxyError;

impl Failure {
    /// The message without payload, headers, and what of a URL may be secret.
    pub fn discreet(&self) -> String {
        match self {
            Self::Proxy { proxy, server, error } => {
                format!("cannot connect to {server} through the proxy {proxy}: {}", of_proxy(error))
            }
            Self::Request(error) => of_request(error),
            Self::Handshake { host, port, error } => {
                format!("WebSocket handshake with {host}:{port} failed: {}", of_handshake(error))
            }
            Self::Redirect(refused) => format!("a redirect is not followed: {}", of_redirect(&refused.error)),
            Self::NoProtocol { .. } => "the server chose no subprotocol, and require_protocol is set".to_owned(),
            Self::Media(refusal) => of_media(refusal),
            // Names and addresses, numbers, and words of the operating system or of TLS.
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Interrupted { .. }
            | Self::Cancelled
            | Self::Protocol(_)
            | Self::Transport(_)
            | Self::Keepalive(_) => self.to_string(),
        }
    }
}

fn of_request(error: &RequestError) -> String {
    match error {
        RequestError::Host { .. } => "the host is not valid in a Host header".to_owned(),
        RequestError::Path { .. } => "the path is not valid".to_owned(),
        RequestError::Protocol { .. } => "a subprotocol is not valid".to_owned(),
        RequestError::ProtocolRepeated { .. } => "a subprotocol is given more than once".to_owned(),
        RequestError::ProtocolNotOffered { .. } => "the subprotocol was not offered by the client".to_owned(),
        RequestError::HeaderName { .. } => "the name of a header is not valid".to_owned(),
        RequestError::HeaderValue { found, position, .. } => {
            format!("the value of a header has the control character {found:?} at byte {position}")
        }
        RequestError::HeaderReserved { .. } => "a header is set by the handshake and cannot be given".to_owned(),
        RequestError::HeaderRepeated { .. } => "a header is given more than once".to_owned(),
        RequestError::Deflate(_) | RequestError::FinalStatus { .. } | RequestError::Status { .. } => error.to_string(),
    }
}

fn of_handshake(error: &HandshakeError) -> String {
    match error {
        HandshakeError::NotHttp { .. } => "peer does not speak HTTP/1.1".to_owned(),
        HandshakeError::Malformed { .. } => "HTTP response is malformed".to_owned(),
        HandshakeError::Status { status, .. } => {
            format!("server refused the handshake with HTTP status {status}; expected 101")
        }
        HandshakeError::Header { name, .. } => format!("header {name} of the 101 response is missing or wrong"),
        HandshakeError::Protocol { .. } => "server chose a subprotocol that was not offered".to_owned(),
        HandshakeError::Extension { .. } => "server turned on an extension, but none was offered".to_owned(),
        HandshakeError::Extensions(_) => "header Sec-WebSocket-Extensions is malformed".to_owned(),
        HandshakeError::Negotiation { .. } => "server turned on extensions that the offer does not allow".to_owned(),
        HandshakeError::Head(_) | HandshakeError::Closed { .. } | HandshakeError::Over => error.to_string(),
    }
}

fn of_redirect(error: &RedirectError) -> String {
    match error {
        RedirectError::Many { limit, .. } => format!("more than max_redirects = {limit} redirects"),
        RedirectError::Url(_) => "it is no address that a WebSocket can be opened to".to_owned(),
        RedirectError::Insecure | RedirectError::Ambiguous(_) | RedirectError::Fixed(_) => error.to_string(),
    }
}

fn of_proxy(error: &ProxyError) -> String {
    match error {
        ProxyError::Tunnel { error: TunnelError::Malformed { .. }, .. } => "it does not speak HTTP/1.1".to_owned(),
        ProxyError::Tunnel { error: TunnelError::Status { status, .. }, .. } => {
            format!("it refused with HTTP status {status}")
        }
        ProxyError::Tunnel { error, .. } => error.to_string(),
        ProxyError::Request(error) => of_request(error),
        ProxyError::Url(_) => "its URL cannot be used".to_owned(),
        ProxyError::Resolve(_)
        | ProxyError::Connect { .. }
        | ProxyError::Tls(_)
        | ProxyError::Lost(_)
        | ProxyError::Socks(_) => error.to_string(),
    }
}

fn of_media(refusal: &MediaRefusal) -> String {
    match refusal {
        MediaRefusal::Event(EventError::Wrong { field, expected, .. }) => {
            format!("media event: field \"{field}\" cannot be used; expected {expected}")
        }
        MediaRefusal::Event(EventError::Syntax(_)) => "media event: it is not the JSON of one".to_owned(),
        MediaRefusal::Format(error) => {
            format!("media format: field \"{}\" cannot be used; expected {}", error.field, error.expected)
        }
        MediaRefusal::TooManyStreams { limit, .. } => {
            format!("media event: one stream more than max_streams ({limit}) of this connection")
        }
        MediaRefusal::Event(EventError::Missing { .. }) | MediaRefusal::Payload(_) | MediaRefusal::TooLong { .. } => {
            refusal.to_string()
        }
    }
}

/// The text with what is not to be shown escaped, as `{:?}` does, but with quotes and backslashes as they are: control
/// characters (line breaks, the escapes of terminals) and those that change the direction of a line.
pub fn printable(text: String) -> String {
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for piece in text.split_inclusive(['\\', '"', '\'']) {
        let plain = piece.trim_end_matches(['\\', '"', '\'']);
        // An accent is no character of its own behind a letter; at the start it would be escaped.
        shown.extend(format!("a{plain}").escape_debug().skip(1));
        shown.push_str(&piece[plain.len()..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_message_stays_on_its_line() {
        for same in ["", "as it is: \"é\u{301}\" \\ 'ü' …", "क्षि"] {
            assert_eq!(printable(same.to_owned()), same);
        }
        let shown = printable("a\r\nb\0\u{1b}[2J\"\u{202e}\u{2066}\u{2028}\u{85}\u{9b}\u{7f}\t\\".to_owned());
        assert_eq!(shown, r#"a\r\nb\0\u{1b}[2J"\u{202e}\u{2066}\u{2028}\u{85}\u{9b}\u{7f}\t\"#);
    }
}
