//! Sample formats of raw PCM: bytes to 16-bit samples and back.
//!
//! One channel or several interleaved, it does not matter here. The rules, exactly:
//!
//! | format | to 16 bits | from 16 bits |
//! |---|---|---|
//! | `s16le`, `s16be` | the value | the value |
//! | `u8` (128 is zero) | (v - 128) · 256 | nearest, halves upwards, 127.5 and more clipped to 127; + 128 |
//! | `s24le` | v / 256 to the nearest, halves upwards, clipped to 32767 | v · 256 |
//! | `f32le` (±1 is full scale) | v · 32768 to the nearest, halves to even, clipped; NaN is 0 | v / 32768 |
//!
//! From 16 bits to any of them but `u8` and back is the identity, and from `u8` to 16 bits and back.

use thiserror::Error;

use super::{from_le_bytes_into, to_le_bytes_into};

/// How a sample is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SampleFormat {
    /// Signed 16 bits, little-endian: what the core works with.
    #[default]
    S16Le,
    /// Signed 16 bits, big-endian (network order: L16 of RFC 3551).
    S16Be,
    /// Unsigned 8 bits.
    U8,
    /// Signed 24 bits in three bytes, little-endian.
    S24Le,
    /// 32-bit float, little-endian.
    F32Le,
}

/// Bytes that are no whole number of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("PCM: {bytes} bytes of {name}; expected a multiple of {width}", name = .format.name(), width = .format.width())]
pub struct PartialSample {
    /// How many bytes.
    pub bytes: usize,
    /// Of which format.
    pub format: SampleFormat,
}

impl SampleFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::S16Le, Self::S16Be, Self::U8, Self::S24Le, Self::F32Le];

    /// As ffmpeg and `SoX` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::S16Le => "s16le",
            Self::S16Be => "s16be",
            Self::U8 => "u8",
            Self::S24Le => "s24le",
            Self::F32Le => "f32le",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// Bytes of a sample.
    pub fn width(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::S16Le | Self::S16Be => 2,
            Self::S24Le => 3,
            Self::F32Le => 4,
        }
    }

    /// Appends the samples of `bytes` to `out`; on an error `out` is as before.
    pub fn decode_into(self, bytes: &[u8], out: &mut Vec<i16>) -> Result<(), PartialSample> {
        if !bytes.len().is_multiple_of(self.width()) {
            return Err(PartialSample { bytes: bytes.len(), format: self });
        }
        match self {
            Self::S16Le => from_le_bytes_into(bytes, out),
            Self::S16Be => out.extend(bytes.as_chunks().0.iter().map(|&pair| i16::from_be_bytes(pair))),
            Self::U8 => out.extend(bytes.iter().map(|&byte| (i16::from(byte) - 128) << 8)),
            Self::S24Le => out.extend(bytes.as_chunks().0.iter().map(|&three| from_s24(three))),
            Self::F32Le => out.extend(bytes.as_chunks().0.iter().map(|&four| from_f32(f32::from_le_bytes(four)))),
        }
        Ok(())
    }

    /// Appends the bytes of `pcm` to `out`.
    pub fn encode_into(self, pcm: &[i16], out: &mut Vec<u8>) {
        let start = out.len();
        if self != Self::S16Le {
            out.resize(start + self.width() * pcm.len(), 0);
        }
        let place = out.get_mut(start..).unwrap_or_default();
        match self {
            Self::S16Le => to_le_bytes_into(pcm, out),
            Self::S16Be => {
                for (pair, sample) in place.as_chunks_mut().0.iter_mut().zip(pcm) {
                    *pair = sample.to_be_bytes();
                }
            }
            Self::U8 => {
                for (byte, &sample) in place.iter_mut().zip(pcm) {
                    *byte = to_u8(sample);
                }
            }
            Self::S24Le => {
                for (three, sample) in place.as_chunks_mut().0.iter_mut().zip(pcm) {
                    let [low, high] = sample.to_le_bytes();
                    *three = [0, low, high];
                }
            }
            Self::F32Le => {
                for (four, &sample) in place.as_chunks_mut().0.iter_mut().zip(pcm) {
                    *four = to_f32(sample).to_le_bytes();
                }
            }
        }
    }
}

/// A sample as a float: ±1 is full scale.
#[inline]
pub fn to_f32(sample: i16) -> f32 {
    f32::from(sample) / 32_768.0
}

/// A float as a sample: the nearest, halves to even; clipped; NaN is 0.
#[inline]
pub fn from_f32(value: f32) -> i16 {
    // 1.5 * 2^23: adding it leaves no bits for a fraction, and the hardware rounds, in every lane and on every CPU.
    const NO_FRACTION: f32 = 12_582_912.0;
    let number = if value.is_nan() { 0.0 } else { value * 32_768.0 };
    let clipped = number.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    (clipped + NO_FRACTION).to_bits() as i16
}

#[inline]
fn from_s24([low, middle, high]: [u8; 3]) -> i16 {
    let wide = i32::from_le_bytes([0, low, middle, high]) >> 8;
    ((wide + 128) >> 8).min(i32::from(i16::MAX)) as i16
}

#[inline]
fn to_u8(sample: i16) -> u8 {
    let nearest = ((i32::from(sample) + 128) >> 8).min(127);
    (nearest + 128) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(format: SampleFormat, bytes: &[u8]) -> Vec<i16> {
        let mut out = vec![];
        format.decode_into(bytes, &mut out).expect("whole samples");
        out
    }

    fn encoded(format: SampleFormat, pcm: &[i16]) -> Vec<u8> {
        let mut out = vec![];
        format.encode_into(pcm, &mut out);
        out
    }

    fn every_sample() -> Vec<i16> {
        (i16::MIN..=i16::MAX).collect()
    }

    #[test]
    fn every_sample_survives_every_wider_format() {
        let all = every_sample();
        for format in [SampleFormat::S16Le, SampleFormat::S16Be, SampleFormat::S24Le, SampleFormat::F32Le] {
            let bytes = encoded(format, &all);
            assert_eq!(bytes.len(), all.len() * format.width());
            assert!(decoded(format, &bytes) == all, "{}", format.name());
        }
        assert_eq!(encoded(SampleFormat::S16Be, &[0x0102, -2]), [1, 2, 0xFF, 0xFE]);
        assert_eq!(encoded(SampleFormat::S24Le, &[0x0102, -1]), [0, 2, 1, 0, 0xFF, 0xFF]);
        assert_eq!(encoded(SampleFormat::F32Le, &[-16_384]), (-0.5f32).to_le_bytes());
    }

    #[test]
    fn every_code_of_8_bits() {
        let codes: Vec<u8> = (0..=255).collect();
        let pcm = decoded(SampleFormat::U8, &codes);
        for (&code, &sample) in codes.iter().zip(&pcm) {
            assert_eq!(i32::from(sample), (i32::from(code) - 128) * 256);
        }
        assert_eq!(encoded(SampleFormat::U8, &pcm), codes);
        // Each sample goes to the nearest code.
        let all = every_sample();
        for (&sample, &code) in all.iter().zip(&encoded(SampleFormat::U8, &all)) {
            let exact = (f64::from(sample) / 256.0 + 0.5).floor().min(127.0) + 128.0;
            assert!((f64::from(code) - exact).abs() < 1e-9, "{sample}");
        }
    }

    #[test]
    fn every_value_of_24_bits() {
        let mut bytes = vec![];
        for high in 0..=255u8 {
            bytes.clear();
            for low in 0..=0xFFFFu16 {
                let [low, middle] = low.to_le_bytes();
                bytes.extend([low, middle, high]);
            }
            let pcm = decoded(SampleFormat::S24Le, &bytes);
            for (low, &sample) in (0..=0xFFFF).zip(&pcm) {
                let value = (i32::from(high.cast_signed()) << 16) | low;
                // The nearest, halves upwards: floor(v / 256 + 1/2).
                let exact = (value + 128).div_euclid(256).min(32_767);
                assert_eq!(i32::from(sample), exact, "{value}");
            }
        }
    }

    #[test]
    fn floats_are_rounded_to_even_and_clipped() {
        let unit = 1.0 / 32_768.0;
        let table = [
            (0.0, 0),
            (-0.0, 0),
            (0.5 * unit, 0),
            (1.5 * unit, 2),
            (2.5 * unit, 2),
            (-0.5 * unit, 0),
            (-1.5 * unit, -2),
            (0.500_001 * unit, 1),
            (1.0, 32_767),
            (-1.0, -32_768),
            (32_766.5 * unit, 32_766),
            (1e30, 32_767),
            (-1e30, -32_768),
            (f32::INFINITY, 32_767),
            (f32::NEG_INFINITY, -32_768),
            (f32::NAN, 0),
            (f32::from_bits(0xFFC1_2345), 0),
            (f32::from_bits(0x7F80_0001), 0),
            (f32::from_bits(1), 0),
        ];
        for (value, expected) in table {
            assert_eq!(from_f32(value), expected, "{value}");
            assert_eq!(decoded(SampleFormat::F32Le, &value.to_le_bytes()), [expected]);
        }
    }

    #[test]
    fn half_a_sample_is_an_error_and_leaves_the_output_alone() {
        for format in SampleFormat::ALL {
            assert_eq!(SampleFormat::from_name(format.name()), Some(format));
            let mut out = vec![5];
            for bytes in 0..=13 {
                let result = format.decode_into(&vec![0; bytes], &mut out);
                assert_eq!(result.is_ok(), bytes.is_multiple_of(format.width()));
            }
            out.truncate(1);
            assert_eq!(out, [5]);
        }
        let error = SampleFormat::S24Le.decode_into(&[0; 4], &mut vec![]).expect_err("an error");
        assert_eq!(error.to_string(), "PCM: 4 bytes of s24le; expected a multiple of 3");
        assert_eq!(SampleFormat::from_name("S16BE"), Some(SampleFormat::S16Be));
        assert_eq!(SampleFormat::from_name("s8"), None);
    }

    proptest! {
        #[test]
        fn any_float_is_what_the_rule_says(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            let exact = if value.is_nan() {
                0.0
            } else {
                (f64::from(value) * 32_768.0).round_ties_even().clamp(-32_768.0, 32_767.0)
            };
            prop_assert!((f64::from(from_f32(value)) - exact).abs() < 1e-9);
        }

        #[test]
        fn what_is_there_stays(start in proptest::collection::vec(any::<u8>(), 0..9), pcm in proptest::collection::vec(any::<i16>(), 0..99)) {
            for format in SampleFormat::ALL {
                let mut out = start.clone();
                format.encode_into(&pcm, &mut out);
                prop_assert_eq!(&out[..start.len()], &start[..]);
                prop_assert_eq!(&out[start.len()..], &encoded(format, &pcm)[..]);
            }
        }
    }
}
