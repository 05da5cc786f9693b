//! The opening handshake: requests, responses, a proxy's answers, `Sec-WebSocket-Extensions`, URLs; and compression
//! negotiated by both sides.

use voxwire::proto::{
    DeflateConfig, Url,
    handshake::{
        Accepted, Asked, ClientRequest, Extensions, HandshakeError, HandshakeLimits, Request, RequestError,
        RequestParser, RequestRejected, ResponseParser, Tunnel, TunnelError, TunnelParser,
    },
};

use super::{
    input::{Choices, Cuts},
    memory::Watch,
};

/// The key of RFC 6455 section 1.3. Inputs can hold its answer, `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=`.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// One byte for what follows.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.byte() % 6 {
        0 => request(choices),
        1 => response(choices),
        2 => tunnel(choices),
        3 => extensions(&String::from_utf8_lossy(choices.rest())),
        4 => url(&String::from_utf8_lossy(choices.rest())),
        _ => negotiation(choices),
    }
}

fn limits(choices: &mut Choices<'_>) -> HandshakeLimits {
    choices.pick([
        HandshakeLimits::default(),
        HandshakeLimits { max_line: 64, max_headers: 6, max_head: 300 },
        HandshakeLimits { max_line: 30, max_headers: 3, max_head: 70 },
    ])
}

/// A parser that is fed pieces until it has a result.
trait Feed<T, E> {
    /// `Some` at the end.
    fn feed(&mut self, piece: &[u8]) -> Option<Result<T, E>>;

    /// The result, and what of the pieces was not fed; `None` if there is none.
    fn feed_all(&mut self, pieces: &[&[u8]], limits: HandshakeLimits) -> Option<(Result<T, E>, Vec<u8>)> {
        let mut left = pieces.iter();
        let mut held = 0;
        while let Some(piece) = left.next() {
            let watch = Watch::start();
            let end = self.feed(piece);
            held += watch.held();
            match end {
                // A head that grows doubles its buffer; the start of a body is small.
                None => {
                    let allowed = 2 * (limits.max_head + piece.len()) + 16 * 1024 + 8 * limits.max_head;
                    assert!(held <= allowed, "{held} bytes; at most {allowed}");
                }
                Some(result) => return Some((result, left.as_slice().concat())),
            }
        }
        None
    }
}

impl Feed<Request, RequestRejected> for RequestParser {
    fn feed(&mut self, piece: &[u8]) -> Option<Result<Request, RequestRejected>> {
        self.feed(piece).transpose()
    }
}

fn request(mut choices: Choices<'_>) {
    let (limits, cuts) = (limits(&mut choices), choices.cuts());
    let wire = choices.rest();
    let read = |pieces: &[&[u8]]| {
        let result = Feed::feed_all(&mut RequestParser::new(limits), pieces, limits);
        result.map(|(result, left)| {
            result.map(|mut request| {
                request.rest.extend(left);
                request
            })
        })
    };
    let whole = read(&[wire]);
    assert_eq!(whole, read(&cuts.pieces(wire)), "cut in pieces");
    if wire.len() <= 512 {
        assert_eq!(whole, read(&wire.chunks(1).collect::<Vec<_>>()), "cut in bytes");
    }
    if let Ok(Some(Asked::Plain(plain))) = RequestParser::new(limits).feed_any(wire) {
        assert!(matches!(plain.method.as_str(), "GET" | "HEAD"), "{}", plain.method);
        assert_eq!(whole, Some(Err(plain.refusal)));
    }
    match whole {
        Some(Ok(request)) => accepted_request(&request, wire, limits, cuts),
        Some(Err(rejected)) => {
            assert!(matches!(rejected.status, 400 | 405 | 414 | 426 | 431 | 505), "{rejected}");
            // The answer is one head and a body, whatever was in the request.
            let answer = rejected.response();
            match ResponseParser::new(KEY, &[]).feed(&answer) {
                Err(HandshakeError::Status { status, body, .. }) => {
                    assert_eq!(status, rejected.status);
                    assert!(body.starts_with(&rejected.reason.as_bytes()[..rejected.reason.len().min(1024)]));
                }
                other => panic!("{other:?}"),
            }
        }
        None => assert!(wire.len() <= limits.max_head + 2, "{} bytes without a result", wire.len()),
    }
}

/// A request that was accepted can be sent by us, is the same when it is read again, and can be answered.
fn accepted_request(request: &Request, wire: &[u8], limits: HandshakeLimits, cuts: Cuts<'_>) {
    let head = &wire[..wire.len() - request.rest.len()];
    assert!(head.len() <= limits.max_head, "{} bytes", head.len());
    assert!(request.headers.len() <= limits.max_headers, "{} headers", request.headers.len());
    let longest = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line).len()).max();
    assert!(longest <= Some(limits.max_line), "{longest:?}");

    let ours = |name: &str| {
        let name = name.to_ascii_lowercase();
        let set = ["host", "connection", "upgrade", "content-length", "transfer-encoding"];
        set.contains(&name.as_str()) || name.starts_with("sec-websocket-")
    };
    let asked = ClientRequest {
        host: request.host.clone(),
        path_and_query: request.path.clone(),
        protocols: request.protocols.clone(),
        headers: request.headers.iter().filter(|(name, _)| !ours(name)).cloned().collect(),
        deflate: None,
    };
    match asked.encode() {
        Ok((bytes, key)) => {
            let again = RequestParser::new(HandshakeLimits { max_head: 1 << 20, max_line: 1 << 20, max_headers: 1000 })
                .feed(&bytes);
            let Ok(Some(again)) = again else { panic!("{again:?}") };
            assert_eq!((&again.path, &again.host, &again.key), (&request.path, &request.host, &key));
            assert_eq!(again.protocols, request.protocols);
            let (mut sent, mut read) = (asked.headers.iter(), again.headers.iter().filter(|(name, _)| !ours(name)));
            if request.header("User-Agent").is_none() {
                assert!(read.next().is_some_and(|(name, _)| name == "User-Agent"));
            }
            assert!(sent.by_ref().eq(read), "{:?} and {:?}", asked.headers, again.headers);
        }
        // We send less than we take: no control characters beyond ASCII either, for one.
        Err(RequestError::HeaderValue { found, .. }) if !found.is_ascii() => {}
        Err(
            RequestError::Path { .. }
            | RequestError::Host { .. }
            | RequestError::Protocol { .. }
            | RequestError::ProtocolRepeated { .. },
        ) => {}
        Err(error) => panic!("{error}"),
    }

    let protocol = request.protocols.first().map(String::as_str);
    let config = DeflateConfig::for_role(voxwire::proto::Role::Server);
    let Ok((answer, agreed)) = request.accept_with(protocol, Some(&config), &[]) else { panic!("not answered") };
    let text = String::from_utf8_lossy(&answer);
    assert_eq!(text.contains("Sec-WebSocket-Extensions"), agreed.is_some());
    if agreed.is_none() && protocol.is_none_or(str::is_ascii) {
        let offered = request.protocols.clone();
        for pieces in [vec![answer.as_slice()], cuts.pieces(&answer)] {
            let read = Feed::feed_all(&mut ResponseParser::new(&request.key, &offered), &pieces, limits);
            let Some((Ok(accepted), left)) = read else { panic!("{read:?}") };
            assert_eq!(accepted.protocol.as_deref(), protocol);
            assert!(accepted.rest.is_empty() && left.is_empty());
        }
    }
}

impl Feed<Accepted, HandshakeError> for ResponseParser {
    fn feed(&mut self, piece: &[u8]) -> Option<Result<Accepted, HandshakeError>> {
        self.feed(piece).transpose()
    }
}

fn response(mut choices: Choices<'_>) {
    let (limits, config) = (limits(&mut choices), config(&mut choices));
    let deflate = choices.pick([None, Some(config)]);
    let cuts = choices.cuts();
    let wire = choices.rest();
    let offered = ["chat".to_owned(), "a".to_owned()];
    let read = |pieces: &[&[u8]]| {
        let mut parser = ResponseParser::with_limits(KEY, &offered, limits).with_deflate(deflate);
        let result = match Feed::feed_all(&mut parser, pieces, limits) {
            Some((Ok(mut accepted), left)) => {
                accepted.rest.extend(left);
                Ok(accepted)
            }
            Some((Err(error), _)) => Err(error),
            None => Err(parser.eof()),
        };
        assert_eq!(parser.feed(b""), Err(HandshakeError::Over));
        assert_eq!(parser.eof(), HandshakeError::Over);
        match result {
            // How much of it is there depends on when it is said.
            Err(HandshakeError::NotHttp { start }) => {
                assert!(start.chars().count() <= 32);
                Err(HandshakeError::NotHttp { start: String::new() })
            }
            other => other,
        }
    };
    let whole = read(&[wire]);
    assert_eq!(whole, read(&cuts.pieces(wire)), "cut in pieces");
    if wire.len() <= 512 {
        assert_eq!(whole, read(&wire.chunks(1).collect::<Vec<_>>()), "cut in bytes");
    }
    match whole {
        Ok(accepted) => {
            assert!(accepted.protocol.is_none_or(|protocol| offered.contains(&protocol)));
            assert!(accepted.headers.len() <= limits.max_headers);
            assert!(accepted.deflate.is_none() || deflate.is_some());
        }
        Err(HandshakeError::Status { headers, body, .. }) => {
            assert!(headers.len() <= limits.max_headers && body.len() <= 1024);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

impl Feed<(), TunnelError> for TunnelParser {
    fn feed(&mut self, piece: &[u8]) -> Option<Result<(), TunnelError>> {
        match self.feed(piece) {
            Ok(Tunnel::Open) => Some(Ok(())),
            Ok(Tunnel::Waiting | Tunnel::Refused) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

fn tunnel(mut choices: Choices<'_>) {
    let cuts = choices.cuts();
    let wire = choices.rest();
    let read = |pieces: &[&[u8]]| {
        let mut parser = TunnelParser::default();
        match Feed::feed_all(&mut parser, pieces, HandshakeLimits::default()) {
            // Behind its answer there must be nothing, whether it is read with the answer or after it.
            Some((Ok(()), left)) if left.is_empty() => Ok(()),
            Some((Ok(()) | Err(TunnelError::Early { .. }), _)) => Err(TunnelError::Early { bytes: 0 }),
            // What is shown of it depends on when it is said.
            Some((Err(TunnelError::Malformed { .. }), _)) => Err(TunnelError::Malformed { reason: String::new() }),
            Some((Err(error), _)) => Err(error),
            None => Err(parser.eof()),
        }
    };
    let whole = read(&[wire]);
    assert_eq!(whole, read(&cuts.pieces(wire)), "cut in pieces");
    if wire.len() <= 512 {
        assert_eq!(whole, read(&wire.chunks(1).collect::<Vec<_>>()), "cut in bytes");
    }
}

fn extensions(text: &str) {
    match Extensions::parse([text]) {
        Ok(read) => {
            assert_eq!(Extensions::parse([read.to_string().as_str()]), Ok(read.clone()));
            // A list in two headers is the list in one.
            if let Some((first, second)) = text.split_once(',').filter(|_| !text.contains('"')) {
                assert_eq!(Extensions::parse([first, second]), Ok(read));
            }
        }
        Err(error) => {
            assert!(error.position <= text.len(), "{error}");
            assert_eq!(error.value, text);
        }
    }
}

fn url(text: &str) {
    let Ok(url) = Url::parse(text) else { return };
    assert!(url.port() > 0);
    assert_eq!(Url::parse(url.as_str()), Ok(url.clone()));
    let asked = ClientRequest {
        host: url.host_header(),
        path_and_query: url.path_and_query().to_owned(),
        ..ClientRequest::default()
    };
    let Ok((bytes, _)) = asked.encode() else { panic!("{:?}", asked.encode()) };
    let limits = HandshakeLimits { max_line: 1 << 20, max_head: 1 << 20, ..HandshakeLimits::default() };
    let Ok(Some(request)) = RequestParser::new(limits).feed(&bytes) else { panic!("{text:?} makes no request") };
    assert_eq!((request.path.as_str(), request.host), (url.path_and_query(), url.host_header()));
    if let Some((user, password)) = url.userinfo() {
        assert!(!(user.is_empty() && password.is_empty()) || url.as_str().contains('@'));
        assert!(
            url.basic_authorization().is_some_and(|value| value.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
        );
    }
    assert!(!url.redacted().contains('?'));
}

fn config(choices: &mut Choices<'_>) -> DeflateConfig {
    let (flags, bits) = (choices.byte(), choices.byte());
    DeflateConfig {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: 8 + bits % 8,
        client_max_window_bits: 8 + (bits >> 4) % 8,
        own_max_window_bits: 8 + (flags >> 4) % 8,
        threshold: 0,
        level: 1 + flags % 9,
        mem_level: 1 + bits % 9,
    }
}

/// A client and a server with any configurations agree, and mean the same; what a client makes of an offer is taken.
fn negotiation(mut choices: Choices<'_>) {
    let (client, server) = (config(&mut choices), config(&mut choices));
    let asked = ClientRequest {
        host: "h".into(),
        path_and_query: "/".into(),
        deflate: Some(client),
        ..ClientRequest::default()
    };
    let Ok((bytes, key)) = asked.encode() else { panic!("{:?}", asked.encode()) };
    let Ok(Some(request)) = RequestParser::new(HandshakeLimits::default()).feed(&bytes) else { panic!("refused") };
    let Ok((answer, Some(theirs))) = request.accept_with(None, Some(&server), &[]) else { panic!("not agreed") };
    let read = ResponseParser::new(&key, &[]).with_deflate(Some(client)).feed(&answer);
    let Ok(Some(Accepted { deflate: Some(ours), .. })) = read else { panic!("{read:?}") };
    assert_eq!(ours.to_string(), theirs.to_string());
    assert!(ours.server_max_window_bits.unwrap_or(15) <= client.server_max_window_bits);
    assert!(ours.client_max_window_bits.unwrap_or(15) <= 15);
    assert!(ours.server_no_context_takeover >= client.server_no_context_takeover);
}
