//! Every rule of the receiver, with the close code that breaking it leads to.

use super::*;
use crate::proto::{Sender, message::Kind};

const KEY: [u8; 4] = [0x11, 0x22, 0xf3, 0x44];

/// A frame as a client sends it: first byte as given.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(0x80 | len as u8),
        len @ ..65536 => {
            frame.push(0xfe);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0xff);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// What was received, without borrows.
#[derive(Debug, PartialEq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseFrame>),
    Error(ProtocolError),
}

fn feed(receiver: &mut Receiver, chunk: &[u8]) -> Vec<Got> {
    let (mut chunk, mut all) = (chunk.to_vec(), Vec::new());
    let mut input = Input::new(&mut chunk);
    loop {
        all.push(match receiver.next(&mut input) {
            Ok(None) => {
                assert_eq!(input.remaining(), 0);
                return all;
            }
            Ok(Some(Message::Text(text))) => Got::Text(text.into_string()),
            Ok(Some(Message::Binary(payload))) => Got::Binary(payload.into_vec()),
            Ok(Some(Message::Ping(payload))) => Got::Ping(payload.to_vec()),
            Ok(Some(Message::Pong(payload))) => Got::Pong(payload.to_vec()),
            Ok(Some(Message::Close(frame))) => Got::Close(frame),
            Err(error) => Got::Error(error),
        });
    }
}

fn server(limits: Limits) -> Receiver {
    Receiver::new(Role::Server, limits)
}

/// Feeds the frames at once and byte by byte, which must give the same.
fn receive(limits: Limits, frames: &[Vec<u8>]) -> Vec<Got> {
    let wire = frames.concat();
    let whole = feed(&mut server(limits), &wire);
    let mut receiver = server(limits);
    let bytewise: Vec<Got> = wire.chunks(1).flat_map(|byte| feed(&mut receiver, byte)).collect();
    assert_eq!(whole, bytewise);
    whole
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

#[test]
fn a_message_within_the_chunk_is_lent_from_it() {
    let mut receiver = server(Limits::default());
    let mut chunk = [masked(0x82, b"audio"), masked(0x81, "grüße".as_bytes())].concat();
    let mut input = Input::new(&mut chunk);
    match receiver.next(&mut input) {
        Ok(Some(Message::Binary(payload))) => {
            assert!(payload.is_borrowed());
            assert_eq!(payload.as_slice(), b"audio");
        }
        other => panic!("{other:?}"),
    }
    match receiver.next(&mut input) {
        Ok(Some(Message::Text(text))) => {
            assert!(text.is_borrowed());
            assert_eq!(text.as_str(), "grüße");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.next(&mut input), Ok(None));
    assert_eq!(receiver.held(), 0);
}

#[test]
fn fragments_with_control_frames_between_them() {
    let frames = [
        masked(0x01, "gr\u{fc}".as_bytes()),
        masked(0x89, b"ping"),
        masked(0x00, b""),
        masked(0x8a, b""),
        masked(0x80, "\u{df}e".as_bytes()),
        masked(0x02, b"a"),
        masked(0x80, b""),
        masked(0x81, b""),
    ];
    let expected =
        [Got::Ping(b"ping".to_vec()), Got::Pong(vec![]), text("grüße"), Got::Binary(b"a".to_vec()), text("")];
    assert_eq!(receive(Limits::default(), &frames), expected);
}

#[test]
fn broken_rules_and_their_close_codes() {
    use ProtocolError as E;
    let plain = vec![0x81, 1, b'a'];
    for (frames, error, code) in [
        (vec![plain], E::NotMasked, 1002),
        (vec![masked(0xc1, b"a")], E::ReservedBits { bits: 0b100 }, 1002),
        (vec![masked(0xa1, b"a")], E::ReservedBits { bits: 0b010 }, 1002),
        (vec![masked(0x91, b"a")], E::ReservedBits { bits: 0b001 }, 1002),
        (vec![masked(0x01, b""), masked(0xc0, b"a")], E::ReservedBits { bits: 0b100 }, 1002),
        (vec![masked(0x83, b"")], E::ReservedOpcode { opcode: 3 }, 1002),
        (vec![masked(0x8f, b"")], E::ReservedOpcode { opcode: 15 }, 1002),
        (vec![masked(0x89, &[0; 126])], E::ControlTooLong, 1002),
        (vec![masked(0x09, b"")], E::ControlFragmented, 1002),
        (vec![masked(0x08, b"")], E::ControlFragmented, 1002),
        (vec![masked(0x80, b"")], E::NothingToContinue, 1002),
        (vec![masked(0x00, b"")], E::NothingToContinue, 1002),
        (vec![masked(0x01, b""), masked(0x81, b"")], E::ContinuationExpected { opcode: "text" }, 1002),
        (vec![masked(0x01, b"a"), masked(0x02, b"")], E::ContinuationExpected { opcode: "binary" }, 1002),
        (vec![masked(0x81, b"a\xff")], E::TextNotUtf8, 1007),
        (vec![masked(0x81, b"a\xe2\x82")], E::TextNotUtf8, 1007),
        (vec![masked(0x01, b"\xe2\x82"), masked(0x80, b"x")], E::TextNotUtf8, 1007),
        (vec![masked(0x01, b"\xe2\x82"), masked(0x80, b"")], E::TextNotUtf8, 1007),
        (vec![masked(0x88, &[3])], E::CloseTruncated, 1002),
        (vec![masked(0x88, &[3, 0xed])], E::CloseCode { code: 1005 }, 1002),
        (vec![masked(0x88, &[3, 0xe8, 0xff])], E::CloseReasonNotUtf8 { code: 1000 }, 1007),
    ] {
        // A message before the error is delivered, one behind it is not.
        let frames = [vec![masked(0x82, b"before")], frames, vec![masked(0x82, b"after")]].concat();
        let expected = [Got::Binary(b"before".to_vec()), Got::Error(error.clone())];
        assert_eq!(receive(Limits::default(), &frames), expected);
        assert_eq!(error.close_code(), code, "{error}");
        let close = error.close_frame();
        assert_eq!(Sender::new(Role::Server).close(Some(&close), &mut Vec::new()), Ok(()), "{error}");
    }
}

#[test]
fn a_masked_frame_from_the_server_is_refused() {
    let mut receiver = Receiver::new(Role::Client, Limits::default());
    assert_eq!(feed(&mut receiver, &masked(0x81, b"a")), [Got::Error(ProtocolError::Masked)]);
    assert!(receiver.is_done());
    let mut receiver = Receiver::new(Role::Client, Limits::default());
    assert_eq!(feed(&mut receiver, &[0x81, 1, b'a']), [text("a")]);
}

#[test]
fn nothing_is_read_behind_a_close() {
    for close in [None, Some(CloseFrame::new(1000, "bye"))] {
        let payload = close.as_ref().map_or(vec![], |_| b"\x03\xe8bye".to_vec());
        let frames = [masked(0x01, b"open"), masked(0x88, &payload), masked(0x80, b"late"), vec![0xff; 99]];
        assert_eq!(receive(Limits::default(), &frames), [Got::Close(close)]);
    }
    let mut receiver = server(Limits::default());
    feed(&mut receiver, &[masked(0x01, b"open"), masked(0x88, b"")].concat());
    assert!(receiver.is_done());
    assert_eq!(receiver.held(), 0);
}

#[test]
fn message_size_at_the_limit_and_one_past_it() {
    let limits = Limits { max_message_size: 200, ..Limits::default() };
    let too_big = |size| [Got::Error(ProtocolError::MessageTooBig { limit: 200, size })];
    assert_eq!(receive(limits, &[masked(0x82, &[1; 200])]), [Got::Binary(vec![1; 200])]);
    assert_eq!(receive(limits, &[masked(0x82, &[1; 201])]), too_big(201));
    let two = |last| [masked(0x02, &[1; 150]), masked(0x80, &vec![1; last])];
    assert_eq!(receive(limits, &two(50)), [Got::Binary(vec![1; 200])]);
    assert_eq!(receive(limits, &two(51)), too_big(201));
    // Each message counts for itself, and control frames do not count.
    let frames = [two(50).as_slice(), &[masked(0x89, &[1; 125])], &two(50)].concat();
    assert_eq!(receive(limits, &frames).len(), 3);
    let error = ProtocolError::MessageTooBig { limit: 200, size: 201 };
    assert_eq!(error.close_code(), 1009);
    assert_eq!(error.to_string(), "message of at least 201 bytes exceeds max_message_size (200 bytes)");
}

#[test]
fn a_claimed_length_is_refused_at_the_header_and_never_allocated() {
    let mut header = vec![0x82, 0xff];
    header.extend_from_slice(&(1_u64 << 62).to_be_bytes());
    header.extend_from_slice(&KEY);
    let error = ProtocolError::MessageTooBig { limit: 16 << 20, size: 1 << 62 };
    assert_eq!(receive(Limits::default(), &[header.clone()]), [Got::Error(error)]);

    let mut receiver = server(Limits { max_message_size: usize::MAX, ..Limits::default() });
    assert_eq!(feed(&mut receiver, &header), []);
    assert_eq!(feed(&mut receiver, &[0; 1000]), []);
    assert!((1000..=2000).contains(&receiver.held()), "{}", receiver.held());
}

#[test]
fn the_buffer_follows_the_bytes_and_leaves_with_the_message() {
    let payload = vec![b'a'; 100_000];
    let wire = masked(0x81, &payload);
    let mut receiver = server(Limits::default());
    for part in wire[..90_000].chunks(1000) {
        assert_eq!(feed(&mut receiver, part), []);
    }
    assert!(receiver.held() <= 100_000, "{}", receiver.held());
    let got = feed(&mut receiver, &wire[90_000..]);
    match got.as_slice() {
        [Got::Text(text)] => {
            assert_eq!(text.as_bytes(), payload);
            assert_eq!(text.capacity(), text.len());
        }
        other => panic!("{} messages", other.len()),
    }
    assert_eq!(receiver.held(), 0);
}

#[test]
fn fragments_at_the_limit_and_one_past_it() {
    let limits = Limits { max_fragments: 3, ..Limits::default() };
    let message = |fragments: usize| {
        let mut frames = vec![masked(0x00, b"x"); fragments];
        frames[0][0] = 0x02;
        frames[fragments - 1][0] |= 0x80;
        frames
    };
    assert_eq!(receive(limits, &message(3)), [Got::Binary(b"xxx".to_vec())]);
    assert_eq!(receive(limits, &[message(3), message(3)].concat()).len(), 2);
    let error = ProtocolError::TooManyFragments { limit: 3, fragments: 4 };
    assert_eq!(error.close_code(), 1009);
    assert_eq!(receive(limits, &message(4)), [Got::Error(error)]);
    // Also when they are all empty.
    let empty = [vec![masked(0x01, b"")], vec![masked(0x00, b""); 3]].concat();
    assert_eq!(receive(limits, &empty).len(), 1);
}

#[test]
fn bad_text_fails_inside_an_unfinished_frame() {
    let mut payload = vec![b'a'; 1000];
    payload[500..502].copy_from_slice(b"\xf4\x90");
    let wire = masked(0x81, &payload);
    let header = wire.len() - payload.len();
    let mut receiver = server(Limits::default());
    assert_eq!(feed(&mut receiver, &wire[..header + 501]), []);
    let error = Got::Error(ProtocolError::TextNotUtf8);
    assert_eq!(feed(&mut receiver, &wire[header + 501..header + 502]), [error]);
    assert_eq!(receiver.held(), 0);
}

#[test]
fn what_the_sender_writes_the_receiver_reads() {
    for (from, to) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        let (mut sender, mut receiver) = (Sender::new(from), Receiver::new(to, Limits::default()));
        let mut wire = Vec::new();
        sender.text("grüße", &mut wire).unwrap();
        sender.fragment(Kind::Text, b"\xc3", true, false, &mut wire).unwrap();
        sender.ping(b"1", &mut wire).unwrap();
        sender.fragment(Kind::Text, b"\xbc", false, true, &mut wire).unwrap();
        sender.close(Some(&CloseFrame::new(4000, "done")), &mut wire).unwrap();
        let close = Got::Close(Some(CloseFrame::new(4000, "done")));
        let expected = [text("grüße"), Got::Ping(b"1".to_vec()), text("ü"), close];
        assert_eq!(feed(&mut receiver, &wire), expected);
    }
}

#[test]
fn a_long_message_is_left_to_the_caller_and_nothing_of_it_is_touched() {
    let (payload, threshold) = (vec![7; 1000], 500);
    let mut wire = vec![0x89, 1, b'p', 0x82, 126, 3, 0xe8];
    wire.extend_from_slice(&payload[..100]);
    let end = wire.len();
    let mut receiver = Receiver::new(Role::Client, Limits::default());
    let mut input = Input::new(&mut wire);
    let ping = receiver.next_or_long(&mut input, threshold).unwrap();
    assert_eq!(ping, Some(Incoming::Message(Message::Ping(b"p"))));
    let long = receiver.next_or_long(&mut input, threshold).unwrap();
    assert_eq!(long, Some(Incoming::Long { kind: Kind::Binary, length: 1000 }));
    assert_eq!(input.remaining(), 100);
    assert_eq!(wire[end - 100..], payload[..100]);
    // What is behind it is a new frame.
    let mut next = [0x81, 1, b'x'];
    let mut input = Input::new(&mut next);
    let Some(Incoming::Message(Message::Text(text))) = receiver.next_or_long(&mut input, threshold).unwrap() else {
        panic!("no text");
    };
    assert_eq!(text.as_str(), "x");
}

#[test]
fn what_is_no_plain_long_frame_of_a_server_is_collected() {
    let head = |first: u8, length: u64| {
        let mut wire = vec![first, 127];
        wire.extend_from_slice(&length.to_be_bytes());
        wire
    };
    let mut masked = vec![0x82, 0xff];
    masked.extend_from_slice(&70_000_u64.to_be_bytes());
    masked.extend_from_slice(&[1, 2, 3, 4]);
    let limits = Limits { max_message_size: 1 << 30, max_fragments: 10 };
    for (role, mut wire, why) in [
        (Role::Server, masked, "masked"),
        (Role::Client, head(0x02, 70_000), "a fragment"),
        (Role::Client, head(0x82, 17 << 20), "a claim too great to make room for"),
    ] {
        let mut receiver = Receiver::new(role, limits);
        let mut input = Input::new(&mut wire);
        assert_eq!(receiver.next_or_long(&mut input, 100).unwrap(), None, "{why}");
    }
    // Nor is one of which less than that is missing.
    let mut wire = head(0x82, 70_000);
    wire.resize(wire.len() + 69_950, 0);
    let mut receiver = Receiver::new(Role::Client, limits);
    assert_eq!(receiver.next_or_long(&mut Input::new(&mut wire), 100).unwrap(), None);
    assert!(receiver.held() >= 69_950, "{} bytes are held", receiver.held());
}
