//! `Recorder`: the handle on one, and those on its channels.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use crate::net::{Recorder, RecorderChannel, RecorderConfig, RecordingFormat, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::errors;
use crate::python::handle::Handle;
use crate::python::options::seconds;
use crate::python::routes::Opus;

use super::MS;

/// Writes audio to files in real time.
#[pyclass(frozen, name = "Recorder", module = "voxwire._core")]
pub(in crate::python) struct PyRecorder(Handle<Recorder>);

/// One channel of a recording.
#[pyclass(frozen, name = "RecorderChannel", module = "voxwire._core")]
pub(in crate::python) struct PyRecorderChannel(pub(in crate::python) Handle<RecorderChannel>);

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]
impl PyRecorder {
    #[new]
    #[pyo3(signature = (bridge, sink, path, *, ogg, opus, rate, channels, split_seconds, split_bytes))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        bridge: &LoopBridge,
        sink: Py<PyAny>,
        path: PathBuf,
        ogg: bool,
        opus: Option<Opus>,
        rate: u32,
        channels: u16,
        split_seconds: Option<f64>,
        split_bytes: Option<u64>,
    ) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let split_after: Option<Duration> = split_seconds.map(|time| seconds(py, "split_seconds", time)).transpose()?;
        let format = match opus {
            Some(fields) => RecordingFormat::Opus(fields.config(py)?),
            None if ogg => RecordingFormat::default_opus(),
            None => RecordingFormat::Wav,
        };
        let config = RecorderConfig { path: path.clone(), format, rate, channels, split_after, split_bytes };
        let core = core()?;
        let recorder =
            py.detach(|| Recorder::create(&core, mailbox, config)).map_err(|e| errors::recorder(py, &e, &path))?;
        bridge.register(recorder.id(), sink, What::Recorder(Arc::clone(&recorder)));
        Ok(Self(Handle::new(recorder)))
    }

    fn channels(&self, py: Python<'_>) -> PyResult<Vec<PyRecorderChannel>> {
        let channels = self.0.get(py)?.channels();
        Ok(channels.iter().map(|channel| PyRecorderChannel(Handle::new(Arc::clone(channel)))).collect())
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.pause();
        Ok(())
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.resume();
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }

    #[getter]
    fn paused(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.get(py)?.is_paused())
    }

    #[getter]
    fn duration(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.duration().as_secs_f64() * MS)
    }
}
