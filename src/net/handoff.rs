//! A queue from any thread to one that sleeps until its handle is set. What the handle is, others know; so the same code is
//! run under every interleaving (tests/interleavings).

use super::sync::{AtomicBool, Mutex, Ordering};

/// What was posted and not taken yet. The handle is set once for all that is posted until the next `take`.
#[derive(Debug)]
pub struct Handoff<T> {
    posted: Mutex<Vec<T>>,
    /// The handle is set, so another post need not set it.
    dirty: AtomicBool,
    closed: AtomicBool,
}

impl<T> Handoff<T> {
    /// An empty queue, open.
    pub fn new() -> Self {
        Self { posted: Mutex::new(Vec::new()), dirty: AtomicBool::new(false), closed: AtomicBool::new(false) }
    }

    /// Appends `items`, and calls `set` if the handle must be set for them. Nothing is taken from `items` after `close`.
    pub fn post(&self, items: impl IntoIterator<Item = T>, set: impl FnOnce()) {
        if self.is_closed() {
            return;
        }
        self.lock(|posted| posted.extend(items));
        self.again(set);
    }

    /// Takes all that is there. `clear` makes the handle unset.
    pub fn take(&self, clear: impl FnOnce()) -> Vec<T> {
        // In this order: what is posted from now on sets the handle again. A swap, so that all that happens to the flag is one
        // chain, in which each sees the one before.
        clear();
        self.dirty.swap(false, Ordering::AcqRel);
        self.lock(std::mem::take)
    }

    /// Has the handle set, so that `take` is called again.
    pub fn again(&self, set: impl FnOnce()) {
        if !self.dirty.swap(true, Ordering::AcqRel) {
            set();
        }
    }

    /// Takes nothing in any more; answers false when it was closed before.
    pub fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// Whether `close` was called.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn lock<R>(&self, work: impl FnOnce(&mut Vec<T>) -> R) -> R {
        work(&mut self.posted.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl<T> Default for Handoff<T> {
    fn default() -> Self {
        Self::new()
    }
}
