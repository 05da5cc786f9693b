//! One stream of PCM to encoded audio.

use std::sync::Mutex;

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::media::codec::Encoder;
use crate::media::encoding::Encoding;
use crate::media::opus::OpusError;
use crate::media::pcm;
use crate::python::buffer::{Bytes, pcm_of};
use crate::python::routes::{Opus, opus_config};

use super::{encoding_of, weight, work_with};

/// Encodes one stream of 16-bit little-endian PCM, mono, to any encoding that media streams have.
#[pyclass(frozen, name = "Encoder", module = "voxwire.audio")]
pub(in crate::python) struct PyEncoder {
    encoding: Encoding,
    state: Mutex<State>,
}

struct State {
    encoder: Encoder,
    samples: Vec<i16>,
    bytes: Vec<u8>,
}

#[pymethods]
impl PyEncoder {
    #[new]
    #[pyo3(signature = (encoding = None, rate = None, *, opus = None))]
    fn new(py: Python<'_>, encoding: Option<&str>, rate: Option<i64>, opus: Option<Opus>) -> PyResult<Self> {
        let encoding = encoding_of(py, encoding, rate)?;
        let opus = opus_config(py, encoding, opus)?;
        let encoder = Encoder::new(encoding, opus).map_err(|e| failed(&e))?;
        let state = State { encoder, samples: Vec::new(), bytes: Vec::new() };
        Ok(Self { encoding, state: Mutex::new(state) })
    }

    /// The encoding's name on the wire.
    #[getter]
    fn encoding(&self) -> &'static str {
        self.encoding.wire_name()
    }

    /// Samples per second of the PCM that it takes.
    #[getter]
    fn rate(&self) -> u32 {
        self.encoding.sample_rate()
    }

    /// Takes samples and answers the chunks that they complete, each to be sent by itself.
    #[pyo3(signature = (pcm, /))]
    fn encode<'py>(&self, pcm: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        self.run(pcm.py(), &pcm_of(pcm)?, |state, chunk| state.encoder.encode(&state.samples, &mut state.bytes, chunk))
    }

    /// Ends the stream: answers what was kept back. What comes next is a new stream.
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.run(py, &Bytes::Fixed(&[]), |state, chunk| state.encoder.finish(&mut state.bytes, chunk))
    }

    fn __repr__(&self) -> String {
        format!("Encoder({:?}, {})", self.encoding.wire_name(), self.encoding.sample_rate())
    }
}

impl PyEncoder {
    fn run<'py>(
        &self,
        py: Python<'py>,
        data: &Bytes<'_>,
        step: impl FnOnce(&mut State, &mut dyn FnMut(&[u8], usize)) -> Result<(), OpusError> + Send,
    ) -> PyResult<Bound<'py, PyList>> {
        let chunks = work_with(py, &self.state, data, weight(self.encoding), |state, bytes| {
            state.samples.clear();
            pcm::from_le_bytes_into(bytes, &mut state.samples);
            let mut chunks = Vec::new();
            step(state, &mut |chunk, _| {
                if !chunk.is_empty() {
                    chunks.push(chunk.to_vec());
                }
            })?;
            super::forget_size(&mut state.samples);
            super::forget_size(&mut state.bytes);
            Ok(chunks)
        })
        .map_err(|e| failed(&e))?;
        PyList::new(py, chunks.iter().map(|chunk| PyBytes::new(py, chunk)))
    }
}

/// libopus refuses nothing that it gets from here, unless there is no memory.
fn failed(source: &OpusError) -> PyErr {
    PyMemoryError::new_err(source.to_string())
}
