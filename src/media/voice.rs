//! Voice activity of one stream: where speech begins and ends, by the scores of a voice activity detector (the crate
//! `earshot`) and the rules here. Time is counted in samples; there is no clock.
//!
//! Speech begins when the score has been high for `min_speech`, and ends when it has been low for `min_silence`. Between
//! high and low it goes on as it was.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use earshot::Detector;

use super::duration_of;
use super::resample::{Resampler, UnsupportedRate};

/// What the detector takes: blocks of 16 ms at 16 kHz.
const RATE: u32 = 16_000;
const BLOCK: usize = 256;
/// Samples that are converted at a time.
const PART: usize = 1024;
/// So much below the threshold a score is low.
const HYSTERESIS: f32 = 0.15;

/// What counts as speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceConfig {
    /// A score from here on, 0 to 1, is speech. Default 0.7.
    pub threshold: f32,
    /// Speech that is shorter is none. Default 100 ms.
    pub min_speech: Duration,
    /// A shorter pause does not end it. Default 500 ms.
    pub min_silence: Duration,
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self { threshold: 0.7, min_speech: Duration::from_millis(100), min_silence: Duration::from_millis(500) }
    }
}

/// What was found. Positions are those of the audio that was heard so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceEvent {
    /// Speech has begun.
    Started {
        /// Where: `min_speech` or more before what was heard last.
        position: Duration,
    },
    /// Speech has ended.
    Ended {
        /// Where.
        position: Duration,
        /// How long it was.
        duration: Duration,
    },
}

/// Listens to one stream.
pub struct Voice {
    config: VoiceConfig,
    resampler: Resampler,
    detector: Box<Detector>,
    pcm: Vec<i16>,
    /// Blocks that were heard.
    heard: u64,
    /// Where the present speech began.
    since: Option<u64>,
    /// Where a run of high scores (in silence) or low ones (in speech) began.
    run: Option<u64>,
    /// What was found and not taken.
    found: VecDeque<VoiceEvent>,
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("heard", &self.heard).field("since", &self.since).finish_non_exhaustive()
    }
}

impl Voice {
    /// Listens to audio at `rate` Hz.
    pub fn new(rate: u32, config: VoiceConfig) -> Result<Self, UnsupportedRate> {
        let resampler = Resampler::new(rate, RATE)?;
        let detector = Box::new(Detector::default());
        let (pcm, found) = (Vec::new(), VecDeque::new());
        Ok(Self { config, resampler, detector, pcm, heard: 0, since: None, run: None, found })
    }

    /// Hears the next samples.
    pub fn push(&mut self, pcm: &[i16]) {
        for part in pcm.chunks(PART) {
            self.resampler.process_into(part, &mut self.pcm);
            let mut start = 0;
            while let Some(block) = self.pcm.get(start..start + BLOCK) {
                let score = self.detector.predict_i16(block);
                self.heard += 1;
                start += BLOCK;
                let found = self.judge(score);
                self.found.extend(found);
            }
            self.pcm.drain(..start);
        }
    }

    /// Nothing follows for now: speech that has not ended ends here.
    pub fn finish(&mut self) {
        let run = self.run.take();
        if let Some(since) = self.since.take() {
            self.found.push_back(ended(since, run.unwrap_or(self.heard)));
        }
    }

    /// The next of what was found.
    pub fn take(&mut self) -> Option<VoiceEvent> {
        self.found.pop_front()
    }

    /// What a block says, which has just been counted.
    fn judge(&mut self, score: f32) -> Option<VoiceEvent> {
        let (high, low) = (score >= self.config.threshold, score < self.config.threshold - HYSTERESIS);
        let start = self.heard - 1;
        match self.since {
            None => {
                if low {
                    self.run = None;
                } else if high {
                    self.run.get_or_insert(start);
                }
                let since = self.run.filter(|&run| time(self.heard - run) >= self.config.min_speech)?;
                (self.since, self.run) = (Some(since), None);
                Some(VoiceEvent::Started { position: time(since) })
            }
            Some(since) => {
                if high {
                    self.run = None;
                } else if low {
                    self.run.get_or_insert(start);
                }
                let end = self.run.filter(|&run| time(self.heard - run) >= self.config.min_silence)?;
                (self.since, self.run) = (None, None);
                Some(ended(since, end))
            }
        }
    }
}

fn ended(since: u64, end: u64) -> VoiceEvent {
    VoiceEvent::Ended { position: time(end), duration: time(end.saturating_sub(since)) }
}

fn time(blocks: u64) -> Duration {
    duration_of(blocks * BLOCK as u64, RATE)
}

#[cfg(test)]
mod tests;
