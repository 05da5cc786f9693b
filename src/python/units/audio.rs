//! `AudioUnit`: the handle on one.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::pcm;
use crate::net::{AudioUnit, MediaSink, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::buffer::with_pcm;
use crate::python::errors;
use crate::python::handle::Handle;
use crate::python::options::seconds;

use super::MS;

/// PCM between a route and Python.
#[pyclass(frozen, name = "AudioUnit", module = "voxwire._core")]
pub(in crate::python) struct PyAudioUnit(pub(in crate::python) Handle<AudioUnit>);

#[pymethods]
impl PyAudioUnit {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, rate: u32, buffer: f64, lead: f64) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let limit = seconds(py, "buffer", buffer)?;
        let lead = seconds(py, "lead", lead)?;
        let unit = AudioUnit::new(core()?, mailbox, rate, limit, lead).map_err(|e| errors::audio_unit(py, &e))?;
        bridge.register(unit.id(), sink, What::Other);
        Ok(Self(Handle::new(unit)))
    }

    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let Some(frame) = self.0.get(py)?.read() else { return Ok(None) };
        let mut bytes = Vec::with_capacity(frame.len() * 2);
        pcm::to_le_bytes_into(&frame, &mut bytes);
        Ok(Some(PyBytes::new(py, &bytes)))
    }

    fn write(&self, py: Python<'_>, pcm: &Bound<'_, PyAny>) -> PyResult<()> {
        let unit = self.0.get(py)?;
        with_pcm(pcm, |bytes| unit.write(bytes))?.map_err(|e| errors::audio_unit(py, &e))
    }

    fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.end();
        Ok(())
    }

    fn clear(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.clear().as_secs_f64() * MS)
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.pause();
        Ok(())
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.resume();
        Ok(())
    }

    fn mark(&self, py: Python<'_>, identity: u64) -> PyResult<()> {
        self.0.get(py)?.mark(identity).map_err(|e| errors::audio_unit(py, &e))
    }

    fn request_writable(&self, py: Python<'_>, below: f64) -> PyResult<bool> {
        Ok(self.0.get(py)?.request_writable(seconds(py, "below", below / MS)?))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }

    #[getter]
    fn queued(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.queued().as_secs_f64() * MS)
    }

    #[getter]
    fn ahead(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.ahead().as_secs_f64() * MS)
    }

    #[getter]
    fn readable(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.readable().as_secs_f64() * MS)
    }

    #[getter]
    fn discarded(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.discarded().as_secs_f64() * MS)
    }
}
