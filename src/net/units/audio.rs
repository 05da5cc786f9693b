//! An audio unit: PCM between a route and Python. What is routed to it waits to be read; what is written to it is
//! played in real time into what it is routed to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::media::feed::{Feed, Output};
use crate::media::lead::{Lead, LeadTooLong};
use crate::media::resample::{Resampler, UnsupportedRate};
use crate::media::stream::{Reached, TooManyMarks};

use crate::net::mailbox::{Mailbox, Notice};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{Fanout, MediaSink, Origin, Source};
use crate::net::runtime::{Core, lock};

/// Why audio was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AudioUnitError {
    /// The rate cannot be converted.
    #[error(transparent)]
    Rate(#[from] UnsupportedRate),
    /// Too far ahead.
    #[error(transparent)]
    Lead(#[from] LeadTooLong),
    /// The playout buffer would be over its bound.
    #[error(
        "audio buffer is full: {queued} ms wait, {new} ms more would exceed buffer = {limit} ms; await drain() first"
    )]
    Full {
        /// Milliseconds waiting.
        queued: u128,
        /// Milliseconds that were refused.
        new: u128,
        /// The bound in milliseconds.
        limit: u128,
    },
    /// Too many marks wait.
    #[error(transparent)]
    Marks(#[from] TooManyMarks),
    /// Written after `close`.
    #[error("the audio unit is closed")]
    Closed,
}

/// PCM between a route and Python.
pub struct AudioUnit {
    id: u64,
    rate: u32,
    limit: Duration,
    mailbox: Arc<dyn Mailbox>,
    core: Arc<Core>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
    fanout: Fanout,
    slot: Slot,
}

/// Frames that wait to be read.
#[derive(Default)]
struct Incoming {
    frames: VecDeque<Vec<i16>>,
    samples: usize,
    discarded: u64,
    closed: bool,
}

/// What waits to be played.
struct Outgoing {
    feed: Feed,
    /// Somebody wants to know when at most this much waits.
    wanted: Option<Duration>,
    closed: bool,
}

impl AudioUnit {
    /// A unit of this rate; `limit` bounds each direction. What is written leaves up to `lead` ahead of real time.
    pub fn new(
        core: Arc<Core>,
        mailbox: Arc<dyn Mailbox>,
        rate: u32,
        limit: Duration,
        lead: Duration,
    ) -> Result<Arc<Self>, AudioUnitError> {
        Resampler::new(rate, 8000)?;
        let feed = Feed::new(rate, limit, Lead::new(lead)?);
        let id = core.next_id();
        Ok(Arc::new(Self {
            id,
            rate,
            limit,
            fanout: Fanout::new(id, Arc::clone(&mailbox)),
            mailbox,
            core,
            incoming: Mutex::default(),
            outgoing: Mutex::new(Outgoing { feed, wanted: None, closed: false }),
            slot: Slot::new(),
        }))
    }

    fn time(&self, samples: u64) -> Duration {
        Duration::from_secs_f64(samples as f64 / f64::from(self.rate))
    }

    /// The next frame that was routed here.
    pub fn read(&self) -> Option<Vec<i16>> {
        let mut incoming = lock(&self.incoming);
        let frame = incoming.frames.pop_front()?;
        incoming.samples -= frame.len();
        Some(frame)
    }

    /// How much waits to be read.
    pub fn readable(&self) -> Duration {
        self.time(lock(&self.incoming).samples as u64)
    }

    /// How much was discarded because nobody read it.
    pub fn discarded(&self) -> Duration {
        self.time(lock(&self.incoming).discarded)
    }

    /// Queues samples (s16le) to be played. All or nothing.
    pub fn write(self: &Arc<Self>, pcm: &[u8]) -> Result<(), AudioUnitError> {
        let now = Instant::now();
        let mut outgoing = lock(&self.outgoing);
        if outgoing.closed {
            return Err(AudioUnitError::Closed);
        }
        let (queued, new) = (outgoing.feed.queued(), self.time(pcm.len() as u64 / 2));
        if queued + new > self.limit {
            let [queued, new, limit] = [queued, new, self.limit].map(|d| d.as_millis());
            return Err(AudioUnitError::Full { queued, new, limit });
        }
        outgoing.feed.write(now, pcm);
        self.schedule(outgoing);
        Ok(())
    }

    /// What was written is all: its routes end their streams after it.
    pub fn end(self: &Arc<Self>) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.feed.end(Instant::now());
        self.schedule(outgoing);
    }

    /// Drops what was written and not played.
    pub fn clear(self: &Arc<Self>) -> Duration {
        let mut outgoing = lock(&self.outgoing);
        let dropped = outgoing.feed.clear(Instant::now());
        self.tell_writable(&mut outgoing);
        self.schedule(outgoing);
        dropped
    }

    /// Marks the end of what was written: `Notice::Mark` brings the id back when it has been played, or was dropped.
    pub fn mark(self: &Arc<Self>, id: u64) -> Result<(), AudioUnitError> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.closed {
            return Err(AudioUnitError::Closed);
        }
        if outgoing.feed.mark(Instant::now(), id)? {
            self.schedule(outgoing);
        } else {
            self.mailbox.post_one(self.id, Notice::Mark(Reached { id, played: true }));
        }
        Ok(())
    }

    /// Nothing of what was written leaves until `resume`.
    pub fn pause(&self) {
        lock(&self.outgoing).feed.pause(Instant::now());
    }

    /// What was written leaves again.
    pub fn resume(self: &Arc<Self>) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.feed.resume(Instant::now());
        self.schedule(outgoing);
    }

    /// How much has left ahead of real time.
    pub fn ahead(&self) -> Duration {
        lock(&self.outgoing).feed.ahead(Instant::now())
    }

    /// How much was written and has not left.
    pub fn queued(&self) -> Duration {
        lock(&self.outgoing).feed.queued()
    }

    /// True when at most `below` waits; else `Notice::Writable` will come.
    pub fn request_writable(&self, below: Duration) -> bool {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.feed.queued() <= below || outgoing.closed {
            return true;
        }
        outgoing.wanted = Some(below);
        false
    }

    /// Ends both directions; what waits to be sent is dropped. `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        let mut incoming = lock(&self.incoming);
        if std::mem::replace(&mut incoming.closed, true) {
            return;
        }
        drop(incoming);
        let mut outgoing = lock(&self.outgoing);
        outgoing.closed = true;
        outgoing.feed.clear(Instant::now());
        self.tell_writable(&mut outgoing);
        outgoing.feed.close(&mut |output| self.play(&output));
        drop(outgoing);
        self.fanout.close();
        self.core.routes.target_gone(self.id);
        self.mailbox.post_one(self.id, Notice::Finished(None));
    }

    fn schedule(self: &Arc<Self>, outgoing: MutexGuard<'_, Outgoing>) {
        let deadline = outgoing.feed.next_deadline();
        drop(outgoing);
        if let Some(at) = deadline {
            self.core.pacer(self.id).schedule(Arc::<Self>::clone(self), at);
        }
    }

    fn tell_writable(&self, outgoing: &mut Outgoing) {
        let queued = outgoing.feed.queued();
        if outgoing.wanted.take_if(|below| queued <= *below).is_some() {
            self.mailbox.post_one(self.id, Notice::Writable);
        }
    }

    fn play(&self, output: &Output<'_>) {
        match *output {
            Output::Frame { key, at, pcm } => {
                self.fanout.frame(Origin { key, tag: "", custom: None, rate: self.rate }, pcm);
                self.fanout.flush(at);
            }
            Output::Over { key } => self.fanout.over(key),
            Output::Mark(mark) => self.mailbox.post_one(self.id, Notice::Mark(mark)),
        }
    }
}

impl MediaSink for AudioUnit {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        self.rate
    }

    fn is_closed(&self) -> bool {
        lock(&self.incoming).closed
    }

    fn frame(&self, _from: u64, _now: Instant, pcm: &[i16]) -> bool {
        let mut incoming = lock(&self.incoming);
        if incoming.closed {
            return false;
        }
        let was_empty = incoming.frames.is_empty();
        incoming.samples += pcm.len();
        incoming.frames.push_back(pcm.to_vec());
        let limit = (self.limit.as_secs_f64() * f64::from(self.rate)) as usize;
        // A reader that is too slow wants the newest audio: the oldest goes.
        while incoming.samples > limit
            && let Some(oldest) = incoming.frames.pop_front()
        {
            incoming.samples -= oldest.len();
            incoming.discarded += oldest.len() as u64;
        }
        drop(incoming);
        if was_empty {
            self.mailbox.post_one(self.id, Notice::Readable);
        }
        true
    }
}

impl Source for AudioUnit {
    fn fanout(&self) -> &Fanout {
        &self.fanout
    }
}

impl Paced for AudioUnit {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.closed {
            return None;
        }
        if outgoing.feed.next_deadline().is_some_and(|at| at <= now) {
            outgoing.feed.tick(now, &mut |output| self.play(&output));
            self.tell_writable(&mut outgoing);
        }
        outgoing.feed.next_deadline()
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}
