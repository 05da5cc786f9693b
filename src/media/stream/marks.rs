//! Marks: places in the audio of one stream that somebody wants to hear of, once what is before them has been played or
//! was dropped. Places are counted in samples; when a frame is due is not known here.

use std::collections::VecDeque;
use std::time::Instant;

use super::Stream;

/// How many marks of one connection, or of one unit, may wait.
pub const MAX_MARKS: usize = 1000;

/// As many marks wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_MARKS} marks wait to be reached, and no more may; play on, or clear the audio before them")]
pub struct TooManyMarks;

/// A mark that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Its id, as it was set.
    pub id: u64,
    /// Whether the audio before it was played; else it was dropped.
    pub played: bool,
}

/// The marks of one stream that have not been told of, in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Each with the samples that are still buffered before it.
    waiting: VecDeque<(u64, usize)>,
    /// Those with nothing before them any more, and when that may be told.
    passed: VecDeque<(Instant, Reached)>,
}

impl Marks {
    /// A late chunk was put between the buffered samples: what is marked behind that place moves on.
    pub(super) fn inserted(&mut self, place: usize, samples: usize) {
        for (_, ahead) in self.waiting.iter_mut().rev().take_while(|(_, ahead)| *ahead > place) {
            *ahead += samples;
        }
    }

    /// The next samples have left the buffer: what they were marked with is told at `at`.
    pub(super) fn advance(&mut self, samples: usize, at: Instant, played: bool) {
        for (_, ahead) in &mut self.waiting {
            *ahead = ahead.saturating_sub(samples);
        }
        while let Some((id, _)) = self.waiting.pop_front_if(|(_, ahead)| *ahead == 0) {
            self.passed.push_back((at, Reached { id, played }));
        }
    }

    /// All that was buffered is dropped.
    pub(super) fn clear(&mut self, at: Instant) {
        self.advance(usize::MAX, at, false);
    }

    /// When one is to be told of.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.passed.front().map(|&(at, _)| at)
    }
}

impl Stream {
    /// Marks the end of what is buffered: [`take_mark`](Self::take_mark) answers this id when it has been played. False,
    /// and no more is heard of it, when it has been already.
    pub fn mark(&mut self, now: Instant, id: u64) -> bool {
        let ahead = self.supply.playout().buffered();
        if ahead > 0 {
            self.marks.waiting.push_back((id, ahead));
            return true;
        }
        // What was handed out last is heard until its end, and those that wait for that come first.
        let sounding = self.last_end.filter(|&end| end > now);
        let Some(at) = self.marks.passed.back().map(|&(at, _)| at).max(sounding) else { return false };
        self.marks.passed.push_back((at, Reached { id, played: true }));
        true
    }

    /// Whether there are marks that were not told of.
    pub fn is_marked(&self) -> bool {
        !(self.marks.waiting.is_empty() && self.marks.passed.is_empty())
    }

    /// When [`take_mark`](Self::take_mark) has one.
    pub fn next_mark(&self) -> Option<Instant> {
        self.marks.deadline()
    }

    /// The next mark that was reached by `now`.
    pub fn take_mark(&mut self, now: Instant) -> Option<Reached> {
        let (_, reached) = self.marks.passed.pop_front_if(|(at, _)| *at <= now)?;
        Some(reached)
    }

    /// The next of all marks there are, and when it is reached: the stream is over, and what has not been played will not
    /// be.
    pub fn take_last_mark(&mut self) -> Option<(Option<Instant>, Reached)> {
        match self.marks.passed.pop_front() {
            Some((at, reached)) => Some((Some(at), reached)),
            None => self.marks.waiting.pop_front().map(|(id, _)| (None, Reached { id, played: false })),
        }
    }
}
