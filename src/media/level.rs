//! How loud a stream is: RMS and peak since somebody asked last, or of the last moment.
//!
//! Exact sums, so that it does not matter how the audio is cut. What is silence is `silence`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The level of some audio, in dB re full scale: a full-scale square is 0 dBFS, a full-scale sine -3.01 RMS. Digital silence is
/// negative infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Root mean square.
    pub rms: f32,
    /// The largest magnitude.
    pub peak: f32,
    /// How many samples it is of.
    pub samples: u64,
}

/// Measures one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    energy: u64,
    samples: u64,
    peak: u16,
}

impl Meter {
    /// A meter that has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears some audio. The sum is exact for 2^34 samples of full scale: four days at 48 kHz.
    pub fn push(&mut self, pcm: &[i16]) {
        for part in pcm.chunks(1 << 16) {
            let square = |&sample: &i16| u64::from(sample.unsigned_abs()).pow(2);
            self.energy = self.energy.saturating_add(part.iter().map(square).sum());
            self.peak = self.peak.max(super::pcm::peak(part));
        }
        self.samples += pcm.len() as u64;
    }

    /// The level since the last time; `None` when nothing was heard.
    pub fn take(&mut self) -> Option<Level> {
        let Self { energy, samples, peak } = std::mem::take(self);
        if samples == 0 {
            return None;
        }
        let full = 32_768.0 * 32_768.0;
        let rms = (10.0 * (energy as f64 / samples as f64 / full).log10()) as f32;
        let peak = (20.0 * (f64::from(peak) / 32_768.0).log10()) as f32;
        Some(Level { rms, peak, samples })
    }
}

/// What a [`Window`] looks back on: the "momentary" level of ITU-R BS.1770 meters.
pub const MOMENT: Duration = Duration::from_millis(400);

/// The level of the last [`MOMENT`] of one stream. A silence in which nothing is played is no audio, and is not counted.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Frames, each with when it ends.
    frames: VecDeque<(Instant, Meter)>,
}

impl Window {
    /// Hears a frame that ends at `end`.
    pub fn push(&mut self, end: Instant, pcm: &[i16]) {
        while self.frames.pop_front_if(|(before, _)| end.saturating_duration_since(*before) >= MOMENT).is_some() {}
        let mut meter = Meter::new();
        meter.push(pcm);
        self.frames.push_back((end, meter));
    }

    /// The level of the frames that ended less than a moment before `now`; `None` when there are none.
    pub fn level(&self, now: Instant) -> Option<Level> {
        let recent = |end: &Instant| now.saturating_duration_since(*end) < MOMENT;
        let mut sum = Meter::new();
        for (_, frame) in self.frames.iter().filter(|(end, _)| recent(end)) {
            sum.energy = sum.energy.saturating_add(frame.energy);
            sum.samples += frame.samples;
            sum.peak = sum.peak.max(frame.peak);
        }
        sum.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_forgets_what_was_before() {
        let (zero, frame) = (Instant::now(), Duration::from_millis(20));
        let mut window = Window::default();
        assert_eq!(window.level(zero), None);
        window.push(zero + frame, &[i16::MIN; 160]);
        for n in 2..=100 {
            window.push(zero + n * frame, &[3277; 160]); // -20 dBFS
        }
        let now = zero + 100 * frame;
        let level = window.level(now).unwrap();
        assert!((level.rms + 20.0).abs() < 0.01 && (level.peak + 20.0).abs() < 0.01, "{level:?}");
        assert_eq!((level.samples, window.frames.len()), (20 * 160, 20));
        assert_eq!(window.level(zero + 119 * frame).map(|level| level.samples), Some(160));
        assert_eq!(window.level(now + MOMENT), None);
    }

    #[test]
    fn levels_are_relative_to_full_scale() {
        let mut meter = Meter::new();
        assert_eq!(meter.take(), None);
        meter.push(&[i16::MIN; 1000]);
        assert_eq!(meter.take(), Some(Level { rms: 0.0, peak: 0.0, samples: 1000 }));
        let sine: Vec<i16> = (0..8000).map(|n| (16_384.0 * (f64::from(n) * 0.1).sin()) as i16).collect();
        for part in sine.chunks(77) {
            meter.push(part);
        }
        let level = meter.take().expect("a level");
        assert!((level.rms + 9.03).abs() < 0.02 && (level.peak + 6.02).abs() < 0.02, "{level:?}");
        assert_eq!((level.samples, meter.take()), (8000, None));
        meter.push(&[0; 5]);
        let silence = meter.take().expect("a level");
        assert!(silence.rms.is_infinite() && silence.peak.is_infinite() && silence.rms < 0.0);
    }

    #[test]
    fn it_agrees_with_the_level_of_the_whole() {
        let pcm: Vec<i16> = (0..100_000i32).map(|n| ((n * 7919) % 65_521 - 32_760) as i16).collect();
        let mut meter = Meter::new();
        meter.push(&pcm);
        let level = meter.take().expect("a level");
        assert!((level.rms - crate::media::pcm::rms_dbfs(&pcm)).abs() < 1e-4);
    }
}
