//! Frames of one inbound stream, out of its playout buffer: what is missing is made up, and the delay is corrected where
//! it is not heard. When a frame is due is not decided here.

use std::time::{Duration, Instant};

use super::codec::{Decoder, MadeUp, PayloadError};
use super::conceal::Concealer;
use super::delay::{Correction, Delay};
use super::playout::{self, Playout, Pushed};
use super::voice::Voice;
use super::{duration_of, samples_in, scratch, stretch};

/// A longer gap is not filled up: the sender has left out numbers, not audio.
const LONGEST_GAP: Duration = Duration::from_secs(1);
/// Between two corrections in audio that is not quiet; and when much is left to be corrected.
const FRAMES_BETWEEN: u32 = 5;
const FRAMES_BETWEEN_MANY: u32 = 2;
const MUCH: Duration = Duration::from_millis(60);
/// How alike two periods must be for one of them to be left out or repeated. With each frame that is not so it is less, by
/// this much and by as much again for each `LIKENESS_TIME` that is to be corrected: so a place is found in any audio, soon
/// when the delay is great.
const LIKENESS: f32 = 0.9;
const LIKENESS_STEP: f32 = 0.01;
const LIKENESS_TIME: Duration = Duration::from_millis(20);

/// What was done to the audio, in samples where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shaped {
    /// Made up in the place of chunks that were lost.
    pub concealed: u64,
    /// Recovered for chunks that were lost, out of those after them (Opus with FEC).
    pub recovered: u64,
    /// How many gaps that were.
    pub gaps: u64,
    /// Left out, so that the delay falls.
    pub shortened: u64,
    /// Put in, so that the delay grows.
    pub lengthened: u64,
    /// Thrown away, because the delay was over its maximum.
    pub cut: u64,
    /// Thrown away when it was decoded, because it did not fit.
    pub overflow: u64,
}

/// Audio on its way from chunks to frames.
#[derive(Debug)]
pub struct Supply {
    rate: u32,
    decoder: Decoder,
    voice: Option<Box<Voice>>,
    playout: Playout,
    concealer: Option<Concealer>,
    delay: Option<Delay>,
    /// A correction that is to be made, how many frames have not been fit for it, and how many went by since the last one.
    correction: Option<Correction>,
    tries: u32,
    frames: u32,
    /// Samples still to be made up for the missing chunk that is being played, and what the codec made of it, if it can.
    filling: usize,
    made: Vec<i16>,
    recovered: bool,
    /// The last frame ended with something made up.
    in_gap: bool,
    /// Samples that faded out when nothing was left.
    faded: usize,
    scratch: Vec<i16>,
    shaped: Shaped,
}

impl Supply {
    /// Has `voice` hear what comes in, when it is decoded: most encodings as they come, Opus and G.722 when they are due.
    pub fn listen(&mut self, voice: Option<Box<Voice>>) {
        self.voice = voice;
    }

    /// What hears it.
    pub fn voice(&mut self) -> Option<&mut Voice> {
        self.voice.as_deref_mut()
    }

    /// Nothing yet. Without `conceal` gaps are left out, without `delay` it stays what it becomes.
    pub fn new(rate: u32, decoder: Decoder, playout: Playout, conceal: bool, delay: Option<Delay>) -> Self {
        Self {
            rate,
            decoder,
            voice: None,
            playout,
            concealer: conceal.then(|| Concealer::new(rate)),
            delay,
            correction: None,
            tries: 0,
            frames: FRAMES_BETWEEN,
            filling: 0,
            made: Vec::new(),
            recovered: false,
            in_gap: false,
            faded: 0,
            scratch: Vec::new(),
            shaped: Shaped::default(),
        }
    }

    /// The buffer itself.
    pub fn playout(&self) -> &Playout {
        &self.playout
    }

    /// What was done to the audio so far.
    pub fn shaped(&self) -> Shaped {
        self.shaped
    }

    /// Whether there is nothing to play.
    pub fn is_dry(&self) -> bool {
        self.filling == 0 && self.playout.is_empty()
    }

    /// Samples that can be played, what will be made up included.
    pub fn available(&self) -> usize {
        let holes = usize::try_from(self.playout.holes()).unwrap_or(usize::MAX);
        let made_up = if self.concealer.is_some() && holes > 0 { self.fillable(holes) } else { 0 };
        self.playout.buffered().saturating_add(self.filling).saturating_add(made_up)
    }

    fn fillable(&self, holes: usize) -> usize {
        let samples = holes.saturating_mul(self.playout.chunk_len());
        if samples > samples_in(LONGEST_GAP, self.rate) { 0 } else { samples }
    }

    /// Takes a chunk, or, when the stream has been `stopped`, says how much was discarded. On an error nothing is taken.
    pub fn push(&mut self, chunk: Option<u64>, payload: &[u8], stopped: bool) -> Result<Pushed, PayloadError> {
        if let Some(encoded) = self.decoder.in_order(payload)? {
            if stopped {
                return Ok(Pushed { discarded: encoded.samples.unwrap_or(0), ..Pushed::default() });
            }
            let mut pushed = self.playout.push_encoded(chunk, playout::fingerprint(payload), encoded);
            if encoded.samples.is_none() && !pushed.duplicate {
                let before = self.shaped.overflow;
                pushed.accepted += self.open(usize::MAX)?;
                let overflow = (std::mem::replace(&mut self.shaped.overflow, before) - before) as usize;
                pushed.overflow += overflow;
                pushed.discarded += overflow;
            }
            return Ok(pushed);
        }
        scratch::samples(|pcm| {
            self.decoder.decode_into(payload, usize::MAX, pcm)?;
            Ok(if stopped {
                Pushed { discarded: pcm.len(), ..Pushed::default() }
            } else {
                let pushed = self.playout.push(chunk, playout::fingerprint(payload), pcm);
                if let Some(voice) = &mut self.voice {
                    voice.push(pcm.get(..pushed.accepted).unwrap_or_default());
                }
                pushed
            })
        })
    }

    /// Has what waits in order decoded, until there are `wanted` samples; answers how many came. An error is that of the
    /// last chunk that could not be: it is as good as lost.
    fn open(&mut self, wanted: usize) -> Result<usize, PayloadError> {
        if !self.playout.waits_encoded() {
            return Ok(0);
        }
        let (decoder, voice, mut result) = (&mut self.decoder, &mut self.voice, Ok(()));
        let opened = self.playout.open(wanted, |payload, samples, room, out| {
            let from = out.len();
            let left_out = decoder.decode_into(payload, room, out).unwrap_or_else(|error| {
                result = Err(error);
                decoder.make_up(None, samples, out);
                out.resize(from + samples, 0);
                0
            });
            if let Some(voice) = voice {
                voice.push(out.get(from..).unwrap_or_default());
            }
            left_out
        });
        self.shaped.overflow += opened.overflow as u64;
        result.map(|()| opened.samples)
    }

    /// A chunk was taken while audio plays, of which the next frame, of `frame` samples, is due in `until_next`.
    pub fn observe(&mut self, now: Instant, until_next: Duration, frame: usize) {
        let available = self.available();
        if let Some(delay) = &mut self.delay {
            let chunk = duration_of(self.playout.chunk_len() as u64, self.rate);
            let depth = until_next + duration_of(available as u64, self.rate);
            let frames = depth.saturating_sub(duration_of((available % frame.max(1)) as u64, self.rate));
            self.correction = delay.chunk(now, chunk, depth, frames).or(self.correction);
        }
    }

    /// What should be buffered before playing goes on after it has run dry; `None`: anything.
    pub fn cushion(&self) -> Option<Duration> {
        let chunk = duration_of(self.playout.chunk_len() as u64, self.rate);
        self.delay.as_ref().map(|delay| delay.cushion(chunk))
    }

    /// Playing goes on after nothing was played for `waited`: lost chunks that should have been played then are passed over.
    pub fn resume(&mut self, waited: Duration) {
        let chunk = duration_of(self.playout.chunk_len() as u64, self.rate).as_nanos().max(1);
        let passed = u64::try_from((waited.as_nanos() + chunk / 2) / chunk).unwrap_or(u64::MAX);
        let passed = passed.min(self.playout.missing());
        self.playout.give_up(passed);
        let faded = std::mem::take(&mut self.faded);
        if passed > 0 && faded > 0 {
            // What faded out was not a pause: it stood in for the first of them.
            self.shaped.concealed += faded.min(self.playout.chunk_len()) as u64;
            self.shaped.gaps += 1;
        }
        if let Some(delay) = &mut self.delay {
            delay.waited(waited);
            delay.passed_over(Duration::from_nanos(u64::try_from(chunk * u128::from(passed)).unwrap_or(u64::MAX)));
        }
    }

    /// Playing was paused by the application: what is buffered since is neither lateness nor the sender's lead.
    pub fn paused(&mut self) {
        if let Some(delay) = &mut self.delay {
            delay.paused();
        }
    }

    /// Appends a frame of `count` samples, or less when there is not enough; answers how many are the sender's, those
    /// before and after a cut or a correction counted as one.
    pub fn frame(&mut self, count: usize, out: &mut Vec<i16>) -> usize {
        if let Some(correction) = self.correction
            && self.filling == 0
            && self.playout.missing() == 0
            && let Some(real) = self.correct(correction, count, out)
        {
            return real;
        }
        self.frames = self.frames.saturating_add(1);
        let (start, mut real) = (out.len(), 0);
        while out.len() - start < count {
            let wanted = count - (out.len() - start);
            if self.filling == 0 && self.playout.missing() > 0 {
                self.enter_gap();
            }
            if self.filling > 0 {
                self.fill(wanted, out);
                continue;
            }
            let from = out.len();
            let pulled = self.pull(wanted, out);
            if pulled == 0 {
                break;
            }
            self.played(&mut out[from..]);
            real += pulled;
        }
        real
    }

    fn pull(&mut self, wanted: usize, out: &mut Vec<i16>) -> usize {
        // What cannot be decoded is concealed.
        let _ = self.open(wanted);
        self.playout.pull(wanted, out)
    }

    /// Appends up to `wanted` of the samples that stand in for the missing chunk.
    fn fill(&mut self, wanted: usize, out: &mut Vec<i16>) {
        let count = wanted.min(self.filling);
        let (from, at) = (out.len(), self.made.len().saturating_sub(self.filling));
        self.filling -= count;
        let Some(concealer) = &mut self.concealer else { return };
        match self.made.get(at..at + count) {
            Some(made) => {
                out.extend_from_slice(made);
                concealer.played(&mut out[from..]);
            }
            None => concealer.conceal(count, out),
        }
        let counter = if self.recovered { &mut self.shaped.recovered } else { &mut self.shaped.concealed };
        *counter += count as u64;
    }

    fn played(&mut self, pcm: &mut [i16]) {
        self.in_gap = false;
        if let Some(concealer) = &mut self.concealer {
            concealer.played(pcm);
        }
    }

    /// The next chunk is missing: one is made up, unless there are too many of them.
    fn enter_gap(&mut self) {
        let missing = self.playout.missing();
        let fillable = self.fillable(usize::try_from(missing).unwrap_or(usize::MAX)) > 0;
        if self.concealer.is_none() || !fillable {
            self.join();
            self.playout.give_up(missing);
            return;
        }
        // One at a time: the others may still come.
        self.playout.give_up(1);
        self.filling = self.playout.chunk_len();
        self.made.clear();
        let next = self.playout.next_encoded().filter(|_| missing == 1);
        self.recovered = self.decoder.make_up(next, self.filling, &mut self.made) == Some(MadeUp::Recovered);
        if !self.recovered {
            self.shaped.gaps += u64::from(!std::mem::replace(&mut self.in_gap, true));
        }
    }

    /// Makes a frame in which the delay is corrected. `None`, and nothing in `out`: not here.
    fn correct(&mut self, correction: Correction, count: usize, out: &mut Vec<i16>) -> Option<usize> {
        let (Correction::Shorten(time) | Correction::Lengthen(time) | Correction::Cut(time)) = correction;
        let most = samples_in(time, self.rate);
        if let Correction::Cut(_) = correction {
            self.cut(most);
            return None; // What follows is an ordinary frame.
        }
        let between = if time < MUCH { FRAMES_BETWEEN } else { FRAMES_BETWEEN_MANY };
        let likeness = if self.frames < between {
            f32::INFINITY
        } else {
            self.tries += 1;
            let step = LIKENESS_STEP * (1.0 + time.div_duration_f32(LIKENESS_TIME));
            LIKENESS - step * (self.tries - 1) as f32
        };
        let shorter = matches!(correction, Correction::Shorten(_));
        let reach = if shorter { stretch::reach(self.rate) } else { 0 };
        let _ = self.open(count + reach); // What cannot be decoded is concealed.
        self.scratch.clear();
        self.playout.peek(count + reach, &mut self.scratch);
        let from = out.len();
        let change = if shorter { stretch::shorten } else { stretch::lengthen };
        let used = change(&self.scratch, count, self.rate, most, likeness, out)?;
        self.scratch.clear();
        self.playout.pull(used, &mut self.scratch);
        self.played(&mut out[from..]);
        // Where one was hard to find, so is the next one.
        (self.frames, self.tries) = (0, self.tries / 2);
        let changed = used.abs_diff(count);
        let (done, rest) = (duration_of(changed as u64, self.rate), duration_of((most - changed) as u64, self.rate));
        let (done, rest) = if shorter {
            self.shaped.shortened += changed as u64;
            (Correction::Shorten(done), Correction::Shorten(rest))
        } else {
            self.shaped.lengthened += changed as u64;
            (Correction::Lengthen(done), Correction::Lengthen(rest))
        };
        self.correction = (most > changed).then_some(rest);
        if self.correction.is_none() {
            self.tries = 0;
        }
        if let Some(delay) = &mut self.delay {
            delay.corrected(done);
        }
        Some(used.min(count))
    }

    /// Throws away `count` samples, and has the join cross-faded.
    fn cut(&mut self, count: usize) {
        let mut gone = Vec::new();
        while gone.len() < count {
            self.playout.give_up(u64::MAX);
            if self.pull(count - gone.len(), &mut gone) == 0 {
                break;
            }
        }
        let cut = gone.len() as u64;
        self.shaped.cut += cut;
        self.correction = None;
        self.join();
        if let Some(delay) = &mut self.delay {
            delay.corrected(Correction::Cut(duration_of(cut, self.rate)));
        }
    }

    fn join(&mut self) {
        if let Some(concealer) = &mut self.concealer {
            concealer.join();
        }
    }

    /// Nothing follows for now: appends `count` samples that fade out. Appends nothing when that is not needed.
    pub fn fade_out(&mut self, count: usize, out: &mut Vec<i16>) -> bool {
        let faded = self.concealer.as_mut().is_some_and(|concealer| concealer.fade_out(count, out));
        if faded {
            self.faded = count;
        }
        faded
    }

    /// Drops everything; answers how many samples of the sender's that were. Nothing of it is heard any more, not even in
    /// the cross-fade into what follows.
    pub fn clear(&mut self) -> usize {
        self.filling = 0;
        self.correction = None;
        if let Some(concealer) = &mut self.concealer {
            concealer.forget();
        }
        let dropped = self.playout.clear();
        if let Some(delay) = &mut self.delay {
            delay.passed_over(duration_of(dropped as u64, self.rate));
        }
        dropped
    }

    /// The audio has come to rest.
    pub fn rest(&mut self) {
        self.playout.rest();
        (self.scratch, self.made) = (Vec::new(), Vec::new());
        if let Some(concealer) = &mut self.concealer {
            concealer.forget();
        }
    }
}

#[cfg(test)]
mod tests;
