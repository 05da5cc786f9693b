//! The playout buffer of one inbound stream: puts chunks in order, bounds them, gives frames.
//!
//! Samples at the stream's own rate. No clock: `stream` says when a frame is due.

use std::collections::VecDeque;
use std::time::Duration;

use super::{duration_of, samples_in};

/// What became of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples taken into the buffer.
    pub accepted: usize,
    /// Samples thrown away: the buffer was full, or their place in the audio has been played.
    pub discarded: usize,
    /// The chunk had come before; nothing was taken and nothing is missing.
    pub duplicate: bool,
    /// The chunk came after a later one.
    pub reordered: bool,
    /// Chunks found missing just before this one.
    pub lost: u64,
}

/// Samples of one chunk that are still to be played.
#[derive(Clone, Copy, Debug)]
struct Span {
    number: Option<u64>,
    len: usize,
}

/// What is known about the sender's chunk numbers.
#[derive(Clone, Debug)]
struct Numbering {
    first: u64,
    highest: u64,
    /// The last number of which a sample was played.
    played: Option<u64>,
    /// Bit n: `highest - n` has come.
    seen: u128,
}

impl Numbering {
    fn from(number: u64) -> Self {
        Self { first: number, highest: number, played: None, seen: 1 }
    }

    /// Notes a number above the highest; the answer is how many were left out.
    fn advance(&mut self, number: u64) -> u64 {
        let step = number - self.highest;
        self.highest = number;
        self.seen = u32::try_from(step).ok().and_then(|step| self.seen.checked_shl(step)).unwrap_or(0) | 1;
        step - 1
    }

    /// Notes a number not above the highest; answers whether it had come before, if that is known.
    fn note_seen(&mut self, number: u64) -> Option<bool> {
        let behind = u32::try_from(self.highest - number).ok()?;
        let bit = 1u128.checked_shl(behind)?;
        let before = self.seen & bit != 0;
        self.seen |= bit;
        Some(before)
    }
}

/// Ordered audio waiting to be played.
#[derive(Clone, Debug)]
pub struct Playout {
    rate: u32,
    capacity: usize,
    samples: VecDeque<i16>,
    spans: VecDeque<Span>,
    numbering: Option<Numbering>,
    may_renumber: bool,
    lost: u64,
}

impl Playout {
    /// An empty buffer for audio at `rate` Hz that holds at most `max_buffered`. Memory grows as needed.
    pub fn new(rate: u32, max_buffered: Duration) -> Self {
        Self {
            rate,
            capacity: samples_in(max_buffered, rate),
            samples: VecDeque::new(),
            spans: VecDeque::new(),
            numbering: None,
            may_renumber: false,
            lost: 0,
        }
    }

    /// Takes a chunk: in its place by `chunk`, or at the end when it has no number.
    ///
    /// A duplicate, and a chunk older than what is being played, is dropped. What does not fit is
    /// dropped from the end of the new chunk.
    pub fn push(&mut self, chunk: Option<u64>, pcm: &[i16]) -> Pushed {
        let mut pushed = Pushed::default();
        if let Some(number) = chunk {
            self.note(number, &mut pushed);
        }
        let too_late = pushed.reordered
            && self
                .numbering
                .as_ref()
                .and_then(|numbering| numbering.played)
                .is_some_and(|played| chunk.is_some_and(|number| number < played));
        if pushed.duplicate {
            return pushed;
        }
        if !too_late {
            pushed.accepted = pcm.len().min(self.capacity.saturating_sub(self.samples.len()));
        }
        pushed.discarded = pcm.len() - pushed.accepted;
        if let Some(pcm) = pcm.get(..pushed.accepted).filter(|pcm| !pcm.is_empty()) {
            self.insert(chunk, pcm);
        }
        pushed
    }

    /// Files `number`: new, reordered or duplicate, and how many were skipped.
    fn note(&mut self, number: u64, pushed: &mut Pushed) {
        let renumber = std::mem::take(&mut self.may_renumber);
        match &mut self.numbering {
            None => self.numbering = Some(Numbering::from(number)),
            Some(numbering) if number > numbering.highest => {
                pushed.lost = numbering.advance(number);
                self.lost = self.lost.saturating_add(pushed.lost);
            }
            Some(numbering) if renumber => *numbering = Numbering::from(number),
            Some(numbering) => {
                let before = numbering.note_seen(number);
                let buffered = || self.spans.iter().any(|span| span.number == Some(number));
                pushed.duplicate = before.unwrap_or_else(buffered);
                pushed.reordered = !pushed.duplicate;
                if before == Some(false) && number > numbering.first {
                    self.lost = self.lost.saturating_sub(1); // It was counted when it was skipped.
                }
            }
        }
    }

    fn insert(&mut self, chunk: Option<u64>, pcm: &[i16]) {
        let span = Span { number: chunk, len: pcm.len() };
        // Behind everything that is not later; a chunk without a number keeps its place.
        let later =
            self.spans.iter().rev().take_while(|later| later.number.is_some_and(|n| chunk.is_some_and(|c| n > c)));
        let (spans, samples) = later.fold((0, 0), |(spans, samples), later| (spans + 1, samples + later.len));
        self.spans.insert(self.spans.len() - spans, span);
        self.samples.extend(pcm);
        if samples > 0 {
            let place = self.samples.len() - pcm.len() - samples;
            self.samples.make_contiguous()[place..].rotate_right(pcm.len());
        }
    }

    /// Appends up to `frame_samples` samples to `out`; returns how many there were.
    pub fn pull(&mut self, frame_samples: usize, out: &mut Vec<i16>) -> usize {
        let count = frame_samples.min(self.samples.len());
        let (front, back) = self.samples.as_slices();
        let split = count.min(front.len());
        out.extend_from_slice(&front[..split]);
        out.extend_from_slice(&back[..count - split]);
        self.samples.drain(..count);
        let mut rest = count;
        while let Some(front) = self.spans.front_mut().filter(|_| rest > 0) {
            if let (Some(number), Some(numbering)) = (front.number, &mut self.numbering) {
                numbering.played = numbering.played.max(Some(number));
            }
            let taken = rest.min(front.len);
            front.len -= taken;
            rest -= taken;
            if front.len == 0 {
                self.spans.pop_front();
            }
        }
        count
    }

    /// Drops everything that is buffered; returns how many samples that were.
    pub fn clear(&mut self) -> usize {
        let dropped = self.samples.len();
        // A chunk from before the clear is as late as one that was played.
        if let (Some(last), Some(numbering)) =
            (self.spans.iter().rev().find_map(|span| span.number), &mut self.numbering)
        {
            numbering.played = numbering.played.max(Some(last));
        }
        self.samples.clear();
        self.spans.clear();
        dropped
    }

    /// Says that the audio has come to rest: when nothing is buffered, memory is given back and the
    /// sender may number its next chunk anew.
    pub fn rest(&mut self) {
        if self.samples.is_empty() {
            self.samples = VecDeque::new();
            self.spans = VecDeque::new();
            self.may_renumber = true;
        }
    }

    /// Samples buffered.
    pub fn buffered(&self) -> usize {
        self.samples.len()
    }

    /// How long the buffered samples last.
    pub fn buffered_duration(&self) -> Duration {
        duration_of(self.samples.len() as u64, self.rate)
    }

    /// Chunks that never came so far (saturating).
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests;
