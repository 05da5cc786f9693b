//! Which proxy the environment names for a URL: the variables of Python's `urllib` in the order of the `websockets`
//! library, with `ALL_PROXY` as the last one, and the exceptions of `NO_PROXY`.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::proto::{Host, Url};

use super::{Proxy, ProxyUrlError};

/// The variables that matter, as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// By scheme, in lower case; with the name of the variable.
    proxies: HashMap<String, (String, String)>,
    exceptions: Vec<Exception>,
}

/// Whom no proxy is used for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A name and whatever ends in it.
    Name {
        name: String,
        port: Option<u16>,
    },
    /// Addresses that share these bits.
    Network {
        address: IpAddr,
        bits: u32,
        port: Option<u16>,
    },
}

impl Environment {
    /// The environment of this process, now.
    pub fn read() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::new(std::env::vars_os().filter_map(text))
    }

    /// From these variables. A name in lower case wins over one in upper case; an empty value is none, and in lower case
    /// it takes the other away.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut proxies: HashMap<String, (String, String)> = HashMap::new();
        let mut cgi = false;
        for (name, value) in variables {
            cgi |= name == "REQUEST_METHOD";
            let lower = name.to_ascii_lowercase();
            let Some(scheme) = lower.strip_suffix("_proxy") else { continue };
            let first_choice = name.ends_with("_proxy");
            let taken = proxies.get(scheme).is_some_and(|(by, _)| by.ends_with("_proxy"));
            if first_choice || (!taken && !value.is_empty()) {
                proxies.insert(scheme.to_owned(), (name, value));
            }
        }
        // In a CGI program HTTP_PROXY is the request's header "Proxy" (CVE-2016-1000110).
        let forged = |scheme: &str, name: &str| cgi && scheme == "http" && !name.ends_with("_proxy");
        proxies.retain(|scheme, (name, value)| !(value.is_empty() || forged(scheme, name)));
        let no_proxy = proxies.remove("no").map(|(_, value)| value).unwrap_or_default();
        let entries = no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self { proxies, exceptions: entries.map(Exception::parse).collect() }
    }

    /// The proxy for this URL, if there is one.
    pub fn proxy_for(&self, url: &Url) -> Result<Option<Proxy>, ProxyUrlError> {
        if self.exceptions.iter().any(|exception| exception.covers(url.host(), url.port())) {
            return Ok(None);
        }
        let schemes: &[&str] =
            if url.secure() { &["wss", "socks", "https", "all"] } else { &["ws", "socks", "https", "http", "all"] };
        let Some((scheme, (variable, value))) =
            schemes.iter().find_map(|scheme| self.proxies.get(*scheme).map(|found| (*scheme, found)))
        else {
            return Ok(None);
        };
        // Systems that configure a SOCKS proxy write it so.
        let socks = value.strip_prefix("http://").filter(|_| scheme == "socks").map(|rest| format!("socks5h://{rest}"));
        let proxy = Proxy::parse(socks.as_deref().unwrap_or(value));
        proxy.map(Some).map_err(|error| ProxyUrlError::Variable { variable: variable.clone(), error: Box::new(error) })
    }
}

impl Exception {
    fn parse(entry: &str) -> Self {
        if entry == "*" {
            return Self::Everything;
        }
        let entry = entry.to_ascii_lowercase();
        if let Some((address, bits)) = network(&entry) {
            return Self::Network { address, bits, port: None };
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => match port.parse() {
                Ok(port) => (host, Some(port)),
                Err(_) => (entry.as_str(), None),
            },
            None => (entry.as_str(), None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Some((address, bits)) = network(bare) {
            return Self::Network { address, bits, port };
        }
        let name = host.strip_prefix('*').unwrap_or(host).trim_matches('.').to_owned();
        Self::Name { name, port }
    }

    fn covers(&self, host: &Host, its_port: u16) -> bool {
        let same_port = |port: &Option<u16>| port.is_none_or(|port| port == its_port);
        match (self, host) {
            (Self::Everything, _) => true,
            (Self::Name { name, port }, Host::Name(host)) => {
                let host = host.trim_end_matches('.');
                let head = host.strip_suffix(name.as_str()).filter(|_| !name.is_empty());
                same_port(port) && head.is_some_and(|head| head.is_empty() || head.ends_with('.'))
            }
            (Self::Network { address, bits, port }, Host::Ip(ip)) => same_port(port) && shares(*address, *ip, *bits),
            _ => false,
        }
    }
}

/// An address, or a network in CIDR notation.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= all)?,
        None => all,
    };
    Some((address, bits))
}

fn shares(network: IpAddr, address: IpAddr, bits: u32) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let proxy = Environment::new(variables).proxy_for(&Url::parse(url).expect("a URL"));
        proxy.expect("a proxy URL").map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_variable_for_a_scheme() {
        let all: &[(&str, &str)] = &[
            ("WS_PROXY", "http://ws:1"),
            ("WSS_PROXY", "http://wss:1"),
            ("SOCKS_PROXY", "socks5://socks:1"),
            ("HTTPS_PROXY", "http://https:1"),
            ("HTTP_PROXY", "http://http:1"),
            ("ALL_PROXY", "all:1"),
            ("FTP_PROXY", "http://ftp:1"),
        ];
        let without = |from: usize| &all[from..];
        let ws = |from| found(without(from), "ws://example.com/").unwrap_or_default();
        let wss = |from| found(without(from), "wss://example.com/").unwrap_or_default();
        assert_eq!(ws(0), "http://ws:1");
        assert_eq!(wss(0), "http://wss:1");
        assert_eq!((ws(2), wss(2)), ("socks5://socks:1".into(), "socks5://socks:1".into()));
        assert_eq!((ws(3), wss(3)), ("http://https:1".into(), "http://https:1".into()));
        assert_eq!((ws(4), wss(4)), ("http://http:1".into(), "http://all:1".into()));
        assert_eq!((ws(5), wss(5)), ("http://all:1".into(), "http://all:1".into()));
        assert_eq!((ws(6), wss(6)), (String::new(), String::new()));
        assert_eq!(found(&[("socks_proxy", "http://h:9")], "ws://x/").unwrap(), "socks5h://h:9");
    }

    #[test]
    fn lower_case_wins_and_empty_is_none() {
        for order in [[0, 1], [1, 0]] {
            let pair = |value| {
                let both = [("http_proxy", value), ("HTTP_PROXY", "http://upper:1")];
                found(&[both[order[0]], both[order[1]]], "ws://x/")
            };
            assert_eq!(pair("http://lower:1").unwrap(), "http://lower:1");
            assert_eq!(pair(""), None);
        }
        assert_eq!(found(&[("HTTP_PROXY", "")], "ws://x/"), None);
        let cgi = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(found(&cgi, "ws://x/"), None);
        assert_eq!(found(&[("http_proxy", "http://ok:1"), cgi[1]], "ws://x/").unwrap(), "http://ok:1");
    }

    #[test]
    fn exceptions() {
        let direct = |no_proxy: &str, url: &str| found(&[("all_proxy", "p:1"), ("NO_PROXY", no_proxy)], url).is_none();
        for (no_proxy, url) in [
            ("*", "ws://anything/"),
            ("a, *", "ws://1.2.3.4/"),
            ("example.com", "ws://example.com/"),
            ("EXAMPLE.com", "wss://a.b.Example.com:8443/"),
            (".example.com", "ws://example.com/"),
            ("*.example.com", "ws://a.example.com/"),
            ("x.y , example.com", "ws://example.com./"),
            ("x.y example.com", "ws://example.com/"),
            ("example.com:8080", "ws://a.example.com:8080/"),
            ("example.com:443", "wss://example.com/"),
            ("127.0.0.1", "ws://127.0.0.1:9/"),
            ("127.0.0.1:9", "ws://127.0.0.1:9/"),
            ("10.0.0.0/8", "ws://10.200.3.4/"),
            ("0.0.0.0/0", "ws://8.8.8.8/"),
            ("::1", "ws://[::1]/"),
            ("[::1]:9", "ws://[::1]:9/"),
            ("fd00::/8", "ws://[fd12:3456::1]/"),
            ("10.0.0.1", "ws://[::ffff:10.0.0.1]/"),
            ("localhost", "ws://localhost:1/"),
        ] {
            assert!(direct(no_proxy, url), "{no_proxy} covers {url}");
        }
        for (no_proxy, url) in [
            ("", "ws://localhost/"),
            (",", "ws://localhost/"),
            (".", "ws://localhost/"),
            ("example.com", "ws://notexample.com/"),
            ("a.example.com", "ws://example.com/"),
            ("example.com:8080", "ws://example.com/"),
            ("127.0.0.1:9", "ws://127.0.0.1:8/"),
            ("10.0.0.0/8", "ws://11.0.0.1/"),
            ("10.0.0.0/33", "ws://10.0.0.1/"),
            ("0.0.1", "ws://127.0.0.1/"),
            ("::1", "ws://[::2]/"),
            ("fd00::/8", "ws://10.0.0.1/"),
            ("localhost", "ws://127.0.0.1/"),
        ] {
            assert!(!direct(no_proxy, url), "{no_proxy} does not cover {url}");
        }
    }

    #[test]
    fn a_bad_proxy_names_the_variable() {
        let environment = Environment::new([("HTTPS_PROXY".to_owned(), "gopher://user:secret@h".to_owned())]);
        let error = environment.proxy_for(&Url::parse("wss://h/").expect("a URL")).unwrap_err().to_string();
        assert!(error.starts_with("environment variable HTTPS_PROXY: proxy URL has the scheme \"gopher\""), "{error}");
        assert!(!error.contains("secret"));
    }
}
