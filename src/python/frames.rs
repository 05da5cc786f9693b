//! `Frames`: the frames of one connection for Python code that does its own I/O and keeps its own states
//! (`voxwire.compat`). Conversions only; the rules are in `proto`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::proto::{FrameDeflate, FrameFault, FrameLimits, FrameReader, FrameWriter, Role};

use super::buffer::with_bytes;

/// Why reading ended: what it is called, bytes of the frame (or its opcode, if that is wrong), its limit, bytes of the
/// message before it.
type Fault = (String, Option<u64>, Option<usize>, Option<usize>);

struct Codec {
    reader: FrameReader,
    writer: FrameWriter,
}

/// Takes a stream of bytes apart into frames, and makes bytes of frames.
#[pyclass(frozen, name = "Frames", module = "voxwire._core")]
pub(super) struct PyFrames(Mutex<Codec>);

#[pymethods]
impl PyFrames {
    #[new]
    #[pyo3(signature = (*, client, max_message, max_fragment))]
    fn new(client: bool, max_message: Option<usize>, max_fragment: Option<usize>) -> Self {
        let role = if client { Role::Client } else { Role::Server };
        let limits = FrameLimits { message: max_message, fragment: max_fragment };
        let (reader, writer) = (FrameReader::new(role, limits), FrameWriter::new(role));
        Self(Mutex::new(Codec { reader, writer }))
    }

    #[pyo3(signature = (*, remote_no_context_takeover, local_no_context_takeover, remote_max_window_bits, local_max_window_bits, level, mem_level, threshold))]
    #[expect(clippy::too_many_arguments, reason = "one call per connection, from one place")]
    fn set_deflate(
        &self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: u8,
        local_max_window_bits: u8,
        level: u8,
        mem_level: u8,
        threshold: usize,
    ) -> PyResult<()> {
        for (field, value, most, least) in [
            ("remote_max_window_bits", remote_max_window_bits, 15, 8),
            ("local_max_window_bits", local_max_window_bits, 15, 8),
            ("level", level, 9, 0),
            ("mem_level", mem_level, 9, 1),
        ] {
            if value > most || value < least {
                return Err(PyValueError::new_err(format!("{field} is {value}; expected {least} to {most}")));
            }
        }
        let deflate = FrameDeflate {
            remote_no_context_takeover,
            local_no_context_takeover,
            remote_max_window_bits,
            local_max_window_bits,
            level,
            mem_level,
            threshold,
        };
        let mut codec = self.lock();
        codec.reader.set_deflate(&deflate);
        codec.writer.set_deflate(&deflate);
        Ok(())
    }

    /// Takes bytes as they came; answers the frames that are complete, and why there will be no more.
    fn receive<'py>(&self, py: Python<'py>, data: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyList>, Option<Fault>)> {
        with_bytes(data, |bytes| {
            let mut input = bytes;
            let mut codec = self.lock();
            let frames = PyList::empty(py);
            loop {
                let frame = match codec.reader.next(&mut input) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return Ok((frames, None)),
                    Err(fault) => return Ok((frames, Some(described(&fault)))),
                };
                let payload = match frame.payload.plain() {
                    Some(bytes) => PyBytes::new(py, bytes),
                    None => PyBytes::new_with(py, frame.payload.len(), |out| {
                        frame.payload.copy_to(out);
                        Ok(())
                    })?,
                };
                frames.append((frame.opcode, payload, frame.fin))?;
            }
        })?
    }

    /// The bytes of a frame. The caller keeps the order of fragments.
    #[pyo3(signature = (opcode, payload, fin, key = None))]
    fn frame<'py>(
        &self,
        py: Python<'py>,
        opcode: u8,
        payload: &Bound<'py, PyAny>,
        fin: bool,
        key: Option<[u8; 4]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        with_bytes(payload, |bytes| self.write(py, opcode, bytes, fin, key))?
    }

    /// The bytes of a frame whose payload is this text in UTF-8.
    fn text_frame<'py>(
        &self,
        py: Python<'py>,
        opcode: u8,
        text: &Bound<'py, PyString>,
        fin: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.write(py, opcode, text.to_str()?.as_bytes(), fin, None)
    }

    /// Inside a frame: bytes of its next part that came, and how many it has.
    #[getter]
    fn unfinished(&self) -> Option<(usize, usize)> {
        self.lock().reader.unfinished()
    }

    /// Whether a fragmented message is being received.
    #[getter]
    fn fragmented(&self) -> bool {
        self.lock().reader.is_fragmented()
    }
}

impl PyFrames {
    fn lock(&self) -> MutexGuard<'_, Codec> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<'py>(
        &self,
        py: Python<'py>,
        opcode: u8,
        payload: &[u8],
        fin: bool,
        key: Option<[u8; 4]>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut codec = self.lock();
        let Some(frame) = codec.writer.prepare(opcode, payload, fin, key) else {
            return Err(PyMemoryError::new_err("no memory to compress a fragment with"));
        };
        PyBytes::new_with(py, frame.len(), |out| {
            frame.copy_to(out);
            Ok(())
        })
    }
}

fn described(fault: &FrameFault) -> Fault {
    match *fault {
        FrameFault::TooBig { size, limit, before } => (fault.to_string(), size, Some(limit), before),
        FrameFault::Opcode(opcode) => (fault.to_string(), Some(opcode.into()), None, None),
        _ => (fault.to_string(), None, None, None),
    }
}
