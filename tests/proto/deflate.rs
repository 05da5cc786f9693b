//! Properties of permessage-deflate: whatever was agreed, what one side
//! sends the other reads, however the bytes are cut; and nothing that is received takes more memory
//! than the limit.

use proptest::{collection::vec, prelude::*, sample::Index};
use voxwire::proto::{
    DeflateConfig, Input, Kind, Limits, Negotiated, ProtocolError, Receiver, Role, Sender,
    handshake::{ClientRequest, HandshakeLimits, RequestParser, ResponseParser},
};

use crate::{
    generate::{pieces, send, sent},
    memory::Watch,
    wire::{Got, Reading},
};

fn receive<'c>(to: Role, agreed: &Negotiated, limits: Limits, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<Got> {
    Reading { role: to, limits, agreed: Some(agreed) }.receive(chunks)
}

fn config() -> impl Strategy<Value = DeflateConfig> {
    let bits = || prop_oneof![8..=15_u8, Just(15), Just(8)];
    let threshold = prop_oneof![Just(0), Just(1), 0..200_usize];
    (any::<bool>(), any::<bool>(), bits(), bits(), bits(), threshold, 0..=9_u8, 1..=9_u8).prop_map(
        |(server_no, client_no, server_bits, client_bits, own_bits, threshold, level, mem_level)| DeflateConfig {
            server_no_context_takeover: server_no,
            client_no_context_takeover: client_no,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
            own_max_window_bits: own_bits,
            threshold,
            level,
            mem_level,
        },
    )
}

/// What a client and a server agree on; each holds its own view of it.
fn agree(client: DeflateConfig, server: DeflateConfig) -> [Negotiated; 2] {
    let request = ClientRequest {
        host: "h".into(),
        path_and_query: "/".into(),
        deflate: Some(client),
        ..ClientRequest::default()
    };
    let (bytes, key) = request.encode().unwrap();
    let request = RequestParser::new(HandshakeLimits::default()).feed(&bytes).unwrap().unwrap();
    let (answer, of_server) = request.accept_with(None, Some(&server), &[]).unwrap();
    let accepted = ResponseParser::new(&key, &[]).with_deflate(Some(client)).feed(&answer).unwrap().unwrap();
    let (of_client, of_server) = (accepted.deflate.unwrap(), of_server.unwrap());
    assert_eq!(of_client.to_string(), of_server.to_string());
    [of_client, of_server]
}

/// Both directions, with the side of each.
fn directions([client, server]: [Negotiated; 2]) -> [(Role, Negotiated, Role, Negotiated); 2] {
    [(Role::Client, client, Role::Server, server), (Role::Server, server, Role::Client, client)]
}

proptest! {
    #[test]
    fn what_one_side_sends_the_other_reads_whatever_was_agreed(
        (client, server) in (config(), config()),
        sends in vec(send(), 0..10),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        for (from, agreed, to, theirs) in directions(agree(client, server)) {
            let (wire, expected) = sent(from, Some(&agreed), &sends);
            let read = receive(to, &theirs, Limits::default(), pieces(&wire, &cuts));
            prop_assert_eq!(&read, &expected);
            if wire.len() < 5000 {
                prop_assert_eq!(&receive(to, &theirs, Limits::default(), wire.chunks(1)), &expected);
            }
            prop_assert_eq!(&receive(to, &theirs, Limits::default(), wire.chunks(4096)), &expected);
        }
    }

    #[test]
    fn damage_is_judged_the_same_however_it_is_cut(
        sends in vec(send(), 1..4),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        cuts in vec(any::<Index>(), 0..8),
        limit in prop_oneof![Just(usize::MAX), 0..2000_usize],
    ) {
        let open = DeflateConfig { threshold: 0, server_max_window_bits: 15, client_max_window_bits: 15, ..DeflateConfig::for_role(Role::Client) };
        let limits = Limits { max_message_size: limit, max_fragments: 3 };
        for (from, agreed, to, theirs) in directions(agree(open, open)) {
            let (mut wire, _) = sent(from, Some(&agreed), &sends);
            wire.truncate(6000);
            for (at, byte) in &damage {
                if !wire.is_empty() {
                    *at.get_mut(&mut wire) = *byte;
                }
            }
            let reading = Reading { role: to, limits, agreed: Some(&theirs) };
            reading.receive_in_all_ways(&wire, pieces(&wire, &cuts));
        }
    }

    #[test]
    fn any_payload_that_claims_to_be_compressed_does_no_harm(
        payload in vec(prop_oneof![any::<u8>(), Just(0), Just(0xff), 2..6_u8], 0..125),
        text in any::<bool>(),
        cuts in vec(any::<Index>(), 0..6),
    ) {
        let open = DeflateConfig { server_max_window_bits: 15, ..DeflateConfig::for_role(Role::Client) };
        let [agreed, _] = agree(open, open);
        let limits = Limits { max_message_size: 1000, ..Limits::default() };
        let mut wire = vec![if text { 0xc1 } else { 0xc2 }, payload.len() as u8];
        wire.extend_from_slice(&payload);
        let reading = Reading { role: Role::Client, limits, agreed: Some(&agreed) };
        let whole = reading.receive_in_all_ways(&wire, pieces(&wire, &cuts));
        prop_assert!(whole.iter().all(|got| matches!(got, Got::Text(_) | Got::Binary(_) | Got::Error(_))));
    }
}

/// The compressed payload of a binary message from a client; its window stays as it was agreed.
struct Bomb {
    first: Vec<u8>,
    /// May be repeated at will, 1 MiB of zeros each.
    more: Vec<u8>,
}

const MIB: usize = 1 << 20;

fn bomb() -> Bomb {
    let open = DeflateConfig { mem_level: 9, ..DeflateConfig::for_role(Role::Server) };
    let [agreed, _] = agree(open, DeflateConfig { client_max_window_bits: 15, ..open });
    let mut sender = Sender::with_deflate(Role::Server, Some(&agreed));
    let zeros = vec![0; MIB];
    // As the first fragments of a message, so that each ends with a flush; the header taken off.
    let mut fragment = |first| {
        let mut out = Vec::new();
        sender.fragment(Kind::Binary, &zeros, first, false, &mut out).unwrap();
        out.split_off(4)
    };
    let first = fragment(true);
    let more = fragment(false);
    assert!(more.len() < 2000, "{}", more.len());
    Bomb { first, more }
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    let mut frame = match u16::try_from(length) {
        Ok(short @ 126..) => [&[first, 126][..], &short.to_be_bytes()].concat(),
        Ok(tiny) => vec![first, tiny as u8],
        Err(_) => [&[first, 127, 0, 0, 0, 0][..], &length.to_be_bytes()].concat(),
    };
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn a_gibibyte_of_zeros_stays_within_the_limit() {
    let Bomb { first, more } = bomb();
    let whole = frame(0xc2, &[first.clone(), more.repeat(1023)].concat());
    assert!(whole.len() < 2 * MIB, "{}", whole.len());
    let fragments: Vec<u8> =
        std::iter::once(frame(0x42, &first)).chain((0..1023).map(|_| frame(0x00, &more))).flatten().collect();
    let limit = 4 * MIB;
    let limits = Limits { max_message_size: limit, ..Limits::default() };
    let open = DeflateConfig::for_role(Role::Client);
    let [agreed, _] = agree(open, open);
    for wire in [&whole, &fragments] {
        for chunk in [64 * 1024, 1000, wire.len()] {
            let mut receiver = Receiver::with_deflate(Role::Client, limits, Some(&agreed));
            let mut part = vec![0; chunk];
            let (mut error, mut fed) = (None, 0);
            let watch = Watch::start();
            for piece in wire.chunks(chunk) {
                part[..piece.len()].copy_from_slice(piece);
                fed += piece.len();
                match receiver.next(&mut Input::new(&mut part[..piece.len()])) {
                    Ok(None) => {}
                    Ok(Some(message)) => panic!("{message:?}"),
                    Err(failed) => {
                        error = Some(failed);
                        break;
                    }
                }
            }
            let (held, peak) = (watch.held(), watch.peak());
            assert_eq!(error, Some(ProtocolError::MessageTooBig { limit, size: limit as u64 + 1 }));
            assert_eq!(error.map(|error| error.close_code()), Some(1009));
            assert!(peak <= limit + 1024, "{peak} bytes, limit {limit}");
            assert_eq!(held, 0, "memory held after the error");
            assert!(!receiver.holds_context());
            // It fails at the chunk that takes it over the limit, not at the end.
            assert!(chunk == wire.len() || fed < 8 * 1024 + chunk, "{fed}");
        }
    }
}

#[test]
fn the_limit_and_one_past_it() {
    let open = DeflateConfig { threshold: 0, ..DeflateConfig::for_role(Role::Client) };
    let limits = Limits { max_message_size: 200, ..Limits::default() };
    let noise: Vec<u8> = (0..201_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
    for (from, agreed, to, theirs) in directions(agree(open, open)) {
        for payload in [vec![b'a'; 201], noise.clone()] {
            for cut in [None, Some(1), Some(150), Some(200)] {
                let wire = |size: usize| {
                    let (mut sender, mut out) = (Sender::with_deflate(from, Some(&agreed)), Vec::new());
                    match cut {
                        None => sender.binary(&payload[..size], &mut out).unwrap(),
                        Some(cut) => {
                            sender.fragment(Kind::Binary, &payload[..cut], true, false, &mut out).unwrap();
                            sender.fragment(Kind::Binary, &payload[cut..size], false, true, &mut out).unwrap();
                        }
                    }
                    out
                };
                let good = [wire(200), wire(200)].concat();
                let expected = vec![Got::Binary(payload[..200].to_vec()); 2];
                assert_eq!(receive(to, &theirs, limits, [good.as_slice()]), expected);
                assert_eq!(receive(to, &theirs, limits, good.chunks(1)), expected);
                let expected = [Got::Error(ProtocolError::MessageTooBig { limit: 200, size: 201 })];
                let bad = wire(201);
                assert_eq!(receive(to, &theirs, limits, [bad.as_slice()]), expected);
                assert_eq!(receive(to, &theirs, limits, bad.chunks(1)), expected);
            }
        }
    }
    // A frame that claims more than any compressor makes of 200 bytes is refused at its header.
    let [agreed, _] = agree(open, open);
    for (claimed, refused) in [(276_u16, false), (277, true)] {
        for first in [&[][..], &frame(0x42, b"\x00")] {
            let opcode = if first.is_empty() { 0xc2 } else { 0x80 };
            let [high, low] = claimed.to_be_bytes();
            let wire = [first, &[opcode, 126, high, low]].concat();
            let got = receive(Role::Client, &agreed, limits, [wire.as_slice()]);
            let error = ProtocolError::MessageTooBig { limit: 200, size: claimed.into() };
            assert_eq!(got, if refused { vec![Got::Error(error)] } else { vec![] });
        }
    }
}

#[test]
fn bad_text_fails_at_the_byte_that_shows_it() {
    // Level 0 stores the text, so it is known which byte of the frame is which of the text.
    let config = DeflateConfig { level: 0, ..DeflateConfig::for_role(Role::Server) };
    let [agreed, theirs] = agree(DeflateConfig::for_role(Role::Client), config);
    let mut payload = vec![b'a'; 1000];
    payload[500..502].copy_from_slice(b"\xf4\x90");
    let mut wire = Vec::new();
    Sender::with_deflate(Role::Server, Some(&theirs)).binary(&payload, &mut wire).unwrap();
    wire[0] = 0xc1;
    let bad = wire.windows(2).position(|two| two == b"\xf4\x90").unwrap() + 1;
    let reading = Reading { role: Role::Client, limits: Limits::default(), agreed: Some(&agreed) };
    let mut receiver = reading.receiver();
    assert_eq!(reading.feed(&mut receiver, &wire[..bad]), []);
    assert_eq!(reading.feed(&mut receiver, &wire[bad..=bad]), [Got::Error(ProtocolError::TextNotUtf8)]);
    assert_eq!((receiver.held(), receiver.holds_context()), (0, false));

    // Cut off inside a character; and the same rule first in whatever pieces it comes.
    let mut wire = Vec::new();
    let mut sender = Sender::with_deflate(Role::Server, Some(&theirs));
    let text = [vec![b'a'; 100], "\u{20ac}".into()].concat();
    sender.fragment(Kind::Binary, &text[..101], true, false, &mut wire).unwrap();
    sender.fragment(Kind::Binary, &text[101..], false, true, &mut wire).unwrap();
    sender.binary(&text[..102], &mut wire).unwrap();
    wire[0] = 0x41;
    let second = wire.iter().rposition(|&byte| byte == 0xc2).unwrap();
    wire[second] = 0xc1;
    let expected = [Got::Text(String::from_utf8(text).unwrap()), Got::Error(ProtocolError::TextNotUtf8)];
    assert_eq!(receive(Role::Client, &agreed, Limits::default(), [wire.as_slice()]), expected);
    assert_eq!(receive(Role::Client, &agreed, Limits::default(), wire.chunks(1)), expected);
}

#[test]
fn compressed_without_agreement_or_in_the_wrong_place() {
    let open = DeflateConfig::for_role(Role::Client);
    let [agreed, _] = agree(open, open);
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let reading = Reading { role: Role::Client, limits: Limits::default(), agreed: None };
    let mut receiver = reading.receiver();
    let error = Got::Error(ProtocolError::ReservedBits { bits: 0b100 });
    assert_eq!(reading.feed(&mut receiver, &frame(0xc1, hello)), [error]);
    for (wire, opcode) in [
        ([frame(0x41, &hello[..3]), frame(0xc0, &hello[3..])].concat(), 0),
        ([frame(0x01, b"He"), frame(0xc0, b"llo")].concat(), 0),
        (frame(0xc9, b""), 9),
        (frame(0xca, b""), 10),
        (frame(0xc8, b""), 8),
    ] {
        let expected = [Got::Error(ProtocolError::CompressedBit { opcode })];
        assert_eq!(receive(Role::Client, &agreed, Limits::default(), [wire.as_slice()]), expected);
        assert_eq!(receive(Role::Client, &agreed, Limits::default(), wire.chunks(1)), expected);
    }
    // A control frame within a compressed message is as it is, and an uncompressed message may follow.
    let wire = [frame(0x41, &hello[..3]), frame(0x89, hello), frame(0x80, &hello[3..]), frame(0x81, b"Hello")].concat();
    let hello_text = || Got::Text("Hello".into());
    let expected = [Got::Ping(hello.to_vec()), hello_text(), hello_text()];
    assert_eq!(receive(Role::Client, &agreed, Limits::default(), [wire.as_slice()]), expected);
    assert_eq!(receive(Role::Client, &agreed, Limits::default(), wire.chunks(1)), expected);
}
