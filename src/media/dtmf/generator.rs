//! Digits into tones.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::Digit;

/// How tones sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneConfig {
    /// How long a tone is, in ms. Q.24 asks receivers to take 40 ms; more is safer.
    pub tone_ms: u32,
    /// How long the pause after it is, in ms; at least 40.
    pub pause_ms: u32,
    /// Amplitude of the low frequency in dB re full scale (of a sine: 0 is as loud as a sine can be).
    pub level: f32,
    /// By how many dB the high frequency is louder: lines dampen it more.
    pub twist: f32,
}

impl Default for ToneConfig {
    fn default() -> Self {
        Self { tone_ms: 100, pause_ms: 60, level: -12.0, twist: 2.0 }
    }
}

/// Ramp at both ends of a tone, so that it does not click.
const RAMP_MS: u32 = 2;

/// Plays digits one after the other.
#[derive(Clone, Debug)]
pub struct Generator {
    rate: u32,
    config: ToneConfig,
    queue: VecDeque<Digit>,
    /// The digit that is being played, and how far it is.
    current: Option<(Digit, u32)>,
}

impl Generator {
    /// A generator of PCM at `rate` Hz with nothing to play.
    pub fn new(rate: u32, config: ToneConfig) -> Self {
        Self { rate, config, queue: VecDeque::new(), current: None }
    }

    /// Plays a digit after those that wait.
    pub fn push(&mut self, digit: Digit) {
        self.queue.push_back(digit);
    }

    /// True when there is nothing to play.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.queue.is_empty()
    }

    /// Appends up to `samples` samples to `out`, fewer only when all is played, and says how many.
    pub fn fill_into(&mut self, samples: usize, out: &mut Vec<i16>) -> usize {
        let (tone, pause) = (self.length(self.config.tone_ms), self.length(self.config.pause_ms));
        let mut made = 0;
        while made < samples {
            let Some((digit, at)) = self.current.or_else(|| self.queue.pop_front().map(|digit| (digit, 0))) else {
                break;
            };
            let count = (samples - made).min((tone + pause).saturating_sub(at) as usize) as u32;
            out.extend((at..at + count).map(|n| if n < tone { self.sample(digit, n, tone) } else { 0 }));
            made += count as usize;
            let at = at + count;
            self.current = (at < tone + pause).then_some((digit, at));
        }
        made
    }

    fn length(&self, ms: u32) -> u32 {
        (u64::from(self.rate) * u64::from(ms) / 1000) as u32
    }

    fn sample(&self, digit: Digit, n: u32, tone: u32) -> i16 {
        let (low, high) = digit.frequencies();
        let amplitude = |decibels: f32| 32_767.0 * 10f64.powf(f64::from(decibels) / 20.0);
        let t = f64::from(n) / f64::from(self.rate);
        let sum = amplitude(self.config.level) * (TAU * low * t).sin()
            + amplitude(self.config.level + self.config.twist) * (TAU * high * t).sin();
        let ramp = f64::from(self.length(RAMP_MS).max(1));
        let edge = (f64::from(n.min(tone - 1 - n)) + 0.5) / ramp;
        (sum * edge.min(1.0)).round() as i16
    }
}
