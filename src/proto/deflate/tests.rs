//! The examples of RFC 7692 byte for byte, and what a window of 8 bits allows.

use super::*;
use crate::proto::{Input, Kind, Limits, Message, Receiver, Sender};

fn agreed(config: DeflateConfig) -> Negotiated {
    Negotiated {
        server_no_context_takeover: config.server_no_context_takeover,
        client_no_context_takeover: config.client_no_context_takeover,
        server_max_window_bits: Some(config.server_max_window_bits),
        client_max_window_bits: Some(config.client_max_window_bits),
        config,
    }
}

/// Compresses everything that is not empty.
fn all() -> DeflateConfig {
    DeflateConfig { threshold: 0, own_max_window_bits: 15, ..DeflateConfig::for_role(Role::Server) }
}

/// What a client receives in these frames of the server; a text comes as its bytes.
fn receive(agreed: &Negotiated, wire: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut bytewise = Vec::new();
    let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), Some(agreed));
    let mut failed = Ok(());
    for byte in wire {
        failed = failed.and_then(|()| read(&mut receiver, &[*byte], &mut bytewise));
    }
    let mut whole = Vec::new();
    let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), Some(agreed));
    assert_eq!(read(&mut receiver, wire, &mut whole), failed);
    assert_eq!(whole, bytewise);
    failed.map(|()| whole)
}

fn read(receiver: &mut Receiver, chunk: &[u8], to: &mut Vec<Vec<u8>>) -> Result<(), ProtocolError> {
    let mut chunk = chunk.to_vec();
    let mut input = Input::new(&mut chunk);
    while let Some(message) = receiver.next(&mut input)? {
        to.push(match message {
            Message::Text(text) => text.as_str().as_bytes().to_vec(),
            Message::Binary(payload) => payload.into_vec(),
            Message::Ping(payload) | Message::Pong(payload) => payload.to_vec(),
            Message::Close(_) => b"close".to_vec(),
        });
    }
    Ok(())
}

#[test]
fn the_examples_of_section_7_2_3_are_read() {
    let hello = || vec![b"Hello".to_vec()];
    for (wire, expected) in [
        // 7.2.3.1: one block; in two fragments.
        (&b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..], hello()),
        (b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", hello()),
        // 7.2.3.2: the second message refers to the first.
        (b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\xc1\x05\xf2\x00\x11\x00\x00", [hello(), hello()].concat()),
        // 7.2.3.3: a block with no compression.
        (b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", hello()),
        // 7.2.3.4: BFINAL set, and the octet behind it.
        (b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", hello()),
        // 7.2.3.5: two blocks.
        (b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", hello()),
        // 7.2.3.6: an empty message.
        (b"\xc1\x01\x00", vec![vec![]]),
    ] {
        assert_eq!(receive(&agreed(all()), wire), Ok(expected), "{wire:x?}");
    }
}

#[test]
fn the_examples_of_section_7_2_3_are_sent() {
    let mut wire = Vec::new();
    let mut sender = Sender::with_deflate(Role::Server, Some(&agreed(all())));
    sender.text("Hello", &mut wire).unwrap();
    assert_eq!(wire, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    wire.clear();
    sender.text("Hello", &mut wire).unwrap();
    assert_eq!(wire, b"\xc1\x05\xf2\x00\x11\x00\x00");

    wire.clear();
    let mut stored = Sender::with_deflate(Role::Server, Some(&agreed(DeflateConfig { level: 0, ..all() })));
    stored.text("Hello", &mut wire).unwrap();
    assert_eq!(wire, b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00");

    // In fragments: each can be read when it arrives, and the tail goes from the last alone.
    wire.clear();
    let mut sender = Sender::with_deflate(Role::Server, Some(&agreed(all())));
    sender.fragment(Kind::Text, b"He", true, false, &mut wire).unwrap();
    sender.ping(b"", &mut wire).unwrap();
    sender.fragment(Kind::Text, b"llo", false, true, &mut wire).unwrap();
    assert_eq!(wire, b"\x41\x08\xf2\x48\x05\x00\x00\x00\xff\xff\x89\x00\x80\x05\xca\xc9\xc9\x07\x00");
}

#[test]
fn fragments_that_are_empty() {
    for (pieces, expected) in [
        (&[&b"Hello"[..], b""][..], &b"\x41\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x80\x01\x00"[..]),
        (&[b"Hello", b"", b""], b"\x41\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00\x00\x80\x01\x00"),
        // The first decides, and an empty one is not compressed.
        (&[b"", b"Hello"], b"\x01\x00\x80\x05Hello"),
        (&[b""], b"\x81\x00"),
    ] {
        let (mut sender, mut wire) = (Sender::with_deflate(Role::Server, Some(&agreed(all()))), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            sender.fragment(Kind::Text, piece, index == 0, index + 1 == pieces.len(), &mut wire).unwrap();
        }
        assert_eq!(wire, expected);
        // The context is as it should be for what follows.
        sender.text("Hello", &mut wire).unwrap();
        assert_eq!(receive(&agreed(all()), &wire).unwrap(), [pieces.concat(), b"Hello".to_vec()]);
    }
}

#[test]
fn behind_bfinal_the_window_stays_and_the_rest_is_read() {
    let first = b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00";
    for (second, says) in [
        // Refers to the first message.
        (&b"\xc1\x05\xf2\x00\x11\x00\x00"[..], &b"Hello"[..]),
        // BFINAL twice, then a block.
        (
            b"\xc1\x15\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"HelloHelloHello",
        ),
        // Without the octet that should be behind BFINAL.
        (b"\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        // Marked as compressed, but without a byte.
        (b"\xc1\x00", b""),
    ] {
        let wire = [&first[..], second, second].concat();
        let expected = vec![b"Hello".to_vec(), says.to_vec(), says.to_vec()];
        assert_eq!(receive(&agreed(all()), &wire), Ok(expected), "{second:x?}");
    }
}

#[test]
fn what_is_no_deflate_stream_fails_with_1002() {
    for (wire, reason) in [
        (&b"\xc1\x01\xff"[..], "invalid block type"),
        (b"\xc2\x05\x00\x05\x00\xfa\xfe", "invalid stored block lengths"),
        // Refers to what was not there.
        (b"\xc1\x05\xf2\x00\x11\x00\x00", "invalid distance too far back"),
        // A stored block of 10 bytes that ends after 3; the tail cannot make up for it.
        (b"\xc2\x08\x00\x0a\x00\xf5\xff\x48\x65\x6c", "the message ends inside a block"),
        // The tail was sent, too, so it is there twice.
        (b"\xc1\x0b\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", "the message ends inside a block"),
    ] {
        let error = receive(&agreed(all()), wire).unwrap_err();
        assert_eq!(error, ProtocolError::Inflate { reason }, "{wire:x?}");
        assert_eq!(error.close_code(), 1002);
    }
    let text = ProtocolError::Inflate { reason: "invalid block type" }.to_string();
    assert_eq!(text, "compressed message cannot be decompressed: invalid block type");
}

#[test]
fn contexts_come_with_the_first_message_and_go_without_takeover() {
    let text = "a".repeat(100);
    for no_takeover in [false, true] {
        let config = DeflateConfig { server_no_context_takeover: no_takeover, ..DeflateConfig::for_role(Role::Server) };
        let agreed = agreed(config);
        let (mut sender, mut wire) = (Sender::with_deflate(Role::Server, Some(&agreed)), Vec::new());
        let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), Some(&agreed));
        let mut got = Vec::new();
        sender.text(&text[..63], &mut wire).unwrap();
        sender.text_uncompressed(&text, &mut wire).unwrap();
        sender.binary_uncompressed(text.as_bytes(), &mut wire).unwrap();
        read(&mut receiver, &wire, &mut got).unwrap();
        assert_eq!(got.len(), 3);
        assert_eq!((sender.holds_context(), receiver.holds_context()), (false, false));

        wire.clear();
        sender.fragment(Kind::Binary, text.as_bytes(), true, false, &mut wire).unwrap();
        sender.release(); // not inside a message
        read(&mut receiver, &wire, &mut got).unwrap();
        assert_eq!((sender.holds_context(), receiver.holds_context()), (true, true));
        wire.clear();
        sender.fragment(Kind::Binary, b"b", false, true, &mut wire).unwrap();
        read(&mut receiver, &wire, &mut got).unwrap();
        assert_eq!((sender.holds_context(), receiver.holds_context()), (!no_takeover, !no_takeover));

        // A context that was freed begins anew, and the peer need not know.
        wire.clear();
        sender.release();
        assert!(!sender.holds_context());
        sender.text(&text, &mut wire).unwrap();
        sender.text(&text, &mut wire).unwrap();
        sender.close(None, &mut wire).unwrap();
        read(&mut receiver, &wire, &mut got).unwrap();
        assert_eq!(
            got[3..],
            [(text.clone() + "b").into_bytes(), text.clone().into(), text.clone().into(), b"close".into()]
        );
        assert!(!receiver.holds_context());
    }
}

#[test]
fn a_message_that_does_not_shrink_goes_as_it_is_where_none_refers_to_it() {
    let noise: Vec<u8> = (0..200_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 21) as u8).collect();
    for (no_takeover, first) in [(true, 0x82), (false, 0xc2)] {
        let agreed = agreed(DeflateConfig { server_no_context_takeover: no_takeover, ..all() });
        let (mut sender, mut wire) = (Sender::with_deflate(Role::Server, Some(&agreed)), Vec::new());
        sender.binary(&noise, &mut wire).unwrap();
        assert_eq!(wire[0], first);
        sender.binary(&noise, &mut wire).unwrap();
        assert_eq!(receive(&agreed, &wire), Ok(vec![noise.clone(), noise.clone()]));
    }
}

/// Walks a deflate stream (RFC 1951) and gives the longest distance that it refers back. Written
/// without zlib, which also takes longer distances than its window as long as the bytes are in the
/// buffer of one call.
fn longest_distance(stream: &[u8]) -> usize {
    struct Bits<'s>(&'s [u8], usize);
    impl Bits<'_> {
        fn take(&mut self, count: usize) -> usize {
            let bit = |at: usize| usize::from(self.0[at / 8] >> (at % 8) & 1);
            let value = (0..count).map(|i| bit(self.1 + i) << i).sum();
            self.1 += count;
            value
        }
        /// A symbol of the canonical code with these lengths.
        fn symbol(&mut self, lengths: &[usize]) -> usize {
            let (mut code, mut first, mut length) = (0, 0, 0);
            loop {
                length += 1;
                code = code << 1 | self.take(1);
                let of_length: Vec<usize> = (0..lengths.len()).filter(|&s| lengths[s] == length).collect();
                if code - first < of_length.len() {
                    return of_length[code - first];
                }
                first = (first + of_length.len()) << 1;
            }
        }
    }
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let (mut bits, mut longest) = (Bits(stream, 0), 0);
    while bits.1 + 8 < stream.len() * 8 {
        assert_eq!(bits.take(1), 0, "BFINAL");
        let kind = bits.take(2);
        if kind == 0 {
            bits.1 = bits.1.next_multiple_of(8);
            let length = bits.take(16);
            assert_eq!(bits.take(16), length ^ 0xffff);
            bits.1 += 8 * length;
            continue;
        }
        let (mut literals, mut distances) = (vec![8; 288], vec![5; 30]);
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        if kind == 2 {
            let (nlit, ndist, ncode) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
            let mut code = [0; 19];
            for at in &ORDER[..ncode] {
                code[*at] = bits.take(3);
            }
            let mut lengths = Vec::new();
            while lengths.len() < nlit + ndist {
                match bits.symbol(&code) {
                    16 => lengths.extend(vec![lengths[lengths.len() - 1]; 3 + bits.take(2)]),
                    17 => lengths.extend(vec![0; 3 + bits.take(3)]),
                    18 => lengths.extend(vec![0; 11 + bits.take(7)]),
                    length => lengths.push(length),
                }
            }
            distances = lengths.split_off(nlit);
            literals = lengths;
        }
        loop {
            match bits.symbol(&literals) {
                ..256 => {}
                256 => break,
                length => {
                    let extra = if (265..285).contains(&length) { (length - 261) / 4 } else { 0 };
                    bits.take(extra);
                    let distance = bits.symbol(&distances);
                    let extra = if distance < 4 { 0 } else { distance / 2 - 1 };
                    let base = if distance < 4 { distance } else { (2 + distance % 2) << extra };
                    longest = longest.max(base + bits.take(extra) + 1);
                }
            }
        }
    }
    longest
}

/// Repeats at every distance: the more a window allows, the farther what is sent will refer back.
fn repeats() -> Vec<u8> {
    let mut text = Vec::new();
    let mut state = 1_u32;
    for _ in 0..4000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.extend_from_slice(format!("{} ", state >> 23).as_bytes());
    }
    text
}

#[test]
fn nothing_sent_refers_back_beyond_the_window_that_was_agreed() {
    let text = repeats();
    for bits in WINDOW_BITS {
        let mut longest = 0;
        for (level, mem_level) in [(1, 1), (3, 9), (4, 5), (6, 5), (9, 9)] {
            let config = DeflateConfig { server_max_window_bits: bits, level, mem_level, ..all() };
            let (mut deflater, mut stream) = (agreed(config).deflater(Role::Server), Vec::new());
            for message in text.chunks(1100) {
                stream.extend(deflater.compress(message, true).unwrap());
                stream.extend(TAIL);
            }
            longest = longest.max(longest_distance(&stream));
            let mut inflater = agreed(config).inflater(Role::Client);
            let (mut out, mut wire) = (Vec::new(), stream.as_slice());
            while inflater.step(&mut wire, usize::MAX, &mut out).unwrap() {}
            assert!(out == text, "{bits} bits, level {level}");
        }
        let window = 1 << bits;
        assert!(longest <= window, "{longest} with {bits} bits");
        // And it makes use of what it may, or else the check above shows nothing.
        // (zlib stays 262 bytes below.)
        assert!(longest + 262 > (window * 3 / 4).min(text.len() / 2), "{longest} with {bits} bits");
    }
}

#[test]
fn what_we_send_keeps_to_our_own_window_where_a_larger_one_was_agreed() {
    let text = repeats();
    let longest = |own_max_window_bits| {
        let config = DeflateConfig { own_max_window_bits, ..DeflateConfig::for_role(Role::Client) };
        let more = Negotiated { client_max_window_bits: Some(15), ..agreed(config) };
        let (mut deflater, mut stream) = (more.deflater(Role::Client), Vec::new());
        for message in text.chunks(1100) {
            stream.extend(deflater.compress(message, true).unwrap());
            stream.extend(TAIL);
        }
        longest_distance(&stream)
    };
    assert!(longest(12) <= 1 << 12);
    assert!(longest(15) > 1 << 12);
}

#[test]
fn a_field_out_of_its_range_is_named() {
    let good = all();
    assert_eq!(good.check(), Ok(()));
    assert_eq!(DeflateConfig::for_role(Role::Client).check(), Ok(()));
    for (config, says) in [
        (DeflateConfig { server_max_window_bits: 7, ..good }, "server_max_window_bits is 7; expected 8 to 15"),
        (DeflateConfig { client_max_window_bits: 16, ..good }, "client_max_window_bits is 16; expected 8 to 15"),
        (DeflateConfig { level: 10, ..good }, "level is 10; expected 0 to 9"),
        (DeflateConfig { mem_level: 0, ..good }, "mem_level is 0; expected 1 to 9"),
    ] {
        assert_eq!(config.check().unwrap_err().to_string(), says);
    }
    // What was not checked does no harm: it is sent as it is.
    let (mut sender, mut wire) =
        (Sender::with_deflate(Role::Server, Some(&agreed(DeflateConfig { level: 99, ..good }))), Vec::new());
    sender.text("Hello", &mut wire).unwrap();
    assert_eq!(wire, b"\x81\x05Hello");
}
