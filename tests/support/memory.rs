//! An allocator that counts what each thread holds and how often it asks, for tests of bounds on memory and of hot paths.
//! What C code allocates (zlib's contexts) is not counted.
#![allow(dead_code, reason = "each test crate that includes this uses a part of it")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// Counts what this thread holds, the most that it held, and its requests for memory.
struct Counting;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn count(plus: usize, minus: usize) {
    // A thread that ends may free more after its cell is gone.
    let _ = HELD.try_with(|held| {
        let now = (held.get().0 + plus).saturating_sub(minus);
        held.set((now, held.get().1.max(now)));
    });
    if plus > 0 {
        let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
    }
}

/// How often this thread asks for memory, for more of it included, while it does `work`.
pub fn allocations(work: impl FnOnce()) -> usize {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

// SAFETY: everything is done by the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Memory of this thread from now on.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    before: usize,
}

impl Watch {
    /// Begins to watch; an earlier watch of this thread forgets its peak.
    pub fn start() -> Self {
        let before = HELD.get().0;
        HELD.set((before, before));
        Self { before }
    }

    /// Bytes held now beyond those at the start.
    pub fn held(self) -> usize {
        HELD.get().0.saturating_sub(self.before)
    }

    /// The most bytes held since the start beyond those at the start.
    pub fn peak(self) -> usize {
        HELD.get().1.saturating_sub(self.before)
    }
}
