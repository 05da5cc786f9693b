//! `Player`: the handle on one.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::media::encoding::Encoding;
use crate::media::lead::Lead;
use crate::media::sound::SoundFormat;
use crate::net::{Play, Player, PlayerConfig, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::buffer::with_bytes;
use crate::python::errors;
use crate::python::handle::Handle;
use crate::python::options::seconds;

use super::MS;

/// Plays a sound in real time.
#[pyclass(frozen, name = "Player", module = "voxwire._core")]
pub(in crate::python) struct PyPlayer(pub(in crate::python) Handle<Player>);

#[pymethods]
impl PyPlayer {
    #[new]
    #[pyo3(signature = (bridge, sink, path, data, *, format, encoding, rate, plays, ahead, lead))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments")]
    fn new(
        py: Python<'_>,
        bridge: &LoopBridge,
        sink: Py<PyAny>,
        path: Option<PathBuf>,
        data: Option<Bound<'_, PyAny>>,
        format: Option<&str>,
        encoding: Option<&str>,
        rate: Option<u32>,
        plays: Option<u64>,
        ahead: f64,
        lead: f64,
    ) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let format = match format {
            None => SoundFormat::Any,
            Some("wav") => SoundFormat::Wav,
            Some("ogg") => SoundFormat::Ogg,
            Some("raw") => {
                let encoding = Encoding::from_wire(encoding, rate, None);
                SoundFormat::Raw(encoding.map_err(|e| errors::format_error(py, &e))?)
            }
            Some(other) => return Err(errors::parameter(py, "format", other, "wav, ogg, raw or None")),
        };
        let lead = Lead::new(seconds(py, "lead", lead)?).map_err(|e| errors::lead(py, e))?;
        let config = PlayerConfig { format, plays, ahead: seconds(py, "ahead", ahead)?, lead };
        let name = path.clone();
        let play = match (path, data) {
            (Some(path), _) => Play::File(path),
            (None, Some(data)) => Play::Bytes(with_bytes(&data, <[u8]>::to_vec)?),
            (None, None) => Play::Stream,
        };
        let core = core()?;
        let player = py
            .detach(|| Player::open(core, mailbox, play, &config))
            .map_err(|e| errors::player(py, &e, name.as_deref()))?;
        bridge.register(player.id(), sink, What::Player(Arc::downgrade(&player)));
        Ok(Self(Handle::new(player)))
    }

    #[getter]
    fn rate(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        Ok(self.0.get(py)?.rate())
    }

    #[getter]
    fn duration(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self.0.get(py)?.duration().map(|duration| duration.as_secs_f64() * MS))
    }

    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.position().as_secs_f64() * MS)
    }

    #[getter]
    fn sent_ahead(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(self.0.get(py)?.sent_ahead().as_secs_f64() * MS)
    }

    #[getter]
    fn paused(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.get(py)?.is_paused())
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.start();
        Ok(())
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.pause();
        Ok(())
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.resume();
        Ok(())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.stop();
        Ok(())
    }

    fn give(&self, py: Python<'_>, data: Option<Bound<'_, PyAny>>) -> PyResult<()> {
        let player = self.0.get(py)?;
        let bytes = data.map(|data| with_bytes(&data, <[u8]>::to_vec)).transpose()?;
        player.give(bytes);
        Ok(())
    }

    fn request_bytes(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.get(py)?.request_bytes())
    }
}
