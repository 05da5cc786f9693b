//! A recorder: writes what is routed to it into files, in real time. Gaps become silence; what is whole is written each second.
//!
//! `timeline` puts the frames of its channels in their place, on the thread that brings them; `output` and the formats below
//! it write them, on the file thread.

mod ogg;
mod output;
mod timeline;
mod wav;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::media::opus::{self, OpusError};
use crate::media::resample;

use crate::net::files::Background;
use crate::net::mailbox::{Mailbox, Notice, UnitError};
use crate::net::route::MediaSink;
use crate::net::runtime::{self, Core, lock};

use output::{LEAST_BYTES, Output};
use timeline::{Piece, Timeline};

pub use output::{RecorderConfig, RecordingFormat};

/// Why a recording cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The first file cannot be made.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// How Opus is to be made is nothing that there is.
    #[error(transparent)]
    Opus(#[from] OpusError),
    /// A parameter is none that there can be.
    #[error("{field}: {value}; expected {expected}")]
    Parameter {
        /// Which one.
        field: &'static str,
        /// What it was.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// Writes audio to files.
pub struct Recorder {
    shared: Arc<Shared>,
    channels: Vec<Arc<Channel>>,
}

/// One channel of a recording, to which audio is routed.
pub struct Channel {
    shared: Arc<Shared>,
    id: u64,
    index: usize,
}

struct Shared {
    id: u64,
    rate: u32,
    mailbox: Arc<dyn Mailbox>,
    state: Mutex<State>,
}

struct State {
    output: Background<Output>,
    timeline: Timeline,
    closed: bool,
}

impl Recorder {
    /// Makes the first file, with a header that is right for an empty recording.
    pub fn create(core: &Core, mailbox: Arc<dyn Mailbox>, config: RecorderConfig) -> Result<Arc<Self>, RecorderError> {
        check(&config)?;
        let (id, rate, channels) = (core.next_id(), config.rate, config.channels);
        let told = Arc::clone(&mailbox);
        let output = Output::create(config, move |path| told.post_one(id, Notice::FileCompleted(path)))?;
        let timeline = Timeline::new(rate, channels);
        let state = State { output: core.files.own(output), timeline, closed: false };
        let shared = Arc::new(Shared { id, rate, mailbox, state: Mutex::new(state) });
        let channels = (0..usize::from(channels))
            .map(|index| Arc::new(Channel { shared: Arc::clone(&shared), id: core.next_id(), index }))
            .collect();
        let recorder = Arc::new(Self { shared, channels });
        core.add_recorder(&recorder);
        Ok(recorder)
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// Where audio is routed to: the only channel, or the left and the right one.
    pub fn channels(&self) -> &[Arc<Channel>] {
        &self.channels
    }

    /// How much is recorded.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(lock(&self.shared.state).timeline.length() as f64 / f64::from(self.shared.rate))
    }

    /// Leaves out what is heard from now on, until `resume`: no time passes in the recording.
    pub fn pause(&self) {
        lock(&self.shared.state).timeline.pause(Instant::now());
    }

    /// Goes on where `pause` stopped.
    pub fn resume(&self) {
        lock(&self.shared.state).timeline.resume(Instant::now());
    }

    /// Whether it pauses.
    pub fn is_paused(&self) -> bool {
        lock(&self.shared.state).timeline.is_paused()
    }

    /// Completes the file; `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        self.shared.close(&mut lock(&self.shared.state));
        if let Some(core) = runtime::current() {
            for channel in &self.channels {
                core.routes.target_gone(channel.id);
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn close(&self, state: &mut State) {
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        let rest = state.timeline.finish();
        state.write(rest);
        state.output.submit(0, Output::finish);
        let (mailbox, id) = (Arc::clone(&self.mailbox), self.id);
        state.output.finish(move |error| mailbox.post_one(id, Notice::Finished(error.map(UnitError::File))));
    }
}

impl State {
    /// False when nothing can be written any more.
    fn write(&mut self, pieces: impl IntoIterator<Item = Piece>) -> bool {
        pieces.into_iter().all(|piece| match piece {
            Piece::Samples(pcm) => self.output.submit(2 * pcm.len(), move |output| output.write(&pcm)),
            Piece::Silence(samples) => self.output.submit(0, move |output| output.silence(samples)),
        })
    }
}

impl MediaSink for Channel {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        self.shared.rate
    }

    fn is_closed(&self) -> bool {
        lock(&self.shared.state).closed
    }

    fn frame(&self, _from: u64, now: Instant, pcm: &[i16]) -> bool {
        let mut state = lock(&self.shared.state);
        if state.closed {
            return false;
        }
        let pieces = state.timeline.frame(self.index, now, pcm);
        if !state.write(pieces) {
            // What went wrong is told with the end.
            self.shared.close(&mut state);
            return false;
        }
        true
    }
}

fn check(config: &RecorderConfig) -> Result<(), RecorderError> {
    let wrong = |field, value: String, expected| Err(RecorderError::Parameter { field, value, expected });
    let (rate, channels) = (config.rate, config.channels);
    if !resample::RATES.contains(&rate) {
        return wrong("rate", rate.to_string(), "8000, 16000, 24000, 32000, 44100 or 48000");
    }
    if !(1..=2).contains(&channels) {
        return wrong("channels", channels.to_string(), "1 or 2");
    }
    if let RecordingFormat::Opus(encoder) = config.format {
        if !opus::RATES.contains(&rate) {
            return wrong("rate", rate.to_string(), "8000, 16000, 24000 or 48000 for Opus");
        }
        opus::Encoder::new(ogg::encoder(encoder, rate, channels))?;
    }
    if config.split_after.is_some_and(|time| time < Duration::from_secs(1)) {
        let value = config.split_after.unwrap_or_default().as_secs_f64().to_string();
        return wrong("split_seconds", value, "1 or more");
    }
    if config.split_bytes.is_some_and(|bytes| bytes < LEAST_BYTES) {
        let value = config.split_bytes.unwrap_or_default().to_string();
        return wrong("split_bytes", value, "65536 or more");
    }
    Ok(())
}
