//! Tones made of sines, one after the other: what a telephone network plays, and DTMF (`dtmf`).
//!
//! Here: frequencies, levels and times to samples. Not here: which frequencies a digit has.

use std::collections::VecDeque;
use std::f64::consts::TAU;

/// Some sines that sound together for a time, and the pause after them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    /// Frequency in Hz and level in dB re full scale (of a sine: 0 is as loud as a sine can be) of each.
    pub sines: Vec<(f64, f32)>,
    /// How long they sound, in ms.
    pub on_ms: u32,
    /// How long the pause is, in ms.
    pub off_ms: u32,
}

impl Tone {
    /// The largest sample that it can have, of 1: what is above would be cut off.
    pub fn peak(&self) -> f64 {
        self.sines.iter().map(|&(_, level)| amplitude(level)).sum()
    }
}

/// Ramp at both ends of a tone, so that it does not click.
const RAMP_MS: u32 = 2;

/// Plays tones one after the other.
#[derive(Clone, Debug)]
pub struct Synth {
    rate: u32,
    /// What waits, and how often each is to be played.
    queue: VecDeque<(Tone, Option<u32>)>,
    /// The tone that is being played, and how far it is.
    current: Option<Current>,
}

#[derive(Clone, Debug)]
struct Current {
    tone: Tone,
    at: u32,
    /// How often it is played, this time included; `None`: until it is cleared.
    again: Option<u32>,
}

impl Synth {
    /// Nothing to play, at `rate` Hz.
    pub fn new(rate: u32) -> Self {
        Self { rate, queue: VecDeque::new(), current: None }
    }

    /// Plays a tone, pause included, so many times, after those that wait; `None`: until it is cleared.
    pub fn push(&mut self, tone: Tone, times: Option<u32>) {
        // What has no length would be played for ever.
        if times != Some(0) && length(self.rate, tone.on_ms) + length(self.rate, tone.off_ms) > 0 {
            self.queue.push_back((tone, times));
        }
    }

    /// True when there is nothing to play.
    pub fn is_idle(&self) -> bool {
        self.current.is_none() && self.queue.is_empty()
    }

    /// Forgets what it plays.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.current = None;
    }

    /// Appends up to `samples` samples to `out`, fewer only when all is played, and says how many.
    pub fn fill_into(&mut self, samples: usize, out: &mut Vec<i16>) -> usize {
        let mut made = 0;
        while made < samples {
            let next = || self.queue.pop_front().map(|(tone, times)| Current { tone, at: 0, again: times });
            let Some(mut current) = self.current.take().or_else(next) else { break };
            let (on, off) = (length(self.rate, current.tone.on_ms), length(self.rate, current.tone.off_ms));
            let count = (samples - made).min((on + off).saturating_sub(current.at) as usize) as u32;
            let range = current.at..current.at + count;
            out.extend(range.map(|n| if n < on { sample(&current.tone, self.rate, n, on) } else { 0 }));
            made += count as usize;
            current.at += count;
            if current.at == on + off {
                current.at = 0;
                current.again = current.again.map(|times| times - 1);
            }
            self.current = (current.again != Some(0)).then_some(current);
        }
        made
    }
}

/// Samples in so many ms.
fn length(rate: u32, ms: u32) -> u32 {
    (u64::from(rate) * u64::from(ms) / 1000).min(u64::from(u32::MAX / 2)) as u32
}

fn amplitude(decibels: f32) -> f64 {
    10f64.powf(f64::from(decibels) / 20.0)
}

/// Sample `n` of a tone of `on` samples.
fn sample(tone: &Tone, rate: u32, n: u32, on: u32) -> i16 {
    let t = f64::from(n) / f64::from(rate);
    let wave = |&(frequency, level): &(f64, f32)| amplitude(level) * (TAU * frequency * t).sin();
    let sum = 32_767.0 * tone.sines.iter().map(wave).sum::<f64>();
    let ramp = f64::from(length(rate, RAMP_MS).max(1));
    let edge = (f64::from(n.min(on - 1 - n)) + 0.5) / ramp;
    (sum * edge.min(1.0)).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(frequency: f64, on_ms: u32, off_ms: u32) -> Tone {
        Tone { sines: vec![(frequency, -6.0)], on_ms, off_ms }
    }

    fn all(synth: &mut Synth, most: usize) -> Vec<i16> {
        let mut out = vec![];
        while out.len() < most && synth.fill_into(33.min(most - out.len()), &mut out) > 0 {}
        out
    }

    #[test]
    fn cadences_are_kept_to_the_sample() {
        let mut synth = Synth::new(8000);
        synth.push(tone(425.0, 30, 20), Some(2));
        synth.push(tone(600.0, 10, 0), Some(1));
        let pcm = all(&mut synth, usize::MAX);
        assert_eq!(pcm.len(), 2 * 400 + 80);
        assert!(synth.is_idle());
        let sounds = |range: std::ops::Range<usize>| pcm[range].iter().any(|&sample| sample.unsigned_abs() > 5000);
        let silent = |range: std::ops::Range<usize>| pcm[range].iter().all(|&sample| sample == 0);
        assert!(sounds(0..240) && silent(240..400) && sounds(400..640) && silent(640..800) && sounds(800..880));
        assert_eq!(pcm[..400], pcm[400..800]);
    }

    #[test]
    fn a_sine_has_the_frequency_and_the_level_asked_for() {
        let mut synth = Synth::new(8000);
        synth.push(tone(440.0, 1000, 0), Some(1));
        let pcm = all(&mut synth, usize::MAX);
        let ups = pcm.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((438..=441).contains(&ups), "{ups}");
        assert!((crate::media::pcm::rms_dbfs(&pcm) + 9.01).abs() < 0.1);
        let both = Tone { sines: vec![(350.0, -6.0206), (440.0, -6.0206)], on_ms: 1, off_ms: 0 };
        assert!((both.peak() - 1.0).abs() < 0.01);
    }

    #[test]
    fn what_has_no_end_goes_on_until_it_is_cleared() {
        let mut synth = Synth::new(8000);
        synth.push(tone(425.0, 10, 10), None);
        assert_eq!(all(&mut synth, 8000).len(), 8000);
        assert!(!synth.is_idle());
        synth.clear();
        assert!(synth.is_idle() && all(&mut synth, 10).is_empty());
    }

    #[test]
    fn nothing_is_played_of_no_length() {
        let mut synth = Synth::new(8000);
        synth.push(tone(425.0, 0, 0), None);
        synth.push(tone(425.0, 10, 0), Some(0));
        assert!(synth.is_idle());
    }
}
