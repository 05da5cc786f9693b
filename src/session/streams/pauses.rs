//! Which streams of a connection are paused: all but some tags, or some tags. Streams that start later are meant, too.

use std::collections::HashSet;
use std::time::Instant;

use super::Streams;

/// What was asked for last, for each tag.
#[derive(Clone, Debug, Default)]
pub struct Pauses {
    all: bool,
    /// The tags of which the opposite is true.
    but: HashSet<String>,
}

impl Pauses {
    /// Whether the streams of this tag are paused.
    pub(super) fn of(&self, tag: &str) -> bool {
        self.all != self.but.contains(tag)
    }

    fn set(&mut self, tag: Option<&str>, paused: bool) {
        match tag {
            None => *self = Self { all: paused, but: HashSet::new() },
            Some(tag) if self.all == paused => drop(self.but.remove(tag)),
            Some(tag) => drop(self.but.insert(tag.to_owned())),
        }
    }
}

impl Streams {
    /// Pauses the streams of one tag, or all, or has them go on.
    pub fn pause(&mut self, now: Instant, tag: Option<&str>, paused: bool) {
        self.pauses.set(tag, paused);
        for entry in &mut self.entries {
            if self.pauses.of(entry.stream.tag()) {
                entry.stream.pause(now);
            } else {
                entry.stream.resume(now);
            }
        }
    }

    /// What is paused.
    pub fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// What was paused of a connection whose place this one takes is paused here; nothing has started yet.
    pub fn take_over(&mut self, pauses: Pauses) {
        self.pauses = pauses;
    }
}
