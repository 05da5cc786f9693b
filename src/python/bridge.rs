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
use crate::net::{self, Connection, Handoff, Listener, Mailbox, Notice, Player, Recorder, RouteEnd, ToneGenerator};

use super::connection::{PyConnection, address};
use super::errors;
use super::exit;
use super::question::PyQuestion;
use super::routes;
use super::wake::Wake;

/// Notices dispatched in one go before the loop gets to do something else.
const MAX_NOTICES: usize = 1024;
/// And how long that may take.
const MAX_TIME: Duration = Duration::from_millis(1);

/// Calls of `drain` that are under way, in all loops.
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

/// Counts one call of `drain` while it lives, in the process where it began.
struct Draining {
    generation: u32,
}

impl Draining {
    fn begin() -> Self {
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
}

impl Mailbox for Queue {
    fn post(&self, id: u64, notices: &mut Vec<Notice>) {
        self.notices.post(notices.drain(..).map(|notice| (id, notice)), || self.wake.set());
    }
}

/// An object that reports here.
struct Registered {
    sink: Py<PyAny>,
    what: What,
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
    pending: Mutex<VecDeque<(u64, Notice)>>,
    sinks: Mutex<HashMap<u64, Registered>>,
    generation: u32,
}

#[pymethods]
impl LoopBridge {
    #[new]
    fn new() -> PyResult<Self> {
        let queue = Queue { notices: Handoff::new(), wake: Wake::new()? };
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
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        // A forked child that goes on with its parent's loop must not take the parent's wake-ups.
        if self.generation != net::generation() {
            return Ok(());
        }
        let _counted = Draining::begin();
        let posted = self.queue.notices.take(|| self.queue.wake.clear());
        lock(&self.pending).extend(posted);

        let result = self.dispatch_some(py);
        if !lock(&self.pending).is_empty() && !exit::is_ending_elsewhere() {
            self.queue.notices.again(|| self.queue.wake.set());
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
        lock(&self.pending).clear();
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
                visit.call(&registered.sink)?;
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
        lock(&self.sinks).insert(id, Registered { sink, what });
    }

    fn dispatch_some(&self, py: Python<'_>) -> PyResult<()> {
        let start = Instant::now();
        for _ in 0..MAX_NOTICES {
            if exit::is_ending_elsewhere() {
                return Ok(());
            }
            let Some((id, notice)) = lock(&self.pending).pop_front() else { return Ok(()) };
            if let Err(error) = self.dispatch(py, id, notice) {
                if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) {
                    return Err(error);
                }
                // Sinks deal with what handlers raise, so this is a defect of ours: seen, and no harm to others.
                error.write_unraisable(py, None);
            }
            // A look at the clock is cheap beside any handler, and a slow one must not get many turns.
            if start.elapsed() > MAX_TIME {
                break;
            }
        }
        Ok(())
    }

    fn dispatch(&self, py: Python<'_>, id: u64, notice: Notice) -> PyResult<()> {
        let (sink, what) = {
            let sinks = lock(&self.sinks);
            let Some(registered) = sinks.get(&id) else { return Ok(()) };
            (registered.sink.clone_ref(py), registered.what.clone())
        };
        if let What::Connection(connection) = &what {
            // It leaves the queue now; what becomes of a message is up to who takes it.
            connection.release(notice.cost());
        }
        let sink = sink.bind(py);
        match notice {
            Notice::Text(text) => {
                let cost = Connection::cost(text.len());
                // Fallible, unlike the conversion of a String: there may be no memory for a long message.
                Self::message(py, sink, &what, PyString::from_bytes(py, text.as_bytes()).map(Bound::into_any), cost)?;
            }
            Notice::Binary(data) => {
                let cost = Connection::cost(data.len());
                Self::message(py, sink, &what, bytes(py, &data), cost)?;
            }
            Notice::Open { protocol, extensions, headers } => {
                sink.call_method1(intern!(py, "on_open"), (protocol, extensions, headers))?;
            }
            Notice::Error(failure) => {
                let private = matches!(&what, What::Connection(connection) if connection.is_private());
                sink.call_method1(intern!(py, "on_error"), (errors::failure(py, &failure, private),))?;
            }
            Notice::Close(closed) => {
                lock(&self.sinks).remove(&id);
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
                self.incoming(py, sink, connection, path, headers, peer)?;
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
                lock(&self.sinks).remove(&id);
                sink.call_method0(intern!(py, "on_stopped"))?;
            }
            Notice::Readable => drop(sink.call_method0(intern!(py, "on_readable"))?),
            Notice::Writable => drop(sink.call_method0(intern!(py, "on_writable"))?),
            Notice::FileCompleted(path) => {
                sink.call_method1(intern!(py, "on_file_completed"), (path,))?;
            }
            Notice::Finished(error) => {
                lock(&self.sinks).remove(&id);
                let error = error.map(|error| errors::unit(py, &error));
                sink.call_method1(intern!(py, "on_finished"), (error,))?;
            }
        }
        Ok(())
    }

    /// Hands a message over. A sink that keeps it answers true and releases its cost later.
    fn message<'py>(
        py: Python<'py>,
        sink: &Bound<'py, PyAny>,
        what: &What,
        data: PyResult<Bound<'py, PyAny>>,
        cost: usize,
    ) -> PyResult<()> {
        if let (Err(_), What::Connection(connection)) = (&data, what) {
            // A message is lost: the connection cannot go on as if nothing had happened.
            connection.close(Some(1011), "no memory for a message");
        }
        let kept = data
            .and_then(|data| sink.call_method1(intern!(py, "on_message"), (data, cost)))
            .and_then(|kept| kept.is_truthy());
        if !matches!(kept, Ok(true))
            && let What::Connection(connection) = what
        {
            connection.release(cost);
        }
        kept.map(drop)
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
            Self::Connection(connection) => connection.close(Some(1001), ""),
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

/// `bytes`, or `MemoryError`.
fn bytes<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
