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
    /// The handler's callback, what runs it in its context, and the handler itself.
    handler: Option<Py<PyTuple>>,
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
    fn set_connection(&self, connection: Py<PyConnection>) {
        let before = lock(&self.held).connection.replace(connection);
        drop(before);
    }

    #[getter(_direct)]
    fn handler(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        lock(&self.held).handler.as_ref().map(|handler| handler.clone_ref(py))
    }

    #[setter(_direct)]
    fn set_handler(&self, handler: Option<Py<PyTuple>>) {
        let before = std::mem::replace(&mut lock(&self.held).handler, handler);
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
            visit.call(&held.handler)?;
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
    /// Hands a message to the handler: whether that keeps it, and so its cost. `None` when it is for Python to say what
    /// becomes of it: there is no handler, or there are several.
    pub(super) fn offer(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>, cost: usize) -> PyResult<Option<bool>> {
        let (py, this) = (slf.py(), slf.get());
        if this.phase.load(Ordering::Acquire) != OPEN {
            // After close(): dropped, as in the browser.
            return Ok(Some(false));
        }
        let Some(handler) = this.handler(py) else { return Ok(None) };
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
