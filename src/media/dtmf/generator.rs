//! How digits sound; `media::tone` plays them.

use super::Digit;
use crate::media::tone::Tone;

/// How tones sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneConfig {
    /// How long a tone is, in ms. Q.24 asks receivers to take 40 ms; more is safer.
    pub tone_ms: u32,
    /// How long the pause after it is, in ms; at least 40.
    pub pause_ms: u32,
    /// Level of the low frequency in dB re full scale (of a sine: 0 is as loud as a sine can be).
    pub level: f32,
    /// By how many dB the high frequency is louder: lines dampen it more.
    pub twist: f32,
}

impl Default for ToneConfig {
    fn default() -> Self {
        Self { tone_ms: 100, pause_ms: 60, level: -12.0, twist: 2.0 }
    }
}

impl ToneConfig {
    /// The tone of a digit.
    pub fn tone(self, digit: Digit) -> Tone {
        let (low, high) = digit.frequencies();
        let sines = vec![(low, self.level), (high, self.level + self.twist)];
        Tone { sines, on_ms: self.tone_ms, off_ms: self.pause_ms }
    }
}
