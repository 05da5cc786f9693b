//! `Recorder`: the handle on one.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::media::resample::Resampler;
use crate::net::{MediaSink, Recorder, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::errors;
use crate::python::handle::Handle;

use super::MS;

/// Writes a WAV file in real time.
#[pyclass(frozen, name = "Recorder", module = "voxwire._core")]
pub(in crate::python) struct PyRecorder(pub(in crate::python) Handle<Recorder>);

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]
impl PyRecorder {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, path: PathBuf, rate: u32) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        Resampler::new(8000, rate).map_err(|_| {
            errors::parameter(py, "rate", &rate.to_string(), "8000, 16000, 24000, 32000, 44100 or 48000")
        })?;
        let core = core()?;
        let recorder =
            py.detach(|| Recorder::create(&core, mailbox, &path, rate)).map_err(|e| errors::file(&e, &path))?;
        bridge.register(recorder.id(), sink, What::Recorder(Arc::clone(&recorder)));
        Ok(Self(Handle::new(recorder)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }

    #[getter]
    fn duration(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.duration().as_secs_f64() * MS)
    }
}
