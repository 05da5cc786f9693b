//! Properties of the sans-IO WebSocket through its public interface: how the bytes are cut never
//! matters, what one side sends the other reads, and nothing that is given or received can inject
//! or panic.

use proptest::{collection::vec, prelude::*, sample::Index};
use voxwire::proto::{
    CloseFrame, Input, Kind, Limits, Message, ProtocolError, Receiver, Role, Sender, Url, Utf8Validator,
    handshake::{
        Accepted, ClientRequest, HandshakeError, HandshakeLimits, Request, RequestParser, RequestRejected,
        ResponseParser, reject,
    },
};

/// What was received, without borrows.
#[derive(Clone, Debug, PartialEq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseFrame>),
    Error(ProtocolError),
}

fn receive<'c>(role: Role, limits: Limits, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Got> {
    let (mut receiver, mut all) = (Receiver::new(role, limits), Vec::new());
    for chunk in chunks {
        let mut chunk = chunk.to_vec();
        let mut input = Input::new(&mut chunk);
        loop {
            all.push(match receiver.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Message::Text(text))) => Got::Text(text.into_string()),
                Ok(Some(Message::Binary(payload))) => Got::Binary(payload.into_vec()),
                Ok(Some(Message::Ping(payload))) => Got::Ping(payload.to_vec()),
                Ok(Some(Message::Pong(payload))) => Got::Pong(payload.to_vec()),
                Ok(Some(Message::Close(frame))) => Got::Close(frame),
                Err(error) => Got::Error(error),
            });
        }
        assert_eq!(input.remaining(), 0);
    }
    all
}

/// The pieces of `bytes` between these cuts; some may be empty.
fn pieces<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}

/// Something to send.
#[derive(Clone, Debug)]
enum Send {
    Text(String),
    Binary(Vec<u8>),
    /// A text or binary message cut into fragments, with a ping behind each but the last.
    Fragments(Kind, String, Vec<Index>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// Sizes around those where the header changes.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..300_usize, 2 => 124..128_usize, 1 => 65_530..65_542_usize, 1 => 0..150_000_usize]
}

fn send() -> impl Strategy<Value = Send> {
    prop_oneof![
        "\\PC{0,60}".prop_map(Send::Text),
        (size(), "\\PC").prop_map(|(size, c)| Send::Text(c.repeat(size / 4))),
        (size(), any::<u8>())
            .prop_map(|(size, step)| { Send::Binary((0..size).map(|i| (i as u8).wrapping_mul(step)).collect()) }),
        (prop_oneof![Just(Kind::Text), Just(Kind::Binary)], "\\PC{0,200}", vec(any::<Index>(), 0..6))
            .prop_map(|(kind, text, cuts)| Send::Fragments(kind, text, cuts)),
        vec(any::<u8>(), 0..=125).prop_map(Send::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Send::Pong),
    ]
}

/// Sends everything, then a close; gives the bytes and what must be received.
fn sent(role: Role, sends: &[Send]) -> (Vec<u8>, Vec<Got>) {
    let (mut sender, mut out, mut expected) = (Sender::new(role), Vec::new(), Vec::new());
    for send in sends {
        match send {
            Send::Text(text) => {
                sender.text(text, &mut out).unwrap();
                expected.push(Got::Text(text.clone()));
            }
            Send::Binary(payload) => {
                sender.binary(payload, &mut out).unwrap();
                expected.push(Got::Binary(payload.clone()));
            }
            Send::Ping(payload) => {
                sender.ping(payload, &mut out).unwrap();
                expected.push(Got::Ping(payload.clone()));
            }
            Send::Pong(payload) => {
                sender.pong(payload, &mut out).unwrap();
                expected.push(Got::Pong(payload.clone()));
            }
            Send::Fragments(kind, text, cuts) => {
                let pieces = pieces(text.as_bytes(), cuts);
                for (index, piece) in pieces.iter().enumerate() {
                    let (first, last) = (index == 0, index + 1 == pieces.len());
                    sender.fragment(*kind, piece, first, last, &mut out).unwrap();
                    if !last {
                        sender.ping(&[index as u8], &mut out).unwrap();
                        expected.push(Got::Ping(vec![index as u8]));
                    }
                }
                expected.push(match kind {
                    Kind::Text => Got::Text(text.clone()),
                    Kind::Binary => Got::Binary(text.as_bytes().to_vec()),
                });
            }
        }
    }
    let close = CloseFrame::new(1001, "going");
    sender.close(Some(&close), &mut out).unwrap();
    expected.push(Got::Close(Some(close)));
    (out, expected)
}

const PAIRS: [(Role, Role); 2] = [(Role::Client, Role::Server), (Role::Server, Role::Client)];

proptest! {
    #[test]
    fn what_one_side_sends_the_other_reads_however_it_is_cut(
        sends in vec(send(), 0..8),
        cuts in vec(any::<Index>(), 0..12),
        chunk in 1..5000_usize,
    ) {
        for (from, to) in PAIRS {
            let (wire, expected) = sent(from, &sends);
            prop_assert_eq!(&receive(to, Limits::default(), [wire.as_slice()]), &expected);
            prop_assert_eq!(&receive(to, Limits::default(), pieces(&wire, &cuts)), &expected);
            prop_assert_eq!(&receive(to, Limits::default(), wire.chunks(chunk)), &expected);
        }
    }

    #[test]
    fn a_damaged_stream_gives_the_same_however_it_is_cut(
        sends in vec(send(), 1..5),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        // Small limits, so that they are reached too.
        let limits = Limits { max_message_size: 1000, max_fragments: 4 };
        for (from, to) in PAIRS {
            let (mut wire, _) = sent(from, &sends);
            for (at, byte) in &damage {
                *at.get_mut(&mut wire) = *byte;
            }
            let whole = receive(to, limits, [wire.as_slice()]);
            prop_assert_eq!(&whole, &receive(to, limits, pieces(&wire, &cuts)));
            prop_assert_eq!(&whole, &receive(to, limits, wire.chunks(1)));
            let last = whole.iter().position(|got| matches!(got, Got::Error(_) | Got::Close(_)));
            prop_assert!(last.is_none_or(|at| at + 1 == whole.len()), "something behind the end");
        }
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![any::<u8>(), 0x80..0x8b_u8, 0..4_u8], 0..200),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let limits = Limits { max_message_size: 64, max_fragments: 3 };
        for role in [Role::Client, Role::Server] {
            let whole = receive(role, limits, [bytes.as_slice()]);
            prop_assert_eq!(&whole, &receive(role, limits, pieces(&bytes, &cuts)));
            prop_assert_eq!(&whole, &receive(role, limits, bytes.chunks(1)));
        }
    }

    #[test]
    fn utf8_in_pieces_is_judged_like_the_whole(
        text in "\\PC{0,40}",
        damage in vec((any::<Index>(), any::<u8>()), 0..3),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in &damage {
            if !bytes.is_empty() {
                *at.get_mut(&mut bytes) = *byte;
            }
        }
        let mut validator = Utf8Validator::default();
        let mut seen = 0;
        for piece in pieces(&bytes, &cuts) {
            seen += piece.len();
            let judged = validator.push(piece).map(|()| validator.is_complete());
            // The standard library on the whole so far: valid, cut off, or wrong.
            match std::str::from_utf8(&bytes[..seen]) {
                Ok(_) => prop_assert_eq!(judged, Ok(true)),
                Err(error) if error.error_len().is_none() => prop_assert_eq!(judged, Ok(false)),
                Err(_) => {
                    prop_assert!(judged.is_err());
                    break;
                }
            }
        }
    }
}

#[test]
fn every_size_around_the_borders_of_the_header() {
    for (from, to) in PAIRS {
        for size in (0..300).chain(65_500..65_560) {
            let (wire, expected) = sent(from, &[Send::Binary(vec![0xa5; size])]);
            assert_eq!(receive(to, Limits::default(), [wire.as_slice()]), expected, "{size}");
            assert_eq!(receive(to, Limits::default(), wire.chunks(60_000)), expected, "{size}");
        }
    }
}

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
                    prop_assert!(read.len() <= headers.len() + 3);
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
}
