//! The silence clock: how long ago the last audible audio ended.
//!
//! It judges frames and names a deadline; what happens then is the stream's business.

use std::time::{Duration, Instant};

use super::pcm;

/// The largest peak that is still digital silence: A-law has no zero, its silence decodes to ±8.
pub const DIGITAL_SILENCE_PEAK: u16 = 8;

/// What counts as silence, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SilenceConfig {
    /// How much silence ends the audio. Default 1 s.
    pub duration: Duration,
    /// RMS below this level is silence, in dB re full-scale square. `None` (the default): only
    /// digital silence is, a peak of at most [`DIGITAL_SILENCE_PEAK`].
    pub threshold_dbfs: Option<f32>,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self { duration: Duration::from_secs(1), threshold_dbfs: None }
    }
}

/// Runs from the end of the last audible audio.
#[derive(Clone, Debug)]
pub struct SilenceClock {
    config: SilenceConfig,
    since: Option<Instant>,
}

impl SilenceClock {
    /// A clock that stands.
    pub fn new(config: SilenceConfig) -> Self {
        Self { config, since: None }
    }

    /// Whether these samples are silence under the configuration.
    pub fn is_silent(&self, pcm: &[i16]) -> bool {
        match self.config.threshold_dbfs {
            None => pcm::peak(pcm) <= DIGITAL_SILENCE_PEAK,
            Some(threshold) => pcm::rms_dbfs(pcm) < threshold,
        }
    }

    /// (Re)starts the clock: silence begins at `at`, the end of audible audio.
    pub fn start(&mut self, at: Instant) {
        self.since = Some(at);
    }

    /// Stops the clock.
    pub fn stop(&mut self) {
        self.since = None;
    }

    /// So much time does not count.
    pub fn postpone(&mut self, by: Duration) {
        self.since = self.since.map(|since| since + by);
    }

    /// When the silence will have lasted long enough; `None` while the clock stands, and for a
    /// duration beyond all time.
    pub fn deadline(&self) -> Option<Instant> {
        self.since?.checked_add(self.config.duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_one_second_after_audible_audio() {
        let mut clock = SilenceClock::new(SilenceConfig::default());
        assert_eq!(clock.deadline(), None);
        let start = Instant::now();
        clock.start(start);
        assert_eq!(clock.deadline(), Some(start + Duration::from_secs(1)));
        clock.start(start + Duration::from_millis(20));
        assert_eq!(clock.deadline(), Some(start + Duration::from_millis(1020)));
        clock.stop();
        assert_eq!(clock.deadline(), None);
    }

    #[test]
    fn digital_silence_is_what_alaw_silence_decodes_to() {
        let clock = SilenceClock::new(SilenceConfig::default());
        assert!(clock.is_silent(&[0; 160]));
        assert!(clock.is_silent(&[8, -8, 0]));
        assert!(!clock.is_silent(&[0, 9, 0]));
        assert!(!clock.is_silent(&[0, -9, 0]));
        assert!(clock.is_silent(&[]));
    }

    #[test]
    fn a_threshold_is_an_rms_level() {
        let clock = SilenceClock::new(SilenceConfig { threshold_dbfs: Some(-50.0), ..SilenceConfig::default() });
        assert!(clock.is_silent(&[103, -103])); // -50.05 dBFS
        assert!(!clock.is_silent(&[104, -104])); // -49.97 dBFS
        assert!(clock.is_silent(&[0; 160]));
    }
}
