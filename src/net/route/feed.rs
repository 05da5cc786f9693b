//! What one source has given to a mix and the mix has not taken yet. When that is decided elsewhere; no clock here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The length of what sources give and mixes take.
pub(in crate::net) const FRAME: Duration = Duration::from_millis(20);
/// How long after its time a mix is made: sources that are late by less are in it.
pub(in crate::net) const GRACE: Duration = Duration::from_millis(10);
/// A mix that is later than this does not make up for what it missed. Sources do it the same way.
pub(in crate::net) use crate::media::stream::CATCH_UP;
/// A source that has given nothing for this long is not waited for.
pub(in crate::net) const IDLE: Duration = Duration::from_millis(100);

/// Frames that may wait. As many as a source gives at once when its thread has been held up.
const MOST: usize = 10;
/// Frames that may wait for long, and how many mixes that is: a second.
const SPARE: usize = 1;
const LONG: u32 = 50;

/// The frames of one source.
#[derive(Debug, Default)]
pub(in crate::net) struct Feed {
    waiting: VecDeque<(Instant, Vec<i16>)>,
    /// Frames to be used again.
    unused: Vec<Vec<i16>>,
    /// The last mix had a frame of it, so the next one takes whatever is there.
    playing: bool,
    /// The least that was left by a mix, of the last `mixes`.
    left: usize,
    mixes: u32,
    discarded: u64,
}

impl Feed {
    /// Samples that were thrown away: they came faster than the clock runs.
    pub(in crate::net) fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Samples that wait.
    pub(in crate::net) fn samples(&self) -> usize {
        self.waiting.iter().map(|(_, frame)| frame.len()).sum()
    }

    pub(in crate::net) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a frame that came at `now`. Over the bound the oldest goes.
    pub(in crate::net) fn push(&mut self, now: Instant, pcm: &[i16]) {
        if self.waiting.len() >= MOST
            && let Some((_, oldest)) = self.waiting.pop_front()
        {
            self.discard(oldest);
        }
        let mut frame = self.unused.pop().unwrap_or_default();
        frame.clear();
        frame.extend_from_slice(pcm);
        self.waiting.push_back((now, frame));
    }

    /// The next mix takes what there is, however late it came: it is expected on the clock of the mix.
    pub(in crate::net) fn join(&mut self) {
        self.playing = true;
    }

    /// Adds the frame for the mix whose time is `due` with `add`, if there is one; answers its samples. The first frame has
    /// to be there by then, so that those after it have the whole grace to be late in.
    pub(in crate::net) fn take(&mut self, due: Instant, add: impl FnOnce(&[i16])) -> Option<usize> {
        let playing = self.playing;
        let Some((_, mut frame)) = self.waiting.pop_front_if(|(came, _)| playing || *came <= due) else {
            self.rest();
            return None;
        };
        self.playing = true;
        self.left = if self.mixes == 0 { self.waiting.len() } else { self.left.min(self.waiting.len()) };
        self.mixes += 1;
        if self.mixes == LONG {
            if self.left > SPARE
                && let Some((_, next)) = self.waiting.pop_front()
            {
                cross_fade(&mut frame, &next);
                self.discard(next);
            }
            self.mixes = 0;
        }
        add(&frame);
        let samples = frame.len();
        self.reuse(frame);
        Some(samples)
    }

    /// Answers what waits, oldest first, and begins anew.
    pub(in crate::net) fn drain(&mut self, mut out: impl FnMut(&[i16])) {
        while let Some((_, frame)) = self.waiting.pop_front() {
            out(&frame);
            self.reuse(frame);
        }
        self.rest();
    }

    fn rest(&mut self) {
        self.playing = false;
        self.mixes = 0;
    }

    fn discard(&mut self, frame: Vec<i16>) {
        self.discarded += frame.len() as u64;
        self.reuse(frame);
    }

    fn reuse(&mut self, frame: Vec<i16>) {
        if self.unused.len() < 2 {
            self.unused.push(frame);
        }
    }
}

/// From `frame` to `next`, in the time of one of them.
fn cross_fade(frame: &mut [i16], next: &[i16]) {
    let length = frame.len().max(1) as i32;
    for (n, (sample, &other)) in frame.iter_mut().zip(next).enumerate() {
        let n = n as i32;
        *sample = ((i32::from(*sample) * (length - n) + i32::from(other) * n) / length) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(feed: &mut Feed, due: Instant) -> Option<Vec<i16>> {
        let mut frame = Vec::new();
        feed.take(due, |pcm| frame.extend_from_slice(pcm)).map(|_| frame)
    }

    #[test]
    fn a_source_whose_frames_come_just_after_the_time_of_the_mix_gets_its_grace_from_the_start() {
        let (mut feed, start) = (Feed::default(), Instant::now());
        let late = Duration::from_millis(1);
        feed.push(start + late, &[1; 2]);
        assert_eq!(take(&mut feed, start), None);
        for n in 1..100 {
            feed.push(start + FRAME * n as u32 + late, &[n + 1; 2]);
            assert_eq!(take(&mut feed, start + FRAME * n as u32), Some(vec![n; 2]));
        }
        assert_eq!(feed.discarded(), 0);
    }

    #[test]
    fn what_comes_too_fast_is_bounded_and_what_stays_for_a_second_is_faded_out() {
        let (mut feed, start) = (Feed::default(), Instant::now());
        for n in 0..13 {
            feed.push(start, &[n; 4]);
        }
        assert_eq!((feed.samples(), feed.discarded()), (MOST * 4, 3 * 4));
        let mut heard = Vec::new();
        for n in 1..=1000 {
            feed.push(start + FRAME * n, &[100; 4]);
            heard.push(take(&mut feed, start + FRAME * n).expect("a frame"));
        }
        // One is taken and one given each time: no more than a frame is left in the end.
        assert_eq!((feed.samples(), feed.discarded()), (4, 12 * 4));
        assert_eq!(heard[0], [4; 4]);
        assert_eq!(heard[999], [100; 4]);
    }

    #[test]
    fn a_fade_goes_from_one_frame_to_the_next() {
        let mut frame = vec![1000; 4];
        cross_fade(&mut frame, &[-1000; 4]);
        assert_eq!(frame, [1000, 500, 0, -500]);
    }
}
