//! The one time line of all channels of a recording: frames in, as they are heard, and samples of all channels side by
//! side out. Gaps are silence. No file and no clock here.

use std::time::{Duration, Instant};

/// A frame later than this after the end of what is there leaves a gap, which is filled; less is jitter of the clock.
const TOLERANCE: Duration = Duration::from_millis(10);

/// What is to be written next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Samples, the channels interleaved.
    Samples(Vec<i16>),
    /// So many samples of silence in each channel.
    Silence(u64),
}

/// Frames of each channel, put where they belong.
pub(super) struct Timeline {
    rate: u32,
    /// When the first frame was heard, on whatever channel; later by the pauses since then.
    started: Option<Instant>,
    paused: Option<Instant>,
    /// Samples of each channel that were given out.
    given: u64,
    /// And what follows them, of each channel.
    channels: Vec<Vec<i16>>,
}

impl Timeline {
    pub(super) fn new(rate: u32, channels: u16) -> Self {
        let channels = (0..channels).map(|_| Vec::new()).collect();
        Self { rate, started: None, paused: None, given: 0, channels }
    }

    /// Takes a frame of one channel, heard at `now`. Answers what is whole once there is a second of it.
    pub(super) fn frame(&mut self, channel: usize, now: Instant, pcm: &[i16]) -> Vec<Piece> {
        if self.paused.is_some() {
            return Vec::new();
        }
        let started = *self.started.get_or_insert(now);
        let position = self.samples(now.saturating_duration_since(started));
        let tolerance = self.samples(TOLERANCE);
        let mut pieces = Vec::new();
        // Nobody was heard for long: that is no reason to keep silence in memory.
        let quiet = position.saturating_sub(tolerance + 1).saturating_sub(self.length());
        if quiet > u64::from(self.rate) {
            pieces.extend(self.finish());
            pieces.push(Piece::Silence(quiet));
            self.given += quiet;
        }
        for (index, samples) in self.channels.iter_mut().enumerate() {
            let end = self.given + samples.len() as u64;
            let gap = position.saturating_sub(end);
            // The others are filled up so far that their next frame will fill the rest.
            let silence = match gap.checked_sub(tolerance) {
                None | Some(0) => 0,
                Some(_) if index == channel => gap,
                Some(late) => late - 1,
            };
            samples.resize(samples.len() + silence as usize, 0);
        }
        if let Some(samples) = self.channels.get_mut(channel) {
            samples.extend_from_slice(pcm);
        }
        let whole = self.channels.iter().map(Vec::len).min().unwrap_or(0);
        if whole >= self.rate as usize {
            pieces.push(self.take(whole));
        }
        pieces
    }

    /// What was not given out yet; a channel that is shorter ends in silence.
    pub(super) fn finish(&mut self) -> Option<Piece> {
        let longest = self.channels.iter().map(Vec::len).max().unwrap_or(0);
        for samples in &mut self.channels {
            samples.resize(longest, 0);
        }
        (longest > 0).then(|| self.take(longest))
    }

    /// From now on frames are left out, and no time passes.
    pub(super) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    pub(super) fn resume(&mut self, now: Instant) {
        if let (Some(paused), Some(started)) = (self.paused.take(), &mut self.started) {
            *started += now.saturating_duration_since(paused);
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Samples of the longest channel.
    pub(super) fn length(&self) -> u64 {
        self.given + self.channels.iter().map(Vec::len).max().unwrap_or(0) as u64
    }

    fn take(&mut self, count: usize) -> Piece {
        self.given += count as u64;
        if let [one] = self.channels.as_mut_slice() {
            return Piece::Samples(one.drain(..count).collect());
        }
        let mut interleaved = vec![0; count * self.channels.len()];
        let step = self.channels.len();
        for (index, samples) in self.channels.iter_mut().enumerate() {
            for (place, sample) in interleaved.iter_mut().skip(index).step_by(step).zip(samples.drain(..count)) {
                *place = sample;
            }
        }
        Piece::Samples(interleaved)
    }

    fn samples(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * f64::from(self.rate)).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn samples(pieces: impl IntoIterator<Item = Piece>) -> Vec<i16> {
        let mut all = vec![];
        for piece in pieces {
            match piece {
                Piece::Samples(samples) => all.extend(samples),
                Piece::Silence(count) => all.resize(all.len() + count as usize, 0),
            }
        }
        all
    }

    #[test]
    fn gaps_are_silence_and_jitter_is_none() {
        let (mut line, start) = (Timeline::new(8000, 1), Instant::now());
        let mut out = vec![];
        for (at, level) in [(0, 1), (29, 2), (35, 3), (100, 4)] {
            out.extend(line.frame(0, start + at * MS, &[level; 160]));
        }
        assert_eq!(out, [], "no second is whole");
        let expected = [vec![1; 160], vec![2; 160], vec![3; 160], vec![0; 320], vec![4; 160]].concat();
        assert_eq!(samples(line.finish()), expected);
        assert_eq!((line.length(), line.finish()), (960, None));
    }

    #[test]
    fn two_channels_stay_aligned() {
        let (mut line, start) = (Timeline::new(8000, 2), Instant::now());
        let mut out = vec![];
        for n in 0..200_u32 {
            let now = start + n * 20 * MS;
            out.extend(line.frame(0, now, &[n as i16 + 1; 160]));
            if (60..70).contains(&n) {
                out.extend(line.frame(1, now, &[-(n as i16); 160]));
            }
            let waiting = line.channels.iter().map(Vec::len).max();
            assert!(waiting < Some(8000 + 320), "{waiting:?}");
        }
        assert!(!out.is_empty());
        out.extend(line.finish());
        let all = samples(out);
        assert_eq!(all.len(), 2 * 200 * 160);
        for (index, pair) in all.chunks(2).enumerate() {
            let n = (index / 160) as i16;
            let right = if (60..70).contains(&n) { -n } else { 0 };
            assert_eq!(pair, [n + 1, right], "{index}");
        }
    }

    #[test]
    fn a_long_silence_takes_no_memory() {
        let (mut line, start) = (Timeline::new(48_000, 2), Instant::now());
        let mut out = line.frame(1, start, &[7; 960]);
        let later = Duration::from_hours(100);
        out.extend(line.frame(0, start + later, &[8; 960]));
        let Some(Piece::Silence(quiet)) = out.get(1) else { panic!("{out:?}") };
        assert_eq!(*quiet, 100 * 3600 * 48_000 - 481 - 960);
        assert!(line.channels.iter().all(|samples| samples.len() < 2000));
        let end = samples(line.finish());
        assert_eq!(&end[end.len() - 1920..end.len() - 1917], [8, 0, 8]);
        assert_eq!(line.length(), 100 * 3600 * 48_000 + 960);
    }

    #[test]
    fn no_time_passes_in_a_pause() {
        let (mut line, start) = (Timeline::new(8000, 1), Instant::now());
        line.pause(start);
        line.resume(start + 5 * MS);
        assert!(line.frame(0, start + 10 * MS, &[1; 160]).is_empty());
        line.pause(start + 30 * MS);
        line.pause(start + 40 * MS);
        assert!(line.is_paused());
        assert!(line.frame(0, start + 50 * MS, &[9; 160]).is_empty());
        line.resume(start + 5000 * MS);
        assert!(line.frame(0, start + 5000 * MS, &[2; 160]).is_empty());
        assert_eq!(samples(line.finish()), [vec![1; 160], vec![2; 160]].concat());
    }
}
