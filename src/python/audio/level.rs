//! How loud some audio is.

use pyo3::prelude::*;

use crate::media::level::{Level, Meter};
use crate::media::pcm;
use crate::python::buffer::pcm_of;

use super::work_on;

/// Samples at a time.
const BLOCK: usize = 2048;

/// The level of some audio in dBFS: a full-scale square is 0, a full-scale sine has an RMS of -3.01, digital silence (and no
/// audio at all) is negative infinity.
#[pyclass(frozen, name = "Level", module = "voxwire.audio")]
pub(in crate::python) struct PyLevel {
    /// Root mean square.
    #[pyo3(get)]
    rms: f64,
    /// The largest magnitude.
    #[pyo3(get)]
    peak: f64,
}

impl PyLevel {
    /// `None`: no audio.
    pub(in crate::python) fn of(level: Option<Level>) -> Self {
        let (rms, peak) = level.map_or((f32::NEG_INFINITY, f32::NEG_INFINITY), |level| (level.rms, level.peak));
        Self { rms: f64::from(rms), peak: f64::from(peak) }
    }
}

#[pymethods]
impl PyLevel {
    fn __repr__(&self) -> String {
        format!("Level(rms={:.2}, peak={:.2})", self.rms, self.peak)
    }
}

/// RMS and peak of 16-bit PCM in dBFS.
#[pyfunction]
#[pyo3(name = "level", signature = (pcm, /))]
pub(in crate::python) fn level_of(pcm: &Bound<'_, PyAny>) -> PyResult<PyLevel> {
    let measured = work_on(pcm.py(), &pcm_of(pcm)?, 1, |bytes| {
        let (mut meter, mut samples) = (Meter::new(), Vec::with_capacity((bytes.len() / 2).min(BLOCK)));
        for part in bytes.chunks(2 * BLOCK) {
            samples.clear();
            pcm::from_le_bytes_into(part, &mut samples);
            meter.push(&samples);
        }
        meter.take()
    });
    Ok(PyLevel::of(measured))
}
