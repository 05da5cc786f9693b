//! Rate conversion of a mono stream between 8, 16, 24, 32, 44.1 and 48 kHz.
//!
//! A polyphase FIR filter (Kaiser-windowed sinc). How the samples are cut into calls never changes
//! the output. Figures, as the tests bound them: `resample/tests.rs`.

mod filter;

use filter::Filter;
use thiserror::Error;

use super::scratch;

/// The rates that can be converted into each other, in Hz.
pub const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];

/// A sample rate that the resampler does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("resampler: sample rate is {rate} Hz; expected 8000, 16000, 24000, 32000, 44100 or 48000 Hz")]
pub struct UnsupportedRate {
    /// The rate in Hz.
    pub rate: u32,
}

/// Samples converted to `f32` at a time: what keeps the buffer small for inputs of any length.
const BLOCK: usize = 4096;

/// Converts one stream; keeps its state between calls.
///
/// Output sample k stands for the instant of input sample `k * from / to`: the filter's delay is
/// compensated, and n input samples give, once flushed, exactly `ceil(n * to / from)` output
/// samples. Until then the output is [`delay`](Self::delay) samples behind, or starts with as many
/// samples of silence after [`prime`](Self::prime).
#[derive(Clone, Debug)]
pub struct Resampler {
    /// `None`: the rates are equal.
    filter: Option<&'static Filter>,
    /// Input that outputs to come still need; the next output starts at `position`.
    input: Vec<f32>,
    position: usize,
    /// How far the next output lies behind that sample, in 1/up of an input sample.
    phase: usize,
    received: u64,
    produced: u64,
}

impl Resampler {
    /// A resampler from rate `from` to rate `to`, both in Hz. The filter of a pair of rates is
    /// computed once a process and shared.
    pub fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        let filter = filter::between(from, to)?;
        let mut resampler = Self { filter, input: Vec::new(), position: 0, phase: 0, received: 0, produced: 0 };
        resampler.reset();
        Ok(resampler)
    }

    /// Appends what `input` gives to `out`.
    pub fn process_into(&mut self, input: &[i16], out: &mut Vec<i16>) {
        let Some(filter) = self.filter else {
            out.extend_from_slice(input);
            return;
        };
        self.received += input.len() as u64;
        // Only what outputs to come still need stays here.
        scratch::floats(|room| {
            room.extend_from_slice(&self.input);
            std::mem::swap(room, &mut self.input);
            for block in input.chunks(BLOCK) {
                self.input.extend(block.iter().map(|&sample| f32::from(sample)));
                self.run(filter, usize::MAX, out);
            }
            std::mem::swap(room, &mut self.input);
            self.input.clear();
            self.input.extend_from_slice(room);
        });
    }

    /// Appends the rest of the output, as if silence followed, and starts anew as after `reset`.
    pub fn flush_into(&mut self, out: &mut Vec<i16>) {
        if let Some(filter) = self.filter {
            let total = (self.received * filter.up as u64).div_ceil(filter.down as u64);
            let rest = (total - self.produced) as usize;
            self.input.resize(self.input.len() + filter.half(), 0.0);
            self.run(filter, rest, out);
        }
        self.reset();
    }

    /// How far the output is behind the input, in output samples (rounded up).
    pub fn delay(&self) -> usize {
        self.filter.map_or(0, |filter| (filter.half() * filter.up).div_ceil(filter.down))
    }

    /// Feeds silence for the length of the delay, at the start of a stream. From then on the first
    /// n samples of input give `ceil(n * to / from)` samples at once, which suits fixed frames: 20 ms
    /// in, 20 ms out, each time.
    pub fn prime(&mut self) {
        if let Some(filter) = self.filter {
            self.input.resize(self.input.len() + filter.half(), 0.0);
            self.received += filter.half() as u64;
        }
    }

    /// Forgets all input.
    pub fn reset(&mut self) {
        self.input.clear();
        if let Some(filter) = self.filter {
            self.input.resize(filter.half() - 1, 0.0);
        }
        (self.position, self.phase) = (0, 0);
        (self.received, self.produced) = (0, 0);
    }

    /// Makes every output, up to `limit`, for which the input is there, and drops used input.
    fn run(&mut self, filter: &Filter, limit: usize, out: &mut Vec<i16>) {
        let Some(room) = self.input.len().checked_sub(self.position + filter.taps) else {
            return;
        };
        let ahead = (room + 1) * filter.up - self.phase;
        let count = ahead.div_ceil(filter.down).min(limit);
        out.reserve(count);
        filter.convolve(&self.input[self.position..], self.phase, count, out);
        let phase = self.phase + count * filter.down;
        self.position += phase / filter.up;
        self.phase = phase % filter.up;
        self.produced += count as u64;

        let used = self.position.min(self.input.len());
        self.input.drain(..used);
        self.position -= used;
    }
}

#[cfg(test)]
mod tests;
