//! Chunks that wait as they came, because their decoder has a memory and must get them in order. How they are decoded is known
//! outside.

use std::collections::VecDeque;

use super::{Audio, Playout, Pushed, Span, gap};
use crate::media::scratch;

/// What a waiting chunk costs beside its bytes.
const OVERHEAD: usize = 96;

/// A chunk to be decoded when its turn has come.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    /// Its bytes.
    pub payload: &'a [u8],
    /// How many samples they stand for; `None`: only decoding tells, so that it is decoded as soon as it is in order.
    pub samples: Option<usize>,
    /// So many samples for each byte, so that it can be cut anywhere; `None`: it is whole or nothing.
    pub a_byte: Option<usize>,
}

impl Encoded<'_> {
    /// What of it stands for at most `room` samples. A chunk of which only decoding tells may need any.
    pub(super) fn within(self, room: usize) -> Self {
        match (self.samples, self.a_byte) {
            (Some(samples), Some(each)) if samples > room => {
                let bytes = room / each.max(1);
                let payload = self.payload.get(..bytes).unwrap_or_default();
                Self { payload, samples: Some(bytes * each), ..self }
            }
            (Some(samples), None) if samples > room => Self { payload: &[], samples: Some(0), ..self },
            _ => self,
        }
    }

    /// What it costs to keep it, in bytes.
    pub(super) fn cost(self) -> usize {
        self.payload.len() + OVERHEAD
    }
}

/// They, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    chunks: VecDeque<Box<[u8]>>,
    cost: usize,
    samples: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Samples that they will give, as far as is known.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// Bytes that they take.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Inserts a chunk with so many behind it.
    pub(super) fn insert(&mut self, behind: usize, chunk: Encoded<'_>) {
        self.cost += chunk.cost();
        self.samples += chunk.samples.unwrap_or(0);
        self.chunks.insert(self.chunks.len().saturating_sub(behind), chunk.payload.into());
    }

    /// Takes out the first, of which `samples` are known.
    pub(super) fn pop(&mut self, samples: usize) -> Option<Box<[u8]>> {
        let payload = self.chunks.pop_front()?;
        self.cost -= payload.len() + OVERHEAD;
        self.samples -= samples;
        Some(payload)
    }

    pub(super) fn first(&self) -> Option<&[u8]> {
        self.chunks.front().map(|payload| &**payload)
    }
}

/// What decoding gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Samples that are in the buffer now.
    pub samples: usize,
    /// Samples for which there was no room.
    pub overflow: usize,
}

impl Playout {
    /// As [`push`](Self::push), for a chunk that is decoded when it is due: [`open`](Self::open) does it. A stream has
    /// chunks of one kind only. What waits takes no more memory than it would decoded.
    pub fn push_encoded(&mut self, chunk: Option<u64>, print: u16, given: Encoded<'_>) -> Pushed {
        let mut pushed = Pushed::default();
        let (place, too_late) = self.file(chunk, print, Audio::Encoded(given), &mut pushed);
        if pushed.duplicate {
            return pushed;
        }
        let samples = given.samples.unwrap_or(0);
        let taken = given.within(self.room());
        // Only decoding tells, and that is done at once: it need not fit.
        let next = taken.samples.is_none() && self.encoded.len() == 0 && gap(self.last(), place) == 0;
        let bytes = self.capacity.saturating_sub(self.samples.len()).saturating_mul(2);
        let fits = self.encoded.cost() + taken.cost() <= bytes && taken.samples != Some(0);
        if !too_late && (fits || next) {
            let len = taken.samples.unwrap_or(0);
            pushed.accepted = len;
            self.chunk_len = if len > 0 { len } else { self.chunk_len };
            pushed.behind = self.insert(Span { place, through: place, len, print }, Audio::Encoded(taken));
        } else if let Some(place) = place.filter(|_| !too_late) {
            self.cover(place);
        }
        pushed.discarded = samples - pushed.accepted;
        pushed.overflow = if too_late { 0 } else { pushed.discarded };
        pushed
    }

    /// The place of the last chunk that is here.
    fn last(&self) -> Option<u64> {
        self.spans.back().map_or(self.reached.filter(|_| self.continues), |span| span.through)
    }

    /// Whether chunks wait to be decoded.
    pub fn waits_encoded(&self) -> bool {
        self.encoded.len() > 0
    }

    /// The next chunk to be played, if it is to be decoded first.
    pub fn next_encoded(&self) -> Option<&[u8]> {
        self.encoded.first().filter(|_| self.encoded.len() == self.spans.len())
    }

    /// Has chunks decoded, in order, until there are `wanted` samples, or one is missing. `decode` gets the payload, how
    /// many samples it stands for (0: only decoding tells) and how many fit, and appends them; it answers for how many
    /// more there was no room.
    pub fn open(
        &mut self,
        wanted: usize,
        mut decode: impl FnMut(&[u8], usize, usize, &mut Vec<i16>) -> usize,
    ) -> Opened {
        let mut opened = Opened::default();
        while self.encoded.len() > 0 && self.samples.len() < wanted {
            let index = self.spans.len() - self.encoded.len();
            let before = match index.checked_sub(1) {
                Some(before) => self.spans.get(before).and_then(|span| span.through),
                None => self.reached.filter(|_| self.continues),
            };
            let Some(&Span { place, len, .. }) = self.spans.get(index) else { break };
            if gap(before, place) > 0 {
                break;
            }
            let Some(payload) = self.encoded.pop(len) else { break };
            let room = self.room();
            scratch::samples(|pcm| {
                opened.overflow += decode(&payload, len, room, pcm);
                opened.overflow += pcm.len().saturating_sub(room);
                pcm.truncate(room);
                opened.samples += pcm.len();
                if pcm.is_empty() {
                    self.spans.remove(index);
                    if let Some(place) = place {
                        self.cover(place);
                    }
                } else {
                    self.chunk_len = pcm.len();
                    self.samples.extend(&*pcm);
                    if let Some(span) = self.spans.get_mut(index) {
                        span.len = pcm.len();
                    }
                }
            });
        }
        opened
    }
}
