//! What is learned from the audio of a stream beside playing it, when it is asked for: its level, as it is played, and voice
//! activity, as it is decoded.

use std::time::Instant;

use super::Stream;
use crate::media::level::Level;
use crate::media::voice::VoiceEvent;

impl Stream {
    /// Speech that has begun or ended, as far as audio has come in. It is told of before it is played.
    pub fn take_voice(&mut self) -> Option<VoiceEvent> {
        self.supply.voice()?.take()
    }

    /// How loud it was played in the last 400 ms; `None` when nothing was.
    pub fn level(&self, now: Instant) -> Option<Level> {
        self.level.as_ref()?.level(now)
    }

    /// No audio follows for now, or ever: speech is over.
    pub(super) fn hear_the_end(&mut self) {
        if let Some(voice) = self.supply.voice() {
            voice.finish();
        }
    }
}
