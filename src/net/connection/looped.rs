//! The loop driver: a connection without media is read by the event loop itself, which watches its socket. No other thread is
//! woken for a message, and none has to wake the loop. Everything else stays with the connection's task; so does reading,
//! for good, from the first thing on that the loop is not for: audio, the peer's close, the end, a loop that does not turn.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, TryLockError};

use crate::net::driver::Progress;
use crate::net::mailbox::{Mailbox, Notice, Taker};
use crate::net::socket::OpenSocket;

use super::Connection;

/// Whether the loop reads, and what it needs for that.
#[derive(Default)]
pub(super) struct Looped {
    active: AtomicBool,
    /// Counts reads of the loop.
    turns: AtomicU32,
    /// The count at which the socket was seen to be readable last, less one; 0: it was not.
    waiting_since: AtomicU32,
}

/// What a turn of the loop has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There may be more to read.
    More,
    /// Nothing more for now; the loop hears when there is.
    Dry,
}

impl Connection {
    /// From now on it is for the loop to read, if its loop does that.
    pub(super) fn begin_on_loop(&self) {
        if self.mailbox.reads_sockets() {
            self.looped.active.store(true, Ordering::Release);
            self.core.watch_loops();
        }
    }

    /// Whether the loop is the one that reads, now or when the application has caught up.
    pub fn is_on_loop(&self) -> bool {
        self.looped.active.load(Ordering::Acquire)
    }

    /// Whether the loop is to watch the socket now. `Notice::Watch` tells when that changes otherwise than by
    /// `read_on_loop`.
    pub fn wants_loop(&self) -> bool {
        self.is_on_loop() && (self.is_closing() || !self.is_paused())
    }

    /// What the loop is to watch. Whoever has it keeps the descriptor open: to be let go of once it is not watched.
    pub fn socket(&self) -> Option<Arc<OpenSocket>> {
        self.with_reading(|reading| Arc::clone(reading.socket()))
    }

    /// Whether something was read that could not be taken: to be read on without waiting for the socket.
    pub fn has_left(&self) -> bool {
        self.with_reading(|reading| reading.has_left()).unwrap_or(false)
    }

    /// Has the loop look again, after all that waits.
    pub fn look_again(&self) {
        self.post_one(Notice::Watch);
    }

    /// Posted and not dispatched yet: to be dispatched before the loop reads on.
    pub fn waiting(&self) -> usize {
        self.mailbox.waiting()
    }

    /// The loop has taken so much off what it read, and keeps it to dispatch it later; what of it counts as notices costs.
    pub fn put_off(&self, count: usize, cost: usize) {
        if cost > 0 {
            self.charge(cost);
        }
        self.mailbox.wait(count);
    }

    /// One notice was dispatched.
    pub fn dispatched(&self) {
        self.mailbox.dispatched();
    }

    /// Reads what is there, once, and gives it to `taker`. By the loop's thread, with nothing `waiting`.
    pub fn read_on_loop(self: &Arc<Self>, taker: &mut impl Taker) -> Turn {
        self.looped.turns.fetch_add(1, Ordering::Relaxed);
        let mut reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(reading)) => reading.into_inner(),
            // The task is at it, for once; what it reads is posted before it lets go.
            Err(TryLockError::WouldBlock) => return Turn::Dry,
        };
        let Some(reading) = reading.as_deref_mut() else { return Turn::Dry };
        if !self.wants_loop() || self.waiting() > 0 {
            return Turn::Dry;
        }
        match reading.read(self, taker) {
            Progress::More => Turn::More,
            Progress::Dry => Turn::Dry,
            Progress::Stirred => {
                if reading.is_over() {
                    self.leave_loop();
                }
                self.wake.notify_one();
                Turn::Dry
            }
        }
    }

    /// From now on the task reads. False if it did so already.
    pub fn leave_loop(&self) -> bool {
        if !self.is_on_loop() || !self.looped.active.swap(false, Ordering::AcqRel) {
            return false;
        }
        self.wake.notify_one();
        self.post_one(Notice::Watch);
        true
    }

    /// Whether it is to be read may have changed.
    pub(super) fn reading_changed(&self) {
        self.wake.notify_one();
        if self.is_on_loop() {
            self.post_one(Notice::Watch);
        }
    }

    /// Looks, now and then, whether the loop reads what there is; a loop that does not turn is taken off it. Answers
    /// whether this connection is on its loop.
    pub(in crate::net) fn check_loop(&self) -> bool {
        if !self.is_on_loop() {
            return false;
        }
        let readable = self.wants_loop() && self.socket().is_some_and(|socket| socket.is_readable());
        let turns = self.looped.turns.load(Ordering::Relaxed).wrapping_add(1).max(1);
        let before = self.looped.waiting_since.swap(if readable { turns } else { 0 }, Ordering::Relaxed);
        if readable && before == turns {
            return !self.leave_loop();
        }
        true
    }
}
