//! The playout buffer of one inbound stream: puts chunks in order, bounds them, gives them back, and says what is missing.
//!
//! Samples at the stream's own rate. Chunks of a codec with a memory wait as they came, and are decoded in order, when they
//! are due. No clock: `stream` says when a frame is due, and what is played for a gap.

mod encoded;
mod numbers;

use std::collections::VecDeque;
use std::time::Duration;

use super::{duration_of, samples_in};
use encoded::Queue;
pub use encoded::{Encoded, Opened};
pub use numbers::fingerprint;
use numbers::{Numbers, Verdict};

/// Room that a buffer keeps, however little is in it.
const SPARE_SAMPLES: usize = 4096;
const SPARE_SPANS: usize = 64;

/// What became of one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Samples taken into the buffer.
    pub accepted: usize,
    /// Samples that are buffered behind its place.
    pub behind: usize,
    /// Samples thrown away: the buffer was full, or their place in the audio has been played.
    pub discarded: usize,
    /// Of these, how many because the buffer was full.
    pub overflow: usize,
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
    place: Option<u64>,
    /// The place of the last chunk right behind it of which nothing is here, because it was empty or did not fit.
    through: Option<u64>,
    len: usize,
    /// The fingerprint of its payload.
    print: u16,
}

/// The audio of one chunk.
#[derive(Clone, Copy)]
enum Audio<'a> {
    Decoded(&'a [i16]),
    Encoded(Encoded<'a>),
}

/// Ordered audio waiting to be played.
#[derive(Clone, Debug)]
pub struct Playout {
    rate: u32,
    capacity: usize,
    samples: VecDeque<i16>,
    spans: VecDeque<Span>,
    /// What the last spans are made of: `samples` has the others.
    encoded: Queue,
    numbers: Option<Numbers>,
    rested: bool,
    /// The place of the last chunk that was played, or made up, to its end or in part: what comes before it is too late.
    reached: Option<u64>,
    /// Whether what comes after `reached` belongs right behind it. Not after a clear or a rest.
    continues: bool,
    /// Samples in the last chunk that was taken.
    chunk_len: usize,
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
            encoded: Queue::default(),
            numbers: None,
            rested: false,
            reached: None,
            continues: false,
            chunk_len: 0,
            lost: 0,
        }
    }

    /// Takes a chunk: in its place by `chunk`, or at the end when it has no number. `print` is the [`fingerprint`] of its
    /// payload.
    ///
    /// A duplicate, and a chunk older than what is being played, is dropped. What does not fit is
    /// dropped from the end of the new chunk.
    ///
    /// A sender may begin to number anew. What tells that from a duplicate is the audio: a number that has come is a
    /// duplicate if its audio is the same, else the beginning of a new numbering, which goes on right behind the highest
    /// number so far. So does one that is more than 511 behind the highest, one more than 16 behind it and below the first
    /// of all, and the same audio from its first number on, after a [`rest`](Self::rest) or when its first three chunks
    /// have come again in a row, 50 or more behind. Any other number behind the highest is a late one.
    pub fn push(&mut self, chunk: Option<u64>, print: u16, pcm: &[i16]) -> Pushed {
        let mut pushed = Pushed::default();
        let (place, too_late) = self.file(chunk, print, Audio::Decoded(pcm), &mut pushed);
        if pushed.duplicate {
            return pushed;
        }
        if !too_late {
            pushed.accepted = pcm.len().min(self.room());
            pushed.overflow = pcm.len() - pushed.accepted;
        }
        pushed.discarded = pcm.len() - pushed.accepted;
        if let Some(pcm) = pcm.get(..pushed.accepted).filter(|pcm| !pcm.is_empty()) {
            self.chunk_len = pcm.len();
            let span = Span { place, through: place, len: pcm.len(), print };
            pushed.behind = self.insert(span, Audio::Decoded(pcm));
        } else if let Some(place) = place.filter(|_| !too_late) {
            self.cover(place);
        }
        pushed
    }

    /// The place of a chunk, and whether it is too late.
    fn file(&mut self, chunk: Option<u64>, print: u16, audio: Audio<'_>, pushed: &mut Pushed) -> (Option<u64>, bool) {
        let place = chunk.map(|number| self.note(number, print, audio, pushed));
        let too_late = pushed.reordered
            && place.is_some_and(|place| {
                let passed = |other: Option<u64>| other.is_some_and(|other| place <= other);
                // What a decoder has gone past is over, played or not.
                passed(self.reached) || matches!(audio, Audio::Encoded(_)) && passed(self.decoded_to())
            });
        (place, too_late)
    }

    /// Samples that still fit.
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.buffered())
    }

    /// The place of the last chunk that is decoded and waits.
    fn decoded_to(&self) -> Option<u64> {
        let decoded = self.spans.len() - self.encoded.len();
        self.spans.get(decoded.checked_sub(1)?)?.through
    }

    /// The chunk at `place` has come, and nothing of it is here: that is no gap.
    fn cover(&mut self, place: u64) {
        let before = place.checked_sub(1);
        if let Some(span) = self.spans.iter_mut().rev().find(|span| span.through == before) {
            span.through = Some(place);
        } else if self.reached.is_some() && self.reached == before {
            self.reached = Some(place);
        }
    }

    /// Files `number`: new, reordered or duplicate, and how many were skipped. Answers its place.
    fn note(&mut self, number: u64, print: u16, audio: Audio<'_>, pushed: &mut Pushed) -> u64 {
        let rested = std::mem::take(&mut self.rested);
        let Some(numbers) = &mut self.numbers else {
            let (numbers, place) = Numbers::from(number, print);
            self.numbers = Some(numbers);
            return place;
        };
        let (place, verdict) =
            numbers.note(number, print, rested, |place| waiting(&self.spans, &self.samples, place, print, audio));
        match verdict {
            Verdict::New { lost } => {
                pushed.lost = lost;
                self.lost = self.lost.saturating_add(lost);
            }
            Verdict::Late { was_lost } => {
                pushed.reordered = true;
                self.lost = self.lost.saturating_sub(u64::from(was_lost)); // It was counted when it was skipped.
            }
            Verdict::Duplicate => pushed.duplicate = true,
        }
        place
    }

    /// Puts a chunk in its place; answers how many samples are behind it.
    fn insert(&mut self, span: Span, audio: Audio<'_>) -> usize {
        // Behind everything that is not later; a chunk without a number keeps its place.
        let later =
            self.spans.iter().rev().take_while(|later| later.place.is_some_and(|n| span.place.is_some_and(|c| n > c)));
        let (spans, samples) = later.fold((0, 0), |(spans, samples), later| (spans + 1, samples + later.len));
        self.spans.insert(self.spans.len() - spans, span);
        let pcm = match audio {
            Audio::Decoded(pcm) => pcm,
            Audio::Encoded(chunk) => {
                self.encoded.insert(spans, chunk);
                return samples;
            }
        };
        self.samples.extend(pcm);
        if samples > 0 {
            let place = self.samples.len() - pcm.len() - samples;
            self.samples.make_contiguous()[place..].rotate_right(pcm.len());
        }
        samples
    }

    /// Appends up to `wanted` samples to `out`, none from behind a gap; returns how many there were.
    pub fn pull(&mut self, wanted: usize, out: &mut Vec<i16>) -> usize {
        let count = self.peek(wanted, out);
        self.samples.drain(..count);
        let mut rest = count;
        while let Some(front) = self.spans.front_mut().filter(|_| rest > 0) {
            self.continues = front.place.is_some();
            self.reached = front.through.or(self.reached);
            let taken = rest.min(front.len);
            front.len -= taken;
            rest -= taken;
            if front.len == 0 {
                self.spans.pop_front();
            }
        }
        self.give_back();
        count
    }

    /// Gives memory back that a burst has taken and that is not needed any more: of many streams it is much.
    fn give_back(&mut self) {
        if self.samples.capacity() > SPARE_SAMPLES && self.samples.len() < self.samples.capacity() / 4 {
            self.samples.shrink_to((2 * self.samples.len()).max(SPARE_SAMPLES / 2));
        }
        if self.spans.capacity() > SPARE_SPANS && self.spans.len() < self.spans.capacity() / 4 {
            self.spans.shrink_to((2 * self.spans.len()).max(SPARE_SPANS / 2));
        }
    }

    /// As `pull`, but they stay.
    pub fn peek(&self, wanted: usize, out: &mut Vec<i16>) -> usize {
        let count = self.before_gap(wanted);
        let (front, back) = self.samples.as_slices();
        let split = count.min(front.len());
        out.extend_from_slice(&front[..split]);
        out.extend_from_slice(&back[..count - split]);
        count
    }

    /// How many samples, up to `wanted`, there are before something is missing, or is to be decoded first.
    fn before_gap(&self, wanted: usize) -> usize {
        let (mut count, mut last) = (0, self.reached.filter(|_| self.continues));
        for span in self.spans.iter().take(self.spans.len() - self.encoded.len()) {
            if count >= wanted || gap(last, span.place) > 0 {
                break;
            }
            count += span.len;
            last = span.through;
        }
        count.min(wanted)
    }

    /// Chunks missing right before the next sample.
    pub fn missing(&self) -> u64 {
        let last = self.reached.filter(|_| self.continues);
        self.spans.front().map_or(0, |front| gap(last, front.place))
    }

    /// Something else was played for the next `chunks` missing ones: they are too late from now on.
    pub fn give_up(&mut self, chunks: u64) {
        self.reached = self.reached.map(|reached| reached.saturating_add(chunks.min(self.missing())));
    }

    /// Missing chunks among the buffered ones and right before them.
    pub fn holes(&self) -> u64 {
        let place = |span: Option<&Span>| span.and_then(|span| span.place);
        match (place(self.spans.front()), place(self.spans.back())) {
            (Some(front), Some(back)) => {
                let places = back.saturating_sub(front).saturating_add(1);
                places.saturating_sub(self.spans.len() as u64).saturating_add(self.missing())
            }
            _ => 0,
        }
    }

    /// Samples in a chunk, as it was last.
    pub fn chunk_len(&self) -> usize {
        self.chunk_len
    }

    /// Drops everything that is buffered; returns how many samples that were.
    pub fn clear(&mut self) -> usize {
        let dropped = self.buffered();
        // A chunk from before the clear is as late as one that was played.
        self.reached = self.spans.iter().rev().find_map(|span| span.place).or(self.reached);
        self.continues = false;
        self.samples.clear();
        self.spans.clear();
        self.encoded = Queue::default();
        dropped
    }

    /// Says that the audio has come to rest: when nothing is buffered, memory is given back and the
    /// sender may number its next chunk anew.
    pub fn rest(&mut self) {
        if self.is_empty() {
            self.samples = VecDeque::new();
            self.spans = VecDeque::new();
            self.encoded = Queue::default();
            self.rested = true;
            self.continues = false;
        }
    }

    /// Samples buffered, those to be decoded included.
    pub fn buffered(&self) -> usize {
        self.samples.len() + self.encoded.samples()
    }

    /// Whether nothing is buffered.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// How long the buffered samples last.
    pub fn buffered_duration(&self) -> Duration {
        duration_of(self.buffered() as u64, self.rate)
    }

    /// Bytes that the buffered audio takes.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        self.samples.capacity() * size_of::<i16>() + self.spans.capacity() * size_of::<Span>() + self.encoded.cost()
    }

    /// Chunks that never came so far (saturating).
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

/// Chunks missing between one and the next.
fn gap(last: Option<u64>, next: Option<u64>) -> u64 {
    match (last, next) {
        (Some(last), Some(next)) => next.saturating_sub(last).saturating_sub(1),
        _ => 0,
    }
}

/// Whether the chunk at `place` waits, and whether it is this audio.
fn waiting(spans: &VecDeque<Span>, samples: &VecDeque<i16>, place: u64, print: u16, audio: Audio<'_>) -> Option<bool> {
    let pcm = match audio {
        Audio::Decoded(pcm) => pcm,
        Audio::Encoded(_) => {
            return spans.iter().find(|span| span.place == Some(place)).map(|span| span.print == print);
        }
    };
    let mut start = 0;
    for span in spans {
        if span.place == Some(place) {
            // Of the first one a part may have been played, and of the last one a part discarded.
            let rest = pcm.get(pcm.len().saturating_sub(span.len)..).unwrap_or_default();
            let there = || samples.iter().skip(start).take(span.len);
            return Some(there().eq(rest) || there().eq(pcm.iter().take(span.len)));
        }
        start += span.len;
    }
    None
}

#[cfg(test)]
mod tests;
