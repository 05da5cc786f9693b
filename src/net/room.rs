//! Where a message is put: room of a known size that a long one is read straight into, and what `take` functions are shown.

use std::any::Any;
use std::mem::MaybeUninit;

/// A message, wherever its payload is.
pub enum Data<'a> {
    /// Text.
    Text(&'a str),
    /// Text that nobody has looked at: it may be no UTF-8.
    Unchecked(&'a [u8]),
    /// Bytes.
    Binary(&'a [u8]),
    /// Bytes, in the room that was made for them.
    Room(Box<dyn Room>),
}

/// A text is not UTF-8.
#[derive(Debug)]
pub struct InvalidText;

/// Room for the payload of a long message.
pub trait Room: Any + Send {
    /// What of it is not filled yet; never a part of it.
    fn spare(&mut self) -> &mut [MaybeUninit<u8>];

    /// Counts bytes at the start of [`spare`](Self::spare) as filled.
    ///
    /// # Safety
    /// These `count` bytes are initialised.
    unsafe fn advance(&mut self, count: usize);
}

/// Room in a vector.
#[derive(Debug)]
pub(super) struct VecRoom {
    filled: Vec<u8>,
    size: usize,
}

impl VecRoom {
    pub(super) fn new(size: usize) -> Self {
        Self { filled: Vec::with_capacity(size), size }
    }

    /// The same in a vector that is there already. `None`: there is no memory.
    pub(super) fn within(mut filled: Vec<u8>, size: usize) -> Option<Self> {
        filled.clear();
        filled.try_reserve_exact(size).ok()?;
        Some(Self { filled, size })
    }

    /// Bytes that are not there yet.
    pub(super) fn missing(&self) -> usize {
        self.size - self.filled.len()
    }

    pub(super) fn into_vec(self) -> Vec<u8> {
        self.filled
    }
}

impl Room for VecRoom {
    fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        let missing = self.size - self.filled.len();
        // Its capacity may be more than what was asked for.
        self.filled.spare_capacity_mut().get_mut(..missing).unwrap_or_default()
    }

    unsafe fn advance(&mut self, count: usize) {
        let filled = self.filled.len() + count;
        assert!(filled <= self.size, "more was filled than there is room for");
        // SAFETY: within the capacity, which is at least `size`; and the caller has initialised these bytes.
        unsafe { self.filled.set_len(filled) };
    }
}

/// Puts as many `bytes` into `room` as it takes: how many.
pub(super) fn fill(room: &mut dyn Room, bytes: &[u8]) -> usize {
    let spare = room.spare();
    let count = bytes.len().min(spare.len());
    spare[..count].write_copy_of_slice(&bytes[..count]);
    // SAFETY: they were just written.
    unsafe { room.advance(count) };
    count
}
