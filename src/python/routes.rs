//! Routes: from whom audio goes to whom. One pair of functions for all kinds of media units.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::media::encoding::Encoding;
use crate::media::opus::{Application, EncoderConfig, FrameDuration};
use crate::net::{self, RouteFigures, RouteParams, Sink, Source};

use super::connection::PyConnection;
use super::errors;
use super::units::{MS, PyAudioUnit, PyConference, PyPlayer, PyRecorderChannel, PyToneDetector, PyToneGenerator};

/// Sends the audio of `source` to `target`; answers the id of the route, if there is one. Raises `MediaError`, `AudioRouteError`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "one call for each route, from one place")]
pub(super) fn route(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    encoding: Option<&str>,
    tag: Option<String>,
    custom_parameters: Option<String>,
    opus: Option<Opus>,
    gain: f32,
    source_tag: Option<String>,
) -> PyResult<Option<u64>> {
    let encoding = Encoding::from_wire(encoding, None, None).map_err(|e| errors::format_error(py, &e))?;
    let opus = opus_config(py, encoding, opus)?;
    let params = RouteParams { encoding, opus, tag, custom: custom_parameters, gain, source_tag };
    source_of(source)?.route(sink_of(target)?, params).map_err(|e| errors::route(py, &e))
}

/// Ends what `route` began.
#[pyfunction]
pub(super) fn unroute(
    source: &Bound<'_, PyAny>,
    target: &Bound<'_, PyAny>,
    tag: Option<&str>,
    source_tag: Option<&str>,
) -> PyResult<()> {
    source_of(source)?.unroute(&sink_of(target)?, tag, source_tag);
    Ok(())
}

/// The parameters of an encoder; none but that of Opus has any. Raises `InvalidParameter`.
pub(super) fn opus_config(py: Python<'_>, encoding: Encoding, opus: Option<Opus>) -> PyResult<EncoderConfig> {
    match opus {
        Some(_) if !matches!(encoding, Encoding::Opus | Encoding::OggOpus) => {
            let expected = format!("nothing with encoding {}: it is for OPUS", encoding.wire_name());
            Err(errors::parameter(py, "opus", "given", &expected))
        }
        Some(fields) => fields.config(py),
        None => Ok(EncoderConfig::default()),
    }
}

/// Every route of this process: its id and what became of its audio.
#[pyfunction]
pub(super) fn routes() -> Vec<(u64, Figures)> {
    net::routes().iter().map(|route| (route.id, figures(route))).collect()
}

/// Rate in Hz, whether audio is on its way, whether it is mixed with others, milliseconds buffered, played, discarded.
pub(super) type Figures = (u32, bool, bool, f64, f64, f64);

pub(super) fn figures(route: &RouteFigures) -> Figures {
    let [buffered, played, discarded] =
        [route.buffered, route.played, route.discarded].map(|time| time.as_secs_f64() * MS);
    (route.rate, route.open, route.mixed, buffered, played, discarded)
}

/// The fields of an `OpusParameters`, as Python holds them. It has checked them, too; an encoder checks the numbers again.
#[derive(FromPyObject)]
pub(super) struct Opus {
    bitrate: Option<u32>,
    complexity: u8,
    frame_duration: f64,
    application: String,
    dtx: bool,
    fec: bool,
    expected_loss: u8,
}

impl Opus {
    pub(super) fn config(self, py: Python<'_>) -> PyResult<EncoderConfig> {
        let Self { bitrate, complexity, frame_duration, application, dtx, fec, expected_loss } = self;
        let rounded = (frame_duration * 10.0).round() as u32;
        let frame = FrameDuration::ALL.into_iter().find(|frame| frame.samples(10_000) == rounded as usize);
        let frame = frame.ok_or_else(|| {
            let expected = "2.5, 5, 10, 20, 40 or 60 (milliseconds)";
            errors::parameter(py, "opus.frame_duration", &frame_duration.to_string(), expected)
        })?;
        let application = match application.as_str() {
            "voip" => Application::Voip,
            "audio" => Application::Audio,
            "lowdelay" => Application::LowDelay,
            other => return Err(errors::parameter(py, "opus.application", other, "voip, audio or lowdelay")),
        };
        let default = EncoderConfig::default();
        Ok(EncoderConfig { application, frame, bitrate, complexity, dtx, fec, expected_loss, ..default })
    }
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
    if let Ok(generator) = source.cast::<PyToneGenerator>() {
        return Ok(generator.get().0.get(py)?.clone());
    }
    if let Ok(conference) = source.cast::<PyConference>() {
        return Ok(conference.get().0.get(py)?.clone());
    }
    Err(PyTypeError::new_err(
        "audio can come from a WebSocket, a Player, an AudioUnit, a ToneGenerator or a Conference",
    ))
}

fn sink_of(target: &Bound<'_, PyAny>) -> PyResult<Sink> {
    let py = target.py();
    if let Ok(connection) = target.cast::<PyConnection>() {
        return Ok(Sink::Socket(connection.get().get(py)?.clone()));
    }
    if let Ok(channel) = target.cast::<PyRecorderChannel>() {
        return Ok(Sink::Unit(channel.get().0.get(py)?.clone()));
    }
    if let Ok(unit) = target.cast::<PyAudioUnit>() {
        return Ok(Sink::Unit(unit.get().0.get(py)?.clone()));
    }
    if let Ok(detector) = target.cast::<PyToneDetector>() {
        return Ok(Sink::Unit(detector.get().0.get(py)?.clone()));
    }
    if let Ok(conference) = target.cast::<PyConference>() {
        return Ok(Sink::Unit(conference.get().0.get(py)?.clone()));
    }
    Err(PyTypeError::new_err(
        "audio can be sent to a WebSocket, a Recorder, an AudioUnit, a ToneDetector or a Conference",
    ))
}
