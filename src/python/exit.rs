//! Which thread ends the interpreter. By then all others are daemons, and none of them may be called into Python any more.

use std::sync::OnceLock;
use std::thread::ThreadId;

static EXITING: OnceLock<ThreadId> = OnceLock::new();

/// The interpreter ends, and this is the thread that ends it.
pub(super) fn begins() {
    EXITING.get_or_init(|| std::thread::current().id());
}

/// Whether another thread ends the interpreter.
pub(super) fn is_ending_elsewhere() -> bool {
    EXITING.get().is_some_and(|thread| *thread != std::thread::current().id())
}
