//! Redirects (RFC 9110 section 15.4): whether an answer is one, whether it may be followed, and what of the request goes
//! along. No I/O.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

use crate::proto::handshake::HandshakeError;
use crate::proto::{Url, UrlError};

use super::Target;

/// Headers that are for one origin only, in lower case. `Host` names the origin that it was given for.
const CONFINED: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "host"];

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// There have been too many.
    #[error("more than max_redirects = {limit} redirects{}: {trail}", if *.circular { ", in a loop" } else { "" })]
    Many {
        /// The limit.
        limit: usize,
        /// Whether an address came twice.
        circular: bool,
        /// The addresses, in their order.
        trail: String,
    },
    /// It leads out of TLS.
    #[error("it leads from wss to ws")]
    Insecure,
    /// There are several, and they differ.
    #[error("the answer has {0} different Location headers")]
    Ambiguous(usize),
    /// The way we came leads to one server only.
    #[error("it leads to another server, and {0} to this one only")]
    Fixed(&'static str),
    /// It is no address that a WebSocket can be opened to.
    #[error("{0}")]
    Url(UrlError),
}

/// Where an answer sends us, if it is a redirect.
pub(super) fn location(error: &HandshakeError) -> Option<Result<&str, RedirectError>> {
    let HandshakeError::Status { status: 301 | 302 | 303 | 307 | 308, headers, .. } = error else { return None };
    let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Location"));
    let mut values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    values.dedup();
    match values.as_slice() {
        [] => None,
        [value] => Some(Ok(value)),
        several => Some(Err(RedirectError::Ambiguous(several.len()))),
    }
}

impl Target {
    /// What to ask the address that `location` names, in the place of this.
    pub(super) fn redirected(&self, location: &str) -> Result<Self, RedirectError> {
        let url = self.resolved(location)?;
        if self.url.secure() && !url.secure() {
            return Err(RedirectError::Insecure);
        }
        let same_host = self.url.host() == url.host();
        let same_origin = same_host && (self.url.secure(), self.url.port()) == (url.secure(), url.port());
        if !same_origin && self.via.unix.is_some() {
            return Err(RedirectError::Fixed("unix_path"));
        }
        let goes_along =
            |(name, _): &&(String, String)| same_origin || !CONFINED.contains(&name.to_ascii_lowercase().as_str());
        Ok(Self {
            url,
            protocols: self.protocols.clone(),
            headers: self.headers.iter().filter(goes_along).cloned().collect(),
            tls: if same_origin { self.tls.clone() } else { self.tls.as_ref().map(without_certificate) },
            server_name: self.server_name.clone().filter(|_| same_host),
            require_protocol: self.require_protocol,
            via: self.via.clone(),
            socket: None,
        })
    }

    /// The address, made absolute. Within the origin it keeps user and password unless it has others.
    fn resolved(&self, location: &str) -> Result<Url, RedirectError> {
        let invalid = |error: url::ParseError| RedirectError::Url(UrlError::Invalid { reason: error.to_string() });
        let location = location.trim();
        // The URL standard drops line breaks and tabs without a word.
        if let Some((position, found)) = location.char_indices().find(|(_, c)| c.is_control()) {
            return Err(RedirectError::Url(UrlError::ControlCharacter { found, position }));
        }
        let base = url::Url::parse(self.url.as_str()).map_err(invalid)?;
        let mut joined = base.join(location).map_err(invalid)?;
        joined.set_fragment(None);
        let url = Url::parse(joined.as_str()).map_err(RedirectError::Url)?;
        let origin = |url: &Url| (url.secure(), url.host().clone(), url.port());
        if url.userinfo().is_some() || self.url.userinfo().is_none() || origin(&url) != origin(&self.url) {
            return Ok(url);
        }
        // Neither fails for a URL with a host.
        let _ = joined.set_username(base.username());
        let _ = joined.set_password(base.password());
        Url::parse(joined.as_str()).map_err(RedirectError::Url)
    }
}

/// A location for messages: no credentials, no query, not too long.
pub(super) fn shown(location: &str) -> String {
    const LONGEST: usize = 100;
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let shown = match (path.split_once("//"), path.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}//{host}"),
        _ => path.to_owned(),
    };
    shown.chars().take(LONGEST).collect()
}

/// The same trust, without a certificate of ours.
fn without_certificate(config: &Arc<ClientConfig>) -> Arc<ClientConfig> {
    if !config.client_auth_cert_resolver.has_certs() {
        return Arc::clone(config);
    }
    let mut config = ClientConfig::clone(config);
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    // Sessions that were opened with the certificate must not be resumed.
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    Arc::new(config)
}

struct NoCertificate;

impl fmt::Debug for NoCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoCertificate")
    }
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::*;
    use crate::net::Via;

    fn target(url: &str) -> Target {
        let header = |name: &str| (name.to_owned(), "x".to_owned());
        Target {
            url: Url::parse(url).expect("a URL"),
            protocols: vec!["chat".to_owned()],
            headers: ["Authorization", "COOKIE", "Proxy-Authorization", "Host", "X-Own"].map(header).into(),
            tls: None,
            server_name: ServerName::try_from("name.example").ok(),
            require_protocol: true,
            via: Via::default(),
            socket: None,
        }
    }

    fn led(from: &str, to: &str) -> String {
        target(from).redirected(to).unwrap_or_else(|error| panic!("{from} to {to}: {error}")).url.as_str().to_owned()
    }

    #[test]
    fn locations_are_relative_or_absolute() {
        for (from, to, expected) in [
            ("ws://h/a/b?c", "/d", "ws://h/d"),
            ("ws://h/a/b", "d?e", "ws://h/a/d?e"),
            ("ws://h:8/a", "//other/x", "ws://other/x"),
            ("ws://h/", "http://h/y", "ws://h/y"),
            ("ws://h/", "https://h/y#fragment", "wss://h/y"),
            ("wss://h/", "WSS://Other:444", "wss://other:444/"),
            ("wss://h/a", "", "wss://h/a"),
        ] {
            assert_eq!(led(from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn what_is_not_followed() {
        let refused = |from: &str, to: &str| target(from).redirected(to).map(|t| t.url).unwrap_err();
        assert_eq!(refused("wss://h/", "ws://h/"), RedirectError::Insecure);
        assert_eq!(refused("wss://h/", "http://h/"), RedirectError::Insecure);
        for (to, part) in [
            ("file:///etc/passwd", "\"file\""),
            ("javascript:alert(1)", "\"javascript\""),
            ("ftp://h/", "\"ftp\""),
            ("ws://h:0/", "port 0"),
            ("ws://", "host"),
            ("ws://h:99999/", "port"),
            ("/a\r\nX: y", "control character"),
            ("ws://[::1/", "not valid"),
        ] {
            let error = refused("ws://h/", to);
            assert!(matches!(error, RedirectError::Url(_)) && error.to_string().contains(part), "{to}: {error}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let names = |from: &str, to: &str| {
            let target = target(from).redirected(to).expect("followed");
            (target.headers.len(), target.url.basic_authorization().is_some(), target.server_name.is_some())
        };
        for to in ["/other", "ws://h:80/other", "http://h/other"] {
            assert_eq!(names("ws://u:p@h/", to), (5, true, true), "{to}");
        }
        assert_eq!(led("ws://u:p@h/", "ws://v:q@h/x"), "ws://v:q@h/x");
        for to in ["wss://h/", "ws://h:81/"] {
            assert_eq!(names("ws://u:p@h/", to), (1, false, true), "{to}");
        }
        for to in ["ws://sub.h/", "ws://other/", "//other/"] {
            assert_eq!(names("ws://u:p@h/", to), (1, false, false), "{to}");
        }
        // What was dropped does not come back with the origin.
        let away = target("ws://u:p@h/").redirected("ws://other/").expect("followed");
        let back = away.redirected("ws://h/").expect("followed");
        assert_eq!((back.headers.len(), back.url.userinfo()), (1, None));
    }

    #[test]
    fn a_unix_socket_leads_to_one_origin() {
        let mut from = target("ws://h/");
        from.via.unix = Some("/run/x".into());
        assert_eq!(from.redirected("/y").expect("followed").via.unix, from.via.unix);
        assert_eq!(from.redirected("ws://other/").map(|t| t.url), Err(RedirectError::Fixed("unix_path")));
    }

    #[test]
    fn which_answers_are_redirects() {
        let answer = |status: u16, locations: &[&str]| HandshakeError::Status {
            status,
            reason: String::new(),
            headers: locations.iter().map(|value| ("LOCATION".to_owned(), (*value).to_owned())).collect(),
            body: Vec::new(),
        };
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(location(&answer(status, &["/x"])), Some(Ok("/x")));
        }
        for status in [200, 300, 304, 305, 401, 503] {
            assert_eq!(location(&answer(status, &["/x"])), None);
        }
        assert_eq!(location(&answer(302, &[])), None);
        assert_eq!(location(&answer(302, &["/x", "/x"])), Some(Ok("/x")));
        assert_eq!(location(&answer(302, &["/x", "/y"])), Some(Err(RedirectError::Ambiguous(2))));
        assert_eq!(location(&HandshakeError::Over), None);
    }

    #[test]
    fn messages_keep_secrets() {
        for (location, expected) in [
            ("https://u:p@h/x?token=1#f", "https://h/x"),
            ("//u:p@h/x", "//h/x"),
            ("/a@b/c?d", "/a@b/c"),
            ("file:///etc/passwd", "file:///etc/passwd"),
        ] {
            assert_eq!(shown(location), expected);
        }
        assert_eq!(shown(&"x".repeat(1000)).len(), 100);
    }
}
