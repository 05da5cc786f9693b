//! Chunks that wait as they came, because their decoder has a memory and must get them in order. Which of them are in
//! order is known outside.

use std::collections::VecDeque;

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
