//! Properties of frames and messages: how the bytes are cut never matters, and what one side sends the other reads.

use proptest::{collection::vec, prelude::*, sample::Index};
use voxwire::proto::{Limits, Role, Utf8Validator};

use crate::{
    generate::{Payload, Send, pieces, send, sent},
    wire::Reading,
};

fn reading(role: Role, limits: Limits) -> Reading<'static> {
    Reading { role, limits, agreed: None }
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
            let (wire, expected) = sent(from, None, &sends);
            prop_assert_eq!(&reading(to, Limits::default()).receive([wire.as_slice()]), &expected);
            prop_assert_eq!(&reading(to, Limits::default()).receive(pieces(&wire, &cuts)), &expected);
            prop_assert_eq!(&reading(to, Limits::default()).receive(wire.chunks(chunk)), &expected);
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
            let (mut wire, _) = sent(from, None, &sends);
            for (at, byte) in &damage {
                *at.get_mut(&mut wire) = *byte;
            }
            reading(to, limits).receive_in_all_ways(&wire, pieces(&wire, &cuts));
        }
    }

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        bytes in vec(prop_oneof![any::<u8>(), 0x80..0x8b_u8, 0..4_u8], 0..200),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let limits = Limits { max_message_size: 64, max_fragments: 3 };
        for role in [Role::Client, Role::Server] {
            reading(role, limits).receive_in_all_ways(&bytes, pieces(&bytes, &cuts));
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
            let (wire, expected) = sent(from, None, &[Send::Whole(Payload::Binary(vec![0xa5; size]))]);
            assert_eq!(reading(to, Limits::default()).receive([wire.as_slice()]), expected, "{size}");
            assert_eq!(reading(to, Limits::default()).receive(wire.chunks(60_000)), expected, "{size}");
        }
    }
}
