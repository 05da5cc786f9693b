//! The part of a WebSocket that each message passes through, so that no frame of Python's is between the core and a
//! handler, or between `send` and the core. Everything that happens seldom is in `link.py`, which derives from it.

use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::ThreadId;

use pyo3::exceptions::{PyAttributeError, PyKeyboardInterrupt, PySystemExit, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};
use pyo3::{ffi, intern};

use crate::net::{Sent, write_held as write};

use super::bridge::lock;
use super::buffer::with_bytes;
use super::connection::PyConnection;
use super::errors;
use super::inbox::Inbox;

const CONNECTING: u8 = 0;
const OPEN: u8 = 1;
const OTHER: u8 = 2;

/// What a WebSocket derives from: its state, its connection, and its MESSAGE handler if there is exactly one.
#[pyclass(frozen, subclass, module = "voxwire._core")]
pub(super) struct Endpoint {
    /// That of its loop.
    thread: ThreadId,
    phase: AtomicU8,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    state: Option<Py<PyAny>>,
    connection: Option<Py<PyConnection>>,
    inbox: Option<Py<Inbox>>,
    taker: Taker,
}

/// Who takes the messages.
#[derive(Default)]
enum Taker {
    /// There is no handler: they go into the inbox.
    #[default]
    Inbox,
    /// The one handler's callback, what runs it in its context, and the handler itself.
    Handler(Py<PyTuple>),
    /// That is for Python to find out.
    Python,
}

#[pymethods]
impl Endpoint {
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(_arguments: &Bound<'_, PyTuple>, _named: Option<&Bound<'_, PyDict>>) -> Self {
        Self { thread: std::thread::current().id(), phase: AtomicU8::new(CONNECTING), held: Mutex::default() }
    }

    #[getter(_state)]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        lock(&self.held).state.as_ref().map(|state| state.clone_ref(py)).ok_or_else(|| unset("_state"))
    }

    #[setter(_state)]
    fn set_state(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let phase = match state.cast::<PyString>()?.to_str()? {
            "connecting" => CONNECTING,
            "open" => OPEN,
            _ => OTHER,
        };
        let before = lock(&self.held).state.replace(state.clone().unbind());
        self.phase.store(phase, Ordering::Release);
        drop(before);
        Ok(())
    }

    #[getter(_connection)]
    fn connection(&self, py: Python<'_>) -> PyResult<Py<PyConnection>> {
        lock(&self.held).connection.as_ref().map(|it| it.clone_ref(py)).ok_or_else(|| unset("_connection"))
    }

    #[setter(_connection)]
    fn set_connection(&self, py: Python<'_>, connection: Py<PyConnection>) {
        let mut held = lock(&self.held);
        if let Some(inbox) = &held.inbox {
            inbox.get().attach(connection.clone_ref(py));
        }
        let before = held.connection.replace(connection);
        drop(held);
        drop(before);
    }

    #[getter(_inbox)]
    fn inbox(&self, py: Python<'_>) -> PyResult<Py<Inbox>> {
        lock(&self.held).inbox.as_ref().map(|it| it.clone_ref(py)).ok_or_else(|| unset("_inbox"))
    }

    #[setter(_inbox)]
    fn set_inbox(&self, inbox: Py<Inbox>) {
        let before = lock(&self.held).inbox.replace(inbox);
        drop(before);
    }

    /// Messages go to this handler; to the inbox with an empty tuple; to `_on_message` with None.
    fn _hand_to(&self, taker: Option<Bound<'_, PyTuple>>) {
        let taker = match taker {
            None => Taker::Python,
            Some(handler) if handler.is_empty() => Taker::Inbox,
            Some(handler) => Taker::Handler(handler.unbind()),
        };
        let before = std::mem::replace(&mut lock(&self.held).taker, taker);
        drop(before);
    }

    #[expect(clippy::doc_markdown, reason = "a docstring of Python")]
    /// Send a message: `str` as text, bytes-like as binary. Returns at once; from any thread.
    ///
    /// After `close` it is swallowed, as in the browser: only `bufferedAmount` grows. Raises InvalidState while
    /// connecting, SendBufferFull over `send_buffer`, TypeError for anything else.
    fn send(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let (py, this) = (slf.py(), slf.get());
        if this.phase.load(Ordering::Acquire) == CONNECTING {
            return Err(errors::still_connecting(py));
        }
        let connection = this.connection(py)?;
        let connection = connection.get();
        let on_loop = std::thread::current().id() == this.thread;
        let sent = if let Ok(text) = data.cast::<PyString>() {
            connection.send_text(py, on_loop, text.to_str()?)
        } else if let Ok(bytes) = data.cast::<PyBytes>() {
            connection.send_binary(py, on_loop, bytes.as_bytes())
        } else {
            let view = slf.call_method1(intern!(py, "_bytes_like"), (data,))?;
            with_bytes(&view, |bytes| connection.send_binary(py, on_loop, bytes))?
        };
        if sent? == Sent::Held {
            slf.call_method0(intern!(py, "_write_soon"))?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Ok(held) = self.held.try_lock() {
            visit.call(&held.state)?;
            visit.call(&held.connection)?;
            visit.call(&held.inbox)?;
            if let Taker::Handler(handler) = &held.taker {
                visit.call(handler)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        if let Ok(mut held) = self.held.try_lock() {
            let before = std::mem::take(&mut *held);
            drop(held);
            drop(before);
        }
    }
}

impl Endpoint {
    /// Hands a message to the handler, or puts it into the inbox: whether it is kept, and so its cost. `None` when it is for
    /// Python to say what becomes of it.
    pub(super) fn offer(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>, cost: usize) -> PyResult<Option<bool>> {
        let (py, this) = (slf.py(), slf.get());
        if this.phase.load(Ordering::Acquire) != OPEN {
            // After close(): dropped, as in the browser.
            return Ok(Some(false));
        }
        let held = lock(&this.held);
        let handler = match &held.taker {
            Taker::Handler(handler) => handler.clone_ref(py),
            Taker::Python => return Ok(None),
            Taker::Inbox => {
                let Some(inbox) = held.inbox.as_ref().map(|inbox| inbox.clone_ref(py)) else { return Ok(None) };
                drop(held);
                return Self::keep(slf, inbox.get(), data, cost).map(|()| Some(true));
            }
        };
        drop(held);
        let handler = handler.bind(py);
        let event = message_event(slf, data)?;
        let (callback, run) = (handler.get_item(0)?, handler.get_item(1)?);
        match run.call1((callback, event)) {
            Ok(result) if result.is_none() => Ok(Some(false)),
            // Perhaps a coroutine.
            Ok(result) => {
                let arguments = (handler.get_item(2)?, result, cost);
                slf.call_method1(intern!(py, "_handled"), arguments)?.is_truthy().map(Some)
            }
            Err(error)
                if error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py) =>
            {
                Err(error)
            }
            Err(error) => {
                slf.call_method1(intern!(py, "_raised"), (error.into_value(py),))?;
                Ok(Some(false))
            }
        }
    }

    /// Puts a message into the inbox.
    fn keep(slf: &Bound<'_, Self>, inbox: &Inbox, data: &Bound<'_, PyAny>, cost: usize) -> PyResult<()> {
        let py = slf.py();
        inbox.put(py, data.clone().unbind(), cost)?;
        let full = slf.get().connection(py)?.get().get(py)?.is_paused();
        if full && !inbox.is_used() {
            slf.call_method0(intern!(py, "_untaken"))?;
        }
        Ok(())
    }
}

/// Writes what was sent on this thread and waits to be written together with what else is sent in this turn of its loop.
#[pyfunction]
pub(super) fn write_held() {
    write();
}

fn unset(name: &str) -> PyErr {
    PyAttributeError::new_err(format!("{name} is not set yet"))
}

/// The class of MESSAGE events, and how its instances are filled: a frozen dataclass sets its fields by a detour that takes
/// longer than all the rest of a message's way.
struct EventClass {
    class: Py<PyType>,
    alloc: ffi::allocfunc,
    websocket: Field,
    data: Field,
}

/// A slot of a class: its descriptor, and what that one does to set it.
struct Field {
    descriptor: Py<PyAny>,
    set: ffi::descrsetfunc,
}

fn message_event<'py>(websocket: &Bound<'py, Endpoint>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<EventClass> = PyOnceLock::new();
    let py = data.py();
    let class = CLASS.get_or_try_init(py, || EventClass::find(py))?;
    // SAFETY: `alloc` is the allocator of this very class, which answers a new reference or sets an exception.
    let event = unsafe { Bound::from_owned_ptr_or_err(py, (class.alloc)(class.class.as_ptr().cast(), 0)) }?;
    class.websocket.fill(&event, websocket.as_any())?;
    class.data.fill(&event, data)?;
    Ok(event)
}

impl EventClass {
    fn find(py: Python<'_>) -> PyResult<Self> {
        let class = py.import("voxwire.events")?.getattr("MessageEvent")?.cast_into::<PyType>()?;
        let alloc = slot(&class, ffi::Py_tp_alloc)?;
        Ok(Self {
            // SAFETY: this is what the slot of that name holds.
            alloc: unsafe { std::mem::transmute::<*mut c_void, ffi::allocfunc>(alloc) },
            websocket: Field::find(&class, "websocket")?,
            data: Field::find(&class, "data")?,
            class: class.unbind(),
        })
    }
}

impl Field {
    fn find(class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        let descriptor = class.getattr(name)?;
        let set = slot(&descriptor.get_type(), ffi::Py_tp_descr_set)?;
        // SAFETY: this is what the slot of that name holds.
        let set = unsafe { std::mem::transmute::<*mut c_void, ffi::descrsetfunc>(set) };
        Ok(Self { descriptor: descriptor.unbind(), set })
    }

    fn fill(&self, object: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        // SAFETY: all three are live objects, and the descriptor checks that the object is one of its class.
        match unsafe { (self.set)(self.descriptor.as_ptr(), object.as_ptr(), value.as_ptr()) } {
            0 => Ok(()),
            _ => Err(PyErr::fetch(object.py())),
        }
    }
}

/// What a class has in one of its slots.
fn slot(class: &Bound<'_, PyType>, which: std::ffi::c_int) -> PyResult<*mut c_void> {
    // SAFETY: a live type, and a number of a slot.
    let found = unsafe { ffi::PyType_GetSlot(class.as_ptr().cast(), which) };
    if found.is_null() { Err(PyTypeError::new_err(format!("{class} has no slot {which}"))) } else { Ok(found) }
}
