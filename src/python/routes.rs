//! Routes: from whom audio goes to whom. One pair of functions for all kinds of media units.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::media::encoding::Encoding;
use crate::net::{RouteParams, Sink, Source};

use super::connection::PyConnection;
use super::errors;
use super::units::{PyAudioUnit, PyPlayer, PyRecorder};

/// Sends the audio of `source` to `target`. Raises `MediaError`, `AudioRouteError`.
#[pyfunction]
pub(super) fn route(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    encoding: Option<&str>,
    tag: Option<String>,
    custom_parameters: Option<String>,
) -> PyResult<()> {
    let encoding = Encoding::from_wire(encoding, None, None).map_err(|e| errors::format_error(py, &e))?;
    let params = RouteParams { encoding, tag, custom: custom_parameters };
    source_of(source)?.route(sink_of(target)?, params).map_err(|e| errors::route(py, &e))
}

/// Ends what `route` began.
#[pyfunction]
pub(super) fn unroute(source: &Bound<'_, PyAny>, target: &Bound<'_, PyAny>, tag: Option<&str>) -> PyResult<()> {
    source_of(source)?.unroute(&sink_of(target)?, tag);
    Ok(())
}

fn source_of(source: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Source>> {
    let py = source.py();
    if let Ok(connection) = source.cast::<PyConnection>() {
        return Ok(connection.get().get(py)?.clone());
    }
    if let Ok(player) = source.cast::<PyPlayer>() {
        return Ok(player.get().0.get(py)?.clone());
    }
    if let Ok(unit) = source.cast::<PyAudioUnit>() {
        return Ok(unit.get().0.get(py)?.clone());
    }
    Err(PyTypeError::new_err("audio can come from a WebSocket, a Player or an AudioUnit"))
}

fn sink_of(target: &Bound<'_, PyAny>) -> PyResult<Sink> {
    let py = target.py();
    if let Ok(connection) = target.cast::<PyConnection>() {
        return Ok(Sink::Socket(connection.get().get(py)?.clone()));
    }
    if let Ok(recorder) = target.cast::<PyRecorder>() {
        return Ok(Sink::Unit(recorder.get().0.get(py)?.clone()));
    }
    if let Ok(unit) = target.cast::<PyAudioUnit>() {
        return Ok(Sink::Unit(unit.get().0.get(py)?.clone()));
    }
    Err(PyTypeError::new_err("audio can be sent to a WebSocket, a Recorder or an AudioUnit"))
}
