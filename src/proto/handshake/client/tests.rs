//! The client's request and its checks of the response; each response also one byte at a time.

use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ=="; // RFC 6455 section 1.3
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request() -> ClientRequest {
    ClientRequest { host: "h:1".into(), path_and_query: "/p?q=1".into(), ..ClientRequest::default() }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Feeds a response at once and byte by byte; both must give the same. Without a result, the
/// connection ends behind the response.
fn read(offered: &[&str], response: &str) -> Result<Accepted, HandshakeError> {
    let offered: Vec<String> = offered.iter().map(|p| (*p).to_owned()).collect();
    let end = |parser: &mut ResponseParser, fed: Result<Option<Accepted>, _>| match fed {
        Ok(None) => Err(parser.eof()),
        Ok(Some(accepted)) => Ok(accepted),
        Err(error) => Err(error),
    };
    let mut parser = ResponseParser::new(KEY, &offered);
    let fed = parser.feed(response.as_bytes());
    let whole = end(&mut parser, fed);

    let mut parser = ResponseParser::new(KEY, &offered);
    let mut fed = Ok(None);
    let mut used = 0;
    for byte in response.as_bytes().chunks(1) {
        fed = parser.feed(byte);
        used += 1;
        if !matches!(fed, Ok(None)) {
            break;
        }
    }
    let mut bytewise = end(&mut parser, fed);
    match &mut bytewise {
        Ok(accepted) => accepted.rest.extend_from_slice(&response.as_bytes()[used..]),
        // How much of something else was shown depends on how much was there.
        Err(HandshakeError::NotHttp { .. }) => {
            assert!(matches!(whole, Err(HandshakeError::NotHttp { .. })), "{whole:?}");
            return whole;
        }
        Err(_) => {}
    }
    assert_eq!(whole, bytewise);
    whole
}

fn switching(more: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n{more}\r\n"
    )
}

#[test]
fn the_request_has_what_section_4_1_asks_for() {
    let mut request = request();
    request.protocols = vec!["chat".into(), "v2.chat".into()];
    request.headers = vec![pair("Origin", "https://o"), pair("Cookie", "a=b")];
    let (bytes, key) = request.encode().unwrap();
    let expected = format!(
        "GET /p?q=1 HTTP/1.1\r\nHost: h:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, v2.chat\r\n\
         User-Agent: {USER_AGENT}\r\nOrigin: https://o\r\nCookie: a=b\r\n\r\n"
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    assert_eq!(base64_simd::STANDARD.decode_to_vec(&key).unwrap().len(), 16);
    assert_ne!(request.encode().unwrap().1, key);
}

#[test]
fn host_and_user_agent_can_be_replaced() {
    let mut request = request();
    request.headers = vec![pair("host", "other"), pair("user-agent", "mine")];
    let text = String::from_utf8(request.encode().unwrap().0).unwrap();
    assert!(text.contains("\r\nHost: other\r\n"), "{text}");
    assert!(!text.contains("h:1") && !text.contains("voxwire"), "{text}");
    assert!(text.contains("\r\nuser-agent: mine\r\n"), "{text}");
    request.headers.push(pair("Host", "third"));
    assert_eq!(request.encode(), Err(RequestError::HeaderRepeated { name: "Host".into() }));
}

#[test]
fn a_request_that_would_inject_is_refused_and_says_where() {
    for bad in ["a\r\nX: y", "a\nb", "a\0b", "a b", "a,b", "", "ü"] {
        let mut with_protocol = request();
        with_protocol.protocols = vec!["ok".into(), bad.into()];
        let expected = RequestError::Protocol { protocol: bad.into() };
        assert_eq!(with_protocol.encode(), Err(expected));
        let mut with_name = request();
        with_name.headers = vec![pair(bad, "v")];
        assert_eq!(with_name.encode(), Err(RequestError::HeaderName { name: bad.into() }));
    }
    for bad in ["a\r\nX: y", "a\nb", "a\0b"] {
        let mut with_value = request();
        with_value.headers = vec![pair("X-Name", bad)];
        let error = with_value.encode().unwrap_err();
        assert!(matches!(&error, RequestError::HeaderValue { name, .. } if name == "X-Name"), "{error}");
        let mut with_path = request();
        with_path.path_and_query = format!("/{bad}?secret");
        let expected = RequestError::Path { path: format!("/{bad}") };
        assert_eq!(with_path.encode(), Err(expected));
        let mut with_host = request();
        with_host.host = bad.into();
        assert_eq!(with_host.encode(), Err(RequestError::Host { host: bad.into() }));
        with_host.host = "h".into();
        with_host.headers = vec![pair("Host", bad)];
        assert!(with_host.encode().is_err());
    }
    for path in ["", "p", "/a b", "/ü", "/a#b", "http://h/"] {
        let request = ClientRequest { path_and_query: path.into(), ..request() };
        assert_eq!(request.encode(), Err(RequestError::Path { path: path.into() }));
    }
    for name in ["Sec-WebSocket-Key", "sec-websocket-extensions", "upgrade", "Connection", "Content-Length"] {
        let request = ClientRequest { headers: vec![pair(name, "x")], ..request() };
        assert_eq!(request.encode(), Err(RequestError::HeaderReserved { name: name.into() }));
    }
    let twice = ClientRequest { protocols: vec!["a".into(), "b".into(), "a".into()], ..request() };
    assert_eq!(twice.encode(), Err(RequestError::ProtocolRepeated { protocol: "a".into() }));
}

#[test]
fn accepts_a_good_response_and_hands_over_what_is_behind_it() {
    let response = switching("X-Note: caf\u{e9}\r\n") + "\u{1}frame";
    let accepted = read(&[], &response).unwrap();
    assert_eq!(accepted.protocol, None);
    assert_eq!(accepted.rest, b"\x01frame");
    assert!(accepted.headers.contains(&pair("X-Note", "café")));
    let response = switching("sec-websocket-protocol: b\r\nSec-WebSocket-Extensions: \r\n");
    assert_eq!(read(&["a", "b"], &response).unwrap().protocol.as_deref(), Some("b"));
    // None chosen: also with some offered. An interim response is skipped.
    let response = format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{}", switching(""));
    assert_eq!(read(&["a"], &response).unwrap().protocol, None);
}

#[test]
fn interim_responses_are_counted() {
    let after =
        |count: usize| read(&[], &format!("{}{}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(count), switching("")));
    after(MAX_INTERIM).expect("as many as there may be");
    let error = after(MAX_INTERIM + 1).unwrap_err().to_string();
    assert!(error.contains(&format!("more than {MAX_INTERIM} interim responses (status 100)")), "{error}");
}

#[test]
fn header_values_that_are_not_utf8_do_no_harm() {
    let response = [switching("").trim_end().as_bytes(), b"\r\nX: \xff\xfe\r\n\r\n"].concat();
    let accepted = ResponseParser::new(KEY, &[]).feed(&response).unwrap().unwrap();
    assert!(accepted.headers.contains(&pair("X", "\u{fffd}\u{fffd}")));
}

#[test]
fn a_101_with_a_wrong_header_is_refused() {
    let good = switching("");
    for (from, to, expected) in [
        ("Upgrade: WebSocket\r\n", "", "Upgrade"),
        ("WebSocket", "h2c", "Upgrade"),
        ("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: websocket", "Upgrade"),
        ("keep-alive, Upgrade", "keep-alive", "Connection"),
        (ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", "Sec-WebSocket-Accept"),
        ("Sec-WebSocket-Accept", "X", "Sec-WebSocket-Accept"),
        (
            "HTTP/1.1 101 Switching Protocols\r\n",
            "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: x\r\n",
            "Sec-WebSocket-Accept",
        ),
    ] {
        let response = good.replacen(from, to, 1);
        assert_ne!(response, good);
        match read(&[], &response) {
            Err(HandshakeError::Header { name, .. }) => assert_eq!(name, expected, "{response}"),
            other => panic!("{response}: {other:?}"),
        }
    }
    let twice = switching("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n");
    assert!(matches!(read(&["a"], &twice), Err(HandshakeError::Header { .. })));
    let protocol = |found: &str| switching(&format!("Sec-WebSocket-Protocol: {found}\r\n"));
    for (offered, found) in [(&[][..], "a"), (&["a"], "A"), (&["a", "b"], "a, b"), (&["a"], "")] {
        match read(offered, &protocol(found)) {
            Err(HandshakeError::Protocol { found: got, .. }) => assert_eq!(got, found),
            other => panic!("{found}: {other:?}"),
        }
    }
    let extension = switching("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let expected = HandshakeError::Extension { found: "permessage-deflate".into() };
    assert_eq!(read(&[], &extension), Err(expected));
}

#[test]
fn another_status_comes_with_the_start_of_the_body() {
    let cases = [
        ("Content-Length: 6\r\n\r\ndenied and more", "denied"),
        ("\r\nuntil the end", "until the end"),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("Content-Length: 9\r\n\r\ncut", "cut"),
        ("Content-Length: 0\r\n\r\n", ""),
    ];
    for (more, expected) in cases {
        match read(&[], &format!("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: x\r\n{more}")) {
            Err(HandshakeError::Status { status, reason, headers, body }) => {
                assert_eq!((status, reason.as_str()), (401, "Unauthorized"));
                assert_eq!(headers[0], pair("WWW-Authenticate", "x"));
                assert_eq!(body, expected.as_bytes());
            }
            other => panic!("{more}: {other:?}"),
        }
    }
    // By its length it is complete without the end of the connection.
    let mut parser = ResponseParser::new(KEY, &[]);
    let fed = parser.feed(b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nok");
    let error = fed.unwrap_err();
    assert_eq!(
        error.to_string(),
        "server refused the handshake with HTTP status 302 Found; expected 101; its body begins with \"ok\""
    );
    assert_eq!(parser.feed(b"x"), Err(HandshakeError::Over));
    assert_eq!(parser.eof(), HandshakeError::Over);
}

#[test]
fn what_is_not_http_fails_at_once() {
    for (start, text) in [("SSH-2.0-OpenSSH_9\r\n", "SSH"), ("\u{15}\u{3}\u{3}", "wss"), ("HTTP/2 200\r\n", "HTTP/2")] {
        let error = read(&[], start).unwrap_err();
        assert!(matches!(error, HandshakeError::NotHttp { .. }), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(matches!(read(&[], "HTTP/1.1 abc\r\n\r\n"), Err(HandshakeError::Malformed { .. })));
    assert!(matches!(read(&[], "HTTP/1.1 101 X\r\nno colon\r\n\r\n"), Err(HandshakeError::Malformed { .. })));
    assert_eq!(read(&[], "HTTP/1.1 101 X\r\n"), Err(HandshakeError::Closed { received: 16 }));
    assert_eq!(read(&[], ""), Err(HandshakeError::Closed { received: 0 }));
}

#[test]
fn limits_of_the_head() {
    let line = |n: usize| switching(&format!("X: {}\r\n", "v".repeat(n - 3)));
    assert!(read(&[], &line(8192)).is_ok());
    let expected = HeadError::Line { line: 5, limit: 8192 };
    assert_eq!(read(&[], &line(8193)), Err(expected.into()));
    let headers = |n: usize| switching(&"X: v\r\n".repeat(n - 3));
    assert_eq!(read(&[], &headers(128)).unwrap().headers.len(), 128);
    assert_eq!(read(&[], &headers(129)), Err(HeadError::Headers { limit: 128 }.into()));
}
