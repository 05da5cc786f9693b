//! What one inbound stream is asked and what it tells: its settings, its events, its counters.

use std::time::Duration;

use crate::media::lead::Lead;
use crate::media::silence::SilenceConfig;
use crate::media::voice::VoiceConfig;

/// How one stream is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamConfig {
    /// Length of a frame, 1 ms to 1 s (what lies outside is moved there). Default 20 ms.
    pub frame: Duration,
    /// Playing starts when this much is buffered, or this long after the first chunk, or at the
    /// stop, whichever comes first. Default 40 ms, at most an hour.
    pub playout_delay: Duration,
    /// The delay grows when chunks come late, and falls again when they have come evenly for ten seconds; what a sender
    /// that stalled is late by beyond this is discarded. `None`: the delay grows, and stays. Default 500 ms.
    pub playout_delay_max: Option<Duration>,
    /// Audio beyond this is discarded. Default 10 s.
    pub max_buffered: Duration,
    /// Make up for chunks that are lost, and fade out when the sender pauses. Default true.
    pub conceal: bool,
    /// What counts as silence.
    pub silence: SilenceConfig,
    /// How far ahead of real time frames are handed out. Default not at all.
    pub lead: Lead,
    /// Measure the level. Default false.
    pub levels: bool,
    /// Listen for speech. Default not.
    pub voice: Option<VoiceConfig>,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            frame: Duration::from_millis(20),
            playout_delay: Duration::from_millis(40),
            playout_delay_max: Some(Duration::from_millis(500)),
            max_buffered: Duration::from_secs(10),
            conceal: true,
            silence: SilenceConfig::default(),
            lead: Lead::default(),
            levels: false,
            voice: None,
        }
    }
}

/// What a tick tells the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// The audio starts playing, with the frame of this tick.
    Started,
    /// The audio ended, by stop or by silence.
    Ended {
        /// Audio played since `Started`: all of it after a stop, up to the end of the last audible
        /// frame after silence. Pauses in which nothing was played do not count.
        duration: Duration,
    },
    /// Audio was thrown away: over the bound of the buffer, or late beyond `playout_delay_max`. Once a second at most.
    Discarded {
        /// How much, since the last such event.
        duration: Duration,
    },
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// The event that fires. `Started` comes before the frame of the same tick; an `Ended` has none.
    pub event: Option<StreamEvent>,
    /// The frame was filled and is to be played.
    pub played: bool,
    /// Everything is played: the stream may be dropped.
    pub ended_stream: bool,
}

/// What a stream has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Chunks received, whatever became of them.
    pub received: u64,
    /// Chunks that never came, by their numbers.
    pub lost: u64,
    /// Chunks that came more than once.
    pub duplicates: u64,
    /// Chunks that came after a later one.
    pub reordered: u64,
    /// Samples thrown away: buffer full, too late, after the stop, or cleared.
    pub discarded_samples: u64,
    /// Samples played, padding not counted.
    pub played_samples: u64,
    /// Samples made up for lost chunks, and for how many gaps.
    pub concealed_samples: u64,
    /// Gaps that were concealed.
    pub concealed_gaps: u64,
    /// Samples recovered for lost chunks out of those after them.
    pub recovered_samples: u64,
    /// Samples left out, and put in, so that the delay falls or grows.
    pub shortened_samples: u64,
    /// See there.
    pub lengthened_samples: u64,
    /// The sender's last `timestamp`, as sent.
    pub last_timestamp: Option<u64>,
}
