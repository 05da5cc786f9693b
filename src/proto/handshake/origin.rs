//! Which web pages may connect: the check of the `Origin` header (RFC 6455 sections 4.2.2 and 10.2). It binds browsers
//! only; other clients send what they like.

use super::headers::values;
use super::server::{Request, RequestRejected};

/// Characters of a refused origin that are repeated.
const SHOWN: usize = 200;

/// The origins that may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// As browsers send them (RFC 6454 section 6.2): `https://example.com`, or `null`.
    pub allowed: Vec<String>,
    /// Whether a request without the header is let in: those of clients that are no browsers.
    pub absent: bool,
}

impl Origins {
    /// Fails, with status 403, for a request that comes from somewhere else.
    pub fn check(&self, request: &Request) -> Result<(), RequestRejected> {
        let mut given = values(&request.headers, "Origin").map(str::trim);
        let reason = match (given.next(), given.next()) {
            (None, _) if self.absent => return Ok(()),
            (None, _) => "header Origin is missing".to_owned(),
            (Some(origin), None) if self.allowed.iter().any(|allowed| allowed == origin) => return Ok(()),
            (Some(origin), None) => {
                format!("origin {:?} is not allowed to connect", origin.chars().take(SHOWN).collect::<String>())
            }
            (Some(_), Some(_)) => "header Origin is given more than once".to_owned(),
        };
        Err(RequestRejected::new(403, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(origins: &Origins, sent: &[&str]) -> Option<String> {
        let headers = sent.iter().map(|value| ("oRIGIN".to_owned(), (*value).to_owned())).collect();
        let request = Request {
            path: "/".into(),
            host: "h".into(),
            headers,
            protocols: vec![],
            extensions: super::super::Extensions::default(),
            key: String::new(),
            rest: vec![],
        };
        let rejected = origins.check(&request).err()?;
        assert_eq!(rejected.status, 403);
        Some(rejected.reason)
    }

    #[test]
    fn only_what_is_listed() {
        let origins = Origins { allowed: vec!["https://a.example".into(), "null".into()], absent: false };
        assert_eq!(refusal(&origins, &["https://a.example"]), None);
        assert_eq!(refusal(&origins, &[" https://a.example\t"]), None);
        assert_eq!(refusal(&origins, &["null"]), None);
        for other in ["http://a.example", "https://a.example.evil", "https://a.example:8443", "HTTPS://a.example", ""] {
            assert_eq!(refusal(&origins, &[other]), Some(format!("origin {other:?} is not allowed to connect")));
        }
        assert_eq!(refusal(&origins, &[]).as_deref(), Some("header Origin is missing"));
        let twice = refusal(&origins, &["https://a.example", "https://a.example"]);
        assert_eq!(twice.as_deref(), Some("header Origin is given more than once"));
        assert_eq!(refusal(&Origins { absent: true, ..origins }, &[]), None);
    }

    #[test]
    fn what_is_refused_is_shown_escaped_and_short() {
        let reason = refusal(&Origins::default(), &["\u{1b}[2J\""]).unwrap();
        assert_eq!(reason, r#"origin "\u{1b}[2J\"" is not allowed to connect"#);
        assert!(refusal(&Origins::default(), &[&"x".repeat(5000)]).unwrap().len() < 300);
    }
}
