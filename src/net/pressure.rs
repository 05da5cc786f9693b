//! How much of what was received the application has not handled, and whether reading waits for that. The same code is run
//! under every interleaving (tests/interleavings).

use super::sync::{AtomicBool, AtomicUsize, Ordering};

/// Counts the cost of messages between the reader and the application.
#[derive(Debug)]
pub(super) struct Pressure {
    /// Reading waits above this, until a quarter of it is left.
    limit: usize,
    unhandled: AtomicUsize,
    paused: AtomicBool,
}

impl Pressure {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, unhandled: AtomicUsize::new(0), paused: AtomicBool::new(false) }
    }

    /// The cost of what is not handled.
    pub(super) fn unhandled(&self) -> usize {
        self.unhandled.load(Ordering::Relaxed)
    }

    /// Whether reading waits.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether reading would wait if so much more were posted.
    pub(super) fn is_full_with(&self, cost: usize) -> bool {
        self.is_paused() || self.unhandled() + cost > self.limit
    }

    /// A message that costs this much was posted. `resume` is called when reading may go on after all.
    pub(super) fn charge(&self, cost: usize, resume: impl FnOnce()) {
        let unhandled = self.unhandled.fetch_add(cost, Ordering::AcqRel) + cost;
        if unhandled > self.limit {
            self.paused.store(true, Ordering::Release);
            // The application may have handled everything just before the flag was set. This write that changes nothing
            // sees the newest value, and puts the flag before any `release` that comes later; a load alone may be carried
            // out before the store above, and then neither side would resume.
            self.unhandled.fetch_add(0, Ordering::AcqRel);
            self.resume_if_low(resume);
        }
    }

    /// The application has handled messages that cost this much. `resume` is called when reading may go on.
    pub(super) fn release(&self, cost: usize, resume: impl FnOnce()) {
        let before = self.unhandled.fetch_sub(cost, Ordering::AcqRel);
        debug_assert!(before >= cost, "released more than was charged");
        self.resume_if_low(resume);
    }

    fn resume_if_low(&self, resume: impl FnOnce()) {
        if self.paused.load(Ordering::Acquire)
            && self.unhandled.load(Ordering::Acquire) <= self.limit / 4
            && self.paused.swap(false, Ordering::AcqRel)
        {
            resume();
        }
    }
}
