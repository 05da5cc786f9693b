//! A tone generator: plays tones (DTMF digits, a network's dial tone) in real time into what it is routed to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::media::tone::{Synth, Tone};

use crate::net::mailbox::{Mailbox, Notice};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{Fanout, Origin, Source};
use crate::net::runtime::{Core, lock};

/// What a telephone network has.
const RATE: u32 = 8000;
const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: usize = RATE as usize / 50;

/// Plays tones.
pub struct ToneGenerator {
    id: u64,
    mailbox: Arc<dyn Mailbox>,
    core: Arc<Core>,
    fanout: Fanout,
    state: Mutex<State>,
    slot: Slot,
}

struct State {
    synth: Synth,
    /// When the next frame is due; `None` when not playing.
    next: Option<Instant>,
    /// Counts the times that it played: each is a stream of its own.
    key: u64,
    frame: Vec<i16>,
    closed: bool,
}

impl ToneGenerator {
    /// A generator with nothing to play.
    pub fn new(core: Arc<Core>, mailbox: Arc<dyn Mailbox>) -> Arc<Self> {
        let state = State { synth: Synth::new(RATE), next: None, key: 0, frame: Vec::new(), closed: false };
        let id = core.next_id();
        Arc::new(Self {
            id,
            fanout: Fanout::new(id, Arc::clone(&mailbox)),
            mailbox,
            core,
            state: Mutex::new(state),
            slot: Slot::new(),
        })
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Plays tones, each so many times (`None`: until `stop`), after those that wait. `Notice::Writable` when all is played.
    pub fn play(self: &Arc<Self>, tones: impl IntoIterator<Item = (Tone, Option<u32>)>) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        for (tone, times) in tones {
            state.synth.push(tone, times);
        }
        if state.next.is_some() || state.synth.is_idle() {
            return;
        }
        let now = Instant::now();
        state.next = Some(now);
        drop(state);
        self.core.pacer(self.id).schedule(Arc::<Self>::clone(self), now);
    }

    /// Whether something is being played.
    pub fn is_playing(&self) -> bool {
        lock(&self.state).next.is_some()
    }

    /// Forgets what is not played yet. Its streams end with the next frame.
    pub fn stop(&self) {
        lock(&self.state).synth.clear();
    }

    /// Ends it and its routes; `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.closed, true) {
            return;
        }
        state.synth.clear();
        state.next = None;
        drop(state);
        self.fanout.close();
        self.mailbox.post_one(self.id, Notice::Finished(None));
    }
}

impl Source for ToneGenerator {
    fn fanout(&self) -> &Fanout {
        &self.fanout
    }
}

impl Paced for ToneGenerator {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let due = state.next.filter(|&at| at <= now)?;
        let State { synth, frame, key, next, .. } = &mut *state;
        frame.clear();
        if synth.fill_into(FRAME_SAMPLES, frame) == 0 {
            *next = None;
            self.fanout.over(*key);
            *key += 1;
            self.mailbox.post_one(self.id, Notice::Writable);
            return None;
        }
        // The last frame is filled up: a target counts in frames of 20 ms.
        frame.resize(FRAME_SAMPLES, 0);
        self.fanout.frame(Origin { key: *key, tag: "", custom: None, rate: RATE }, frame);
        self.fanout.flush(now);
        *next = Some(due + FRAME);
        *next
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
