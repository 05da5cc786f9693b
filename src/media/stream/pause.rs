//! A pause that the application makes: nothing is played, what comes in is buffered, and time stands still for the silence
//! clock and for the delay. What playing goes on with is what it stopped before.

use std::time::Instant;

use super::{Flow, Sender, Stream};

impl Stream {
    /// Nothing more is played until [`resume`](Self::resume). A stream that was stopped, and has nothing left, still ends.
    pub fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    /// Goes on, at once where there is enough to go on with.
    pub fn resume(&mut self, now: Instant) {
        let Some(since) = self.paused.take() else { return };
        if self.sender == Sender::Finished {
            return;
        }
        let stood = now.saturating_duration_since(since);
        self.silence.postpone(stood);
        // What lies behind happened that much later, so that the pause is neither lateness nor a loss.
        self.audio_end = self.audio_end.map(|end| end + stood);
        self.supply.paused();
        self.waited = false;
        let soonest = self.last_end.map_or(now, |end| now.max(end));
        if self.is_stopping() || (self.flow == Flow::Playing && !self.supply.is_dry()) {
            if self.flow == Flow::Playing {
                self.audio_end = Some(soonest);
            }
            self.due = Some(soonest);
            return;
        }
        if self.flow == Flow::Playing {
            self.flow = Flow::Dry;
        }
        self.due = None;
        self.refilled = None;
        if self.supply.available() > 0 {
            self.plan(now);
        }
    }

    /// When the next frame is to be heard, if one may be played at all.
    pub(super) fn playable(&self) -> Option<Instant> {
        self.due.filter(|_| self.paused.is_none() || (self.is_stopping() && self.supply.is_dry()))
    }

    /// When it may be handed out.
    pub(super) fn opens(&self) -> Option<Instant> {
        let due = self.playable()?;
        let lead = self.config.lead;
        let whole = || self.is_stopping() || self.supply.available() >= self.frame_samples;
        Some(match self.reading {
            Some(until) if !whole() => due.max(until),
            _ if !lead.is_zero() && whole() => lead.opens(due),
            _ => due,
        })
    }
}
