//! Properties of the opening handshake: how the bytes are cut never matters, and nothing that is given or received can
//! inject or panic.

use proptest::{collection::vec, prelude::*, sample::Index};
use voxwire::proto::{
    Url,
    handshake::{
        Accepted, ClientRequest, Extensions, HandshakeError, HandshakeLimits, Request, RequestParser, RequestRejected,
        ResponseParser, reject,
    },
};

use crate::generate::pieces;

type Answer = Result<Option<Accepted>, HandshakeError>;

/// Feeds pieces until there is a result; bytes not fed are added to those left over.
fn answer(key: &str, offered: &[String], pieces: &[&[u8]]) -> Answer {
    let mut parser = ResponseParser::new(key, offered);
    for (index, piece) in pieces.iter().enumerate() {
        match parser.feed(piece) {
            Ok(None) => {}
            Ok(Some(mut accepted)) => {
                accepted.rest.extend(pieces[index + 1..].concat());
                return Ok(Some(accepted));
            }
            error => return error,
        }
    }
    Ok(None)
}

fn request(pieces: &[&[u8]]) -> Result<Option<Request>, RequestRejected> {
    let mut parser = RequestParser::new(HandshakeLimits::default());
    for (index, piece) in pieces.iter().enumerate() {
        match parser.feed(piece) {
            Ok(None) => {}
            Ok(Some(mut request)) => {
                request.rest.extend(pieces[index + 1..].concat());
                return Ok(Some(request));
            }
            error => return error,
        }
    }
    Ok(None)
}

/// Text in which the characters that could inject are frequent.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9-]{1,12}", "[a-z\r\n\\x00:, é]{0,8}", "\\PC{0,8}"]
}

proptest! {
    #[test]
    fn a_request_reads_back_as_given_or_is_refused(
        host in prop_oneof![2 => Just("example.com:8080".to_owned()), 1 => hostile()],
        path in prop_oneof![2 => Just(String::new()), 1 => hostile()],
        protocols in vec(hostile(), 0..3),
        headers in vec((hostile(), hostile()), 0..3),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let path_and_query = format!("/{path}");
        let asked = ClientRequest { host, path_and_query, protocols, headers, ..ClientRequest::default() };
        let given = [asked.host.clone(), asked.path_and_query.clone()].into_iter()
            .chain(asked.protocols.iter().cloned())
            .chain(asked.headers.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        let hostile = given.flat_map(|text| text.chars().collect::<Vec<_>>()).any(|c| "\r\n\0".contains(c));
        match asked.encode() {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok((bytes, key)) => {
                prop_assert!(!hostile);
                let read = request(&pieces(&bytes, &cuts));
                prop_assert_eq!(&read, &request(&[&bytes]));
                let read = match read {
                    Ok(Some(read)) => read,
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                prop_assert_eq!(&read.path, &asked.path_and_query);
                prop_assert_eq!(&read.protocols, &asked.protocols);
                prop_assert_eq!(&read.key, &key);
                prop_assert_eq!(read.rest.len(), 0);
                for (name, value) in &asked.headers {
                    let trimmed = value.trim_matches([' ', '\t']);
                    prop_assert!(read.headers.iter().any(|(n, v)| n == name && v == trimmed), "{name}: {value:?}");
                }

                let mut wire = read.accept(asked.protocols.first().map(String::as_str), &[]).unwrap();
                wire.extend_from_slice(b"\x81\x02hi");
                let whole = answer(&key, &asked.protocols, &[&wire]);
                prop_assert_eq!(&whole, &answer(&key, &asked.protocols, &pieces(&wire, &cuts)));
                let accepted = whole.unwrap().unwrap();
                prop_assert_eq!(accepted.protocol.as_ref(), asked.protocols.first());
                prop_assert_eq!(accepted.rest, b"\x81\x02hi");
            }
        }
    }

    #[test]
    fn a_refusal_has_one_head_whatever_it_is_given(
        status in 290..610_u16,
        body in hostile(),
        headers in vec((hostile(), hostile()), 0..3),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        if let Ok(bytes) = reject(status, &body, &headers) {
            prop_assert!((300..600).contains(&status) && status != 304);
            let whole = answer("key", &[], &[&bytes]);
            prop_assert_eq!(&whole, &answer("key", &[], &pieces(&bytes, &cuts)));
            match whole {
                Err(HandshakeError::Status { status: got, headers: read, body: start, .. }) => {
                    prop_assert_eq!(got, status);
                    // A 426 also says what to ask for.
                    let ours = if status == 426 { 5 } else { 3 };
                    prop_assert!(read.len() <= headers.len() + ours, "{read:?}");
                    prop_assert_eq!(start, body.as_bytes());
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
    }

    #[test]
    fn any_bytes_instead_of_a_handshake_do_no_harm(
        start in prop_oneof![Just(&b""[..]), Just(&b"GET / HTTP/1.1\r\n"[..]), Just(&b"HTTP/1.1 101 X\r\n"[..])],
        bytes in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b':'), b' '..b'~'], 0..300),
        end in prop_oneof![Just(&b""[..]), Just(&b"\r\n\r\n"[..])],
    ) {
        let wire = [start, &bytes, end].concat();
        let bytewise: Vec<&[u8]> = wire.chunks(1).collect();
        let (one, other) = (request(&[&wire]), request(&bytewise));
        prop_assert_eq!(one.map_err(|e| e.status), other.map_err(|e| e.status));
        let (one, other) = (answer("key", &[], &[&wire]), answer("key", &[], &bytewise));
        prop_assert_eq!(one.is_err(), other.is_err());
    }

    #[test]
    fn any_url_that_is_taken_makes_a_request(
        scheme in prop_oneof![Just("ws"), Just("wss"), Just("http"), Just("https"), Just("ftp")],
        rest in prop_oneof!["[a-z0-9.:@/?%\\[\\]-]{0,20}", "\\PC{0,20}", "h/\\PC{0,20}"],
    ) {
        let text = format!("{scheme}://{rest}");
        if let Ok(url) = Url::parse(&text) {
            prop_assert_ne!(scheme, "ftp");
            prop_assert_eq!(url.secure(), matches!(scheme, "wss" | "https"));
            prop_assert!(url.port() > 0);
            let asked = ClientRequest {
                host: url.host_header(),
                path_and_query: url.path_and_query().to_owned(),
                ..ClientRequest::default()
            };
            prop_assert!(asked.encode().is_ok(), "{:?}", asked.encode());
            prop_assert_eq!(Url::parse(url.as_str()), Ok(url.clone()));
            prop_assert!(!url.redacted().contains(['?', '@']) || url.path_and_query().contains('@'));
        }
    }

    #[test]
    fn any_header_of_extensions_reads_back_or_is_refused(
        value in prop_oneof!["[a-c;=, \"\\\\]{0,24}", "\\PC{0,24}", "permessage-deflate; [a-z_]{0,9}=?[0-9\"]{0,4}"],
    ) {
        match Extensions::parse([value.as_str()]) {
            Ok(read) => {
                let again = Extensions::parse([read.to_string().as_str()]);
                prop_assert_eq!(again, Ok(read));
            }
            Err(error) => prop_assert!(error.position <= value.len(), "{error}"),
        }
    }
}
