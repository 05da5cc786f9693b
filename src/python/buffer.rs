//! Bytes of Python objects: whatever has the buffer protocol, as a slice for the length of a call.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors;

/// Calls `work` with the bytes of a bytes-like object. Raises `TypeError` for anything else.
pub(super) fn with_bytes<T>(data: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    Ok(work(bytes_of(data, "str or a bytes-like object")?.as_slice()))
}

/// Calls `work` with s16le samples: see [`pcm_of`].
pub(super) fn with_pcm<T>(data: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    Ok(work(pcm_of(data)?.as_slice()))
}

/// The bytes of a Python object.
pub(super) enum Bytes<'a> {
    /// Nobody can change them.
    Fixed(&'a [u8]),
    /// Somebody may, once another thread runs Python.
    Shared(PyUntypedBuffer),
}

impl Bytes<'_> {
    /// They are to be read while attached to the interpreter.
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Fixed(bytes) => bytes,
            Self::Shared(buffer) => slice(buffer),
        }
    }

    /// Calls `work` with the bytes while other threads run Python. What they could change meanwhile is copied before.
    pub(super) fn detached<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&[u8]) -> T + Send) -> T {
        match self {
            Self::Fixed(bytes) => py.detach(|| work(bytes)),
            Self::Shared(buffer) => {
                let copy = slice(buffer).to_vec();
                py.detach(|| work(&copy))
            }
        }
    }
}

/// The bytes of a bytes-like object. Raises `TypeError` for anything else, which names what was `expected`.
pub(super) fn bytes_of<'a>(data: &'a Bound<'_, PyAny>, expected: &str) -> PyResult<Bytes<'a>> {
    match data.cast::<PyBytes>() {
        Ok(bytes) => Ok(Bytes::Fixed(bytes.as_bytes())),
        Err(_) => buffer_of(data, expected).map(Bytes::Shared),
    }
}

/// s16le samples: bytes-like objects of an even length, or one-dimensional int16 buffers. Raises `MediaError` for other
/// items, `TypeError` for what has no buffer.
pub(super) fn pcm_of<'a>(data: &'a Bound<'_, PyAny>) -> PyResult<Bytes<'a>> {
    let py = data.py();
    if let Ok(bytes) = data.cast::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return whole_samples(py, bytes.len()).map(|()| Bytes::Fixed(bytes));
    }
    let buffer = buffer_of(data, "a bytes-like object or an array of int16")?;
    let format = buffer.format().to_string_lossy();
    if !matches!(&*format, "B" | "b" | "c" | "h" | "<h" | "=h" | "@h") {
        let message = format!("pcm: items of the buffer are of format {format:?}; expected bytes or int16");
        return Err(errors::media(py, message, "pcm", &format, "bytes or int16"));
    }
    if buffer.dimensions() > 1 {
        let value = buffer.dimensions().to_string();
        let message = format!("pcm: the buffer has {value} dimensions; expected 1 (mono)");
        return Err(errors::media(py, message, "pcm", &value, "one dimension (mono)"));
    }
    whole_samples(py, buffer.len_bytes())?;
    Ok(Bytes::Shared(buffer))
}

fn whole_samples(py: Python<'_>, length: usize) -> PyResult<()> {
    if length.is_multiple_of(2) {
        return Ok(());
    }
    let message = format!("pcm: {length} bytes are no whole number of 16-bit samples");
    Err(errors::media(py, message, "pcm", &length.to_string(), "an even number of bytes"))
}

fn buffer_of(data: &Bound<'_, PyAny>, expected: &str) -> PyResult<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(data).map_err(|_| {
        let name = data.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        PyTypeError::new_err(format!("expected {expected}, not {name}"))
    })?;
    if !buffer.is_c_contiguous() {
        return Err(PyBufferError::new_err("the buffer is not contiguous; pass a copy"));
    }
    Ok(buffer)
}

fn slice(buffer: &PyUntypedBuffer) -> &[u8] {
    let length = buffer.len_bytes();
    if length == 0 {
        return &[];
    }
    // SAFETY: the export keeps the memory in place until `buffer` is released, it is contiguous and `length` bytes
    // long, and it is read while attached to the interpreter, as every reader of a Python buffer does.
    unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast::<u8>(), length) }
}
