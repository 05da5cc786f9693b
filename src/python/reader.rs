//! Reading of one connection by its event loop: what the loop calls when the socket is readable. Messages go from there to
//! the sink, through no queue and no other thread.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::media::scratch;
use crate::net::{self, Connection, LoopTurn, Notice, OpenSocket, Taker, Turn};
use crate::proto::{Payload, Text};

use super::bridge::{Draining, Item, LoopBridge, MAX_TIME, Sink, What, bytes_of, lock, no_memory, seen, text_of};
use super::exit;
use super::handle::Handle;

/// What the loop calls when the socket of one connection is readable.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct LoopReader {
    connection: Handle<Connection>,
    /// Kept open until the loop does not watch it any more: its number must not become that of another one before.
    socket: Mutex<Option<Arc<OpenSocket>>>,
    fd: RawFd,
    event_loop: Py<PyAny>,
    bridge: Py<LoopBridge>,
    sink: Sink,
    watched: AtomicBool,
    generation: u32,
}

#[pymethods]
impl LoopReader {
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if this.generation != net::generation() || exit::is_ending_elsewhere() {
            return Ok(());
        }
        let _counted = Draining::begin();
        let turn = LoopTurn::begin();
        let result = this.turn(slf.py());
        drop(turn);
        Self::update(slf);
        result
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.bridge)?;
        self.sink.visit(&visit)
    }
}

impl LoopReader {
    /// The reader of an open connection; none for one that its task reads.
    pub(super) fn make<'py>(
        bridge: &Bound<'py, LoopBridge>,
        connection: &Arc<Connection>,
        sink: Sink,
    ) -> PyResult<Option<Bound<'py, Self>>> {
        let py = bridge.py();
        let Some(socket) = connection.is_on_loop().then(|| connection.socket()).flatten() else { return Ok(None) };
        let event_loop = py.import(intern!(py, "asyncio"))?.call_method0(intern!(py, "get_running_loop"))?;
        let reader = Self {
            connection: Handle::new(Arc::clone(connection)),
            fd: socket.fd(),
            socket: Mutex::new(Some(socket)),
            event_loop: event_loop.unbind(),
            bridge: bridge.clone().unbind(),
            sink,
            watched: AtomicBool::new(false),
            generation: net::generation(),
        };
        Bound::new(py, reader).map(Some)
    }

    /// Has the loop watch the socket if it is to be read, else not.
    pub(super) fn update(slf: &Bound<'_, Self>) {
        let (py, this) = (slf.py(), slf.get());
        let Ok(connection) = this.connection.get(py) else { return this.stop(py) };
        let wanted = connection.wants_loop();
        if wanted == this.watched.load(Ordering::Relaxed) || lock(&this.socket).is_none() {
            return;
        }
        if !wanted {
            this.unwatch(py);
            return;
        }
        match this.event_loop.call_method1(py, intern!(py, "add_reader"), (this.fd, slf)) {
            Ok(_) => this.watched.store(true, Ordering::Relaxed),
            // A loop that cannot watch this one: the connection's task can.
            Err(_) => drop(connection.leave_loop()),
        }
    }

    /// The same, and reads what is there without the socket: bytes that were kept back.
    pub(super) fn look(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::update(slf);
        let this = slf.get();
        let left = this.connection.get(slf.py()).is_ok_and(|it| it.wants_loop() && it.has_left());
        if left && this.watched.load(Ordering::Relaxed) { Self::__call__(slf) } else { Ok(()) }
    }

    /// It is not to be read here any more.
    pub(super) fn stop(&self, py: Python<'_>) {
        if self.unwatch(py) {
            drop(lock(&self.socket).take());
        }
    }

    /// Whether the loop does not watch the socket any more.
    fn unwatch(&self, py: Python<'_>) -> bool {
        // In a forked child the loop, and what it watches, is the parent's.
        if self.watched.load(Ordering::Relaxed) && self.connection.get(py).is_ok() {
            // It fails when the loop is closed; then it lets go of this object, which keeps the descriptor until then.
            let removed = self.event_loop.call_method1(py, intern!(py, "remove_reader"), (self.fd,));
            self.watched.store(removed.is_err(), Ordering::Relaxed);
        }
        !self.watched.load(Ordering::Relaxed)
    }

    /// Reads and dispatches until nothing is there or the budget is used up.
    fn turn(&self, py: Python<'_>) -> PyResult<()> {
        let connection = self.connection.get(py)?;
        let bridge = self.bridge.bind(py);
        let start = Instant::now();
        loop {
            if connection.waiting() > 0 {
                // What came before is dispatched before: the bridge has its turn, and we are called again; by the socket, or
                // by ourselves.
                if connection.has_left() {
                    connection.look_again();
                }
                return Ok(());
            }
            let mut batch = Batch { py, connection, items: Vec::new() };
            let turn = connection.read_on_loop(&mut batch);
            let dispatched_all = self.dispatch(bridge, connection, batch.items, start)?;
            if turn == Turn::Dry || !dispatched_all || !connection.wants_loop() || start.elapsed() > MAX_TIME {
                if connection.wants_loop() && connection.has_left() {
                    connection.look_again();
                }
                return Ok(());
            }
        }
    }

    /// Dispatches what one read has brought, as far as the budget goes. False when some of it was put off.
    fn dispatch(
        &self,
        bridge: &Bound<'_, LoopBridge>,
        connection: &Arc<Connection>,
        items: Vec<Item>,
        start: Instant,
    ) -> PyResult<bool> {
        let py = bridge.py();
        let what = What::Connection(Arc::clone(connection));
        let mut items = items.into_iter();
        let mut handled = 0;
        let mut result = Ok(());
        while result.is_ok()
            && let Some(item) = items.next()
        {
            result = seen(
                py,
                match item {
                    Item::Message(data, cost) => {
                        let kept = self.sink.keeps(data.bind(py), cost);
                        if !matches!(kept, Ok(true)) {
                            handled += cost;
                        }
                        kept.map(drop)
                    }
                    notice @ Item::Notice(_) => {
                        LoopBridge::dispatch(bridge, connection.id(), &self.sink, &what, notice)
                    }
                },
            );
            // A slow handler must not get many turns.
            if start.elapsed() > MAX_TIME {
                break;
            }
        }
        if handled > 0 {
            connection.release(handled);
        }
        if items.len() == 0 {
            return result.map(|()| true);
        }
        bridge.get().put_off(connection, items);
        result.map(|()| false)
    }
}

/// What one read has brought, as Python's objects.
struct Batch<'a, 'py> {
    py: Python<'py>,
    connection: &'a Connection,
    items: Vec<Item>,
}

impl Batch<'_, '_> {
    fn message(&mut self, data: PyResult<Bound<'_, PyAny>>, length: usize) {
        match data {
            Ok(data) => self.items.push(Item::Message(data.unbind(), Connection::cost(length))),
            Err(_) => no_memory(self.connection),
        }
    }
}

impl Taker for Batch<'_, '_> {
    fn text(&mut self, text: Text<'_>) {
        self.message(text_of(self.py, text.as_str()), text.as_str().len());
        if !text.is_borrowed() {
            scratch::give_back(text.into_string().into_bytes());
        }
    }

    fn binary(&mut self, data: Payload<'_>) {
        self.message(bytes_of(self.py, data.as_slice()), data.as_slice().len());
        if !data.is_borrowed() {
            scratch::give_back(data.into_vec());
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.items.push(Item::Notice(notice));
    }
}
