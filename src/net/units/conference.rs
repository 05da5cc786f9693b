//! A conference: everybody who sends to it hears all others, on one clock of 20 ms. Who takes part is told by routes: a
//! target that is also a source (they have one id) gets the sum without its own audio.

use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::media::mixer::Mixer;
use crate::media::resample::{Resampler, UnsupportedRate};
use crate::net::mailbox::{Mailbox, Notice};
use crate::net::pacer::{Paced, Slot};
use crate::net::route::{CATCH_UP, FRAME, Fanout, Feed, GRACE, MediaSink, Origin, Source};
use crate::net::runtime::{Core, lock};

/// A source that has given nothing for this long is forgotten; without any, the clock stops and outgoing streams end.
const GONE: Duration = Duration::from_secs(1);

/// Mixes what comes from many, for each of them without its own part.
pub struct Conference {
    id: u64,
    rate: u32,
    mailbox: Arc<dyn Mailbox>,
    core: Arc<Core>,
    /// For its clock.
    me: Weak<Self>,
    hall: Mutex<Hall>,
    /// The clock's alone, and held while it sends; `hall` is not, so that conferences may send to each other.
    mix: Mutex<Mix>,
    fanout: Fanout,
    slot: Slot,
}

/// What has come in.
#[derive(Default)]
struct Hall {
    speakers: Vec<Speaker>,
    /// The time of the next mix; `None` while nobody speaks.
    next: Option<Instant>,
    closed: bool,
}

struct Speaker {
    source: u64,
    feed: Feed,
    gave: Instant,
}

/// What goes out.
#[derive(Default)]
struct Mix {
    /// The frame of each source; those after the first `count` are kept to be used again.
    frames: Vec<(u64, Vec<i16>)>,
    count: usize,
    sum: Mixer,
    everybody: Vec<i16>,
    frame: Vec<i16>,
    /// Of the stream that goes out.
    key: u64,
}

impl Conference {
    /// An empty one that mixes at this rate.
    pub fn new(core: Arc<Core>, mailbox: Arc<dyn Mailbox>, rate: u32) -> Result<Arc<Self>, UnsupportedRate> {
        Resampler::new(rate, 8000)?;
        let id = core.next_id();
        Ok(Arc::new_cyclic(|me| Self {
            id,
            rate,
            fanout: Fanout::new(id, Arc::clone(&mailbox)),
            mailbox,
            core,
            me: me.clone(),
            hall: Mutex::default(),
            mix: Mutex::default(),
            slot: Slot::new(),
        }))
    }

    /// Ends it and its routes; `Notice::Finished` follows. Later calls do nothing.
    pub fn close(&self) {
        if std::mem::replace(&mut lock(&self.hall).closed, true) {
            return;
        }
        self.fanout.close();
        self.core.routes.target_gone(self.id);
        self.mailbox.post_one(self.id, Notice::Finished(None));
    }
}

impl Mix {
    /// Takes the frames for the mix whose time is `due`.
    fn take(&mut self, speakers: &mut [Speaker], due: Instant) {
        self.count = 0;
        self.sum.clear();
        for speaker in speakers {
            if self.count == self.frames.len() {
                self.frames.push((0, Vec::new()));
            }
            let (source, frame) = &mut self.frames[self.count];
            let taken = speaker.feed.take(due, |pcm| {
                frame.clear();
                frame.extend_from_slice(pcm);
            });
            if taken.is_some() {
                *source = speaker.source;
                self.sum.add(frame);
                self.count += 1;
            }
        }
    }

    fn send(&mut self, fanout: &Fanout, rate: u32, due: Instant) {
        let Self { frames, count, sum, everybody, frame, key } = self;
        everybody.clear();
        sum.sum_into(everybody);
        // Nobody's frame was there in time: silence, so that the streams go on.
        everybody.resize((rate / 50) as usize, 0);
        let origin = Origin { key: *key, tag: "", custom: None, rate };
        fanout.frame_for(origin, frame, |target, out| match frames[..*count].iter().find(|(id, _)| *id == target) {
            Some((_, own)) => sum.sum_without_into(own, out),
            None => out.extend_from_slice(everybody),
        });
        fanout.flush(due);
    }
}

impl MediaSink for Conference {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        self.rate
    }

    fn mixes(&self) -> bool {
        false
    }

    fn is_closed(&self) -> bool {
        lock(&self.hall).closed
    }

    fn frame(&self, from: u64, now: Instant, pcm: &[i16]) -> bool {
        let mut hall = lock(&self.hall);
        if hall.closed {
            return false;
        }
        if let Some(speaker) = hall.speakers.iter_mut().find(|speaker| speaker.source == from) {
            speaker.feed.push(now, pcm);
            speaker.gave = now;
        } else {
            let mut feed = Feed::default();
            feed.push(now, pcm);
            hall.speakers.push(Speaker { source: from, feed, gave: now });
        }
        if hall.next.is_none()
            && let Some(me) = self.me.upgrade()
        {
            hall.next = Some(now);
            drop(hall);
            self.core.pacer(self.id).schedule(me, now + GRACE);
        }
        true
    }
}

impl Source for Conference {
    fn fanout(&self) -> &Fanout {
        &self.fanout
    }
}

impl Paced for Conference {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let mut mix = lock(&self.mix);
        let mut hall = lock(&self.hall);
        let due = hall.next.filter(|_| !hall.closed)?;
        if due + GRACE > now {
            return Some(due + GRACE);
        }
        let due = if now.saturating_duration_since(due + GRACE) >= CATCH_UP { now } else { due };
        hall.speakers.retain(|speaker| now.saturating_duration_since(speaker.gave) < GONE);
        mix.take(&mut hall.speakers, due);
        hall.next = (!hall.speakers.is_empty()).then(|| due + FRAME);
        let next = hall.next;
        drop(hall);
        if next.is_some() {
            mix.send(&self.fanout, self.rate, due);
        } else {
            self.fanout.over(mix.key);
            mix.key += 1;
        }
        next.map(|next| next + GRACE)
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }
}

#[cfg(test)]
mod tests;
