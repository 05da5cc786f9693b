//! Playing one frame of a stream, and what follows from it: the events, the silence clock, the end.
//! When a frame is due is decided in `stream`, what is in it in `supply`.

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use super::{Flow, Sender, Stream, StreamEvent, Tick};
use crate::media::duration_of;

impl Stream {
    pub(super) fn end_by_silence(&mut self) -> Tick {
        let event = self.end(self.audible_samples);
        if self.supply.is_dry() {
            self.hear_the_end();
        }
        self.supply.rest();
        Tick { event, ..Tick::default() }
    }

    /// Plays the frame that is due at `due`, or finds that there is none.
    pub(super) fn play(&mut self, due: Instant, frame: &mut Vec<i16>) -> Tick {
        if self.supply.is_dry() {
            return self.run_dry(due, frame);
        }
        if !self.is_stopping() && !self.waited && self.supply.available() < self.frame_samples {
            self.waited = true;
            self.due = Some(due + self.config.frame);
            return Tick::default();
        }

        self.waited = false;
        self.flow = Flow::Playing;
        let pause = match (self.audio_end, self.refilled) {
            (Some(end), _) => due.saturating_duration_since(end),
            (None, first) => first.map_or(Duration::ZERO, |first| due.saturating_duration_since(first)),
        };
        self.refilled = None;
        if !pause.is_zero() {
            self.supply.resume(pause);
        }
        let (before, buffered) = (self.supply.shaped(), self.supply.playout().buffered());
        let count = self.supply.frame(self.frame_samples, frame);
        let shaped = self.supply.shaped();
        let cut = (shaped.cut - before.cut) as usize;
        self.discarded(due, cut + (shaped.overflow - before.overflow) as usize);
        self.marks.advance(cut, due, false);
        let passed = buffered.saturating_sub(self.supply.playout().buffered() + cut);
        self.marks.advance(passed, due + self.config.frame, true);
        let filled = frame.len();
        let silent = self.silence.is_silent(frame);
        if filled < self.frame_samples {
            if !self.is_stopping() {
                self.supply.fade_out(self.frame_samples - filled, frame);
            }
            frame.resize(self.frame_samples, 0);
        }
        let end = due + self.config.frame;
        let first = self.audio_end.is_none();
        self.audio_end = Some(match filled.cmp(&self.frame_samples) {
            Ordering::Less => due + duration_of(filled as u64, self.encoding.sample_rate()),
            _ => end,
        });
        self.last_end = Some(end);
        self.due = Some(end);
        self.counters.played_samples += count as u64;
        if count == 0 {
            return Tick { event: None, played: true, ended_stream: false };
        }

        let mut event = None;
        if !self.started && (first || !silent) {
            event = Some(StreamEvent::Started);
            self.started = true;
            (self.samples, self.audible_samples) = (0, 0);
            self.silence.start(due);
        }
        if self.started {
            self.samples += count as u64;
            if !silent {
                self.audible_samples = self.samples;
                self.silence.start(due + duration_of(count as u64, self.encoding.sample_rate()));
            }
        }
        Tick { event, played: true, ended_stream: false }
    }

    /// Nothing is there at `due`. Whether the sender pauses or its next chunk is late, what was heard fades out.
    fn run_dry(&mut self, due: Instant, frame: &mut Vec<i16>) -> Tick {
        (self.due, self.reading) = (None, None);
        if self.is_stopping() {
            return self.finish();
        }
        let flow = std::mem::replace(&mut self.flow, Flow::Dry);
        if flow != Flow::Playing || !self.supply.fade_out(self.frame_samples, frame) {
            return Tick::default();
        }
        self.last_end = Some(due + self.config.frame);
        Tick { event: None, played: true, ended_stream: false }
    }

    /// Everything is played, after a stop.
    fn finish(&mut self) -> Tick {
        self.sender = Sender::Finished;
        Tick { event: self.end(self.samples), played: false, ended_stream: true }
    }

    /// `Ended`, unless it has been said.
    pub(super) fn end(&mut self, samples: u64) -> Option<StreamEvent> {
        self.silence.stop();
        std::mem::take(&mut self.started)
            .then(|| StreamEvent::Ended { duration: duration_of(samples, self.encoding.sample_rate()) })
    }
}
