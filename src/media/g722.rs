//! ITU-T G.722 at 64 kbit/s (mode 1): 16 kHz audio in two sub-bands of ADPCM, a byte for two samples.
//!
//! Fixed-point arithmetic as the recommendation prescribes it, block by block under its names, so that the bits are the same
//! everywhere. Nothing here knows a packet or a clock (which RTP counts at 8 kHz by an old mistake, RFC 3551 section 4.5.2).

mod band;
mod qmf;

use band::{HIGH, LOW, SubBand};
use qmf::{Analysis, Synthesis};

/// Samples a second.
pub const RATE: u32 = 16_000;
/// By how many samples what is decoded is late: the two filter banks together.
pub const DELAY: usize = 22;

/// Samples into bytes.
#[derive(Clone, Debug)]
pub struct Encoder {
    bank: Analysis,
    low: SubBand,
    high: SubBand,
    /// The first sample of a pair whose second has yet to come.
    pending: Option<i16>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { bank: Analysis::default(), low: SubBand::new(&LOW), high: SubBand::new(&HIGH), pending: None }
    }
}

impl Encoder {
    /// An encoder at rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a byte for each two samples. Of an odd number the last waits for the next call.
    pub fn encode_into(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        out.reserve(pcm.len() / 2 + 1);
        let mut rest = pcm;
        if let (Some(first), Some((&second, after))) = (self.pending, rest.split_first()) {
            self.pending = None;
            rest = after;
            out.push(self.pair(first, second));
        }
        let (pairs, odd) = rest.as_chunks::<2>();
        out.extend(pairs.iter().map(|&[first, second]| self.pair(first, second)));
        self.pending = self.pending.or(odd.first().copied());
    }

    fn pair(&mut self, first: i16, second: i16) -> u8 {
        let (low, high) = self.bank.split(first, second);
        let low = self.low.encode_low(low);
        let high = self.high.encode_high(high);
        (high << 6) | low
    }
}

/// Bytes into samples.
#[derive(Clone, Debug)]
pub struct Decoder {
    bank: Synthesis,
    low: SubBand,
    high: SubBand,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { bank: Synthesis::default(), low: SubBand::new(&LOW), high: SubBand::new(&HIGH) }
    }
}

impl Decoder {
    /// A decoder at rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends two samples for each byte.
    pub fn decode_into(&mut self, bytes: &[u8], out: &mut Vec<i16>) {
        out.reserve(2 * bytes.len());
        for &byte in bytes {
            let low = self.low.decode_low(byte & 0x3F);
            let high = self.high.decode_high(byte >> 6);
            out.extend_from_slice(&self.bank.join(low, high));
        }
    }
}

#[cfg(test)]
mod tests;
