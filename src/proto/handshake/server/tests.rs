//! The server's checks of a request, each also fed one byte at a time, and its answers.

use super::*;
use crate::proto::handshake::{ClientRequest, ResponseParser};

const GOOD: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Protocol: third\r\n\
    Sec-WebSocket-Version: 13\r\nOrigin: http://example.com\r\n\r\n";

fn read(request: &[u8]) -> Result<Option<Request>, RequestRejected> {
    let whole = RequestParser::new(HandshakeLimits::default()).feed(request);
    let mut parser = RequestParser::new(HandshakeLimits::default());
    let mut bytewise = Ok(None);
    for (index, byte) in request.iter().enumerate() {
        bytewise = parser.feed(&[*byte]);
        match &mut bytewise {
            Ok(None) => {}
            Ok(Some(done)) => {
                done.rest = request[index + 1..].to_vec();
                break;
            }
            Err(_) => break,
        }
    }
    assert_eq!(whole, bytewise);
    whole
}

fn good() -> Request {
    read(GOOD.as_bytes()).unwrap().unwrap()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn reads_a_request() {
    let request = read(&[GOOD.as_bytes(), b"\x81frames"].concat()).unwrap().unwrap();
    assert_eq!(request.path, "/chat?x=1");
    assert_eq!(request.host, "example.com");
    assert_eq!(request.protocols, ["chat", "superchat", "third"]);
    assert_eq!(request.header("ORIGIN"), Some("http://example.com"));
    assert_eq!(request.header("X-None"), None);
    assert_eq!(request.rest, b"\x81frames");
    let whole_uri = GOOD.replacen("/chat", "http://example.com/chat", 1);
    assert_eq!(read(whole_uri.as_bytes()).unwrap().unwrap().path, "/chat?x=1");
    let no_path = GOOD.replacen("/chat", "http://example.com", 1);
    assert_eq!(read(no_path.as_bytes()).unwrap().unwrap().path, "/?x=1");
    assert_eq!(read(&GOOD.as_bytes()[..GOOD.len() - 1]), Ok(None));
}

#[test]
fn a_header_that_is_not_utf8_does_no_harm() {
    let request = [GOOD.trim_end().as_bytes(), b"\r\nX: \xff\xc3\xbc\r\n\r\n"].concat();
    assert_eq!(read(&request).unwrap().unwrap().header("x"), Some("\u{fffd}ü"));
}

#[test]
fn the_answer_is_that_of_section_1_3() {
    let headers = [pair("Server", "v")];
    let bytes = good().accept(Some("chat"), &headers).unwrap();
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\nServer: v\r\n\r\n";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn client_and_server_agree() {
    let request = ClientRequest {
        host: "h".into(),
        path_and_query: "/".into(),
        protocols: vec!["a".into(), "b".into()],
        ..ClientRequest::default()
    };
    let (bytes, key) = request.encode().unwrap();
    let received = read(&bytes).unwrap().unwrap();
    assert_eq!((received.host.as_str(), &received.protocols), ("h", &request.protocols));
    for protocol in [None, Some("b")] {
        let answer = received.accept(protocol, &[]).unwrap();
        let accepted = ResponseParser::new(&key, &request.protocols).feed(&answer).unwrap().unwrap();
        assert_eq!(accepted.protocol.as_deref(), protocol);
    }
}

#[test]
fn bad_requests_and_their_status() {
    for (from, to, status, says) in [
        ("GET", "POST", 405, "expected GET"),
        ("HTTP/1.1", "HTTP/1.0", 505, "HTTP/1.1"),
        ("HTTP/1.1", "HTTP/2.0", 505, "HTTP/1.1"),
        ("/chat", "chat", 400, "target"),
        ("/chat?x=1", "*", 400, "target"),
        ("Host: example.com\r\n", "", 400, "Host is missing"),
        ("Host:", "Host: a\r\nHost:", 400, "Host is given more than once"),
        ("Upgrade: websocket\r\n", "", 426, "Upgrade"),
        ("Upgrade: websocket", "Upgrade: h2c", 426, "Upgrade"),
        ("keep-alive, Upgrade", "keep-alive", 400, "Connection"),
        ("Version: 13", "Version: 8", 426, "expected 13"),
        ("Sec-WebSocket-Version: 13\r\n", "", 400, "Sec-WebSocket-Version is missing"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400, "Sec-WebSocket-Key is missing"),
        ("Sec-WebSocket-Key:", "Sec-WebSocket-Key: x\r\nSec-WebSocket-Key:", 400, "more than once"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ", 400, "16 bytes"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", 400, "16 bytes"),
        ("Origin:", "Content-Length: 5\r\nOrigin:", 400, "body"),
        ("Origin:", "Transfer-Encoding: chunked\r\nOrigin:", 400, "body"),
        ("Origin: ", "Or igin: ", 400, "malformed"),
        ("Origin: ", "no colon\r\nOrigin: ", 400, "malformed"),
        ("GET", "\u{16}\u{3}\u{1}", 400, "TLS"),
        ("GET", "\0", 400, "0x00"),
    ] {
        let request = GOOD.replacen(from, to, 1);
        assert_ne!(request, GOOD);
        let rejected = read(request.as_bytes()).unwrap_err();
        assert_eq!(rejected.status, status, "{rejected}");
        assert!(rejected.reason.contains(says), "{rejected}");
        let response = String::from_utf8(rejected.response()).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert_eq!(response.contains("Sec-WebSocket-Version: 13\r\n"), status == 426, "{response}");
        assert!(response.ends_with(&format!("\r\n\r\n{}\n", rejected.reason)), "{response}");
    }
}

#[test]
fn limits_of_the_head() {
    let with = |more: &str| GOOD.replacen("Origin:", &format!("{more}Origin:"), 1).into_bytes();
    let line = |n: usize| with(&format!("X: {}\r\n", "v".repeat(n - 3)));
    assert!(read(&line(8192)).unwrap().is_some());
    assert_eq!(read(&line(8193)).unwrap_err().status, 431);
    // GOOD has 8 headers.
    assert!(read(&with(&"X: v\r\n".repeat(120))).unwrap().is_some());
    assert_eq!(read(&with(&"X: v\r\n".repeat(121))).unwrap_err().status, 431);
    let path = |n: usize| GOOD.replacen("/chat", &format!("/{}", "p".repeat(n)), 1).into_bytes();
    let rest = "GET /?x=1 HTTP/1.1".len();
    assert!(read(&path(8192 - rest)).unwrap().is_some());
    assert_eq!(read(&path(8193 - rest)).unwrap_err().status, 414);
}

#[test]
fn the_answers_check_what_they_are_given() {
    let request = good();
    let error = request.accept(Some("Chat"), &[]).unwrap_err();
    assert!(matches!(error, RequestError::ProtocolNotOffered { .. }), "{error}");
    let inject = [pair("X", "a\r\nSet-Cookie: b")];
    assert!(matches!(request.accept(None, &inject), Err(RequestError::HeaderValue { .. })));
    assert!(matches!(reject(403, "", &inject), Err(RequestError::HeaderValue { .. })));
    let reserved = [pair("connection", "x")];
    assert!(matches!(request.accept(None, &reserved), Err(RequestError::HeaderReserved { .. })));
    for status in [0, 101, 200, 299, 304, 600, 65535] {
        assert_eq!(reject(status, "", &[]), Err(RequestError::Status { status }));
    }
    let bytes = reject(503, "calls: ü", &[pair("Retry-After", "1")]).unwrap();
    let expected = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 9\r\n\
        Content-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n\r\ncalls: ü";
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn plain_requests_are_told_from_bad_ones() {
    let ask = |request: &str| RequestParser::new(HandshakeLimits::default()).feed_any(request.as_bytes());
    for (method, status) in [("GET", 426), ("HEAD", 405)] {
        let head = format!("{method} /health?x=1 HTTP/1.1\r\nHost: lb\r\nUpgrade: h2c\r\nX: y\r\n\r\n");
        let Ok(Some(Asked::Plain(plain))) = ask(&head) else { panic!("{:?}", ask(&head)) };
        assert_eq!((plain.method.as_str(), plain.path.as_str(), plain.host.as_str()), (method, "/health?x=1", "lb"));
        assert_eq!(plain.headers, [pair("Host", "lb"), pair("Upgrade", "h2c"), pair("X", "y")]);
        assert_eq!(plain.refusal.status, status);
        // Without anybody to ask it is rejected.
        assert_eq!(read(head.as_bytes()), Err(plain.refusal));
    }
    assert!(matches!(ask(GOOD), Ok(Some(Asked::Upgrade(request))) if request == good()));
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", 426),
        ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 426),
        (&GOOD.replacen("GET", "HEAD", 1), 405),
    ] {
        assert_eq!(ask(request).map_err(|rejected| rejected.status), Err(status), "{request}");
    }
}

#[test]
fn a_plain_response_says_how_long_it_is_and_that_it_is_the_last() {
    let encode = |status, body: &[u8], method| {
        let response = Response { status, headers: vec![pair("X", "y")], body: body.to_vec() };
        String::from_utf8(response.encode(method).unwrap()).unwrap()
    };
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nX: y\r\n\r\n";
    assert_eq!(encode(200, b"ok", "GET"), format!("{head}ok"));
    assert_eq!(encode(200, b"ok", "HEAD"), head);
    assert_eq!(encode(299, b"", "GET"), "HTTP/1.1 299 \r\nConnection: close\r\nContent-Length: 0\r\nX: y\r\n\r\n");
    assert_eq!(encode(204, b"ok", "GET"), "HTTP/1.1 204 No Content\r\nConnection: close\r\nX: y\r\n\r\n");
    assert_eq!(encode(304, b"", "GET"), "HTTP/1.1 304 Not Modified\r\nConnection: close\r\nX: y\r\n\r\n");
    assert!(encode(205, b"ok", "GET").ends_with("Content-Length: 0\r\nX: y\r\n\r\n"));
    let upgrade = encode(426, b"", "GET");
    assert!(upgrade.contains("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n"));
    for status in [0, 100, 101, 103, 199, 600] {
        let response = Response { status, headers: vec![], body: vec![] };
        assert_eq!(response.encode("GET"), Err(RequestError::FinalStatus { status }));
    }
    for name in ["Content-Length", "transfer-encoding", "Connection", "Sec-WebSocket-Accept"] {
        let response = Response { status: 200, headers: vec![pair(name, "1")], body: vec![] };
        assert!(matches!(response.check(), Err(RequestError::HeaderReserved { .. })));
    }
}
