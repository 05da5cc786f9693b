//! Handles on the media units of `net`, one file each.

mod audio;
mod player;
mod recorder;

pub(super) use audio::PyAudioUnit;
pub(super) use player::PyPlayer;
pub(super) use recorder::{PyRecorder, PyRecorderChannel};

/// Python sees times in milliseconds.
const MS: f64 = 1000.0;
