//! Handles on the media units of `net`, one file each.

mod audio;
mod conference;
mod player;
mod recorder;
mod tone_detector;
mod tone_generator;

pub(super) use audio::PyAudioUnit;
pub(super) use conference::PyConference;
pub(super) use player::PyPlayer;
pub(super) use recorder::{PyRecorder, PyRecorderChannel};
pub(super) use tone_detector::PyToneDetector;
pub(super) use tone_generator::PyToneGenerator;

/// Python sees times in milliseconds.
pub(super) const MS: f64 = 1000.0;
