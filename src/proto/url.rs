//! The URL of a WebSocket (RFC 6455 section 3, WHATWG URL): checked, taken apart, and in a form
//! without secrets for logs. Resolves no name and opens nothing.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use thiserror::Error;

/// Why a string is not the URL of a WebSocket. Names the part; never repeats credentials.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// It cannot be parsed at all.
    #[error("URL is not valid: {reason}; expected ws://host/path or wss://host/path")]
    Invalid {
        /// What the parser says.
        reason: String,
    },
    /// A control character, for example a line break.
    #[error("URL has the control character {found:?} at byte {position}")]
    ControlCharacter {
        /// The character.
        found: char,
        /// Where, in bytes from the start.
        position: usize,
    },
    /// Another scheme.
    #[error("URL scheme is {scheme:?}; expected ws, wss, http or https")]
    Scheme {
        /// The scheme found.
        scheme: String,
    },
    /// A fragment (RFC 6455 section 3).
    #[error("URL has a fragment; a WebSocket URL must not; write # as %23")]
    Fragment,
    /// No host.
    #[error("URL has no host; expected for example wss://example.com/path")]
    NoHost,
    /// Port 0.
    #[error("URL has port 0; expected 1 to 65535")]
    Port,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name in ASCII (internationalised names in their xn-- form), to be resolved.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// A valid WebSocket URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    parsed: url::Url,
    host: Host,
    port: u16,
}

impl Url {
    /// Parses a URL. `http` and `https` are taken as `ws` and `wss`, as browsers do; white space
    /// around it is dropped.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let invalid = |reason: url::ParseError| UrlError::Invalid { reason: reason.to_string() };
        let text = text.trim();
        // The WHATWG parser drops line breaks and tabs without a word.
        if let Some((position, found)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(UrlError::ControlCharacter { found, position });
        }
        let mut parsed = match url::Url::parse(text) {
            Ok(parsed) => parsed,
            Err(url::ParseError::EmptyHost) => return Err(UrlError::NoHost),
            Err(reason) => return Err(invalid(reason)),
        };
        let scheme = match parsed.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(UrlError::Scheme { scheme: other.to_owned() }),
        };
        if parsed.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        if parsed.set_scheme(scheme).is_err() {
            return Err(UrlError::Scheme { scheme: parsed.scheme().to_owned() });
        }
        let host = match parsed.host() {
            Some(url::Host::Domain(name)) => Host::Name(name.to_owned()),
            Some(url::Host::Ipv4(address)) => Host::Ip(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Ip(address.into()),
            None => return Err(UrlError::NoHost),
        };
        let port = match parsed.port_or_known_default() {
            Some(port) if port != 0 => port,
            _ => return Err(UrlError::Port),
        };
        Ok(Self { parsed, host, port })
    }

    /// True for `wss`.
    pub fn secure(&self) -> bool {
        self.parsed.scheme() == "wss"
    }

    /// The host to connect to.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port to connect to: the one given, else 80 for `ws` and 443 for `wss`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Host` header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> String {
        let mut header = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Ip(IpAddr::V4(address)) => address.to_string(),
            Host::Ip(IpAddr::V6(address)) => bracketed(*address),
        };
        if let Some(port) = self.parsed.port() {
            // Writing to a string cannot fail.
            let _ = write!(header, ":{port}");
        }
        header
    }

    /// The request target: path and query, percent-encoded, at least `/`.
    pub fn path_and_query(&self) -> &str {
        &self.parsed[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// User and password, percent-decoded; `None` if the URL has neither.
    pub fn userinfo(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (user, password) = (self.parsed.username(), self.parsed.password());
        if user.is_empty() && password.is_none() {
            return None;
        }
        Some((percent_decoded(user), percent_decoded(password.unwrap_or_default())))
    }

    /// The value of an `Authorization` header (RFC 7617) with the URL's user and password.
    pub fn basic_authorization(&self) -> Option<String> {
        let (mut pair, password) = self.userinfo()?;
        pair.push(b':');
        pair.extend_from_slice(&password);
        Some(format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair)))
    }

    /// The whole URL, normalised, with its query and any credentials.
    pub fn as_str(&self) -> &str {
        self.parsed.as_str()
    }

    /// Scheme, host, port and path only: no query, no credentials. For logs and messages.
    pub fn redacted(&self) -> String {
        format!("{}://{}{}", self.parsed.scheme(), self.host_header(), self.parsed.path())
    }
}

impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Url").field(&self.redacted()).finish()
    }
}

fn bracketed(address: Ipv6Addr) -> String {
    format!("[{address}]")
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = byte {
            decoded.push(high << 4 | low);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_url_apart() {
        let url = Url::parse(" WSS://Example.COM/call;a/%20b?id=1&t=%23 \n").unwrap();
        assert!(url.secure());
        assert_eq!(url.host(), &Host::Name("example.com".into()));
        assert_eq!((url.port(), url.host_header().as_str()), (443, "example.com"));
        assert_eq!(url.path_and_query(), "/call;a/%20b?id=1&t=%23");
        assert_eq!(url.as_str(), "wss://example.com/call;a/%20b?id=1&t=%23");
        assert_eq!(url.userinfo(), None);
        assert_eq!(url.basic_authorization(), None);
    }

    #[test]
    fn ports_and_addresses() {
        for (text, port, host_header, path) in [
            ("ws://h", 80, "h", "/"),
            ("ws://h:80/", 80, "h", "/"),
            ("ws://h:443", 443, "h:443", "/"),
            ("wss://h:443?q", 443, "h", "/?q"),
            ("http://h:8080/x", 8080, "h:8080", "/x"),
            ("https://h/x", 443, "h", "/x"),
            ("ws://127.0.0.1:9001", 9001, "127.0.0.1:9001", "/"),
            ("ws://[::1]:9001/é", 9001, "[::1]:9001", "/%C3%A9"),
            ("ws://bücher.example/", 80, "xn--bcher-kva.example", "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.port(), port, "{text}");
            assert_eq!(url.host_header(), host_header, "{text}");
            assert_eq!(url.path_and_query(), path, "{text}");
        }
        assert_eq!(Url::parse("http://h/x").unwrap().as_str(), "ws://h/x");
        assert_eq!(Url::parse("https://h:80/x").unwrap().as_str(), "wss://h:80/x");
        let url = Url::parse("ws://[::1]").unwrap();
        assert_eq!(url.host(), &Host::Ip("::1".parse().unwrap()));
    }

    #[test]
    fn refuses_and_names_the_part() {
        for (text, expected) in [
            ("ws://h/a#b", UrlError::Fragment),
            ("ws://h/#", UrlError::Fragment),
            ("ftp://h/", UrlError::Scheme { scheme: "ftp".into() }),
            ("mailto:a@b", UrlError::Scheme { scheme: "mailto".into() }),
            ("ws://", UrlError::NoHost),
            ("ws://h:0/", UrlError::Port),
            ("ws://h/a\r\nX: y", UrlError::ControlCharacter { found: '\r', position: 8 }),
        ] {
            assert_eq!(Url::parse(text), Err(expected), "{text}");
        }
        for text in ["", "h/path", "ws://h:70000/", "ws://[::1/", "ws://a b/"] {
            let error = Url::parse(text).unwrap_err();
            assert!(matches!(error, UrlError::Invalid { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn secrets_stay_out_of_logs() {
        let url = Url::parse("wss://us%40er:p%3Aw%zz@h:8443/path?token=secret").unwrap();
        assert_eq!(url.userinfo(), Some((b"us@er".to_vec(), b"p:w%zz".to_vec())));
        assert_eq!(url.basic_authorization().unwrap(), "Basic dXNAZXI6cDp3JXp6");
        assert_eq!(url.redacted(), "wss://h:8443/path");
        assert_eq!(format!("{url:?}"), r#"Url("wss://h:8443/path")"#);
        assert_eq!(url.host_header(), "h:8443");
        let user_only = Url::parse("ws://Aladdin@h/").unwrap();
        assert_eq!(user_only.userinfo(), Some((b"Aladdin".to_vec(), Vec::new())));
    }
}
