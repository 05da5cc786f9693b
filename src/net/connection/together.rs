//! Messages that are sent together, on an event loop's thread, are one write: the first one goes at once, what follows it
//! closely, in the same turn of the loop, waits for the end of that turn. A turn that takes long delays none of it by more
//! than a pacer's tick.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::io::Io;
use crate::net::runtime::{generation, lock};

use super::{Connection, Phase};

/// What comes so soon after the last write is sent together with what else comes.
const CLOSELY: Duration = Duration::from_micros(50);
/// Bytes that are written without waiting for more.
const ENOUGH: usize = 64 * 1024;
/// For how long nobody may find the time to write what waits.
const PATIENCE: Duration = Duration::from_millis(1);

thread_local! {
    /// Counts what wakes this thread's loop.
    static TURN: Cell<u64> = const { Cell::new(0) };
    /// Whether a `LoopTurn` will write at its end.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Whose messages wait, and in which process they began to.
    static HELD: RefCell<(u32, Vec<Arc<Connection>>)> = const { RefCell::new((0, Vec::new())) };
}

/// A turn of the loop in which the core calls handlers; at its end what they have sent is written.
pub struct LoopTurn {
    outer: bool,
}

impl LoopTurn {
    /// Begins one.
    pub fn begin() -> Self {
        TURN.set(TURN.get() + 1);
        Self { outer: INSIDE.replace(true) }
    }
}

impl Drop for LoopTurn {
    fn drop(&mut self) {
        INSIDE.set(self.outer);
        if !self.outer {
            write_held();
        }
    }
}

/// Writes what was sent on this thread and waits to be written together.
pub fn write_held() {
    loop {
        let (generation_then, held) = HELD.take();
        if held.is_empty() {
            return;
        }
        if generation_then != generation() {
            // In a forked child: these are the parent's.
            std::mem::forget(held);
            return;
        }
        for connection in held {
            connection.with_open(|_| ());
        }
    }
}

/// When the last message was written at once.
#[derive(Debug, Default)]
pub(in crate::net) struct LastWrite {
    turn: u64,
    at: Option<Instant>,
    /// Something waits that the socket would take.
    pub(in crate::net) held: bool,
}

/// What becomes of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing needs to be done about it.
    Done,
    /// `write_held` is to be called when this turn of the loop is over.
    Held,
}

impl Connection {
    /// Leaves what `io` has to be written for the end of this turn, if it came soon after the last. On the thread of a loop
    /// only. `None`: it is to be written at once.
    pub(super) fn hold(self: &Arc<Self>, io: &mut Io) -> Option<Sent> {
        if io.is_blocked() || io.has_failed() || io.outbound.pending().len() >= ENOUGH {
            return None;
        }
        if io.last.held {
            return Some(Sent::Done);
        }
        let (turn, now) = (TURN.get(), Instant::now());
        let together = io.last.turn == turn && io.last.at.is_some_and(|at| now - at < CLOSELY);
        if !together {
            io.last.turn = turn;
            io.last.at = Some(now);
            return None;
        }
        io.last.held = true;
        let first = HELD.with_borrow_mut(|(generation_then, held)| {
            *generation_then = generation();
            held.push(Arc::clone(self));
            held.len() == 1
        });
        self.schedule(Some(now + PATIENCE));
        Some(if first && !INSIDE.get() { Sent::Held } else { Sent::Done })
    }
}

impl Connection {
    /// Writes what the loop has not found the time for. Of a connection without streams nothing else is ever scheduled.
    pub(super) fn write_late(&self) {
        if self.has_held() {
            self.with_open(|_| ());
        }
    }

    fn has_held(&self) -> bool {
        matches!(&*lock(&self.phase), Phase::Open(io) if io.last.held)
    }
}
