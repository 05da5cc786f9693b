//! Chunks of codecs with a memory: decoded in order, once, whatever way they come; and what stands in for lost ones.

use proptest::prelude::*;

use super::*;
use crate::media::codec::Encoder;
use crate::media::encoding::Encoding;
use crate::media::opus::{self, EncoderConfig, FrameDuration};

const SECOND: Duration = Duration::from_secs(1);

fn supply(encoding: Encoding, room: Duration, conceal: bool) -> Supply {
    let rate = encoding.sample_rate();
    Supply::new(rate, Decoder::new(encoding), Playout::new(rate, room), conceal, None)
}

/// Something like a voice: harmonics of a gliding pitch, in syllables.
fn voice(rate: u32, samples: usize) -> Vec<i16> {
    let mut phase = 0.0;
    (0..samples)
        .map(|n| {
            let t = n as f64 / f64::from(rate);
            phase += (120.0 + 30.0 * (t * 3.0).sin()) / f64::from(rate);
            let level = 0.55 + 0.45 * (t * 20.0).sin();
            let sum: f64 = (1..20).map(|k| (std::f64::consts::TAU * phase * f64::from(k)).sin() / f64::from(k)).sum();
            (sum * level * 5000.0) as i16
        })
        .collect()
}

fn encoded(encoding: Encoding, config: EncoderConfig, pcm: &[i16]) -> Vec<Vec<u8>> {
    let (mut encoder, mut bytes, mut chunks) = (Encoder::new(encoding, config).unwrap(), vec![], vec![]);
    let frame = encoding.sample_rate() as usize / 50;
    for pcm in pcm.chunks(frame) {
        encoder.encode(pcm, &mut bytes, |chunk, _| chunks.push(chunk.to_vec())).unwrap();
    }
    chunks
}

/// All there is, in frames of 20 ms.
fn played(supply: &mut Supply) -> Vec<i16> {
    let (mut out, frame) = (vec![], supply.rate as usize / 50);
    while !supply.is_dry() {
        supply.frame(frame, &mut out);
    }
    out
}

fn pushed(supply: &mut Supply, number: usize, payload: &[u8]) -> Pushed {
    supply.push(Some(number as u64), payload, false).unwrap()
}

const REMEMBER: [Encoding; 3] = [Encoding::G722, Encoding::Opus, Encoding::OggOpus];

#[test]
fn chunks_that_come_out_of_order_are_decoded_in_order() {
    for encoding in REMEMBER {
        let pcm = voice(encoding.sample_rate(), encoding.sample_rate() as usize);
        let chunks = encoded(encoding, EncoderConfig::default(), &pcm);
        let mut calm = supply(encoding, 10 * SECOND, true);
        for (n, chunk) in chunks.iter().enumerate() {
            pushed(&mut calm, n, chunk);
        }
        let expected = played(&mut calm);
        assert!(expected.len() + 1000 > pcm.len(), "{encoding:?}: {} samples", expected.len());
        // In threes, the last one first, and each twice; Ogg begins with its head.
        let mut rough = supply(encoding, 10 * SECOND, true);
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        order[1..].chunks_mut(3).for_each(<[usize]>::reverse);
        let mut duplicates = 0;
        for n in order {
            pushed(&mut rough, n, &chunks[n]);
            duplicates += usize::from(pushed(&mut rough, n, &chunks[n]).duplicate);
        }
        assert_eq!(duplicates, chunks.len(), "{encoding:?}");
        assert_eq!(rough.available(), if encoding == Encoding::OggOpus { rough.available() } else { expected.len() });
        assert!(played(&mut rough) == expected, "{encoding:?} sounds other than in order");
        assert_eq!((rough.shaped(), rough.playout().lost()), (Shaped::default(), 0), "{encoding:?}");
    }
}

#[test]
fn while_it_plays_a_late_chunk_comes_into_its_place() {
    for encoding in [Encoding::G722, Encoding::Opus] {
        let frame = encoding.sample_rate() as usize / 50;
        let chunks = encoded(encoding, EncoderConfig::default(), &voice(encoding.sample_rate(), 50 * frame));
        let (mut calm, mut rough) = (supply(encoding, SECOND, true), supply(encoding, SECOND, true));
        let (mut expected, mut heard) = (vec![], vec![]);
        for n in 0..40 {
            pushed(&mut calm, n, &chunks[n]);
            // Two ahead; each fifth comes after the next one.
            let late = |n: usize| n % 5 == 3;
            let now = if late(n) {
                n + 1
            } else if n > 0 && late(n - 1) {
                n - 1
            } else {
                n
            };
            pushed(&mut rough, now, &chunks[now]);
            if n >= 2 {
                calm.frame(frame, &mut expected);
                rough.frame(frame, &mut heard);
            }
        }
        assert!(heard == expected, "{encoding:?}");
        assert_eq!(rough.shaped(), Shaped::default());
    }
}

#[test]
fn a_packet_is_no_packet_before_it_waits() {
    let mut supply = supply(Encoding::Opus, SECOND, true);
    // Two frames of one length in an odd number of bytes; and one that is longer than the packet.
    for malformed in [[0x79, 1, 2, 3].as_slice(), &[0x7A, 200, 1], &[]] {
        let error = supply.push(Some(1), malformed, false).unwrap_err();
        assert_eq!(error, PayloadError::Opus(opus::OpusError::Packet { bytes: malformed.len() }));
    }
    assert!(supply.is_dry());
}

#[test]
fn what_waits_is_bounded_in_samples_and_in_bytes() {
    // 120 ms in two bytes: 8 of them fit into a second.
    let mut long = supply(Encoding::Opus, SECOND, true);
    let packets: Vec<Pushed> = (0..20).map(|n| pushed(&mut long, n, &[0x1B, 0x02])).collect();
    assert_eq!(packets.iter().filter(|pushed| pushed.accepted == 5760).count(), 8);
    assert_eq!(packets[8], Pushed { discarded: 5760, overflow: 5760, ..Pushed::default() });
    assert_eq!(long.available(), 8 * 5760);
    // 2.5 ms in 1200 bytes, more than the PCM that it stands for.
    let mut dense = supply(Encoding::Opus, SECOND, true);
    let packet = [[0xE0].as_slice(), &[0x55; 1200]].concat();
    let accepted: usize = (0..400).map(|n| pushed(&mut dense, n, &packet).accepted).sum();
    assert!(accepted > 0 && accepted / 120 * packet.len() <= 96_000, "{} packets", accepted / 120);
    // G.722 is cut where it does not fit.
    let mut cut = supply(Encoding::G722, SECOND, true);
    let big = pushed(&mut cut, 1, &[0x55; 9000]);
    assert_eq!((big.accepted, big.overflow, big.discarded), (16_000, 2000, 2000));
    assert_eq!(played(&mut cut).len(), 16_000);
    // What comes after something that is missing waits, and is bounded, too.
    let mut ogg = supply(Encoding::OggOpus, SECOND, true);
    pushed(&mut ogg, 1, b"OggS");
    for n in 3..5000 {
        pushed(&mut ogg, n, &[0; 100]);
    }
    assert!(ogg.playout().memory() < 300_000, "{} bytes", ogg.playout().memory());
}

#[test]
fn room_for_a_long_chunk_is_given_back() {
    for encoding in [Encoding::pcm16(8000), Encoding::G722] {
        let mut supply = supply(encoding, SECOND, true);
        supply.push(None, &vec![1; 4 << 20], false).unwrap();
        played(&mut supply);
        scratch::samples(|room| assert!(room.capacity() < 1 << 20));
    }
}

#[test]
fn a_lost_packet_is_recovered_from_the_next_one_or_concealed() {
    let robust = EncoderConfig { fec: true, expected_loss: 20, bitrate: Some(32_000), ..EncoderConfig::default() };
    let pcm = voice(opus::RATE, 2 * opus::RATE as usize);
    for (config, recovers) in [(robust, true), (EncoderConfig::default(), false)] {
        let chunks = encoded(Encoding::Opus, config, &pcm);
        // One, two in a row, one; after each a packet that repeats it, if any does.
        let repeated = |n: &usize| opus::has_fec(&chunks[n + 1]) == recovers;
        let [one, two, three] = [10, 40, 70].map(|from| (from..from + 20).find(repeated).unwrap());
        let lost = [one, two - 1, two, three];
        let mut supply = supply(Encoding::Opus, 10 * SECOND, true);
        for (n, chunk) in chunks.iter().enumerate().filter(|(n, _)| !lost.contains(n)) {
            pushed(&mut supply, n, chunk);
        }
        let heard = played(&mut supply);
        assert_eq!(heard.len(), chunks.len() * 960);
        let Shaped { concealed, recovered, gaps, .. } = supply.shaped();
        // Of two in a row the first is beyond what the packet after them has.
        let expected = if recovers { (960, 3 * 960, 1) } else { (4 * 960, 0, 3) };
        assert_eq!((concealed, recovered, gaps), expected);
        let level = super::super::pcm::rms_dbfs(&heard[one * 960..(one + 1) * 960]);
        assert!(level > -30.0, "silence instead of speech: {level} dBFS");
    }
}

#[test]
fn without_concealment_gaps_are_left_out() {
    let chunks = encoded(Encoding::Opus, EncoderConfig::default(), &voice(opus::RATE, 48_000));
    let mut supply = supply(Encoding::Opus, 10 * SECOND, false);
    for (n, chunk) in chunks.iter().enumerate().filter(|(n, _)| n % 10 != 5) {
        pushed(&mut supply, n, chunk);
    }
    assert_eq!(played(&mut supply).len(), 45 * 960);
    assert_eq!(supply.shaped(), Shaped::default());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_of_any_length_in_any_order(seed: u64, frame in 0usize..6, opus: bool) {
        let encoding = if opus { Encoding::Opus } else { Encoding::G722 };
        let config = EncoderConfig { frame: FrameDuration::ALL[frame], complexity: 0, ..EncoderConfig::default() };
        let chunks = encoded(encoding, config, &voice(encoding.sample_rate(), encoding.sample_rate() as usize / 2));
        let mut calm = supply(encoding, 10 * SECOND, true);
        for (n, chunk) in chunks.iter().enumerate() {
            pushed(&mut calm, n, chunk);
        }
        let mut order: Vec<usize> = (0..chunks.len()).collect();
        let mut state = seed | 1;
        for n in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Not so far that an early one counts as the beginning of a new numbering.
            order.swap(n, n - (state >> 33) as usize % n.min(8));
        }
        let mut rough = supply(encoding, 10 * SECOND, true);
        for n in order {
            pushed(&mut rough, n, &chunks[n]);
        }
        prop_assert!(played(&mut calm) == played(&mut rough));
        prop_assert_eq!(rough.shaped(), Shaped::default());
    }
}
