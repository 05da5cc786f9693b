//! `ToneGenerator`: the handle on one.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::media::dtmf::{Digit, ToneConfig};
use crate::media::tone::Tone;
use crate::net::{ToneGenerator, core};
use crate::python::bridge::{LoopBridge, What};
use crate::python::errors;
use crate::python::handle::Handle;

/// Plays tones in real time.
#[pyclass(frozen, name = "ToneGenerator", module = "voxwire._core")]
pub(in crate::python) struct PyToneGenerator(pub(in crate::python) Handle<ToneGenerator>);

#[pymethods]
impl PyToneGenerator {
    #[new]
    fn new(py: Python<'_>, bridge: &LoopBridge, sink: Py<PyAny>) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let generator = ToneGenerator::new(core()?, mailbox);
        bridge.register(generator.id(), sink, What::Tones(Arc::clone(&generator)));
        Ok(Self(Handle::new(generator)))
    }

    /// Plays digits after what waits. Times in ms, levels in dB.
    fn play(&self, py: Python<'_>, digits: &str, duration: u32, gap: u32, level: f32, twist: f32) -> PyResult<()> {
        let generator = self.0.get(py)?;
        let wrong = || errors::parameter(py, "digits", &format!("{digits:?}"), "characters of 0123456789*#ABCD");
        let digits: Vec<Digit> =
            digits.chars().map(|key| Digit::from_char(key).ok_or_else(wrong)).collect::<PyResult<_>>()?;
        let config = ToneConfig { tone_ms: duration, pause_ms: gap, level, twist };
        let tones: Vec<Tone> = digits.into_iter().map(|digit| config.tone(digit)).collect();
        for tone in &tones {
            not_too_loud(py, tone, level)?;
        }
        generator.play(tones.into_iter().map(|tone| (tone, Some(1))));
        Ok(())
    }

    /// Plays sines together, on and off, so many times (or until `stop`), after what waits.
    fn play_tone(
        &self,
        py: Python<'_>,
        frequencies: Vec<f64>,
        level: f32,
        on: u32,
        off: u32,
        times: Option<u32>,
    ) -> PyResult<()> {
        let generator = self.0.get(py)?;
        let sines = frequencies.into_iter().map(|frequency| (frequency, level)).collect();
        let tone = Tone { sines, on_ms: on, off_ms: off };
        not_too_loud(py, &tone, level)?;
        generator.play([(tone, times)]);
        Ok(())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.stop();
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.0.get(py)?.close();
        Ok(())
    }

    #[getter]
    fn playing(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.get(py)?.is_playing())
    }
}

/// Sines whose sum is cut off are heard as other frequencies, too.
fn not_too_loud(py: Python<'_>, tone: &Tone, level: f32) -> PyResult<()> {
    // A thousandth of a dB for what rounds.
    if tone.peak() <= 1.0001 {
        return Ok(());
    }
    let most = f64::from(level) - 20.0 * tone.peak().log10();
    let expected = format!("at most {most:.1} dB: the sum of the sines would be cut off");
    Err(errors::parameter(py, "level", &level.to_string(), &expected))
}
