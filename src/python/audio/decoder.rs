//! One stream of encoded audio to PCM.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::codec::{Decoder, PayloadError};
use crate::media::encoding::Encoding;
use crate::media::pcm;
use crate::python::buffer::{Bytes, bytes_of};
use crate::python::errors;

use super::{encoding_of, weight, work_with};

/// Seconds of audio that one call may give. A byte of Ogg can stand for 100 ms.
const MOST: usize = 600;

/// Decodes one stream of any encoding that media streams have to 16-bit little-endian PCM, mono.
#[pyclass(frozen, name = "Decoder", module = "voxwire.audio")]
pub(in crate::python) struct PyDecoder {
    encoding: Encoding,
    state: Mutex<State>,
}

struct State {
    decoder: Decoder,
    samples: Vec<i16>,
}

#[pymethods]
impl PyDecoder {
    #[new]
    #[pyo3(signature = (encoding = None, rate = None))]
    fn new(py: Python<'_>, encoding: Option<&str>, rate: Option<i64>) -> PyResult<Self> {
        let encoding = encoding_of(py, encoding, rate)?;
        let state = State { decoder: Decoder::new(encoding), samples: Vec::new() };
        Ok(Self { encoding, state: Mutex::new(state) })
    }

    /// The encoding's name on the wire.
    #[getter]
    fn encoding(&self) -> &'static str {
        self.encoding.wire_name()
    }

    /// Samples per second of the PCM.
    #[getter]
    fn rate(&self) -> u32 {
        self.encoding.sample_rate()
    }

    /// Decodes one chunk, as it was sent. Ogg may be cut anywhere; the other encodings are made of whole chunks.
    #[pyo3(signature = (data, /))]
    fn decode<'py>(&self, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        self.decode_bytes(data.py(), &bytes_of(data, "a bytes-like object")?)
    }

    fn __repr__(&self) -> String {
        format!("Decoder({:?}, {})", self.encoding.wire_name(), self.encoding.sample_rate())
    }
}

impl PyDecoder {
    pub(super) fn decode_bytes<'py>(&self, py: Python<'py>, data: &Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
        let most = MOST * self.encoding.sample_rate() as usize;
        let decoded = work_with(py, &self.state, data, weight(self.encoding), |state, bytes| {
            state.samples.clear();
            let left_out = state.decoder.decode_into(bytes, most, &mut state.samples)?;
            let mut out = Vec::with_capacity(2 * state.samples.len());
            pcm::to_le_bytes_into(&state.samples, &mut out);
            super::forget_size(&mut state.samples);
            Ok((out, left_out))
        });
        match decoded {
            Ok((out, 0)) => Ok(PyBytes::new(py, &out)),
            Ok(_) => {
                let length = data.as_slice().len();
                let expected = format!("at most {MOST} s of audio in a call");
                let message = format!("data: {length} bytes hold more; expected {expected}");
                Err(errors::media(py, message, "data", &length.to_string(), &expected))
            }
            Err(error) => Err(refused(py, &error)),
        }
    }
}

fn refused(py: Python<'_>, source: &PayloadError) -> PyErr {
    errors::payload(py, source.to_string(), source)
}
