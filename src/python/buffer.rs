//! Bytes of Python objects: whatever has the buffer protocol, as a slice for the length of a call.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors;

/// Calls `work` with the bytes of a bytes-like object. Raises `TypeError` for anything else.
pub(super) fn with_bytes<T>(data: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(work(bytes.as_bytes()));
    }
    let buffer = buffer_of(data)?;
    Ok(work(slice(&buffer)))
}

/// Calls `work` with s16le samples: bytes-like objects of an even length, or one-dimensional int16 buffers. Raises
/// `MediaError` for other items, `TypeError` for what has no buffer.
pub(super) fn with_pcm<T>(data: &Bound<'_, PyAny>, work: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    let py = data.py();
    let buffer = buffer_of(data)?;
    let format = buffer.format().to_string_lossy().into_owned();
    if !matches!(format.as_str(), "B" | "b" | "c" | "h" | "<h" | "=h" | "@h") {
        let message = format!("pcm: items of the buffer are of format {format:?}; expected bytes or int16");
        return Err(errors::media(py, message, "pcm", &format, "bytes or int16"));
    }
    if buffer.dimensions() > 1 {
        let value = buffer.dimensions().to_string();
        let message = format!("pcm: the buffer has {value} dimensions; expected 1 (mono)");
        return Err(errors::media(py, message, "pcm", &value, "one dimension (mono)"));
    }
    if !buffer.len_bytes().is_multiple_of(2) {
        let value = buffer.len_bytes().to_string();
        let message = format!("pcm: {value} bytes are no whole number of 16-bit samples");
        return Err(errors::media(py, message, "pcm", &value, "an even number of bytes"));
    }
    Ok(work(slice(&buffer)))
}

fn buffer_of(data: &Bound<'_, PyAny>) -> PyResult<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(data).map_err(|_| {
        let name = data.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        PyTypeError::new_err(format!("expected str or a bytes-like object, not {name}"))
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
