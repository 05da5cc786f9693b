//! One stream of PCM from one sample rate to another.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::pcm;
use crate::media::resample::{RATES, Resampler};
use crate::python::buffer::{Bytes, pcm_of};
use crate::python::errors;

use super::{RESAMPLED, rate_of, work_with};

const EXPECTED: &str = "8000, 16000, 24000, 32000, 44100 or 48000 Hz";

/// Converts one stream of 16-bit PCM from one sample rate to another, in pieces of any length.
///
/// A polyphase filter with linear phase: THD+N below -90 dB, -3 dB at 0.91 of the lower Nyquist frequency, aliases below
/// -80 dB. n samples give, once flushed, exactly `ceil(n * target_rate / source_rate)`.
#[pyclass(frozen, name = "Resampler", module = "voxwire.audio")]
pub(in crate::python) struct PyResampler {
    source_rate: u32,
    target_rate: u32,
    prime: bool,
    state: Mutex<State>,
}

struct State {
    resampler: Resampler,
    input: Vec<i16>,
    output: Vec<i16>,
}

#[pymethods]
impl PyResampler {
    #[new]
    #[pyo3(signature = (source_rate, target_rate, *, prime = false))]
    fn new(py: Python<'_>, source_rate: i64, target_rate: i64, prime: bool) -> PyResult<Self> {
        let known = |field, rate| {
            let rate = rate_of(py, field, rate)?;
            let wrong = || errors::parameter(py, field, &rate.to_string(), EXPECTED);
            RATES.contains(&rate).then_some(rate).ok_or_else(wrong)
        };
        let (source_rate, target_rate) = (known("source_rate", source_rate)?, known("target_rate", target_rate)?);
        let mut resampler = Resampler::new(source_rate, target_rate)
            .map_err(|e| errors::parameter(py, "source_rate", &e.rate.to_string(), EXPECTED))?;
        if prime {
            resampler.prime();
        }
        let state = Mutex::new(State { resampler, input: Vec::new(), output: Vec::new() });
        Ok(Self { source_rate, target_rate, prime, state })
    }

    /// Samples per second of what goes in.
    #[getter]
    fn source_rate(&self) -> u32 {
        self.source_rate
    }

    /// Samples per second of what comes out.
    #[getter]
    fn target_rate(&self) -> u32 {
        self.target_rate
    }

    /// How far what comes out is behind what goes in, in milliseconds.
    #[getter]
    fn delay(&self, py: Python<'_>) -> f64 {
        let samples = super::lock_attached(py, &self.state).resampler.delay();
        samples as f64 * 1000.0 / f64::from(self.target_rate)
    }

    /// Takes samples and answers those that they complete.
    #[pyo3(signature = (pcm, /))]
    fn process<'py>(&self, pcm: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let data = pcm_of(pcm)?;
        Ok(self.run(pcm.py(), &data, |state| state.resampler.process_into(&state.input, &mut state.output)))
    }

    /// Answers the rest, as if silence followed; what comes next is a new stream.
    fn flush<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.run(py, &Bytes::Fixed(&[]), |state| {
            state.resampler.flush_into(&mut state.output);
            if self.prime {
                state.resampler.prime();
            }
        })
    }

    fn __repr__(&self) -> String {
        format!("Resampler({}, {})", self.source_rate, self.target_rate)
    }
}

impl PyResampler {
    fn run<'py>(&self, py: Python<'py>, data: &Bytes<'_>, step: impl FnOnce(&mut State) + Send) -> Bound<'py, PyBytes> {
        let out = work_with(py, &self.state, data, RESAMPLED, |state, bytes| {
            state.input.clear();
            state.output.clear();
            pcm::from_le_bytes_into(bytes, &mut state.input);
            step(state);
            let mut out = Vec::with_capacity(2 * state.output.len());
            pcm::to_le_bytes_into(&state.output, &mut out);
            super::forget_size(&mut state.input);
            super::forget_size(&mut state.output);
            out
        });
        PyBytes::new(py, &out)
    }
}
