//! A player: plays a WAV file in real time into what it is routed to.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::media::resample::{Resampler, UnsupportedRate};
use crate::media::wav::{self, WavError};

use crate::net::mailbox::{Mailbox, Notice};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{Fanout, Origin, Source};
use crate::net::runtime::{Core, lock};

const FRAME: Duration = Duration::from_millis(20);

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no WAV that we know.
    #[error("{path}: {source}")]
    Wav {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: WavError,
    },
    /// Its rate cannot be converted.
    #[error("{path}: {source}")]
    Rate {
        /// The file.
        path: String,
        /// The rate.
        source: UnsupportedRate,
    },
}

/// Plays a WAV file.
pub struct Player {
    id: u64,
    rate: u32,
    samples: Vec<i16>,
    mailbox: Arc<dyn Mailbox>,
    fanout: Fanout,
    state: Mutex<State>,
    slot: Slot,
}

#[derive(Default)]
struct State {
    position: usize,
    /// When the next frame is due; `None` when not playing.
    next: Option<Instant>,
    finished: bool,
}

impl Player {
    /// Reads the whole file: playing never waits for the disk.
    pub fn open(core: &Core, mailbox: Arc<dyn Mailbox>, path: &Path) -> Result<Arc<Self>, PlayerError> {
        let name = || path.display().to_string();
        let wav = wav::parse(&std::fs::read(path)?).map_err(|source| PlayerError::Wav { path: name(), source })?;
        // Every target has one of our rates; a rate that cannot be taken to them is refused here, not while playing.
        Resampler::new(wav.rate, 8000).map_err(|source| PlayerError::Rate { path: name(), source })?;
        Ok(Arc::new(Self {
            id: core.next_id(),
            rate: wav.rate,
            samples: wav.samples,
            mailbox,
            fanout: Fanout::default(),
            state: Mutex::default(),
            slot: Slot::new(),
        }))
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Samples per second of the file.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Length of the file.
    pub fn duration(&self) -> Duration {
        self.time(self.samples.len())
    }

    /// How much was played.
    pub fn position(&self) -> Duration {
        self.time(lock(&self.state).position)
    }

    fn time(&self, samples: usize) -> Duration {
        Duration::from_secs_f64(samples as f64 / f64::from(self.rate))
    }

    /// Begins to play. Once: later calls do nothing.
    pub fn start(self: &Arc<Self>, core: &Core) {
        let mut state = lock(&self.state);
        if state.next.is_some() || state.finished {
            return;
        }
        let now = Instant::now();
        state.next = Some(now);
        drop(state);
        core.pacer(self.id).schedule(Arc::<Self>::clone(self), now);
    }

    /// Ends playing now; `Notice::Finished` follows if it had not finished.
    pub fn stop(&self) {
        self.finish(&mut lock(&self.state));
    }

    fn finish(&self, state: &mut State) {
        state.next = None;
        if !std::mem::replace(&mut state.finished, true) {
            // Its routes end with it: what it claimed at its targets is free for the next player.
            self.fanout.close();
            self.mailbox.post_one(self.id, Notice::Finished(None));
        }
    }
}

impl Source for Player {
    fn source_id(&self) -> u64 {
        self.id
    }

    fn fanout(&self) -> &Fanout {
        &self.fanout
    }
}

impl Paced for Player {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let due = state.next.filter(|&at| at <= now)?;
        let frame = (self.rate / 50) as usize;
        let end = (state.position + frame).min(self.samples.len());
        let pcm = &self.samples[state.position..end];
        if pcm.is_empty() {
            self.finish(&mut state);
            return None;
        }
        let origin = Origin { key: self.id, tag: "", custom: None, rate: self.rate };
        if pcm.len() == frame {
            self.fanout.frame(origin, pcm);
        } else {
            // The last frame is filled up: a target counts in frames of 20 ms.
            let mut last = pcm.to_vec();
            last.resize(frame, 0);
            self.fanout.frame(origin, &last);
        }
        self.fanout.flush(now);
        state.position = end;
        state.next = Some(due + FRAME);
        state.next
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
