//! What a program writes, on its way into routes: played in real time, one utterance after the other.
//!
//! An utterance is what is written up to [`Feed::end`]; each is a stream of its own. Time is an argument, as in `stream`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::duration_of;
use super::encoding::Encoding;
use super::lead::Lead;
use super::stream::{MAX_MARKS, Reached, Stream, StreamConfig, TooManyMarks};

/// What a tick brings, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// 20 ms of audio.
    Frame {
        /// Tells utterances apart.
        key: u64,
        /// When it is to be heard.
        at: Instant,
        /// The samples.
        pcm: &'a [i16],
    },
    /// All of an utterance was played.
    Over {
        /// The key of its frames.
        key: u64,
    },
    /// A mark was reached.
    Mark(Reached),
}

#[derive(Debug)]
struct Utterance {
    key: u64,
    stream: Stream,
}

/// Audio that was written and not played.
#[derive(Debug)]
pub struct Feed {
    rate: u32,
    config: StreamConfig,
    /// In the order in which they are played; all but the last one are complete.
    utterances: VecDeque<Utterance>,
    next_key: u64,
    marks: usize,
    /// Those of complete utterances, which are reached when what came out ahead of real time has been heard.
    passed: VecDeque<(Instant, Reached)>,
    paused: bool,
    /// When what came out of complete utterances has been heard.
    heard: Option<Instant>,
    frame: Vec<i16>,
}

impl Feed {
    /// Nothing yet, of PCM at `rate` Hz. No more than `limit` is kept; frames come out up to `lead` ahead of real time.
    pub fn new(rate: u32, limit: Duration, lead: Lead) -> Self {
        // What is written here is played as it is written: there is no network to make up for.
        let config = StreamConfig {
            playout_delay: Duration::ZERO,
            playout_delay_max: None,
            max_buffered: limit,
            conceal: false,
            lead,
            ..StreamConfig::default()
        };
        Self {
            rate,
            config,
            utterances: VecDeque::new(),
            next_key: 0,
            marks: 0,
            passed: VecDeque::new(),
            paused: false,
            heard: None,
            frame: Vec::new(),
        }
    }

    /// The utterance that is being written.
    fn open(&mut self) -> Option<&mut Stream> {
        self.utterances.back_mut().map(|last| &mut last.stream).filter(|stream| !stream.is_stopping())
    }

    /// How much waits to be played.
    pub fn queued(&self) -> Duration {
        self.utterances.iter().map(|utterance| utterance.stream.buffered()).sum()
    }

    /// Takes samples (s16le, an even number of bytes); what is over the limit is left out.
    pub fn write(&mut self, now: Instant, pcm: &[u8]) {
        if pcm.is_empty() {
            return;
        }
        if self.open().is_none() {
            self.next_key += 1;
            let mut stream = Stream::new(String::new(), Encoding::pcm16(self.rate), None, self.config);
            if self.paused {
                stream.pause(now);
            }
            if self.utterances.is_empty() {
                stream.follow(self.heard);
            }
            self.utterances.push_back(Utterance { key: self.next_key, stream });
        }
        if let Some(stream) = self.open() {
            // Fails only for an odd number of bytes, which the caller has refused.
            let _ = stream.push(now, None, None, pcm);
        }
    }

    /// What was written is all of the utterance.
    pub fn end(&mut self, now: Instant) {
        if let Some(stream) = self.open() {
            stream.stop(now);
        }
    }

    /// Drops what has not been played; answers how much. Utterances that were complete end.
    pub fn clear(&mut self, now: Instant) -> Duration {
        let samples: usize = self.utterances.iter_mut().map(|utterance| utterance.stream.clear(now)).sum();
        duration_of(samples as u64, self.rate)
    }

    /// Nothing more comes out until it is resumed; what was ahead by then is out.
    pub fn pause(&mut self, now: Instant) {
        self.paused = true;
        self.utterances.iter_mut().for_each(|utterance| utterance.stream.pause(now));
    }

    /// Goes on where it was paused.
    pub fn resume(&mut self, now: Instant) {
        self.paused = false;
        self.utterances.iter_mut().for_each(|utterance| utterance.stream.resume(now));
    }

    /// How much has come out that will be heard only after the frame which is heard now.
    pub fn ahead(&self, now: Instant) -> Duration {
        let end = self.utterances.front().and_then(|first| first.stream.heard_until()).max(self.heard);
        end.and_then(|end| end.checked_sub(self.config.frame))
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Marks the end of what was written: `Output::Mark` tells of it under this id; false, and nothing is told, when there
    /// is nothing to be played.
    pub fn mark(&mut self, now: Instant, id: u64) -> Result<bool, TooManyMarks> {
        if self.marks >= MAX_MARKS {
            return Err(TooManyMarks);
        }
        // The last utterance may be cleared while the one before it is still heard.
        let mut waits = self.utterances.iter_mut().rev().any(|utterance| utterance.stream.mark(now, id));
        let last = self.passed.back().map(|&(at, _)| at).max(self.heard.filter(|&at| at > now));
        if let Some(at) = last.filter(|_| !waits) {
            self.passed.push_back((at, Reached { id, played: true }));
            waits = true;
        }
        self.marks += usize::from(waits);
        Ok(waits)
    }

    /// When [`tick`](Self::tick) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        // Marks are told of in their order.
        let marked = self.utterances.iter().find(|utterance| utterance.stream.is_marked());
        let mark = match self.passed.front() {
            Some(&(at, _)) => Some(at),
            None => marked.and_then(|utterance| utterance.stream.next_mark()),
        };
        let first = self.utterances.front().and_then(|first| first.stream.next_frame());
        first.into_iter().chain(mark).min()
    }

    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Instant, out: &mut impl FnMut(Output<'_>)) {
        while let Some(mark) = self.take_mark(now) {
            self.marks -= 1;
            out(Output::Mark(mark));
        }
        let Some(Utterance { key, stream }) = self.utterances.front_mut() else { return };
        let tick = stream.tick(now, &mut self.frame);
        if tick.played {
            let at =
                stream.heard_until().and_then(|end| end.checked_sub(self.config.frame)).map_or(now, |at| now.max(at));
            out(Output::Frame { key: *key, at, pcm: &self.frame });
        }
        if !tick.ended_stream {
            return;
        }
        out(Output::Over { key: *key });
        if let Some(mut over) = self.utterances.pop_front() {
            self.heard = over.stream.heard_until();
            while let Some((at, mark)) = over.stream.take_last_mark() {
                self.passed.push_back((at.unwrap_or(now), mark));
            }
            if let Some(next) = self.utterances.front_mut() {
                next.stream.follow(self.heard);
            }
        }
    }

    fn take_mark(&mut self, now: Instant) -> Option<Reached> {
        if self.passed.is_empty() {
            return self.utterances.iter_mut().find(|utterance| utterance.stream.is_marked())?.stream.take_mark(now);
        }
        self.passed.pop_front_if(|(at, _)| *at <= now).map(|(_, mark)| mark)
    }

    /// Nothing more will be played: what is left of the marks goes to `out`, as dropped.
    pub fn close(&mut self, out: &mut impl FnMut(Output<'_>)) {
        for (_, mark) in self.passed.drain(..) {
            out(Output::Mark(mark));
        }
        for mut utterance in std::mem::take(&mut self.utterances) {
            while let Some((_, mark)) = utterance.stream.take_last_mark() {
                out(Output::Mark(mark));
            }
        }
        self.marks = 0;
    }
}

#[cfg(test)]
mod tests;
