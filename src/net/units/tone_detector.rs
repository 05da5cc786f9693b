//! A tone detector: hears the DTMF digits in what is routed to it, in each source by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::media::dtmf::{Detected, Detector};

use crate::net::mailbox::{Mailbox, Notice};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::MediaSink;
use crate::net::runtime::{Core, lock};

/// Enough for all frequencies, and what a telephone has.
const RATE: u32 = 8000;
/// A source that gives nothing for so long has paused, and a digit that it was playing is over. Longer than a busy machine
/// makes a frame late: silence in the middle would make two digits of one.
const PAUSED: Duration = Duration::from_millis(300);
/// Silence that ends any digit.
const SILENCE: [i16; RATE as usize / 10] = [0; RATE as usize / 10];
/// A source that has given nothing for so long is forgotten when another one comes.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// Digits that wait to be read, beginnings and ends; then the oldest go.
const MOST: usize = 1000;

/// Hears digits.
pub struct ToneDetector {
    id: u64,
    mailbox: Arc<dyn Mailbox>,
    core: Arc<Core>,
    /// For the pacer.
    this: Weak<Self>,
    state: Mutex<State>,
    slot: Slot,
}

#[derive(Default)]
struct State {
    ears: Vec<Ear>,
    found: VecDeque<Detected>,
    closed: bool,
}

/// What listens to one source.
struct Ear {
    source: u64,
    detector: Detector,
    /// When its last frame was heard.
    last: Instant,
    /// A digit has begun and not ended.
    sounding: bool,
}

impl ToneDetector {
    /// A detector that nothing is routed to.
    pub fn new(core: Arc<Core>, mailbox: Arc<dyn Mailbox>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            id: core.next_id(),
            mailbox,
            core,
            this: Weak::clone(this),
            state: Mutex::default(),
            slot: Slot::new(),
        })
    }

    /// The id its notices carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The next thing that was heard.
    pub fn read(&self) -> Option<Detected> {
        lock(&self.state).found.pop_front()
    }

    /// Hears nothing any more; `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.closed, true) {
            state.ears.clear();
            drop(state);
            self.core.routes.target_gone(self.id);
            self.mailbox.post_one(self.id, Notice::Finished(None));
        }
    }

    /// Says that there is something to read where there was nothing.
    fn tell(&self, state: &mut State, found: Vec<Detected>) {
        if found.is_empty() {
            return;
        }
        let was_empty = state.found.is_empty();
        state.found.extend(found);
        let over = state.found.len().saturating_sub(MOST);
        state.found.drain(..over);
        if was_empty {
            self.mailbox.post_one(self.id, Notice::Readable);
        }
    }
}

impl Ear {
    fn hear(&mut self, pcm: &[i16], found: &mut Vec<Detected>) {
        let sounding = &mut self.sounding;
        self.detector.push(pcm, |one| {
            *sounding = matches!(one, Detected::Started(_));
            found.push(one);
        });
    }

    fn has_paused(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= PAUSED
    }
}

impl MediaSink for ToneDetector {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        RATE
    }

    /// The sum of two digits is none.
    fn mixes(&self) -> bool {
        false
    }

    fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    fn frame(&self, from: u64, now: Instant, pcm: &[i16]) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            return false;
        }
        let mut found = Vec::new();
        let index = state.ears.iter().position(|ear| ear.source == from).unwrap_or_else(|| {
            state.ears.retain(|ear| now.saturating_duration_since(ear.last) < FORGOTTEN);
            state.ears.push(Ear { source: from, detector: Detector::new(RATE), last: now, sounding: false });
            state.ears.len() - 1
        });
        let mut deadline = None;
        if let Some(ear) = state.ears.get_mut(index) {
            if ear.has_paused(now) {
                ear.hear(&SILENCE, &mut found);
            }
            ear.hear(pcm, &mut found);
            ear.last = now;
            deadline = ear.sounding.then(|| now + PAUSED);
        }
        self.tell(&mut state, found);
        drop(state);
        if let (Some(at), Some(this)) = (deadline, self.this.upgrade()) {
            self.core.pacer(self.id).schedule(this, at);
        }
        true
    }
}

impl Paced for ToneDetector {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut state = lock(&self.state);
        let mut found = Vec::new();
        for ear in state.ears.iter_mut().filter(|ear| ear.sounding) {
            if ear.has_paused(now) {
                ear.hear(&SILENCE, &mut found);
            }
        }
        self.tell(&mut state, found);
        state.ears.iter().filter(|ear| ear.sounding).map(|ear| ear.last + PAUSED).min()
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
