//! 16-bit PCM: bytes, channels and level.
//!
//! Nothing here knows a rate or a clock. Other sample formats are `format`, two channels `channels`.

pub mod channels;
pub mod format;

pub use channels::stereo_to_mono_into;

/// Appends the samples of little-endian `bytes`; a last odd byte is left out.
pub fn from_le_bytes_into(bytes: &[u8], out: &mut Vec<i16>) {
    let (pairs, _) = bytes.as_chunks::<2>();
    out.extend(pairs.iter().map(|&pair| i16::from_le_bytes(pair)));
}

/// Appends `pcm` as little-endian bytes.
pub fn to_le_bytes_into(pcm: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * pcm.len(), 0);
    to_le_bytes(pcm, &mut out[start..]);
}

/// Writes `pcm` as little-endian bytes, as far as there is room.
pub fn to_le_bytes(pcm: &[i16], out: &mut [u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, sample) in pairs.iter_mut().zip(pcm) {
        *pair = sample.to_le_bytes();
    }
}

/// RMS level in dB re full-scale square (32768 is 0 dBFS, a full-scale sine is -3.01).
/// Zeros, and no samples at all, are negative infinity.
pub fn rms_dbfs(pcm: &[i16]) -> f32 {
    let energy: i64 = pcm.iter().map(|&sample| i64::from(i32::from(sample) * i32::from(sample))).sum();
    if energy == 0 {
        return f32::NEG_INFINITY;
    }
    let mean = energy as f64 / pcm.len() as f64;
    (10.0 * (mean / (32_768.0 * 32_768.0)).log10()) as f32
}

/// The largest magnitude, 0..=32768; 0 for no samples.
pub fn peak(pcm: &[i16]) -> u16 {
    pcm.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_little_endian() {
        let (mut bytes, mut pcm) = (vec![9], vec![]);
        to_le_bytes_into(&[1, -2, i16::MIN], &mut bytes);
        assert_eq!(bytes, [9, 1, 0, 0xFE, 0xFF, 0x00, 0x80]);
        from_le_bytes_into(&bytes[1..], &mut pcm);
        from_le_bytes_into(&[5, 0, 6], &mut pcm);
        assert_eq!(pcm, [1, -2, i16::MIN, 5]);
    }

    #[test]
    fn level_is_relative_to_a_full_scale_square() {
        assert!(rms_dbfs(&[i16::MIN; 160]).abs() < 1e-6);
        assert!((rms_dbfs(&[16_384, -16_384]) + 6.0206).abs() < 1e-3);
        let sine: Vec<i16> =
            (0..8000).map(|n| (32_767.0 * (f64::from(n) * 0.1 * std::f64::consts::TAU).sin()) as i16).collect();
        assert!((rms_dbfs(&sine) + 3.0103).abs() < 0.01);
        for silence in [[].as_slice(), &[0; 160]] {
            let level = rms_dbfs(silence);
            assert!(level.is_infinite() && level.is_sign_negative());
        }
    }

    #[test]
    fn peak_reaches_full_scale() {
        assert_eq!(peak(&[]), 0);
        assert_eq!(peak(&[0, 3, -4]), 4);
        assert_eq!(peak(&[i16::MAX, i16::MIN]), 32_768);
    }
}
