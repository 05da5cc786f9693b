//! A Python object's hold on something of `net`, safe across fork.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::net;

use super::errors;

/// A shared object that knows in which process it was made. In a forked child it raises instead of working, and is not
/// dropped there: that would shut the parent's sockets.
pub(super) struct Handle<T> {
    inner: ManuallyDrop<Arc<T>>,
    generation: u32,
}

impl<T> Handle<T> {
    pub(super) fn new(inner: Arc<T>) -> Self {
        Self { inner: ManuallyDrop::new(inner), generation: net::generation() }
    }

    /// The object. Raises `ForkedError` in a forked child.
    pub(super) fn get(&self, py: Python<'_>) -> PyResult<&Arc<T>> {
        if self.generation == net::generation() { Ok(&self.inner) } else { Err(errors::forked(py)) }
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if self.generation == net::generation() {
            // SAFETY: `inner` is not used after this; drop runs once.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}
