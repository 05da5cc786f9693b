//! `Player`: the handle on one.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::net::{Player, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::errors;
use crate::python::handle::Handle;

use super::MS;

/// Plays a WAV file in real time.
#[pyclass(frozen, name = "Player", module = "voxwire._core")]
pub(in crate::python) struct PyPlayer(pub(in crate::python) Handle<Player>);

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]
impl PyPlayer {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, path: PathBuf) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let core = core()?;
        let player = py.detach(|| Player::open(&core, mailbox, &path)).map_err(|e| errors::player(py, &e, &path))?;
        bridge.register(player.id(), sink, What::Other);
        Ok(Self(Handle::new(player)))
    }

    #[getter]
    fn rate(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(self.0.get(py)?.rate())
    }

    #[getter]
    fn duration(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.duration().as_secs_f64() * MS)
    }

    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.position().as_secs_f64() * MS)
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let player = self.0.get(py)?;
        let core = core()?;
        player.start(&core);
        Ok(())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.stop();
        Ok(())
    }
}
