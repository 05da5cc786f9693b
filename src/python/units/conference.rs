//! `Conference`: the handle on one.

use pyo3::prelude::*;

use crate::net::{Conference, Source, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::errors;
use crate::python::handle::Handle;

/// Mixes what comes from many, for each of them without its own part.
#[pyclass(frozen, name = "Conference", module = "voxwire._core")]
pub(in crate::python) struct PyConference(pub(in crate::python) Handle<Conference>);

#[pymethods]
impl PyConference {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, rate: u32) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let conference = Conference::new(core()?, mailbox, rate).map_err(|_| {
            errors::parameter(py, "rate", &rate.to_string(), "8000, 16000, 24000, 32000, 44100 or 48000")
        })?;
        bridge.register(conference.source_id(), sink, What::Other);
        Ok(Self(Handle::new(conference)))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }
}
