//! Bit for bit against libg722, over speech, noise, a sweep, silence and full scale (tests/data/g722/make.py).

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::media::pcm::from_le_bytes_into;

struct Vector {
    name: &'static str,
    pcm: &'static [u8],
    codes: &'static [u8],
    out: &'static [u8],
}

macro_rules! vector {
    ($name:literal) => {
        Vector {
            name: $name,
            pcm: include_bytes!(concat!("../../../tests/data/g722/", $name, ".pcm")),
            codes: include_bytes!(concat!("../../../tests/data/g722/", $name, ".g722")),
            out: include_bytes!(concat!("../../../tests/data/g722/", $name, ".out")),
        }
    };
}

const VECTORS: [Vector; 5] = [vector!("speech"), vector!("noise"), vector!("sweep"), vector!("loud"), vector!("quiet")];
const CODES: &[u8] = include_bytes!("../../../tests/data/g722/codes.g722");
const DECODED: &[u8] = include_bytes!("../../../tests/data/g722/codes.out");

fn samples(bytes: &[u8]) -> Vec<i16> {
    let mut pcm = vec![];
    from_le_bytes_into(bytes, &mut pcm);
    pcm
}

fn encode(pcm: &[i16]) -> Vec<u8> {
    let mut out = vec![];
    Encoder::new().encode_into(pcm, &mut out);
    out
}

fn decode(codes: &[u8]) -> Vec<i16> {
    let mut out = vec![];
    Decoder::new().decode_into(codes, &mut out);
    out
}

fn first_difference<T: PartialEq>(name: &str, got: &[T], expected: &[T]) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
    assert_eq!(differs, None, "{name}: the first that differs");
}

#[test]
fn every_bit_that_is_encoded() {
    for Vector { name, pcm, codes, .. } in VECTORS {
        first_difference(name, &encode(&samples(pcm)), codes);
    }
}

#[test]
fn every_bit_that_is_decoded() {
    for Vector { name, codes, out, .. } in VECTORS {
        first_difference(name, &decode(codes), &samples(out));
    }
    first_difference("codes", &decode(CODES), &samples(DECODED));
}

#[test]
fn a_tone_comes_back_22_samples_later() {
    for (frequency, least) in [(300.0, 30.0), (1000.0, 30.0), (3000.0, 25.0), (6000.0, 10.0)] {
        let pcm: Vec<i16> = (0..16_000)
            .map(|n| (8000.0 * (TAU * frequency * f64::from(n) / f64::from(RATE)).sin()).round() as i16)
            .collect();
        let out = decode(&encode(&pcm));
        let (mut signal, mut error) = (0.0, 0.0);
        for (&want, &got) in pcm.iter().zip(&out[DELAY..]).skip(1000) {
            signal += f64::from(want).powi(2);
            error += (f64::from(want) - f64::from(got)).powi(2);
        }
        let ratio = 10.0 * (signal / f64::max(error, 1.0)).log10();
        println!("{frequency} Hz: {ratio:.1} dB");
        assert!(ratio > least, "{frequency} Hz: {ratio} dB");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn cutting_the_input_changes_nothing(
        pcm in proptest::collection::vec(any::<i16>(), 0..3000),
        cuts in proptest::collection::vec(0..200usize, 1..60),
    ) {
        let whole = encode(&pcm);
        prop_assert_eq!(whole.len(), pcm.len() / 2);
        let (mut encoder, mut codes, mut rest) = (Encoder::new(), vec![], pcm.as_slice());
        for &cut in &cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            encoder.encode_into(part, &mut codes);
            rest = after;
        }
        encoder.encode_into(rest, &mut codes);
        prop_assert_eq!(&codes, &whole);

        let (mut decoder, mut out, mut rest) = (Decoder::new(), vec![], whole.as_slice());
        for &cut in &cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            decoder.decode_into(part, &mut out);
            rest = after;
        }
        decoder.decode_into(rest, &mut out);
        prop_assert_eq!(out, decode(&whole));
    }

    #[test]
    fn any_bytes_decode(codes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        prop_assert_eq!(decode(&codes).len(), 2 * codes.len());
    }
}
