//! A player: plays a sound in real time into what it is routed to: a file, bytes, or a stream that is given to it in pieces.
//!
//! `feed` has what is to be played, decoded a little ahead; here is when a frame is played.

mod feed;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::media::duration_of;
use crate::media::lead::Lead;
use crate::media::pace::Pace;
use crate::media::sound::{SoundError, SoundFormat};

use crate::net::mailbox::{Mailbox, Notice, UnitError};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{Fanout, Origin, Source};
use crate::net::runtime::{Core, lock};

use feed::{Feed, Input, Taken};

const FRAME: Duration = Duration::from_millis(20);
/// A file up to this size is kept in memory, and closed.
const SMALL: u64 = 256 << 10;

/// Why something cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no sound that we know.
    #[error(transparent)]
    Sound(#[from] SoundError),
}

/// What is played.
pub enum Play {
    /// A file.
    File(PathBuf),
    /// The bytes of one.
    Bytes(Vec<u8>),
    /// What [`Player::give`] brings.
    Stream,
}

/// How it is played.
#[derive(Clone, Debug)]
pub struct PlayerConfig {
    /// What the bytes are.
    pub format: SoundFormat,
    /// How often, without a gap; `None`: for ever.
    pub plays: Option<u64>,
    /// How much is decoded before it is played.
    pub ahead: Duration,
    /// How far ahead of real time it is sent.
    pub lead: Lead,
}

impl Default for PlayerConfig {
    fn default() -> Self {
        Self { format: SoundFormat::Any, plays: Some(1), ahead: Duration::from_secs(2), lead: Lead::default() }
    }
}

/// Plays a sound.
pub struct Player {
    id: u64,
    me: Weak<Self>,
    core: Arc<Core>,
    duration: Option<Duration>,
    feed: Feed,
    /// The decoder has been asked for more.
    filling: AtomicBool,
    /// Somebody wants to know when more bytes are wanted.
    wanted: AtomicBool,
    mailbox: Arc<dyn Mailbox>,
    fanout: Fanout,
    state: Mutex<State>,
    slot: Slot,
}

struct State {
    /// Samples sent.
    position: u64,
    /// When they are.
    pace: Pace,
    /// It would be, but nothing is there to be played.
    starved: bool,
    paused: bool,
    phase: Phase,
    frame: Vec<i16>,
}

#[derive(PartialEq, Eq)]
enum Phase {
    New,
    Playing,
    Finished,
}

impl Player {
    /// Opens what is to be played and decodes its beginning: what is no sound is refused here, unless it is a stream.
    pub fn open(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        play: Play,
        config: &PlayerConfig,
    ) -> Result<Arc<Self>, PlayerError> {
        let input = match play {
            Play::File(path) => {
                let file = File::open(&path)?;
                if file.metadata()?.len() > SMALL { Input::File(file) } else { Input::Memory(std::fs::read(&path)?) }
            }
            Play::Bytes(bytes) => Input::Memory(bytes),
            Play::Stream => Input::Stream,
        };
        let feed = Feed::new(input, config.format, config.plays, config.ahead)?;
        let samples = feed.length()?;
        feed.fill();
        feed.check()?;
        let duration = samples.zip(feed.rate()).map(|(samples, rate)| duration_of(samples, rate));
        let id = core.next_id();
        let state = State {
            position: 0,
            pace: Pace::new(FRAME, config.lead),
            starved: false,
            paused: false,
            phase: Phase::New,
            frame: Vec::new(),
        };
        Ok(Arc::new_cyclic(|me| Self {
            id,
            fanout: Fanout::new(id, Arc::clone(&mailbox)),
            me: Weak::clone(me),
            core,
            duration,
            feed,
            filling: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            mailbox,
            state: Mutex::new(state),
            slot: Slot::new(),
        }))
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Samples per second; a stream has none before its beginning has come.
    pub fn rate(&self) -> Option<u32> {
        self.feed.rate()
    }

    /// How long it is, once; a stream does not tell.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// How much was sent.
    pub fn position(&self) -> Duration {
        self.rate().map_or(Duration::ZERO, |rate| duration_of(lock(&self.state).position, rate))
    }

    /// How much of that was sent ahead of real time.
    pub fn sent_ahead(&self) -> Duration {
        lock(&self.state).pace.ahead(Instant::now())
    }

    /// Begins to play. Once: later calls do nothing.
    pub fn start(&self) {
        let mut state = lock(&self.state);
        if state.phase == Phase::New {
            state.phase = Phase::Playing;
            self.go_on(&mut state);
        }
    }

    /// Plays nothing until `resume`, but for what was sent ahead.
    pub fn pause(&self) {
        let mut state = lock(&self.state);
        state.paused = true;
        state.pace.rest();
        state.starved = false;
    }

    /// Goes on where `pause` stopped, after what was sent ahead.
    pub fn resume(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.paused, false) {
            self.go_on(&mut state);
        }
    }

    /// Whether it pauses.
    pub fn is_paused(&self) -> bool {
        lock(&self.state).paused
    }

    /// Sends nothing more; `Notice::Finished` follows if it had not finished.
    pub fn stop(&self) {
        self.finish(&mut lock(&self.state), None);
    }

    /// The next bytes of a stream; `None`: that was all.
    pub fn give(&self, bytes: Option<Vec<u8>>) {
        self.feed.give(bytes);
        self.request_fill();
    }

    /// True when a stream may be given more; else `Notice::Writable` will come.
    pub fn request_bytes(&self) -> bool {
        self.wanted.store(true, Ordering::Release);
        let now = self.feed.wants_bytes();
        if now {
            self.wanted.store(false, Ordering::Release);
        }
        now
    }

    /// Plays from now on, if it is to play.
    fn go_on(&self, state: &mut State) {
        if state.phase != Phase::Playing || state.paused {
            return;
        }
        state.pace.run(Instant::now());
        state.starved = false;
        if let Some((me, at)) = self.me.upgrade().zip(state.pace.opens()) {
            self.core.pacer(self.id).schedule(me, at);
        }
    }

    fn request_fill(&self) {
        if self.filling.swap(true, Ordering::AcqRel) {
            return;
        }
        let me = Weak::clone(&self.me);
        self.core.sounds.run(move || {
            if let Some(me) = me.upgrade() {
                me.fill();
            }
        });
    }

    /// On the thread of the decoders.
    fn fill(&self) {
        self.filling.store(false, Ordering::Release);
        self.feed.fill();
        if self.feed.wants_bytes() && self.wanted.swap(false, Ordering::AcqRel) {
            self.mailbox.post_one(self.id, Notice::Writable);
        }
        let mut state = lock(&self.state);
        if state.starved && self.feed.has_frame() {
            self.go_on(&mut state);
        }
    }

    fn finish(&self, state: &mut State, error: Option<PlayerError>) {
        state.pace.rest();
        if std::mem::replace(&mut state.phase, Phase::Finished) != Phase::Finished {
            self.feed.clear();
            // Its routes end with it: what it claimed at its targets is free for the next player.
            self.fanout.close();
            let error = error.map(|error| match error {
                PlayerError::Io(error) => UnitError::File(error.to_string()),
                PlayerError::Sound(error) => UnitError::Sound(error.to_string()),
            });
            self.mailbox.post_one(self.id, Notice::Finished(error));
        }
    }
}

impl Drop for Player {
    /// One that nobody has started: whoever keeps a place for its reports hears that there will be none.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.phase != Phase::Finished {
            self.mailbox.post_one(self.id, Notice::Finished(None));
        }
    }
}

impl Source for Player {
    fn fanout(&self) -> &Fanout {
        &self.fanout
    }
}

impl Paced for Player {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let Some(due) = state.pace.due(now) else { return state.pace.opens() };
        match self.feed.take(&mut state.frame) {
            Taken::Frame { rate, samples } => {
                self.fanout.frame(Origin { key: self.id, tag: "", custom: None, rate }, &state.frame);
                self.fanout.flush(due.max(now));
                state.position += samples as u64;
                state.pace.gave(due);
            }
            Taken::Wait => {
                state.pace.rest();
                state.starved = true;
            }
            Taken::End if due > now => {
                // All is sent: streams end. Finished is what was heard.
                self.fanout.over(self.id);
                return Some(due);
            }
            Taken::End => {
                let error = self.feed.error();
                self.finish(&mut state, error);
            }
        }
        if self.feed.is_low() {
            self.request_fill();
        }
        state.pace.opens()
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
