//! Proxies: what their URLs mean, and which one a connection goes through. The environment is in `environment`, the
//! protocols in `socks` and `proto::handshake`; the sockets in `connect/tunnel.rs`.

mod environment;
mod socks;

pub use environment::Environment;
pub use socks::SocksError;
pub(super) use socks::{Socks, SocksReply, SocksVersion};

use std::fmt;
use std::io;

use crate::proto::handshake::{RequestError, TunnelError};
use crate::proto::{Host, Url};

/// Longest user and password of SOCKS5, in bytes (RFC 1929).
const SOCKS_LONGEST: usize = 255;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
    /// User and password, percent-decoded.
    pub(super) credentials: Option<(Vec<u8>, Vec<u8>)>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    /// HTTP over TLS.
    Https,
    Socks(SocksVersion),
}

/// Why a string is not the URL of a proxy. Never repeats credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// It cannot be parsed.
    #[error("proxy URL is not valid: {0}; expected for example http://proxy.example:3128")]
    Invalid(String),
    /// Another scheme.
    #[error("proxy URL has the scheme {0:?}; expected http, https, socks5h, socks5, socks4a or socks4")]
    Scheme(String),
    /// A path, a query or a fragment.
    #[error("proxy URL has a {0}; expected scheme, user and password, host and port only")]
    Part(&'static str),
    /// User and password that the protocol cannot carry.
    #[error("user and password of the proxy URL cannot be used: {0}")]
    Credentials(&'static str),
    /// What an environment variable holds is none of these.
    #[error("environment variable {variable}: {error}")]
    Variable {
        /// Its name.
        variable: String,
        /// What is wrong with it.
        error: Box<ProxyUrlError>,
    },
}

/// Why a proxy did not bring us to the server.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// It cannot be reached.
    #[error("it cannot be reached: {attempts}")]
    Connect {
        /// Each address with its error.
        attempts: String,
        /// Error number of the last attempt.
        errno: Option<i32>,
    },
    /// TLS with an https proxy failed.
    #[error("TLS with it failed: {0}")]
    Tls(String),
    /// The connection to it broke.
    #[error("the connection to it was lost: {0}")]
    Lost(io::Error),
    /// It speaks HTTP, and gave no tunnel.
    #[error("{error}{}{}", hint(error, *credentials), start(error))]
    Tunnel {
        /// What it said.
        error: TunnelError,
        /// Whether it was given user and password.
        credentials: bool,
    },
    /// It speaks SOCKS, and did not connect.
    #[error(transparent)]
    Socks(#[from] SocksError),
    /// The request for it cannot be written.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The proxy that the environment names for this URL cannot be used.
    #[error(transparent)]
    Url(#[from] ProxyUrlError),
}

impl ProxyError {
    /// The error number of the operating system, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Connect { errno, .. } => *errno,
            Self::Lost(source) => source.raw_os_error(),
            _ => None,
        }
    }
}

/// What to do about a 407.
fn hint(error: &TunnelError, credentials: bool) -> &'static str {
    match error {
        TunnelError::Status { status: 407, .. } if credentials => " (it does not accept user and password of its URL)",
        TunnelError::Status { status: 407, .. } => " (put user and password into its URL)",
        _ => "",
    }
}

/// What the body of a refusal says, as far as a line can hold it.
fn start(error: &TunnelError) -> String {
    const LONGEST: usize = 200;
    let TunnelError::Status { body, .. } = error else { return String::new() };
    let text: String = String::from_utf8_lossy(body).trim().chars().take(LONGEST).collect();
    if text.is_empty() { text } else { format!("; its body begins with {text:?}") }
}

impl Proxy {
    /// Parses the URL of a proxy; without a scheme it is an HTTP proxy, as curl takes it.
    pub fn parse(text: &str) -> Result<Self, ProxyUrlError> {
        let text = text.trim();
        let invalid = |reason: &str| ProxyUrlError::Invalid(reason.to_owned());
        if text.chars().any(char::is_control) {
            return Err(invalid("it has a control character"));
        }
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = url::Url::parse(&with_scheme).map_err(|reason| invalid(&reason.to_string()))?;
        let (scheme, default_port) = match url.scheme() {
            "http" => (Scheme::Http, 80),
            "https" => (Scheme::Https, 443),
            "socks5h" => (Scheme::Socks(SocksVersion::V5h), 1080),
            "socks5" => (Scheme::Socks(SocksVersion::V5), 1080),
            "socks4a" => (Scheme::Socks(SocksVersion::V4a), 1080),
            "socks4" => (Scheme::Socks(SocksVersion::V4), 1080),
            other => return Err(ProxyUrlError::Scheme(other.to_owned())),
        };
        let parts = [(!matches!(url.path(), "" | "/"), "path"), (url.query().is_some(), "query")];
        let parts = parts.into_iter().chain([(url.fragment().is_some(), "fragment")]);
        if let Some((_, part)) = parts.into_iter().find(|(found, _)| *found) {
            return Err(ProxyUrlError::Part(part));
        }
        // The URL standard parses the host of http, not of socks5: names and addresses look alike there.
        let host = match url.host_str().map(url::Host::parse) {
            Some(Ok(url::Host::Domain(name))) => Host::Name(name),
            Some(Ok(url::Host::Ipv4(address))) => Host::Ip(address.into()),
            Some(Ok(url::Host::Ipv6(address))) => Host::Ip(address.into()),
            Some(Err(reason)) => return Err(invalid(&reason.to_string())),
            None => return Err(invalid("it has no host")),
        };
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(invalid("its port is 0"));
        }
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (percent_decoded(url.username()), percent_decoded(url.password().unwrap_or_default())));
        check_credentials(scheme, credentials.as_ref())?;
        Ok(Self { scheme, host, port, credentials })
    }

    /// The value of a `Proxy-Authorization` header (RFC 7617).
    pub(super) fn basic_authorization(&self) -> Option<String> {
        let (user, password) = self.credentials.as_ref()?;
        let pair = [user.as_slice(), b":", password].concat();
        Some(format!("Basic {}", base64_simd::STANDARD.encode_to_string(pair)))
    }
}

fn check_credentials(scheme: Scheme, credentials: Option<&(Vec<u8>, Vec<u8>)>) -> Result<(), ProxyUrlError> {
    let Some((user, password)) = credentials else { return Ok(()) };
    let problem = match scheme {
        Scheme::Http | Scheme::Https if user.contains(&b':') => "a user with a colon (RFC 7617)",
        Scheme::Socks(SocksVersion::V5 | SocksVersion::V5h)
            if !(1..=SOCKS_LONGEST).contains(&user.len()) || !(1..=SOCKS_LONGEST).contains(&password.len()) =>
        {
            "SOCKS5 takes 1 to 255 bytes for each (RFC 1929)"
        }
        Scheme::Socks(SocksVersion::V4 | SocksVersion::V4a) if !password.is_empty() => "SOCKS4 has no password",
        Scheme::Socks(SocksVersion::V4 | SocksVersion::V4a) if user.contains(&0) || user.len() > SOCKS_LONGEST => {
            "SOCKS4 takes a user of up to 255 bytes without NUL"
        }
        _ => return Ok(()),
    };
    Err(ProxyUrlError::Credentials(problem))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// Scheme, host and port: no credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Socks(SocksVersion::V5h) => "socks5h",
            Scheme::Socks(SocksVersion::V5) => "socks5",
            Scheme::Socks(SocksVersion::V4a) => "socks4a",
            Scheme::Socks(SocksVersion::V4) => "socks4",
        };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// Host and port as in a URL.
pub(super) fn authority(host: &Host, port: u16) -> String {
    match host {
        Host::Name(name) => format!("{name}:{port}"),
        Host::Ip(ip) => std::net::SocketAddr::new(*ip, port).to_string(),
    }
}

/// Which proxy a connection goes through.
#[derive(Clone, Debug, Default)]
pub enum Proxies {
    /// None.
    #[default]
    Direct,
    /// This one.
    One(Proxy),
    /// The one that the environment names for the URL.
    Environment(Environment),
}

impl Proxies {
    /// The proxy for this URL.
    pub fn for_url(&self, url: &Url) -> Result<Option<Proxy>, ProxyUrlError> {
        match self {
            Self::Direct => Ok(None),
            Self::One(proxy) => Ok(Some(proxy.clone())),
            Self::Environment(environment) => environment.proxy_for(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_proxies() {
        for (text, shown) in [
            ("http://Proxy.Example", "http://proxy.example:80"),
            (" proxy.example:3128/ ", "http://proxy.example:3128"),
            ("https://proxy.example", "https://proxy.example:443"),
            ("HTTP://[::1]:3128/", "http://[::1]:3128"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://[::1]:80", "socks5h://[::1]:80"),
            ("socks4a://B\u{fc}cher.example:9", "socks4a://xn--bcher-kva.example:9"),
            ("socks4://h", "socks4://h:1080"),
        ] {
            let proxy = Proxy::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(proxy.to_string(), shown, "{text}");
        }
        assert_eq!(Proxy::parse("socks5://127.0.0.1").unwrap().host, Host::Ip([127, 0, 0, 1].into()));
    }

    #[test]
    fn credentials_are_decoded_and_stay_out_of_messages() {
        let proxy = Proxy::parse("http://us%40er:p%3Aw@h:1").unwrap();
        assert_eq!(proxy.basic_authorization().unwrap(), "Basic dXNAZXI6cDp3");
        assert_eq!((proxy.to_string().as_str(), format!("{proxy:?}").as_str()), ("http://h:1", "Proxy(http://h:1)"));
        assert_eq!(Proxy::parse("http://h:1").unwrap().basic_authorization(), None);
        for text in [
            "http://user:secret@h:70000",
            "http://user:secret@h/path",
            "ftp://user:secret@h",
            "http://user:secret@h?q",
            "http://us%3Aer:secret@h",
            "socks5://:secret@h",
            "socks4://user:secret@h",
            "http://user:secret@[::1",
        ] {
            let error = Proxy::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        for (text, part) in [
            ("", "not valid"),
            ("ftp://h", "\"ftp\""),
            ("http://", "not valid"),
            ("http://h:0", "port is 0"),
            ("http://h/x", "path"),
            ("http://h?x", "query"),
            ("http://h#x", "fragment"),
            ("http://h\r\nX: y", "control character"),
            ("socks5://user@h", "RFC 1929"),
            ("socks4://a:b@h", "no password"),
            ("socks4a://a%00@h", "NUL"),
        ] {
            let error = Proxy::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
