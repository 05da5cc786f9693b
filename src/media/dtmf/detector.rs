//! Tones into digits.
//!
//! Every 5 ms it looks at the last 20 ms: the strength of the eight frequencies (Goertzel's values, as sums of four blocks), how far
//! off they are (by their phase), and how much of the power is theirs. Four such looks that agree are a digit.

use std::f64::consts::TAU;
use std::time::Duration;

use super::{Digit, HIGH, LOW};
use crate::media::duration_of;

/// Blocks a second, and in a look.
const BLOCKS_PER_SECOND: u32 = 200;
const BLOCKS: usize = 4;
/// Looks that must agree. A tone of 23 ms has three at most, one of 40 ms four at least.
const HITS: u32 = 4;
/// Looks without the digit that end it: pauses of 40 ms have more, interruptions of 10 ms fewer.
const MISSES: u32 = 7;
/// Amplitude of the weaker tone, of 32768: about -36 dBm0.
const LEAST: f64 = 360.0;
/// Power of the high tone over that of the low: +4 to -8 dB (Q.24, AT&T), and a dB more.
const TWIST: std::ops::RangeInclusive<f64> = 0.126..=3.16;
/// Power of the strongest of its group over that of each other one.
const OTHERS: f64 = 4.0;
/// How far off a frequency may be. Q.24: 1.5 to 1.8 % is to be taken, 3.5 % is not.
const OFF: f64 = 0.026;
/// Part of the power that is in the two tones: speech has less.
const PURITY: f64 = 0.8;

/// What a detector heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// A digit has begun, some 35 ms ago.
    Started(Digit),
    /// It is over.
    Ended {
        /// Which.
        digit: Digit,
        /// How long the tone was, to 10 ms.
        duration: Duration,
    },
}

/// Looks for digits in one stream.
#[derive(Clone, Debug)]
pub struct Detector {
    rate: u32,
    /// Cosine and sine of each frequency over a block.
    tables: Vec<(Vec<f32>, Vec<f32>)>,
    /// How far the phase of each frequency goes on in a block.
    turns: [Complex; 8],
    phases: [Complex; 8],
    block: Vec<f32>,
    /// Values and power of the last blocks, the newest last.
    values: [[Complex; 8]; BLOCKS],
    powers: [f64; BLOCKS],
    candidate: Option<(Digit, u32)>,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    digit: Digit,
    looks: u32,
    misses: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    fn turn(angle: f64) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn power(self) -> f64 {
        self.re * self.re + self.im * self.im
    }
}

impl Detector {
    /// A detector for PCM at `rate` Hz; below 4 kHz it hears nothing.
    pub fn new(rate: u32) -> Self {
        let length = (rate / BLOCKS_PER_SECOND).max(1) as usize;
        let steps = frequencies().map(|frequency| TAU * frequency / f64::from(rate.max(1)));
        let table = |step: f64, wave: fn(f64) -> f64| (0..length).map(|n| wave(step * n as f64) as f32).collect();
        Self {
            rate,
            tables: steps.iter().map(|&step| (table(step, f64::cos), table(step, f64::sin))).collect(),
            turns: steps.map(|step| Complex::turn(-step * length as f64)),
            phases: [Complex { re: 1.0, im: 0.0 }; 8],
            block: Vec::with_capacity(length),
            values: Default::default(),
            powers: [0.0; BLOCKS],
            candidate: None,
            current: None,
        }
    }

    /// Hears some audio and calls `detected` for what begins and ends in it.
    pub fn push(&mut self, pcm: &[i16], mut detected: impl FnMut(Detected)) {
        let length = self.length();
        let mut rest = pcm;
        while !rest.is_empty() {
            let (part, after) = rest.split_at((length - self.block.len()).min(rest.len()));
            rest = after;
            self.block.extend(part.iter().map(|&sample| f32::from(sample)));
            if self.block.len() == length {
                self.end_of_block();
                let heard = self.look();
                self.judge(heard, &mut detected);
            }
        }
    }

    /// Samples of a block.
    fn length(&self) -> usize {
        self.tables.first().map_or(1, |(cosine, _)| cosine.len())
    }

    fn end_of_block(&mut self) {
        let mut values = [Complex::default(); 8];
        for (index, (value, (cosine, sine))) in values.iter_mut().zip(&self.tables).enumerate() {
            let sum = Complex { re: dot(&self.block, cosine), im: -dot(&self.block, sine) };
            *value = sum.times(self.phases[index]);
            let phase = self.phases[index].times(self.turns[index]);
            // Rounding does not add up.
            let size = phase.power().sqrt();
            self.phases[index] = Complex { re: phase.re / size, im: phase.im / size };
        }
        self.values.rotate_left(1);
        self.powers.rotate_left(1);
        self.values[BLOCKS - 1] = values;
        self.powers[BLOCKS - 1] = dot(&self.block, &self.block);
        self.block.clear();
    }

    /// The digit in the last 20 ms.
    fn look(&self) -> Option<Digit> {
        let samples = (BLOCKS * self.length()) as f64;
        let half = |index: usize, blocks: &[[Complex; 8]]| {
            blocks.iter().fold(Complex::default(), |sum, values| sum.plus(values[index]))
        };
        let (before, after) = self.values.split_at(BLOCKS / 2);
        let strength = |index: usize| half(index, &self.values).power();
        let strongest = |group: std::ops::Range<usize>| {
            let best = group.clone().max_by(|&a, &b| strength(a).total_cmp(&strength(b)))?;
            let clear = group.filter(|&other| other != best).all(|other| strength(best) >= OTHERS * strength(other));
            clear.then_some(best)
        };
        let (low, high) = (strongest(0..4)?, strongest(4..8)?);

        let mut amplitudes = [0.0; 2];
        for (amplitude, index) in amplitudes.iter_mut().zip([low, high]) {
            let (first, second) = (half(index, before), half(index, after));
            // By how much the phase ran ahead from one half to the other.
            let turned = second.times(Complex { re: first.re, im: -first.im });
            let cycles = turned.im.atan2(turned.re) / TAU;
            let halves_a_second = f64::from(self.rate) / (samples / 2.0);
            if (cycles * halves_a_second).abs() > OFF * frequencies()[index] {
                return None;
            }
            // A tone beside the middle of its filter is heard weaker: over the whole look it turns twice as far.
            let loss = sinc(2.0 * cycles);
            *amplitude = 2.0 * strength(index).sqrt() / samples / loss;
        }
        let [low_power, high_power] = amplitudes.map(|amplitude| amplitude * amplitude);
        let power = self.powers.iter().sum::<f64>() / samples;
        let loud = amplitudes.iter().all(|&amplitude| amplitude >= LEAST);
        let pure = low_power.midpoint(high_power) >= PURITY * power;
        (loud && pure && TWIST.contains(&(high_power / low_power))).then(|| Digit::at(low, high - 4))
    }

    fn judge(&mut self, heard: Option<Digit>, detected: &mut impl FnMut(Detected)) {
        self.candidate = match (heard, self.candidate) {
            (Some(digit), Some((same, hits))) if digit == same => Some((digit, hits.saturating_add(1))),
            (Some(digit), _) => Some((digit, 1)),
            (None, _) => None,
        };
        let length = self.length() as u64;
        if let Some(current) = &mut self.current {
            if heard == Some(current.digit) {
                current.looks += current.misses + 1;
                current.misses = 0;
            } else {
                current.misses += 1;
            }
            let another = self.candidate.is_some_and(|(digit, hits)| digit != current.digit && hits >= HITS);
            if current.misses >= MISSES || another {
                // From the first look's beginning to the last one's end.
                let blocks = u64::from(current.looks) + BLOCKS as u64 - 1;
                let samples = blocks * length;
                let ended = Detected::Ended { digit: current.digit, duration: duration_of(samples, self.rate) };
                self.current = None;
                detected(ended);
            }
        }
        if let (None, Some((digit, hits @ HITS..))) = (self.current, self.candidate) {
            self.current = Some(Current { digit, looks: hits, misses: 0 });
            detected(Detected::Started(digit));
        }
    }
}

fn frequencies() -> [f64; 8] {
    std::array::from_fn(|index| if index < 4 { LOW[index] } else { HIGH[index - 4] })
}

fn sinc(x: f64) -> f64 {
    let angle = x * TAU / 2.0;
    if angle.abs() < 1e-6 { 1.0 } else { angle.sin() / angle }
}

/// The sum of the products, in eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (a, rest) = a.as_chunks::<8>();
    let (b, other) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let tail: f32 = rest.iter().zip(other).map(|(a, b)| a * b).sum();
    f64::from(sums.iter().sum::<f32>() + tail)
}
