//! `Inbox`: messages that no handler took, and the budget of the connection's receive buffer. Knows no events and no states.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyIndexError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use super::bridge::lock;
use super::connection::PyConnection;

/// For how long `take` gives messages without a wait in between: then others should get the loop for once.
const TURN: Duration = Duration::from_millis(2);
/// Messages for which an empty inbox keeps room.
const ROOM: usize = 64;

/// The messages of one WebSocket that wait for `recv()` or for a first handler, in order.
///
/// Each message has a cost, which the connection counts until it is given back: above its limit it stops reading, so that
/// memory is bounded however slow the application is.
#[pyclass(frozen, subclass, module = "voxwire._core")]
#[derive(Default)]
pub(super) struct Inbox(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    connection: Option<Py<PyConnection>>,
    messages: VecDeque<(Py<PyAny>, usize)>,
    /// The future of the one who waits.
    waiter: Option<Py<PyAny>>,
    /// The cost of what waits, and of what `async def` handlers work on.
    held: usize,
    /// Nothing is counted any more.
    closed: bool,
    /// Since when messages have been taken without a wait.
    turn: Option<Instant>,
    taken: bool,
    /// There are handlers: what waits is for them.
    reserved: bool,
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn __len__(&self) -> usize {
        lock(&self.0).messages.len()
    }

    #[getter]
    fn held(&self) -> usize {
        lock(&self.0).held
    }

    #[getter(taken)]
    pub(super) fn is_used(&self) -> bool {
        lock(&self.0).taken
    }

    pub(super) fn put(&self, py: Python<'_>, data: Py<PyAny>, cost: usize) -> PyResult<()> {
        let mut inner = lock(&self.0);
        inner.messages.push_back((data, cost));
        inner.held += cost;
        drop(inner);
        self.wake(py)
    }

    fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut inner = lock(&self.0);
        if inner.messages.is_empty() || inner.reserved {
            return Ok(None);
        }
        let now = Instant::now();
        if now - *inner.turn.get_or_insert(now) >= TURN {
            inner.turn = None;
            return Ok(None);
        }
        let Some((data, cost)) = inner.pop() else { return Ok(None) };
        inner.give_back(py, cost)?;
        Ok(Some(data))
    }

    fn pop(&self) -> PyResult<(Py<PyAny>, usize)> {
        lock(&self.0).pop().ok_or_else(|| PyIndexError::new_err("pop from an empty inbox"))
    }

    fn reserve(&self, reserved: bool) {
        lock(&self.0).reserved = reserved;
    }

    fn count(&self, cost: usize) -> bool {
        let mut inner = lock(&self.0);
        if !inner.closed {
            inner.held += cost;
        }
        !inner.closed
    }

    fn give_back(&self, py: Python<'_>, cost: usize) -> PyResult<()> {
        lock(&self.0).give_back(py, cost)
    }

    fn stop_counting(&self, py: Python<'_>) -> PyResult<()> {
        let mut inner = lock(&self.0);
        let held = inner.held;
        inner.give_back(py, held)?;
        inner.closed = true;
        Ok(())
    }

    fn wake(&self, py: Python<'_>) -> PyResult<()> {
        let waiter = lock(&self.0).waiter.take();
        let Some(future) = waiter else { return Ok(()) };
        if !future.call_method0(py, intern!(py, "done"))?.is_truthy(py)? {
            future.call_method1(py, intern!(py, "set_result"), (py.None(),))?;
        }
        Ok(())
    }

    fn wait(&self, py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let before = lock(&self.0).waiter.as_ref().map(|future| future.clone_ref(py));
        if let Some(future) = before
            && !future.call_method0(py, intern!(py, "done"))?.is_truthy(py)?
        {
            return Ok(None);
        }
        let future = event_loop.call_method0(intern!(py, "create_future"))?.unbind();
        let mut inner = lock(&self.0);
        inner.turn = None;
        let before = inner.waiter.replace(future.clone_ref(py));
        drop(inner);
        drop(before);
        Ok(Some(future))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(inner) = self.0.try_lock() {
            // Messages are str and bytes: they refer to nothing.
            visit.call(&inner.waiter)?;
            visit.call(&inner.connection)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        if let Ok(mut inner) = self.0.try_lock() {
            let before = std::mem::take(&mut *inner);
            drop(inner);
            drop(before);
        }
    }
}

impl Inbox {
    /// From now on costs are given back to this connection.
    pub(super) fn attach(&self, connection: Py<PyConnection>) {
        let before = lock(&self.0).connection.replace(connection);
        drop(before);
    }
}

impl Inner {
    fn pop(&mut self) -> Option<(Py<PyAny>, usize)> {
        self.taken = true;
        let popped = self.messages.pop_front();
        if self.messages.is_empty() && self.messages.capacity() > ROOM {
            self.messages = VecDeque::new();
        }
        popped
    }

    fn give_back(&mut self, py: Python<'_>, cost: usize) -> PyResult<()> {
        if self.closed {
            return Ok(());
        }
        self.held = self.held.saturating_sub(cost);
        match &self.connection {
            Some(connection) => connection.get().release(py, cost),
            None => Ok(()),
        }
    }
}
