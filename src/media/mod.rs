//! Audio without I/O: the media stream format, codecs, rate conversion, playout and the silence clock.
//!
//! Slices in, slices out; time is an argument. Nothing here reads a clock, opens a socket, or knows
//! what a WebSocket is. A function called `…_into` appends to the vector it is given.

pub mod codec;
pub mod conceal;
pub mod delay;
pub mod dtmf;
pub mod encoding;
pub mod event;
pub mod feed;
pub mod g711;
pub mod g722;
pub mod lead;
pub mod level;
pub mod mixer;
pub mod ogg;
pub mod opus;
pub mod pace;
pub mod pcm;
pub mod playout;
pub mod resample;
pub mod scratch;
pub mod silence;
pub mod sound;
pub mod stream;
pub mod stretch;
pub mod supply;
pub mod tone;
pub mod voice;
pub mod wav;

use std::time::Duration;

/// How long `samples` last at `rate` Hz.
pub fn duration_of(samples: u64, rate: u32) -> Duration {
    let (seconds, rest) = (samples / u64::from(rate), samples % u64::from(rate));
    Duration::new(seconds, (rest * 1_000_000_000 / u64::from(rate)).min(999_999_999) as u32)
}

/// How many whole samples at `rate` Hz fit into `duration` (saturating).
pub fn samples_in(duration: Duration, rate: u32) -> usize {
    let samples = duration.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}
