//! The event queue to one asyncio loop. Any thread posts, without the GIL; the loop's thread drains in batches under a
//! budget and calls the sinks. Python objects are made, used and dropped there only.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::media::voice::VoiceEvent;
use crate::net::{
    self, Connection, Handoff, Listener, LoopTurn, Mailbox, Notice, Player, Recorder, RouteEnd, ToneGenerator,
};

use super::connection::{PyConnection, address};
use super::endpoint::Endpoint;
use super::errors;
use super::exit;
use super::question::PyQuestion;
use super::reader::LoopReader;
use super::routes;
use super::wake::Wake;

/// Notices dispatched in one go before the loop gets to do something else.
const MAX_NOTICES: usize = 1024;
/// And how long that may take.
pub(super) const MAX_TIME: Duration = Duration::from_millis(1);

/// Calls in which handlers are called that are under way, in all loops.
static DRAINING: AtomicUsize = AtomicUsize::new(0);

/// Waits until no other thread dispatches, at most for `timeout`. To be called while the interpreter ends, without the GIL:
/// a daemon thread whose handler asks for the GIL afterwards is unwound by Python, and must have no frame of Rust below it.
pub(super) fn wait_for_dispatching(timeout: Duration) {
    let until = Instant::now() + timeout;
    while DRAINING.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// In a forked child: the calls of the parent's threads never end here.
pub(super) fn forget_dispatching() {
    DRAINING.store(0, Ordering::SeqCst);
}

/// Counts one such call while it lives, in the process where it began.
pub(super) struct Draining {
    generation: u32,
}

impl Draining {
    pub(super) fn begin() -> Self {
        DRAINING.fetch_add(1, Ordering::SeqCst);
        Self { generation: net::generation() }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if self.generation == net::generation() {
            DRAINING.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The queue that other threads see.
pub(super) struct Queue {
    notices: Handoff<(u64, Notice)>,
    wake: Wake,
    /// Whether the loop reads the sockets of connections without media.
    reads: bool,
}

impl Mailbox for Queue {
    fn post(&self, id: u64, notices: &mut Vec<Notice>) {
        self.notices.post(notices.drain(..).map(|notice| (id, notice)), || self.wake.set());
    }

    fn reads_sockets(&self) -> bool {
        self.reads && !self.notices.is_closed()
    }
}

/// Whom an object reports to.
pub(super) struct Sink {
    object: Py<PyAny>,
    /// Takes messages without a detour.
    endpoint: Option<Py<Endpoint>>,
}

/// An object that reports here.
struct Registered {
    sink: Sink,
    what: What,
    /// Reads its socket, if that is for the loop.
    reader: Option<Py<LoopReader>>,
}

/// What waits to be dispatched.
pub(super) enum Item {
    Notice(Notice),
    /// A message that the loop has read itself, and what it costs.
    Message(Py<PyAny>, usize),
}

impl Item {
    /// What it counts as in `receive_buffer` while it waits in the queue; what a message costs is counted already.
    fn cost(&self) -> usize {
        match self {
            Self::Notice(notice) => notice.cost(),
            Self::Message(..) => 0,
        }
    }
}

/// What has to be told when the loop goes away.
#[derive(Clone)]
pub(super) enum What {
    Connection(Arc<Connection>),
    Listener(Arc<Listener>),
    Recorder(Arc<Recorder>),
    Tones(Arc<ToneGenerator>),
    /// Kept alive by the audio it plays, or by Python.
    Player(Weak<Player>),
    Other,
}

/// The event queue to one asyncio loop and its one wake handle.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct LoopBridge {
    queue: Arc<Queue>,
    /// Taken off the queue and not dispatched yet.
    pending: Mutex<VecDeque<(u64, Item)>>,
    sinks: Mutex<HashMap<u64, Registered>>,
    generation: u32,
}

#[pymethods]
impl LoopBridge {
    #[new]
    fn new(reads_sockets: bool) -> PyResult<Self> {
        let queue = Queue { notices: Handoff::new(), wake: Wake::new()?, reads: reads_sockets };
        Ok(Self {
            queue: Arc::new(queue),
            pending: Mutex::default(),
            sinks: Mutex::default(),
            generation: net::generation(),
        })
    }

    fn fileno(&self) -> i32 {
        self.queue.wake.fd()
    }

    #[getter]
    fn closed(&self) -> bool {
        self.queue.notices.is_closed()
    }

    /// Dispatches what is queued, under a budget of events and time.
    fn drain(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        // A forked child that goes on with its parent's loop must not take the parent's wake-ups.
        if this.generation != net::generation() {
            return Ok(());
        }
        let _counted = Draining::begin();
        let posted = this.queue.notices.take(|| this.queue.wake.clear());
        lock(&this.pending).extend(posted.into_iter().map(|(id, notice)| (id, Item::Notice(notice))));

        let turn = LoopTurn::begin();
        let result = Self::dispatch_some(slf);
        drop(turn);
        if !lock(&this.pending).is_empty() && !exit::is_ending_elsewhere() {
            this.wake();
        }
        result
    }

    /// Ends everything that reports here.
    fn close(&self, py: Python<'_>) {
        if !self.queue.notices.close() {
            return;
        }
        // In a forked child everything is the parent's, and a thread that does not exist here may have held a lock of it.
        if self.generation != net::generation() {
            return;
        }
        let sinks: Vec<Registered> = lock(&self.sinks).drain().map(|(_, registered)| registered).collect();
        let pending = std::mem::take(&mut *lock(&self.pending));
        for reader in sinks.iter().filter_map(|registered| registered.reader.as_ref()) {
            reader.get().stop(py);
        }
        drop(pending);
        let dropped = self.queue.notices.take(|| ());
        py.detach(|| {
            for Registered { what, .. } in &sinks {
                what.end();
            }
            drop(dropped);
        });
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(sinks) = self.sinks.try_lock() {
            for registered in sinks.values() {
                registered.sink.visit(&visit)?;
                visit.call(&registered.reader)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        if let Ok(mut sinks) = self.sinks.try_lock() {
            for (_, registered) in sinks.drain() {
                if self.generation == net::generation() {
                    registered.what.end();
                }
            }
        }
    }
}

impl LoopBridge {
    /// Where objects of this loop post.
    pub(super) fn mailbox(&self, py: Python<'_>) -> PyResult<Arc<dyn Mailbox>> {
        if self.generation != net::generation() {
            return Err(errors::forked(py));
        }
        Ok(Arc::clone(&self.queue) as Arc<dyn Mailbox>)
    }

    /// Notices for `id` go to `sink` from now on.
    pub(super) fn register(&self, id: u64, sink: Py<PyAny>, what: What) {
        let sink = Python::attach(|py| Sink::new(py, sink));
        lock(&self.sinks).insert(id, Registered { sink, what, reader: None });
    }

    /// Has `drain` called on the loop's next turn.
    fn wake(&self) {
        self.queue.notices.again(|| self.queue.wake.set());
    }

    /// What the loop has read of a connection, to be dispatched on its next turn.
    pub(super) fn put_off(&self, connection: &Connection, items: impl Iterator<Item = Item>) {
        let mut pending = lock(&self.pending);
        let before = pending.len();
        pending.extend(items.map(|item| (connection.id(), item)));
        // As if it had been posted.
        connection.put_off(pending.len() - before, pending.range(before..).map(|(_, item)| item.cost()).sum());
        drop(pending);
        self.wake();
    }

    fn dispatch_some(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let start = Instant::now();
        for _ in 0..MAX_NOTICES {
            if exit::is_ending_elsewhere() {
                return Ok(());
            }
            let Some((id, item)) = lock(&this.pending).pop_front() else { return Ok(()) };
            let (sink, what) = {
                let sinks = lock(&this.sinks);
                let Some(registered) = sinks.get(&id) else { continue };
                (registered.sink.clone_ref(py), registered.what.clone())
            };
            if let What::Connection(connection) = &what {
                connection.dispatched();
                // It leaves the queue now; what becomes of a message is up to who takes it.
                connection.release(item.cost());
            }
            seen(py, Self::dispatch(slf, id, &sink, &what, item))?;
            // A look at the clock is cheap beside any handler, and a slow one must not get many turns.
            if start.elapsed() > MAX_TIME {
                break;
            }
        }
        Ok(())
    }

    /// Dispatches one thing to its sink.
    pub(super) fn dispatch(slf: &Bound<'_, Self>, id: u64, sink: &Sink, what: &What, item: Item) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        let notice = match item {
            Item::Notice(Notice::Text(text)) => {
                let cost = Connection::cost(text.len());
                // Fallible, unlike the conversion of a String: there may be no memory for a long message.
                return sink.take(what, text_of(py, &text), cost);
            }
            Item::Notice(Notice::Binary(data)) => {
                let cost = Connection::cost(data.len());
                return sink.take(what, bytes_of(py, &data), cost);
            }
            Item::Notice(notice) => notice,
            Item::Message(data, cost) => return sink.take(what, Ok(data.into_bound(py)), cost),
        };
        let sink = sink.object.bind(py);
        match notice {
            // Taken above.
            Notice::Text(_) | Notice::Binary(_) => {}
            Notice::Open { protocol, extensions, headers } => {
                let told = sink.call_method1(intern!(py, "on_open"), (protocol, extensions, headers));
                Self::attach(slf, id);
                told?;
            }
            Notice::Error(failure) => {
                let private = matches!(&what, What::Connection(connection) if connection.is_private());
                sink.call_method1(intern!(py, "on_error"), (errors::failure(py, &failure, private),))?;
            }
            Notice::Close(closed) => {
                this.forget(py, id);
                let arguments = (closed.code, closed.reason, closed.was_clean);
                sink.call_method1(intern!(py, "on_close"), arguments)?;
            }
            Notice::MediaStarted { tag, encoding, custom } => {
                sink.call_method1(intern!(py, "on_media_started"), (tag, encoding, custom))?;
            }
            Notice::MediaEnded { tag, duration } => {
                let milliseconds = duration.as_secs_f64() * 1000.0;
                sink.call_method1(intern!(py, "on_media_ended"), (tag, milliseconds))?;
            }
            Notice::MediaDiscarded { tag, duration } => {
                let milliseconds = duration.as_secs_f64() * 1000.0;
                sink.call_method1(intern!(py, "on_media_discarded"), (tag, milliseconds))?;
            }
            Notice::Voice { tag, event: VoiceEvent::Started { position } } => {
                sink.call_method1(intern!(py, "on_speech_started"), (tag, position.as_secs_f64() * 1000.0))?;
            }
            Notice::Voice { tag, event: VoiceEvent::Ended { position, duration } } => {
                let [position, duration] = [position, duration].map(|time| time.as_secs_f64() * 1000.0);
                sink.call_method1(intern!(py, "on_speech_ended"), (tag, position, duration))?;
            }
            Notice::Mark(mark) => drop(sink.call_method1(intern!(py, "on_mark"), (mark.id, mark.played))?),
            Notice::RouteEnded { why, figures } => {
                let why = match why {
                    RouteEnd::Stopped => "stopped",
                    RouteEnd::Replaced => "replaced",
                    RouteEnd::Source => "source",
                    RouteEnd::Target => "target",
                };
                let arguments = (figures.id, why, routes::figures(&figures));
                sink.call_method1(intern!(py, "on_route_ended"), arguments)?;
            }
            Notice::Drained => drop(sink.call_method0(intern!(py, "on_drained"))?),
            Notice::Pong(payload) => {
                sink.call_method1(intern!(py, "on_pong"), (PyBytes::new(py, &payload),))?;
            }
            Notice::Incoming { connection, path, headers, peer } => {
                this.incoming(py, sink, connection, path, headers, peer)?;
            }
            Notice::Asked(question) => {
                let question = Py::new(py, PyQuestion::new(question))?;
                sink.call_method1(intern!(py, "on_request"), (question,))?;
            }
            Notice::Withdrawn { question, late } => {
                sink.call_method1(intern!(py, "on_withdrawn"), (question, late))?;
            }
            Notice::Refused { status, reason, peer } => {
                sink.call_method1(intern!(py, "on_refused"), (status, reason, peer.map(address)))?;
            }
            Notice::Stopped => {
                this.forget(py, id);
                sink.call_method0(intern!(py, "on_stopped"))?;
            }
            Notice::Watch => {
                let reader = lock(&this.sinks).get(&id).and_then(|it| it.reader.as_ref().map(|it| it.clone_ref(py)));
                if let Some(reader) = reader {
                    LoopReader::look(reader.bind(py))?;
                }
            }
            Notice::Readable => drop(sink.call_method0(intern!(py, "on_readable"))?),
            Notice::Writable => drop(sink.call_method0(intern!(py, "on_writable"))?),
            Notice::FileCompleted(path) => {
                sink.call_method1(intern!(py, "on_file_completed"), (path,))?;
            }
            Notice::Finished(error) => {
                this.forget(py, id);
                let error = error.map(|error| errors::unit(py, &error));
                sink.call_method1(intern!(py, "on_finished"), (error,))?;
            }
        }
        Ok(())
    }

    /// The connection is open: the loop reads it, if that is for the loop.
    fn attach(slf: &Bound<'_, Self>, id: u64) {
        let (py, this) = (slf.py(), slf.get());
        let found = lock(&this.sinks).get(&id).map(|it| (it.sink.clone_ref(py), it.what.clone()));
        let Some((sink, What::Connection(connection))) = found else { return };
        match LoopReader::make(slf, &connection, sink) {
            Ok(Some(reader)) => {
                if let Some(registered) = lock(&this.sinks).get_mut(&id) {
                    registered.reader = Some(reader.clone().unbind());
                }
                LoopReader::update(&reader);
            }
            Ok(None) => {}
            // A loop that cannot do it: the connection's task can.
            Err(_) => drop(connection.leave_loop()),
        }
    }

    /// Nothing more will be told to this object.
    fn forget(&self, py: Python<'_>, id: u64) {
        let registered = lock(&self.sinks).remove(&id);
        if let Some(reader) = registered.and_then(|registered| registered.reader) {
            reader.get().stop(py);
        }
    }

    fn incoming(
        &self,
        py: Python<'_>,
        sink: &Bound<'_, PyAny>,
        connection: Arc<Connection>,
        path: String,
        headers: Vec<(String, String)>,
        peer: Option<std::net::SocketAddr>,
    ) -> PyResult<()> {
        let handle = Py::new(py, PyConnection::new(Arc::clone(&connection)))?;
        let arguments = (handle, path, headers, peer.map(address));
        match sink.call_method1(intern!(py, "on_connection"), arguments) {
            Ok(its_sink) => {
                self.register(connection.id(), its_sink.unbind(), What::Connection(connection));
                Ok(())
            }
            Err(error) => {
                connection.close(Some(1011), "");
                Err(error)
            }
        }
    }
}

impl What {
    /// The loop is gone: nobody will hear of this object again.
    fn end(&self) {
        match self {
            Self::Connection(connection) => {
                connection.leave_loop();
                connection.close(Some(1001), "");
            }
            Self::Listener(listener) => listener.close(Duration::ZERO),
            Self::Recorder(recorder) => recorder.close(),
            Self::Tones(generator) => generator.close(),
            Self::Player(player) => drop(player.upgrade().map(|player| player.stop())),
            Self::Other => {}
        }
    }
}

impl Drop for LoopBridge {
    fn drop(&mut self) {
        // In a forked child the parent's objects are left alone: dropping a socket would close it for the parent too.
        if self.generation != net::generation() {
            std::mem::forget(std::mem::take(&mut *lock(&self.sinks)));
            std::mem::forget(std::mem::take(&mut *lock(&self.pending)));
            std::mem::forget(Arc::clone(&self.queue));
            return;
        }
        self.queue.notices.close();
        for registered in lock(&self.sinks).values() {
            registered.what.end();
        }
    }
}

/// A message is lost: the connection cannot go on as if nothing had happened.
pub(super) fn no_memory(connection: &Connection) {
    connection.close(Some(1011), "no memory for a message");
}

/// `str`, or `MemoryError`.
pub(super) fn text_of<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    PyString::from_bytes(py, text.as_bytes()).map(Bound::into_any)
}

/// `bytes`, or `MemoryError`.
pub(super) fn bytes_of<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    /// Below this no memory for `bytes` means none for anything, and filling it with zeros first is worth avoiding.
    const SHORT: usize = 64 * 1024;
    if data.len() <= SHORT {
        return Ok(PyBytes::new(py, data).into_any());
    }
    let filled = PyBytes::new_with(py, data.len(), |room| {
        room.copy_from_slice(data);
        Ok(())
    });
    filled.map(Bound::into_any)
}

impl Sink {
    fn new(py: Python<'_>, object: Py<PyAny>) -> Self {
        let endpoint =
            object.getattr(py, intern!(py, "endpoint")).and_then(|it| Ok(it.cast_bound(py)?.clone().unbind()));
        Self { object, endpoint: endpoint.ok() }
    }

    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { object: self.object.clone_ref(py), endpoint: self.endpoint.as_ref().map(|it| it.clone_ref(py)) }
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)?;
        visit.call(&self.endpoint)
    }

    /// Hands a message over: whether it is kept. Then its cost is released later.
    pub(super) fn keeps(&self, data: &Bound<'_, PyAny>, cost: usize) -> PyResult<bool> {
        let py = data.py();
        if let Some(endpoint) = &self.endpoint
            && let Some(kept) = Endpoint::offer(endpoint.bind(py), data, cost)?
        {
            return Ok(kept);
        }
        self.object.bind(py).call_method1(intern!(py, "on_message"), (data, cost))?.is_truthy()
    }

    /// The same; what is not kept is released.
    fn take(&self, what: &What, data: PyResult<Bound<'_, PyAny>>, cost: usize) -> PyResult<()> {
        if let (Err(_), What::Connection(connection)) = (&data, what) {
            no_memory(connection);
        }
        let kept = data.and_then(|data| self.keeps(&data, cost));
        if !matches!(kept, Ok(true))
            && let What::Connection(connection) = what
        {
            connection.release(cost);
        }
        kept.map(drop)
    }
}

/// What came of a dispatch. Sinks deal with what handlers raise, so an error is a defect of ours: seen, and no harm to others;
/// unless it ends the program.
pub(super) fn seen(py: Python<'_>, result: PyResult<()>) -> PyResult<()> {
    match result {
        Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) => {
            Err(error)
        }
        Err(error) => {
            error.write_unraisable(py, None);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
