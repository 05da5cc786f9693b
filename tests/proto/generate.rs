//! Sequences of messages to send, of every kind, and what the other side must read of them.

use proptest::{collection::vec, prelude::*, sample::Index};
use voxwire::proto::{CloseFrame, Kind, Negotiated, Role, Sender};

use crate::wire::Got;

/// The pieces of `bytes` between these cuts; some may be empty.
pub fn pieces<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    ends.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}

/// Something to send.
#[derive(Clone, Debug)]
pub enum Send {
    /// A message in one frame.
    Whole(Payload),
    /// The same, not compressed whatever was agreed.
    Uncompressed(Payload),
    /// A message cut into fragments, with a ping and a pong by turns behind each but the last.
    Fragments(Payload, Vec<Index>),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// What compression remembers is forgotten.
    Release,
}

/// What a message holds.
#[derive(Clone, Debug)]
pub enum Payload {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Payload {
    fn parts(&self) -> (Kind, &[u8]) {
        match self {
            Self::Text(text) => (Kind::Text, text.as_bytes()),
            Self::Binary(bytes) => (Kind::Binary, bytes),
        }
    }

    fn got(&self) -> Got {
        match self {
            Self::Text(text) => Got::Text(text.clone()),
            Self::Binary(bytes) => Got::Binary(bytes.clone()),
        }
    }
}

/// Sizes, many around those where the header changes.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..300_usize, 2 => 124..128_usize, 1 => 65_530..65_542_usize, 1 => 0..150_000_usize]
}

/// Texts that repeat themselves and each other, with characters of every length.
fn text() -> impl Strategy<Value = String> {
    let word =
        prop_oneof![Just("one".to_owned()), Just("\u{fc}ber".to_owned()), Just("\u{1f600}".to_owned()), "\\PC{0,9}"];
    prop_oneof![
        2 => "\\PC{0,60}",
        4 => vec(word, 0..60).prop_map(|words| words.join(" ")),
        2 => (size(), "\\PC{1,3}").prop_map(|(size, piece)| piece.repeat(size / piece.len())),
    ]
}

/// Bytes that compress well, badly and not at all.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = |seed: u32, size: usize| {
        (0..size as u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
    };
    prop_oneof![
        vec(any::<u8>(), 0..200),
        (any::<u32>(), size()).prop_map(move |(seed, size)| noise(seed, size)),
        (size(), any::<u8>()).prop_map(|(size, step)| (0..size).map(|i| (i as u8).wrapping_mul(step)).collect()),
        (size(), any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![text().prop_map(Payload::Text), bytes().prop_map(Payload::Binary)]
}

/// Something to send.
pub fn send() -> impl Strategy<Value = Send> {
    prop_oneof![
        5 => payload().prop_map(Send::Whole),
        1 => payload().prop_map(Send::Uncompressed),
        3 => (payload(), vec(any::<Index>(), 0..6)).prop_map(|(payload, cuts)| Send::Fragments(payload, cuts)),
        1 => vec(any::<u8>(), 0..=125).prop_map(Send::Ping),
        1 => vec(any::<u8>(), 0..=125).prop_map(Send::Pong),
        1 => Just(Send::Release),
    ]
}

/// Sends everything, then a close; gives the bytes and what must be received.
pub fn sent(role: Role, agreed: Option<&Negotiated>, sends: &[Send]) -> (Vec<u8>, Vec<Got>) {
    let (mut sender, mut out, mut expected) = (Sender::with_deflate(role, agreed), Vec::new(), Vec::new());
    for send in sends {
        match send {
            Send::Whole(payload) => {
                match payload {
                    Payload::Text(text) => sender.text(text, &mut out).unwrap(),
                    Payload::Binary(bytes) => sender.binary(bytes, &mut out).unwrap(),
                }
                expected.push(payload.got());
            }
            Send::Uncompressed(payload) => {
                let start = out.len();
                match payload {
                    Payload::Text(text) => sender.text_uncompressed(text, &mut out).unwrap(),
                    Payload::Binary(bytes) => sender.binary_uncompressed(bytes, &mut out).unwrap(),
                }
                assert_eq!(out[start] & 0xf0, 0x80, "RSV1 is not set");
                expected.push(payload.got());
            }
            Send::Fragments(payload, cuts) => {
                let (kind, bytes) = payload.parts();
                let pieces = pieces(bytes, cuts);
                for (index, piece) in pieces.iter().enumerate() {
                    let (first, last) = (index == 0, index + 1 == pieces.len());
                    sender.fragment(kind, piece, first, last, &mut out).unwrap();
                    let between = vec![index as u8; index];
                    if last {
                        expected.push(payload.got());
                    } else if index % 2 == 0 {
                        sender.ping(&between, &mut out).unwrap();
                        expected.push(Got::Ping(between));
                    } else {
                        sender.pong(&between, &mut out).unwrap();
                        expected.push(Got::Pong(between));
                    }
                }
            }
            Send::Ping(payload) => {
                sender.ping(payload, &mut out).unwrap();
                expected.push(Got::Ping(payload.clone()));
            }
            Send::Pong(payload) => {
                sender.pong(payload, &mut out).unwrap();
                expected.push(Got::Pong(payload.clone()));
            }
            Send::Release => {
                sender.release();
                assert!(!sender.holds_context());
            }
        }
    }
    let close = CloseFrame::new(1001, "going");
    sender.close(Some(&close), &mut out).unwrap();
    expected.push(Got::Close(Some(close)));
    (out, expected)
}
