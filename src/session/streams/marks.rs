//! Marks in the streams of one connection: one that is set in several of them is reached when it is in each.

use std::collections::HashMap;
use std::time::Instant;

use super::{Output, Streams};
use crate::media::stream::{MAX_MARKS, Reached, TooManyMarks};

/// What is still missing of each mark.
#[derive(Debug, Default)]
pub(super) struct Marks(HashMap<u64, Parts>);

#[derive(Debug)]
struct Parts {
    /// Streams in which it has not been reached.
    left: usize,
    /// All that was before it so far was played.
    played: bool,
}

impl Marks {
    /// It was reached in one stream; answers it when that was the last one.
    pub(super) fn reached(&mut self, part: Reached) -> Option<Reached> {
        let parts = self.0.get_mut(&part.id)?;
        parts.left = parts.left.saturating_sub(1);
        parts.played &= part.played;
        if parts.left > 0 {
            return None;
        }
        let Parts { played, .. } = self.0.remove(&part.id)?;
        Some(Reached { id: part.id, played })
    }
}

impl Streams {
    /// Marks the end of what is buffered now: of one tag, or of all. `Output::Mark` tells of it under this id; false, and
    /// nothing is told, when there is nothing to be played.
    pub fn mark(&mut self, now: Instant, tag: Option<&str>, id: u64) -> Result<bool, TooManyMarks> {
        if self.marks.0.len() >= MAX_MARKS {
            return Err(TooManyMarks);
        }
        let streams = self.entries.iter_mut().map(|entry| &mut entry.stream);
        let streams = streams.filter(|stream| tag.is_none_or(|t| t == stream.tag()));
        let left = streams.map(|stream| usize::from(stream.mark(now, id))).sum();
        if left > 0 {
            self.marks.0.insert(id, Parts { left, played: true });
        }
        Ok(left > 0)
    }

    /// Tells of the marks that were reached in the stream at `index`.
    pub(super) fn tell_marks(&mut self, index: usize, now: Instant, out: &mut impl FnMut(Output<'_>)) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        while let Some(part) = entry.stream.take_mark(now) {
            self.marks.reached(part).into_iter().for_each(|mark| out(Output::Mark(mark)));
        }
    }
}
