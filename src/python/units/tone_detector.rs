//! `ToneDetector`: the handle on one.

use pyo3::prelude::*;

use crate::media::dtmf::Detected;
use crate::net::{ToneDetector, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::handle::Handle;

use super::MS;

/// Hears DTMF digits.
#[pyclass(frozen, name = "ToneDetector", module = "voxwire._core")]
pub(in crate::python) struct PyToneDetector(pub(in crate::python) Handle<ToneDetector>);

#[pymethods]
impl PyToneDetector {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let detector = ToneDetector::new(core()?, mailbox);
        bridge.register(detector.id(), sink, What::Other);
        Ok(Self(Handle::new(detector)))
    }

    /// A digit, and how long it was in ms; no length: it has begun.
    fn read(&self, py: Python<'_>) -> PyResult<Option<(char, Option<f64>)>> {
        Ok(self.0.get(py)?.read().map(|heard| match heard {
            Detected::Started(digit) => (digit.as_char(), None),
            Detected::Ended { digit, duration } => (digit.as_char(), Some(duration.as_secs_f64() * MS)),
        }))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }
}
