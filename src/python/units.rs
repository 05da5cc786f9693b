//! `Recorder`, `Player`, `AudioUnit`: handles on the media units.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::pcm;
use crate::net::{AudioUnit, Player, Recorder, core};

use super::bridge::{LoopBridge, What};
use super::buffer::with_pcm;
use super::errors;
use super::handle::Handle;
use super::options::seconds;

const MS: f64 = 1000.0;

/// Writes a WAV file in real time.
#[pyclass(frozen, name = "Recorder", module = "voxwire._core")]
pub(super) struct PyRecorder(pub(super) Handle<Recorder>);

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]
impl PyRecorder {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, path: PathBuf, rate: u32) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        crate::media::resample::Resampler::new(8000, rate).map_err(|_| {
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

/// Plays a WAV file in real time.
#[pyclass(frozen, name = "Player", module = "voxwire._core")]
pub(super) struct PyPlayer(pub(super) Handle<Player>);

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

/// PCM between a route and Python.
#[pyclass(frozen, name = "AudioUnit", module = "voxwire._core")]
pub(super) struct PyAudioUnit(pub(super) Handle<AudioUnit>);

#[pymethods]
impl PyAudioUnit {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>, rate: u32, buffer: f64) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let limit = seconds(py, "buffer", buffer)?;
        let unit = AudioUnit::new(core()?, mailbox, rate, limit).map_err(|e| errors::audio_unit(py, &e))?;
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
    fn readable(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.readable().as_secs_f64() * MS)
    }

    #[getter]
    fn discarded(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.discarded().as_secs_f64() * MS)
    }
}
