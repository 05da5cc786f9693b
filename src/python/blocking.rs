//! `FrameSocket`: a connection for Python code without a loop. The calling thread reads and writes the socket itself, waits
//! with the GIL released, and lets signal handlers run. Conversions only; the frames are `proto`'s, the waiting `net`'s.

mod connection;

pub(super) use connection::PyBlockingConnection;

use std::os::fd::{BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyBlockingIOError, PyEOFError, PyOSError, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use rand::Rng as _;

use crate::net::{FrameSocket, Step, Waited, poll_socket};
use crate::proto::{RawHead, raw_frame};

use super::buffer::with_bytes;
use super::exit;
use super::options::seconds;

/// Frames longer than this are written without the GIL.
const DETACH_ABOVE: usize = 64 * 1024;

/// The first byte of a frame, whether it was masked, its payload.
type Frame<'py> = (u8, bool, Bound<'py, PyBytes>);

/// Frames on a blocking socket.
#[pyclass(frozen, name = "FrameSocket", module = "voxwire._core")]
pub(super) struct PyFrameSocket(FrameSocket);

#[pymethods]
impl PyFrameSocket {
    #[new]
    fn new() -> Self {
        Self(FrameSocket::default())
    }

    /// The next frame. Bytes of a frame that is not whole when the time is over are kept.
    fn recv<'py>(&self, py: Python<'py>, fd: RawFd, timeout: Option<f64>) -> PyResult<Frame<'py>> {
        let fd = borrow(fd)?;
        loop {
            match self.0.try_recv(fd, |head, payload| frame(py, head, payload)).map_err(|e| os(&e))? {
                Step::Frame(frame) => return Ok(frame),
                Step::End => return Err(PyEOFError::new_err("the peer has ended the stream")),
                Step::Blocked => wait(py, fd, false, timeout)?,
            }
        }
    }

    /// Waits until something can be read; false when time was over before.
    #[staticmethod]
    fn wait(py: Python<'_>, fd: RawFd, timeout: Option<f64>) -> PyResult<bool> {
        let fd = borrow(fd)?;
        // Often there is something already, and then the GIL need not be let go of.
        if poll_socket(fd, false, Some(Instant::now())).map_err(|e| os(&e))? == Waited::Ready {
            return Ok(true);
        }
        match wait(py, fd, false, timeout) {
            Ok(()) => Ok(true),
            Err(error) if error.is_instance_of::<PyTimeoutError>(py) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Bytes that the next frame needs before more can be said of it.
    #[getter]
    fn missing(&self) -> usize {
        self.0.missing()
    }

    /// Takes bytes that were read elsewhere, the frame if that was its end, and how many of the bytes
    /// are behind it.
    fn push<'py>(&self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<(Option<Frame<'py>>, usize)> {
        with_bytes(data, |bytes| self.0.push(bytes, |head, payload| frame(py, head, payload)))
    }

    /// Writes a masked frame, text in UTF-8. Answers its length in bytes.
    #[staticmethod]
    fn send_frame(
        py: Python<'_>,
        fd: RawFd,
        timeout: Option<f64>,
        first: u8,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        send_all(py, fd, timeout, &encoded(first, data, Some(rand::rng().next_u32().to_ne_bytes()))?)
    }

    /// Writes all of `data`. Answers its length in bytes.
    #[staticmethod]
    fn send(py: Python<'_>, fd: RawFd, timeout: Option<f64>, data: &Bound<'_, PyBytes>) -> PyResult<usize> {
        send_all(py, fd, timeout, data.as_bytes())
    }

    /// The bytes of a frame, masked with `key`.
    #[staticmethod]
    fn frame<'py>(
        py: Python<'py>,
        first: u8,
        data: &Bound<'py, PyAny>,
        key: Option<[u8; 4]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &encoded(first, data, key)?))
    }
}

fn frame<'py>(py: Python<'py>, head: RawHead, payload: &[u8]) -> Frame<'py> {
    (head.first, head.masked, PyBytes::new(py, payload))
}

fn encoded(first: u8, data: &Bound<'_, PyAny>, key: Option<[u8; 4]>) -> PyResult<Vec<u8>> {
    match data.cast::<PyString>() {
        Ok(text) => Ok(raw_frame(first, text.to_str()?.as_bytes(), key)),
        Err(_) => with_bytes(data, |bytes| raw_frame(first, bytes, key)),
    }
}

fn send_all(py: Python<'_>, fd: RawFd, timeout: Option<f64>, bytes: &[u8]) -> PyResult<usize> {
    let fd = borrow(fd)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = if rest.len() > DETACH_ABOVE {
            py.detach(|| FrameSocket::try_send(fd, rest))
        } else {
            FrameSocket::try_send(fd, rest)
        };
        let sent = sent.map_err(|e| os(&e))?;
        rest = rest.get(sent..).unwrap_or_default();
        if sent == 0 {
            wait(py, fd, true, timeout)?;
        }
    }
    Ok(bytes.len())
}

/// Waits for the socket; signal handlers run meanwhile. Like a socket of Python, `timeout` is for this wait alone.
fn wait(py: Python<'_>, fd: BorrowedFd<'_>, writable: bool, timeout: Option<f64>) -> PyResult<()> {
    if timeout == Some(0.0) {
        let error = std::io::Error::from(rustix::io::Errno::AGAIN);
        return Err(PyBlockingIOError::new_err((error.raw_os_error(), "Resource temporarily unavailable")));
    }
    let timeout: Option<Duration> = timeout.map(|value| seconds(py, "timeout", value)).transpose()?;
    let until = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        match waited(py, || poll_socket(fd, writable, until)).map_err(|e| os(&e))? {
            Waited::Ready => return Ok(()),
            Waited::Late => return Err(PyTimeoutError::new_err("timed out")),
            Waited::Interrupted => py.check_signals()?,
        }
    }
}

/// Does what may wait, without the GIL. A daemon thread that would take it again while the interpreter ends is stopped here
/// instead.
fn waited<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    py.detach(|| {
        let result = work();
        if exit::is_ending_elsewhere() {
            loop {
                std::thread::park();
            }
        }
        result
    })
}

fn borrow<'a>(fd: RawFd) -> PyResult<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(PyOSError::new_err((rustix::io::Errno::BADF.raw_os_error(), "Bad file descriptor")));
    }
    // SAFETY: it is not -1, it is used during this call only, and the caller's socket object owns it. Should another thread
    // close that object meanwhile, the kernel refuses the number, as it does for the calls of that object itself.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// An error of the operating system as sockets of Python raise it: the class that goes with the number.
fn os(error: &std::io::Error) -> PyErr {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((error.raw_os_error(), words))
}
