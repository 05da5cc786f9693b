//! How much audio is kept back of a stream: grown when chunks come late, brought down again when they have come evenly
//! for a while, and kept where it is when the sender's clock and ours differ.
//!
//! It sees how deep the buffer is whenever a chunk has been taken, and answers how many samples should go or come. It
//! never touches audio: `stretch` knows where that is not heard.
//!
//! The rule: what is buffered is either the sender's doing (it sent ahead of real time, as text-to-speech services do) or
//! ours (we waited for late chunks). Only the latter is taken back, and only from a sender that is as far in its audio as
//! it was before, so that audio sent in a burst is played as it came.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One look at the network lasts this long.
const LOOK: Duration = Duration::from_secs(2);
/// And so many of them are remembered.
const LOOKS: usize = 5;
/// What was seen in all of them is taken back at once, of what was seen in fewer, so much less for each that is missing: a
/// delay that is great falls soon, and the last of it when there is reason to believe in the calm.
const DOUBT_NS: i64 = 20_000_000;
/// But not in fewer than these.
const LEAST_LOOKS: usize = 2;
/// Without a chunk for this long, the looks before do not count any more.
const FORGET: Duration = Duration::from_secs(1);
/// How far clocks may differ: 1 ms a second.
const DRIFT_NS: i64 = LOOK.as_nanos() as i64 / 1000;
/// So near to its own schedule, a sender is on it.
const ON_SCHEDULE_NS: i64 = 25_000_000;
/// What is not worth a correction.
const ENOUGH_NS: i64 = 5_000_000;

/// What should happen to the buffered audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// So much should go where it is not heard.
    Shorten(Duration),
    /// So much should be made up where it is not heard.
    Lengthen(Duration),
    /// So much must go at once: the delay is over its maximum.
    Cut(Duration),
}

/// The least depth and the greatest lead of the sender in one look, in ns.
#[derive(Clone, Copy, Debug)]
struct Look {
    depth: i64,
    lead: i64,
}

/// What is known about the delay of one stream. Times are ns where they may be negative.
#[derive(Clone, Debug)]
pub struct Delay {
    usual: i64,
    most: i64,
    /// How long we have waited in all, corrections included.
    waited: i64,
    /// The sender's lead as it was at first: what its own schedule is.
    schedule: Option<i64>,
    /// Looks since the sender left its schedule.
    astray: usize,
    looks: VecDeque<Look>,
    look: Option<(Instant, Look)>,
    last: Option<Instant>,
}

impl Delay {
    /// `usual` is kept back in calm weather, at most `most` in any.
    pub fn new(usual: Duration, most: Duration) -> Self {
        Self {
            usual: ns(usual),
            most: ns(most.max(usual)),
            waited: 0,
            schedule: None,
            astray: 0,
            looks: VecDeque::new(),
            look: None,
            last: None,
        }
    }

    /// What should be buffered before playing goes on after it has run dry, so that the next chunk may be a bit late.
    pub fn cushion(&self, chunk: Duration) -> Duration {
        Duration::from_nanos(self.floor(ns(chunk)).unsigned_abs())
    }

    fn floor(&self, chunk: i64) -> i64 {
        self.usual.max(chunk + self.usual / 2)
    }

    /// Playing waited for so long: nothing was there to be played.
    pub fn waited(&mut self, time: Duration) {
        self.waited = self.waited.saturating_add(ns(time));
    }

    /// Playing was paused on request: what was seen before says nothing about what is buffered now.
    pub fn paused(&mut self) {
        self.looks.clear();
        (self.look, self.last, self.schedule, self.astray) = (None, None, None, 0);
    }

    /// Missing chunks were passed over, so that much of the waiting was no delay.
    pub fn passed_over(&mut self, time: Duration) {
        self.waited = self.waited.saturating_sub(ns(time));
    }

    /// So much was taken out of the audio, or put in.
    pub fn corrected(&mut self, correction: Correction) {
        let by = match correction {
            Correction::Shorten(time) | Correction::Cut(time) => -ns(time),
            Correction::Lengthen(time) => ns(time),
        };
        self.waited = self.waited.saturating_add(by);
        let looks = self.looks.iter_mut().chain(self.look.as_mut().map(|(_, look)| look));
        for look in looks {
            look.depth += by; // The lead is the sender's, and stays.
        }
    }

    /// A chunk of this length has been taken while audio plays, which lasts until `depth` from now, and in whole frames
    /// until `frames` from now.
    pub fn chunk(&mut self, now: Instant, chunk: Duration, depth: Duration, frames: Duration) -> Option<Correction> {
        let seen = Look { depth: ns(frames), lead: ns(depth).saturating_sub(self.waited) };
        let pause = self.last.replace(now).is_some_and(|last| now.saturating_duration_since(last) >= FORGET);
        if pause {
            self.looks.clear();
            self.look = None;
        }
        let Some((since, look)) = &mut self.look else {
            self.look = Some((now, seen));
            return None;
        };
        look.depth = look.depth.min(seen.depth);
        look.lead = look.lead.max(seen.lead);
        if now.saturating_duration_since(*since) < LOOK {
            return None;
        }
        let look = *look;
        self.look = None;
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
        let on_schedule = self.keep_to_schedule(look.lead);
        self.correction(look, ns(chunk), on_schedule)
    }

    /// Whether the sender is as far in its audio as it was before.
    fn keep_to_schedule(&mut self, lead: i64) -> bool {
        let Some(schedule) = self.schedule else {
            self.schedule = Some(lead);
            return false;
        };
        let off = lead - schedule;
        if off.abs() <= ON_SCHEDULE_NS {
            // What the clocks make of it is ours to take back: the depth is as before, and the lead where it was.
            let drift = off.clamp(-DRIFT_NS, DRIFT_NS);
            self.waited += drift;
            for look in &mut self.looks {
                look.lead -= drift;
            }
            self.astray = 0;
            return true;
        }
        self.astray += 1;
        let steady = self.looks.iter().all(|look| (look.lead - lead).abs() <= ON_SCHEDULE_NS);
        if self.astray >= LOOKS && steady {
            // It has paused, or sent ahead, and goes on like that: this is its schedule now, and the depth its choice.
            self.waited = 0;
            self.looks.clear();
            self.schedule = None;
            self.astray = 0;
        }
        false
    }

    /// What the last looks had to spare, beyond doubt, and how many they were.
    fn excess(&self, floor: i64) -> (i64, usize) {
        let (mut least, mut most) = (i64::MAX, (0, LOOKS));
        for (count, look) in (1..).zip(self.looks.iter().rev()) {
            least = least.min(look.depth);
            let excess = least - floor - DOUBT_NS * LOOKS.saturating_sub(count) as i64;
            if count >= LEAST_LOOKS && excess > most.0 {
                most = (excess, count);
            }
        }
        most
    }

    fn correction(&mut self, last: Look, chunk: i64, on_schedule: bool) -> Option<Correction> {
        let least = self.looks.iter().map(|look| look.depth).min()?;
        let floor = self.floor(chunk);
        if on_schedule {
            let over = last.depth.min(self.waited) - self.most.max(floor);
            if over > ENOUGH_NS {
                return Some(Correction::Cut(Duration::from_nanos(over.unsigned_abs())));
            }
            let (excess, looks) = self.excess(floor);
            let excess = excess.min(self.waited);
            if excess > ENOUGH_NS {
                // Those before them knew another delay.
                self.looks.drain(..self.looks.len().saturating_sub(looks));
                return Some(Correction::Shorten(Duration::from_nanos(excess.unsigned_abs())));
            }
        }
        // Half of what is meant to be there for late chunks is gone.
        let low = chunk + (floor - chunk) / 2;
        let room = self.most.max(floor) - self.waited;
        if least < low && room > 0 {
            let missing = (low + ENOUGH_NS - least).min(room);
            return Some(Correction::Lengthen(Duration::from_nanos(missing.unsigned_abs())));
        }
        None
    }
}

fn ns(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}
