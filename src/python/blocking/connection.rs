//! `BlockingConnection`: what the WebSocket of `voxwire.sync` is made of. Conversions, and the loops around steps that wait
//! without the GIL; signal handlers run between the steps, while nothing is locked.

use std::any::Any;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyRuntimeError, PyTimeoutError, PyUnicodeDecodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::net::{
    self, BlockingConnection, Data, InvalidText, Next, Opening, Receiving, Room, Stepped, Unsent, Waited,
};

use super::waited;
use crate::python::buffer::{Bytes, bytes_of};
use crate::python::connection::{address, cannot_begin, target};
use crate::python::errors;
use crate::python::handle::Handle;
use crate::python::options::{ConnectionOptions, TlsConfig, seconds};
use crate::python::statistics;
use crate::python::via::Via;

/// Messages longer than this are copied and written without the GIL; for shorter ones letting go of it costs more.
const DETACH_ABOVE: usize = 64 * 1024;
/// Codes with which the peer says that all is well.
const NORMAL_ENDS: [u16; 3] = [1000, 1001, 1005];

/// One open connection, driven by the threads that call it.
#[pyclass(frozen, subclass, name = "BlockingConnection", module = "voxwire._core")]
pub(in crate::python) struct PyBlockingConnection(Handle<BlockingConnection>);

#[pymethods]
impl PyBlockingConnection {
    #[new]
    #[pyo3(signature = (url, *, protocols, headers, options, tls, require_protocol, via, sock))]
    #[expect(clippy::too_many_arguments, reason = "one call per connection, from one place")]
    fn new(
        py: Python<'_>,
        url: &str,
        protocols: Vec<String>,
        headers: Vec<(String, String)>,
        options: &ConnectionOptions,
        tls: Option<&TlsConfig>,
        require_protocol: bool,
        via: &Via,
        sock: Option<i32>,
    ) -> PyResult<Self> {
        let target = target(py, url, protocols, headers, tls, require_protocol, via, sock)?;
        let opening = Opening::begin(net::core()?, target, options.0.clone());
        let opening = opening.map_err(|e| cannot_begin(py, &e, options))?;
        while waited(py, || opening.wait())? != Waited::Ready {
            py.check_signals()?;
        }
        match py.detach(|| opening.finish()) {
            Ok(connection) => Ok(Self(Handle::new(connection))),
            Err(failure) => Err(PyErr::from_value(errors::failure(py, &failure, options.0.privacy).into_bound(py))),
        }
    }

    /// Wait for the next message and return it: str for text, bytes for binary.
    ///
    /// Raises `TimeoutError` after `timeout` seconds, and loses nothing by that; 0 takes only what is there. Raises
    /// `ConnectionClosed` when there is none left, `InvalidState` when another thread is receiving.
    #[pyo3(signature = (timeout=None))]
    fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        self.receive(py, timeout)?.ok_or_else(|| self.closed(py))
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.receive(py, None)? {
            Some(message) => Ok(Some(message)),
            None => match self.get(py)?.end() {
                Some(end) if end.closed.was_clean && NORMAL_ENDS.contains(&end.closed.code) => Ok(None),
                _ => Err(self.closed(py)),
            },
        }
    }

    /// Send a message: str as text, bytes-like as binary. Returns when the operating system has taken all of it.
    ///
    /// Any thread may send. While a peer that reads slowly keeps it waiting, pings are answered, and messages that come
    /// are kept for `recv`, up to `receive_buffer`. Raises `ConnectionClosed`, `TypeError` for anything else.
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let connection = self.get(py)?;
        let sent = if let Ok(text) = data.cast::<PyString>() {
            let text = text.to_str()?;
            if text.len() > DETACH_ABOVE {
                waited(py, || connection.send_text(text))
            } else {
                connection.send_text(text)
            }
        } else {
            match bytes_of(data, "str or a bytes-like object")? {
                Bytes::Fixed(bytes) if bytes.len() > DETACH_ABOVE => waited(py, || connection.send_binary(bytes)),
                bytes => connection.send_binary(bytes.as_slice()),
            }
        };
        match sent {
            Ok(None) => Ok(()),
            Ok(Some(position)) => self.wait_sent(py, position),
            Err(unsent) => Err(self.unsent(py, &unsent)),
        }
    }

    /// Sends a ping and waits for its pong: seconds until it came.
    fn pong(&self, py: Python<'_>, payload: &[u8], timeout: Option<f64>) -> PyResult<Option<f64>> {
        let connection = self.get(py)?;
        let until = until(py, timeout)?;
        if !connection.ping(payload).map_err(|unsent| self.unsent(py, &unsent))? {
            return Ok(None);
        }
        let waited = self.wait_for_pong(py, payload, timeout, until);
        connection.forget_ping(payload);
        waited.map(Some)
    }

    /// Closes, and waits for the peer to do so.
    fn shut(&self, py: Python<'_>, code: Option<u16>, reason: &str, patience: f64) -> PyResult<()> {
        let connection = self.get(py)?;
        let until = Instant::now() + seconds(py, "close_timeout", patience)?;
        let mut open = py.detach(|| connection.begin_close(code, reason));
        while open {
            if waited(py, || connection.wait_closed(until)) == Stepped::Interrupted {
                py.check_signals()?;
            }
            open = connection.end().is_none();
        }
        Ok(())
    }

    /// 1 open, 2 closing, 3 closed.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<u8> {
        Ok(self.get(py)?.state())
    }

    /// The subprotocol that was chosen; empty when none was.
    #[getter]
    fn protocol(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.get(py)?.greeting().protocol)
    }

    /// The extensions that were agreed on; empty when there are none.
    #[getter]
    fn extensions(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.get(py)?.greeting().extensions)
    }

    /// The headers of the server's response.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        Ok(self.get(py)?.greeting().headers.clone())
    }

    /// Our address and port; None of a Unix socket.
    #[getter]
    fn local_address(&self, py: Python<'_>) -> PyResult<Option<(String, u16)>> {
        Ok(self.get(py)?.greeting().addresses.map(|(local, _)| address(local)))
    }

    /// The address and port of the peer, or of the proxy to it; None of a Unix socket.
    #[getter]
    fn remote_address(&self, py: Python<'_>) -> PyResult<Option<(String, u16)>> {
        Ok(self.get(py)?.greeting().addresses.map(|(_, remote)| address(remote)))
    }

    #[getter]
    fn buffered_amount(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.get(py)?.buffered_amount())
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        statistics::of_connection(py, &self.get(py)?.statistics())
    }
}

impl PyBlockingConnection {
    fn get(&self, py: Python<'_>) -> PyResult<&Arc<BlockingConnection>> {
        self.0.get(py)
    }

    /// The next message; `None` when the connection has ended.
    fn receive<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let connection = self.get(py)?;
        let Some(receiving) = connection.receive() else {
            let message = "recv() is waiting already, in another thread or under this call; one at a time may receive";
            return Err(errors::state(py, &message));
        };
        let mut until = None;
        loop {
            match receiving.next(|data| object(py, data)) {
                Next::Message(message) => return message.map(Some),
                Next::Long(size) => {
                    receiving.begin(Box::new(BytesRoom::new(py, size)?));
                    continue;
                }
                Next::Nothing => {}
            }
            if connection.end().is_some() {
                return Ok(None);
            }
            if until.is_none() && timeout.is_some() {
                until = self::until(py, timeout)?;
            }
            match step(py, &receiving, until) {
                Stepped::On => {}
                Stepped::Late => return Err(late("message", timeout)),
                Stepped::Interrupted => py.check_signals()?,
            }
        }
    }

    fn wait_sent(&self, py: Python<'_>, position: u64) -> PyResult<()> {
        let connection = self.get(py)?;
        while let Some(stepped) = waited(py, || connection.wait_sent(position)) {
            if stepped == Stepped::Interrupted {
                py.check_signals()?;
            }
        }
        if connection.has_failed(position) { Err(self.closed(py)) } else { Ok(()) }
    }

    fn wait_for_pong(
        &self,
        py: Python<'_>,
        payload: &[u8],
        timeout: Option<f64>,
        until: Option<Instant>,
    ) -> PyResult<f64> {
        let connection = self.get(py)?;
        loop {
            if let Some(latency) = connection.ponged(payload) {
                return Ok(latency.as_secs_f64());
            }
            if connection.end().is_some() {
                return Err(self.closed(py));
            }
            if let Some(held) = connection.overfull() {
                let message = format!(
                    "no pong yet, and {held} bytes of messages wait, more than receive_buffer allows: recv() them first"
                );
                return Err(errors::state(py, &message));
            }
            match waited(py, || connection.wait_aside(until)) {
                Stepped::On => {}
                Stepped::Late => return Err(late("pong", timeout)),
                Stepped::Interrupted => py.check_signals()?,
            }
        }
    }

    /// What there is to raise when the connection is closed, or another thread is closing it.
    fn closed(&self, py: Python<'_>) -> PyErr {
        match self.get(py) {
            Ok(connection) => match connection.end() {
                Some(end) => errors::closed(py, &end, connection.is_private()),
                None => errors::closing(py),
            },
            Err(error) => error,
        }
    }

    fn unsent(&self, py: Python<'_>, unsent: &Unsent) -> PyErr {
        match unsent {
            Unsent::Closed => self.closed(py),
            Unsent::Frame(error) => errors::frame(py, error),
            Unsent::Memory(size) => PyMemoryError::new_err(format!("no memory for a message of {size} bytes")),
        }
    }
}

fn step(py: Python<'_>, receiving: &Receiving<'_>, until: Option<Instant>) -> Stepped {
    waited(py, || receiving.wait(until))
}

fn until(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Instant>> {
    let timeout: Option<Duration> = timeout.map(|value| seconds(py, "timeout", value)).transpose()?;
    Ok(timeout.map(|timeout| Instant::now() + timeout))
}

fn late(what: &str, timeout: Option<f64>) -> PyErr {
    PyTimeoutError::new_err(format!("no {what} within timeout = {} s", timeout.unwrap_or_default()))
}

/// A message as Python has it. The error inside is Python's own: no memory.
fn object<'py>(py: Python<'py>, data: Data<'_>) -> Result<PyResult<Bound<'py, PyAny>>, InvalidText> {
    Ok(match data {
        Data::Text(text) => Ok(PyString::new(py, text).into_any()),
        Data::Unchecked(bytes) => match PyString::from_bytes(py, bytes) {
            Ok(text) => Ok(text.into_any()),
            Err(error) if error.is_instance_of::<PyUnicodeDecodeError>(py) => return Err(InvalidText),
            Err(error) => Err(error),
        },
        Data::Binary(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Data::Room(room) => match (room as Box<dyn Any>).downcast::<BytesRoom>() {
            Ok(room) => Ok(room.bytes.into_bound(py).into_any()),
            // Only what `receive` has made is handed out as room.
            Err(_) => Err(PyRuntimeError::new_err("a message is in room that was not made here")),
        },
    })
}

/// Room in a `bytes` that nobody else has yet.
struct BytesRoom {
    bytes: Py<PyBytes>,
    start: *mut MaybeUninit<u8>,
    size: usize,
    filled: usize,
}

// SAFETY: the pointer is into `bytes`, which it keeps alive, and is used by whoever has the room alone.
unsafe impl Send for BytesRoom {}

impl BytesRoom {
    fn new(py: Python<'_>, size: usize) -> PyResult<Self> {
        let length = isize::try_from(size).map_err(|_| PyOverflowError::new_err("no bytes are that long"))?;
        // SAFETY: without a source the bytes are not initialised; nobody sees them before all of them are.
        let bytes: Bound<'_, PyBytes> = unsafe {
            let object = pyo3::ffi::PyBytes_FromStringAndSize(std::ptr::null(), length);
            Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked()
        };
        // SAFETY: it is a `bytes`, so this is where its contents begin.
        let start = unsafe { pyo3::ffi::PyBytes_AsString(bytes.as_ptr()) }.cast();
        Ok(Self { bytes: bytes.unbind(), start, size, filled: 0 })
    }
}

impl Room for BytesRoom {
    fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: within the contents of `bytes`, which has `size` of them, and which nobody else has.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(self.filled), self.size - self.filled) }
    }

    unsafe fn advance(&mut self, count: usize) {
        self.filled += count;
        assert!(self.filled <= self.size, "more was filled than there is room for");
    }
}
