//! One inbound stream: decodes, buffers, and says when a frame is due and when an event fires.
//!
//! It paces itself by absolute deadlines: the driver calls [`Stream::tick`] when
//! [`Stream::next_deadline`] has come, and asks again, until the deadline lies in the future.

use std::time::{Duration, Instant};

use super::codec::{Decoder, Part, PayloadError};
use super::delay::Delay;
use super::duration_of;
use super::encoding::Encoding;
use super::level::Window;
use super::playout::{Playout, Pushed};
use super::samples_in;
use super::silence::SilenceClock;
use super::supply::Supply;
use super::voice::Voice;

mod heard;
mod marks;
mod pause;
mod play;
mod report;

use marks::Marks;
pub use marks::{MAX_MARKS, Reached, TooManyMarks};
pub use report::{Counters, StreamConfig, StreamEvent, Tick};

/// Audio that is discarded is told of so long after its first sample.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// A tick that is later than this does not catch up: the time grid starts anew at that tick.
pub const CATCH_UP: Duration = Duration::from_millis(200);

/// A tick that is later than this says that we were held up: by the machine, or because there is too much to do. Then what
/// was to be read waits, too, and that it is not here yet says nothing about the sender.
const HELD_UP: Duration = Duration::from_millis(10);
/// So long after such a tick it should have been read.
const READING: Duration = Duration::from_millis(20);
/// Where every tick is late, the delay is looked at this often all the same.
const LOOK_AT_LEAST: Duration = Duration::from_millis(500);

/// What the sender may still send, and what is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    /// Audio may come.
    Open,
    /// The stop has come; what is buffered is still to be played.
    Stopped,
    /// All of it is played.
    Finished,
}

/// Whether audio flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// Frame after frame.
    Playing,
    /// The buffer has run dry, or has never been filled: it fills before playing goes on.
    Dry,
    /// It was emptied on request.
    Cleared,
}

/// One inbound stream.
#[derive(Debug)]
pub struct Stream {
    tag: String,
    encoding: Encoding,
    custom: Option<String>,
    config: StreamConfig,
    frame_samples: usize,
    supply: Supply,
    silence: SilenceClock,
    counters: Counters,
    /// When the next frame is to be played; `None` while there is nothing to play.
    due: Option<Instant>,
    /// When the last frame ended; `None` before the first.
    last_end: Option<Instant>,
    /// When the sender's audio in it ended: what was filled up does not count.
    audio_end: Option<Instant>,
    flow: Flow,
    /// When the first chunk came after playing had stopped.
    refilled: Option<Instant>,
    /// Samples discarded that nobody was told of, and when that is due.
    untold: u64,
    tell: Option<Instant>,
    /// Less than a frame was there when it was due, and has been given one frame more.
    waited: bool,
    /// We were held up: until when what waits to be read may come.
    reading: Option<Instant>,
    /// When the delay was looked at.
    observed: Option<Instant>,
    sender: Sender,
    /// Since when nothing is to be played.
    paused: Option<Instant>,
    marks: Marks,
    level: Option<Box<Window>>,
    /// Between `Started` and `Ended`.
    started: bool,
    /// Samples since `Started`: all, and up to the end of the last audible frame.
    samples: u64,
    audible_samples: u64,
}

impl Stream {
    /// A stream of which no audio has come yet. `custom` is the JSON text of its custom parameters.
    pub fn new(tag: String, encoding: Encoding, custom: Option<String>, config: StreamConfig) -> Self {
        Self::decoded_by(Decoder::new(encoding), tag, encoding, custom, config)
    }

    /// As [`new`](Self::new), of two interleaved channels, of which it plays `part`.
    pub fn interleaved(
        part: Part,
        tag: String,
        encoding: Encoding,
        custom: Option<String>,
        config: StreamConfig,
    ) -> Self {
        Self::decoded_by(Decoder::interleaved(encoding, part), tag, encoding, custom, config)
    }

    fn decoded_by(
        decoder: Decoder,
        tag: String,
        encoding: Encoding,
        custom: Option<String>,
        config: StreamConfig,
    ) -> Self {
        let rate = encoding.sample_rate();
        let config = StreamConfig {
            frame: config.frame.clamp(Duration::from_millis(1), Duration::from_secs(1)),
            playout_delay: config.playout_delay.min(Duration::from_hours(1)),
            ..config
        };
        let mut supply = Supply::new(
            rate,
            decoder,
            Playout::new(rate, config.max_buffered),
            config.conceal,
            config.playout_delay_max.map(|most| Delay::new(config.playout_delay, most)),
        );
        // Every rate that there is can be converted.
        supply.listen(config.voice.and_then(|config| Voice::new(rate, config).ok()).map(Box::new));
        Self {
            tag,
            encoding,
            custom,
            config,
            frame_samples: samples_in(config.frame, rate),
            supply,
            silence: SilenceClock::new(config.silence),
            counters: Counters::default(),
            due: None,
            last_end: None,
            audio_end: None,
            flow: Flow::Dry,
            refilled: None,
            untold: 0,
            tell: None,
            waited: false,
            reading: None,
            observed: None,
            sender: Sender::Open,
            paused: None,
            marks: Marks::default(),
            level: config.levels.then(Box::default),
            started: false,
            samples: 0,
            audible_samples: 0,
        }
    }

    /// The tag of its `start`; empty for none.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The encoding of its `start`. It never changes.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The JSON text of the custom parameters of its `start`.
    pub fn custom(&self) -> Option<&str> {
        self.custom.as_deref()
    }

    /// Samples in the frame that a tick fills, at the encoding's rate.
    pub fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    /// How long the buffered audio lasts.
    pub fn buffered(&self) -> Duration {
        self.supply.playout().buffered_duration()
    }

    /// When all that was played so far has been heard.
    pub fn heard_until(&self) -> Option<Instant> {
        self.last_end
    }

    /// It plays after another one, which is heard until `end`.
    pub fn follow(&mut self, end: Option<Instant>) {
        self.last_end = self.last_end.max(end);
        self.due = self.due.max(self.due.and(end));
    }

    /// True between `Started` and `Ended`.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// True once the stop has come.
    pub fn is_stopping(&self) -> bool {
        self.sender != Sender::Open
    }

    /// The figures so far.
    pub fn counters(&self) -> Counters {
        let shaped = self.supply.shaped();
        Counters {
            lost: self.supply.playout().lost(),
            discarded_samples: self.counters.discarded_samples + shaped.cut + shaped.overflow,
            concealed_samples: shaped.concealed,
            recovered_samples: shaped.recovered,
            concealed_gaps: shaped.gaps,
            shortened_samples: shaped.shortened,
            lengthened_samples: shaped.lengthened,
            ..self.counters
        }
    }

    /// Takes the bytes of one chunk; after the stop they are discarded. On an error nothing is taken.
    pub fn push(
        &mut self,
        now: Instant,
        chunk: Option<u64>,
        timestamp: Option<u64>,
        payload: &[u8],
    ) -> Result<Pushed, PayloadError> {
        let pushed = self.supply.push(chunk, payload, self.is_stopping())?;
        self.counters.received += 1;
        self.counters.last_timestamp = timestamp.or(self.counters.last_timestamp);
        self.counters.duplicates += u64::from(pushed.duplicate);
        self.counters.reordered += u64::from(pushed.reordered);
        self.counters.discarded_samples += pushed.discarded as u64;
        self.discarded(now, pushed.overflow);
        if pushed.accepted > 0 {
            let place = self.supply.playout().buffered() - pushed.accepted - pushed.behind;
            self.marks.inserted(place, pushed.accepted);
        }
        if self.paused.is_none() && (pushed.accepted > 0 || (self.due.is_none() && !self.supply.is_dry())) {
            self.plan(now);
        }
        Ok(pushed)
    }

    /// Sees to it that audio which has just come is played.
    fn plan(&mut self, now: Instant) {
        if let Some(due) = self.due.filter(|_| self.flow == Flow::Playing) {
            let full = self.waited && self.supply.available() >= self.frame_samples;
            let due = if full { due.min(self.last_end.map_or(now, |end| now.max(end))) } else { due };
            self.due = Some(due);
            let stale = self.observed.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_AT_LEAST);
            let reading = self.reading.is_some_and(|until| now < until);
            if stale || (!reading && now.saturating_duration_since(due) < HELD_UP) {
                self.observed = Some(now);
                self.supply.observe(now, due.saturating_duration_since(now), self.frame_samples);
            }
            return;
        }
        let soonest = self.last_end.map_or(now, |end| now.max(end));
        let refilled = *self.refilled.get_or_insert(now);
        let late = self
            .audio_end
            .is_some_and(|end| Some(refilled.saturating_duration_since(end)) < self.config.playout_delay_max);
        // What comes late is given more time from then on; what comes after a pause, as much as at first.
        let wanted = match self.supply.cushion() {
            Some(cushion) if late && self.flow == Flow::Dry => cushion,
            None if self.last_end.is_some() => Duration::ZERO,
            _ => self.config.playout_delay,
        };
        let buffered = duration_of(self.supply.available() as u64, self.encoding.sample_rate());
        self.due = Some(if buffered >= wanted {
            self.due.map_or(soonest, |due| due.min(soonest))
        } else {
            let more = if late { wanted.saturating_sub(buffered) } else { wanted };
            self.due.unwrap_or(soonest.max(now + more))
        });
    }

    /// Notes that audio was thrown away which did not fit.
    fn discarded(&mut self, now: Instant, samples: usize) {
        if samples > 0 {
            self.untold += samples as u64;
            self.tell.get_or_insert(now + TELL_AFTER);
        }
    }

    /// How much was thrown away since the last event about it.
    pub fn take_discarded(&mut self) -> Option<Duration> {
        self.tell = None;
        let samples = std::mem::take(&mut self.untold);
        (samples > 0).then(|| duration_of(samples, self.encoding.sample_rate()))
    }

    /// The sender's stop: what is buffered is still played, then the stream ends.
    pub fn stop(&mut self, now: Instant) {
        if self.is_stopping() {
            return;
        }
        self.sender = Sender::Stopped;
        self.hear_the_end();
        self.waited = false;
        let soonest = self.last_end.map_or(now, |end| now.max(end));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
    }

    /// Drops what is buffered, at once; returns how many samples that were. The silence clock runs
    /// on from what was played.
    pub fn clear(&mut self, now: Instant) -> usize {
        let dropped = self.supply.clear();
        self.marks.clear(now);
        self.flow = Flow::Cleared;
        self.refilled = None;
        self.counters.discarded_samples += dropped as u64;
        self.waited = false;
        self.due = match self.sender {
            Sender::Open | Sender::Finished => None,
            Sender::Stopped => Some(self.last_end.map_or(now, |end| now.max(end))),
        };
        dropped
    }

    /// The sender is gone: nothing more is played. Answers how much was, if the audio had started and not ended.
    pub fn abandon(&mut self) -> Option<Duration> {
        self.supply.clear();
        self.hear_the_end();
        self.sender = Sender::Finished;
        self.due = None;
        match self.end(self.samples)? {
            StreamEvent::Ended { duration } => Some(duration),
            StreamEvent::Started | StreamEvent::Discarded { .. } => None,
        }
    }

    /// When silence ends the audio. The clock stands while the stream is paused.
    fn silence(&self) -> Option<Instant> {
        self.silence.deadline().filter(|_| self.paused.is_none())
    }

    /// When [`tick`](Self::tick) is to be called next; `None` until something comes in.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.next_frame(), self.marks.deadline()].into_iter().flatten().min()
    }

    /// As [`next_deadline`](Self::next_deadline), without the marks.
    pub fn next_frame(&self) -> Option<Instant> {
        [self.opens(), self.silence(), self.tell].into_iter().flatten().min()
    }

    /// Whether the frame that was due at `due` is put off, because we were held up and what waits to be read may belong in it.
    fn awaits_reading(&mut self, now: Instant, due: Instant) -> bool {
        // Of what is later than `CATCH_UP`, `due` is `now`: it is the deadline that was missed.
        let held_up = now.saturating_duration_since(self.due.unwrap_or(due)) >= HELD_UP;
        let whole = self.is_stopping() || self.supply.available() >= self.frame_samples;
        if held_up && (whole || self.reading.is_none()) {
            self.reading = Some(now + READING);
        } else if whole && self.reading.is_some_and(|until| until <= now) {
            self.reading = None;
        }
        !whole && self.flow == Flow::Playing && self.reading.is_some_and(|until| now < until)
    }

    /// Does what was due first, if its time has come. `frame` is cleared, and filled with exactly
    /// one frame if audio is to be played.
    ///
    /// One tick does one thing: call it until [`next_deadline`](Self::next_deadline) is in the
    /// future. A late one catches up on the same time grid unless it is later than [`CATCH_UP`].
    pub fn tick(&mut self, now: Instant, frame: &mut Vec<i16>) -> Tick {
        frame.clear();
        let last = self.is_stopping() && self.supply.is_dry() && self.opens().is_some_and(|at| at <= now);
        if self.tell.is_some_and(|at| at <= now || last)
            && let Some(duration) = self.take_discarded()
        {
            return Tick { event: Some(StreamEvent::Discarded { duration }), ..Tick::default() };
        }
        let due = self.playable().map(|due| {
            let late = now.saturating_duration_since(due);
            if late >= CATCH_UP { now } else { due }
        });
        if let Some(expiry) = self.silence().filter(|&expiry| expiry <= now)
            && due.is_none_or(|due| expiry <= due)
        {
            return self.end_by_silence();
        }
        match due.filter(|_| self.opens().is_some_and(|at| at <= now)) {
            Some(due) if self.awaits_reading(now, due) => Tick::default(),
            Some(due) => {
                let tick = self.play(due, frame);
                if let (true, Some(window), Some(end)) = (tick.played, &mut self.level, self.last_end) {
                    window.push(end, frame);
                }
                tick
            }
            None => Tick::default(),
        }
    }
}

#[cfg(test)]
mod tests;
