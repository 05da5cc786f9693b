//! Media units that are no WebSocket: what takes audio (a `MediaSink`), gives it (a `Source`), or both. One file each.

mod audio;
mod conference;
mod player;
mod recorder;
mod tone_detector;
mod tone_generator;

pub use audio::{AudioUnit, AudioUnitError};
pub use conference::Conference;
pub use player::{Play, Player, PlayerConfig, PlayerError};
pub use recorder::{Channel as RecorderChannel, Recorder, RecorderConfig, RecorderError, RecordingFormat};
pub use tone_detector::ToneDetector;
pub use tone_generator::ToneGenerator;
