//! ITU-T G.711 µ-law and A-law, to the bit as ITU-T G.191's reference has them.
//!
//! A G.711 code is a tiny floating-point number (a sign, a 3-bit exponent, a 4-bit mantissa), so the
//! exponent and the top mantissa bits of an `f32` make the code, and the other way round. Free of
//! branches and tables, the loops become SIMD. The tests hold G.191's own formulation beside them.

/// Bits of an `f32` below the four mantissa bits that a code keeps.
const SHIFT: u32 = 19;
/// Half a quantisation step: the bit below those four.
const HALF: u32 = 1 << (SHIFT - 1);
/// 2^23: adding it to a smaller whole number leaves that number in the low bits of the `f32`.
const TO_LOW_BITS: f32 = 8_388_608.0;

/// `2^exponent` as an `f32` has it, seen after a shift by `SHIFT`.
const fn octave(exponent: i32) -> i32 {
    (127 + exponent) << 4
}

/// The µ-law code of a sample.
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    // One's complement of negatives, 14-bit domain, bias 33, clipped to 13 bits: 33..=8191.
    let negative = sample >> 15;
    let magnitude = (((sample ^ negative) >> 2) + 33).min(0x1FFF);
    let code = (f32::from(magnitude).to_bits() >> SHIFT) as i32 - octave(5);
    (code as u8 ^ 0x7F) | (!negative as u8 & 0x80)
}

/// The sample of a µ-law code.
#[inline]
pub fn ulaw_decode(code: u8) -> i16 {
    let bits = ((i32::from(!code & 0x7F) + octave(7)) as u32) << SHIFT | HALF;
    with_sign_of(code, f32::from_bits(bits) - 132.0)
}

/// The A-law code of a sample.
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    // One's complement of negatives, 12-bit domain: 0..=2047. Below 16 the code is linear.
    let negative = sample >> 15;
    let magnitude = (sample ^ negative) >> 4;
    let floating = (f32::from(magnitude).to_bits() >> SHIFT) as i32 - octave(3);
    let code = if magnitude > 15 { floating } else { i32::from(magnitude) };
    (code as u8 | (!negative as u8 & 0x80)) ^ 0x55
}

/// The sample of an A-law code.
#[inline]
pub fn alaw_decode(code: u8) -> i16 {
    // Below 16 the code is linear.
    let magnitude = i32::from((code ^ 0x55) & 0x7F);
    let bits = ((magnitude + octave(7)) as u32) << SHIFT | HALF;
    let magnitude = if magnitude > 15 { f32::from_bits(bits) } else { (magnitude * 16 + 8) as f32 };
    with_sign_of(code, magnitude)
}

/// A whole number below 2^15 as a sample; both laws set the top bit of the code for positive ones.
#[inline]
fn with_sign_of(code: u8, magnitude: f32) -> i16 {
    let magnitude = (magnitude + TO_LOW_BITS).to_bits() as i16;
    let negative = i16::from(code >> 7) - 1;
    (magnitude ^ negative) - negative
}

/// Appends the µ-law codes of `pcm`.
pub fn ulaw_encode_into(pcm: &[i16], out: &mut Vec<u8>) {
    map_into(pcm, out, ulaw_encode);
}

/// Appends the samples of µ-law `codes`.
pub fn ulaw_decode_into(codes: &[u8], out: &mut Vec<i16>) {
    map_into(codes, out, ulaw_decode);
}

/// Appends the A-law codes of `pcm`.
pub fn alaw_encode_into(pcm: &[i16], out: &mut Vec<u8>) {
    map_into(pcm, out, alaw_encode);
}

/// Appends the samples of A-law `codes`.
pub fn alaw_decode_into(codes: &[u8], out: &mut Vec<i16>) {
    map_into(codes, out, alaw_decode);
}

/// Appends `convert` of each item, in the widest SIMD that the CPU has.
#[inline]
fn map_into<A: Copy, B>(input: &[A], out: &mut Vec<B>, convert: impl Fn(A) -> B) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has the feature, as was just asked.
        unsafe { map_into_avx2(input, out, convert) };
        return;
    }
    out.extend(input.iter().map(|&item| convert(item)));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn map_into_avx2<A: Copy, B>(input: &[A], out: &mut Vec<B>, convert: impl Fn(A) -> B) {
    out.extend(input.iter().map(|&item| convert(item)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ITU-T G.191, `g711.c`, in its own words: segments found by shifting.
    mod g191 {
        pub fn ulaw_compress(sample: i16) -> u8 {
            let sample = i32::from(sample);
            let magnitude = if sample < 0 { !sample } else { sample };
            let magnitude = ((magnitude >> 2) + 33).min(0x1FFF);
            let mut segment = 1;
            let mut rest = magnitude >> 6;
            while rest != 0 {
                segment += 1;
                rest >>= 1;
            }
            let high = 8 - segment;
            let low = 15 - ((magnitude >> segment) & 15);
            let code = (high << 4) | low;
            (if sample >= 0 { code | 0x80 } else { code }) as u8
        }

        pub fn ulaw_expand(code: u8) -> i16 {
            let sign = if code < 0x80 { -1 } else { 1 };
            let inverted = !i32::from(code);
            let exponent = (inverted >> 4) & 7;
            let mantissa = inverted & 15;
            let step = 4 << (exponent + 1);
            (sign * ((0x80 << exponent) + step * mantissa + step / 2 - 4 * 33)) as i16
        }

        pub fn alaw_compress(sample: i16) -> u8 {
            let sample = i32::from(sample);
            let mut code = (if sample < 0 { !sample } else { sample }) >> 4;
            if code > 15 {
                let mut exponent = 1;
                while code > 16 + 15 {
                    code >>= 1;
                    exponent += 1;
                }
                code = code - 16 + (exponent << 4);
            }
            if sample >= 0 {
                code |= 0x80;
            }
            (code ^ 0x55) as u8
        }

        pub fn alaw_expand(code: u8) -> i16 {
            let bits = i32::from(code ^ 0x55) & 0x7F;
            let exponent = bits >> 4;
            let mut mantissa = bits & 15;
            if exponent > 0 {
                mantissa += 16;
            }
            mantissa = (mantissa << 4) + 8;
            if exponent > 1 {
                mantissa <<= exponent - 1;
            }
            (if code > 127 { mantissa } else { -mantissa }) as i16
        }
    }

    #[test]
    fn every_sample_encodes_as_g191_says() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(ulaw_encode(sample), g191::ulaw_compress(sample), "{sample}");
            assert_eq!(alaw_encode(sample), g191::alaw_compress(sample), "{sample}");
        }
    }

    #[test]
    fn every_code_decodes_as_g191_says() {
        for code in 0..=u8::MAX {
            assert_eq!(ulaw_decode(code), g191::ulaw_expand(code), "{code}");
            assert_eq!(alaw_decode(code), g191::alaw_expand(code), "{code}");
        }
    }

    #[test]
    fn the_loops_agree_with_the_single_sample_and_append() {
        let pcm: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let (mut ulaw, mut alaw) = (vec![1], vec![2]);
        ulaw_encode_into(&pcm, &mut ulaw);
        alaw_encode_into(&pcm, &mut alaw);
        assert_eq!((ulaw[0], alaw[0]), (1, 2));
        for (index, &sample) in pcm.iter().enumerate() {
            assert_eq!(ulaw[index + 1], ulaw_encode(sample));
            assert_eq!(alaw[index + 1], alaw_encode(sample));
        }
        let codes: Vec<u8> = (0..=u8::MAX).collect();
        let (mut from_ulaw, mut from_alaw) = (vec![3], vec![4]);
        ulaw_decode_into(&codes, &mut from_ulaw);
        alaw_decode_into(&codes, &mut from_alaw);
        assert_eq!((from_ulaw[0], from_alaw[0]), (3, 4));
        for (index, &code) in codes.iter().enumerate() {
            assert_eq!(from_ulaw[index + 1], ulaw_decode(code));
            assert_eq!(from_alaw[index + 1], alaw_decode(code));
        }
    }

    #[test]
    fn known_values() {
        assert_eq!((ulaw_encode(0), ulaw_decode(0xFF)), (0xFF, 0));
        assert_eq!((alaw_encode(0), alaw_decode(0xD5)), (0xD5, 8));
        assert_eq!((ulaw_decode(0x00), ulaw_decode(0x80)), (-32_124, 32_124));
        assert_eq!((alaw_decode(0x2A), alaw_decode(0xAA)), (-32_256, 32_256));
    }
}
