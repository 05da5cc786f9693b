//! Packet loss concealment: what is played in the place of audio that is missing, made of the audio before it.
//!
//! Waveform substitution after ITU-T G.711 Appendix I, for any rate: the last pitch period is repeated, from 10 ms on
//! with the one or two before it, fading from 10 ms and silent after 60 ms, and cross-faded with the real audio that
//! follows. Unlike there nothing is delayed by 3.75 ms for the join at the beginning; see `Substitute::begin`.
//! When something is missing is not known here.

use std::ops::RangeInclusive;

/// How much of the past is looked at.
const HISTORY_US: usize = 48_750;
/// Pitch periods that are looked for: 66 to 200 Hz.
const PERIOD_US: (usize, usize) = (5000, 15_000);
/// What two periods are compared over.
const COMPARED_US: usize = 20_000;
/// The substitute keeps its level this long, and is silent after `SILENT_US`.
const FULL_US: usize = 10_000;
const SILENT_US: usize = 60_000;
/// Up to this peak (-54 dBFS) audio is quiet: it may end without a fade.
pub const QUIET_PEAK: u16 = 64;

/// Remembers what was played and makes up for what is missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate: u32,
    /// What was played, newest last.
    history: Vec<i16>,
    /// While something is made up: what it is made of.
    substitute: Option<Box<Substitute>>,
}

impl Concealer {
    /// Nothing was played yet.
    pub fn new(rate: u32) -> Self {
        Self { rate, history: Vec::new(), substitute: None }
    }

    /// Real audio is played: remembers it. After something made up its beginning is cross-faded with that.
    pub fn played(&mut self, pcm: &mut [i16]) {
        if let Some(mut substitute) = self.substitute.take() {
            substitute.merge(pcm);
        }
        self.remember(pcm);
    }

    /// Appends `count` samples in the place of lost ones.
    pub fn conceal(&mut self, count: usize, out: &mut Vec<i16>) {
        let start = out.len();
        self.substitute().append(count, out);
        self.remember(&out[start..]);
    }

    /// Appends `count` samples that let audio fade out which does not go on. Appends nothing when it has ended quietly.
    pub fn fade_out(&mut self, count: usize, out: &mut Vec<i16>) -> bool {
        let tail = self.history.len().saturating_sub(samples(FULL_US, self.rate) / 2);
        let silent = self.substitute.as_ref().is_some_and(|substitute| substitute.is_silent());
        if silent || super::pcm::peak(&self.history[tail..]) <= QUIET_PEAK {
            return false;
        }
        let start = out.len();
        let substitute = self.substitute();
        substitute.append(count, out);
        substitute.made = usize::MAX;
        for (n, sample) in out[start..].iter_mut().enumerate() {
            *sample = (f32::from(*sample) * (1.0 - (n + 1) as f32 / count as f32)) as i16;
        }
        self.remember(&out[start..]);
        true
    }

    /// What is played next does not belong behind what was played: they are cross-faded.
    pub fn join(&mut self) {
        if !self.history.is_empty() {
            self.substitute();
        }
    }

    /// Forgets what was played, and gives its memory back.
    pub fn forget(&mut self) {
        self.history = Vec::new();
        self.substitute = None;
    }

    fn substitute(&mut self) -> &mut Substitute {
        let (history, rate) = (&self.history, self.rate);
        self.substitute.get_or_insert_with(|| {
            let kept = history.len().min(samples(HISTORY_US, rate));
            Box::new(Substitute::begin(&history[history.len() - kept..], rate))
        })
    }

    fn remember(&mut self, pcm: &[i16]) {
        let wanted = samples(HISTORY_US, self.rate);
        let pcm = &pcm[pcm.len().saturating_sub(wanted)..];
        // Old audio is moved out of the way every fourth time or so, not for every frame.
        if self.history.len() + pcm.len() > 4 * wanted {
            self.history.drain(..self.history.len().saturating_sub(wanted));
        }
        self.history.extend_from_slice(pcm);
    }
}

/// The audio that stands in for one gap.
#[derive(Clone, Debug)]
struct Substitute {
    rate: u32,
    /// The pitch period in samples.
    period: usize,
    /// The last periods that were played, up to three, and before them a quarter of one for the cross-fade.
    base: Vec<f32>,
    /// Samples made so far.
    made: usize,
    /// Where in `base` the next sample is: in the last `cycles` periods, so far from their beginning.
    cycles: usize,
    at: usize,
    /// After one more period was taken in: what was played before, and how much is left of the cross-fade.
    before: (usize, usize),
    overlap: usize,
    /// The step between the last sample played and the first one made; it is taken back over a quarter of a period.
    step: f32,
}

impl Substitute {
    /// `history` has ended, and what follows is missing.
    ///
    /// Appendix I holds back 3.75 ms of audio to cross-fade into the repetition. Here the repetition is shifted to where
    /// the audio has ended, and comes back to its own level within a quarter of a period: no delay for what is not lost.
    fn begin(history: &[i16], rate: u32) -> Self {
        let history: Vec<f32> = history.iter().map(|&sample| f32::from(sample)).collect();
        let last = history.last().copied().unwrap_or_default();
        let period = pitch_period(&history, rate);
        let (base, step) = match period {
            Some(period) => {
                let cycles = ((history.len() - period / 4) / period).min(3);
                let base = history[history.len() - cycles * period - period / 4..].to_vec();
                (base, last - history[history.len() - period - 1])
            }
            None => (Vec::new(), last),
        };
        let period = period.unwrap_or(samples(PERIOD_US.1, rate)).max(1);
        Self { rate, period, base, made: 0, cycles: 1, at: 0, before: (1, 0), overlap: 0, step }
    }

    fn quarter(&self) -> usize {
        self.period / 4
    }

    fn is_silent(&self) -> bool {
        self.made >= samples(SILENT_US, self.rate)
    }

    /// Sample `at` of the last `cycles` periods; their end goes over into their beginning.
    fn sample(&self, (cycles, at): (usize, usize)) -> f32 {
        let length = cycles * self.period;
        let Some(start) = self.base.len().checked_sub(length) else { return 0.0 };
        let sample = self.base.get(start + at).copied().unwrap_or_default();
        let overlap = self.quarter();
        match (at + overlap).checked_sub(length) {
            None => sample,
            Some(into) => {
                let weight = (into + 1) as f32 / (overlap + 1) as f32;
                let other = (start + into).checked_sub(overlap).and_then(|n| self.base.get(n)).copied();
                sample + (other.unwrap_or_default() - sample) * weight
            }
        }
    }

    /// The next sample, before the fade.
    fn next(&mut self) -> f32 {
        let grow = samples(FULL_US, self.rate) * self.cycles;
        if self.made == grow && self.cycles < 3 && self.base.len() > (self.cycles + 1) * self.period {
            // A period for longer than 10 ms would be a buzz.
            (self.before, self.overlap) = ((self.cycles, self.at), self.quarter());
            (self.cycles, self.at) = (self.cycles + 1, self.at % self.period);
        }
        let mut sample = self.sample((self.cycles, self.at));
        self.at = (self.at + 1) % (self.cycles * self.period);
        if self.overlap > 0 {
            let weight = self.overlap as f32 / (self.quarter() + 1) as f32;
            sample += (self.sample(self.before) - sample) * weight;
            self.before.1 = (self.before.1 + 1) % (self.before.0 * self.period);
            self.overlap -= 1;
        }
        if self.made < self.quarter() {
            sample += self.step * (1.0 - (self.made + 1) as f32 / (self.quarter() + 1) as f32);
        }
        sample
    }

    /// The level now: 1 at first, falling by a fifth each 10 ms.
    fn level(&self) -> f32 {
        let (full, silent) = (samples(FULL_US, self.rate), samples(SILENT_US, self.rate));
        1.0 - self.made.clamp(full, silent).saturating_sub(full) as f32 / (silent - full) as f32
    }

    fn append(&mut self, count: usize, out: &mut Vec<i16>) {
        out.reserve(count);
        for left in (0..count).rev() {
            if self.is_silent() {
                out.resize(out.len() + left + 1, 0);
                return;
            }
            let sample = self.next() * self.level();
            out.push(to_sample(sample));
            self.made += 1;
        }
    }

    /// Cross-fades into `pcm`, which follows: a quarter of a period, and 4 ms more for each 10 ms that were missing.
    fn merge(&mut self, pcm: &mut [i16]) {
        let ten = samples(FULL_US, self.rate).max(1);
        let more = self.made.min(3 * ten).saturating_sub(1) / ten * samples(4000, self.rate);
        let overlap = (self.quarter() + more).min(ten).min(pcm.len());
        for (n, sample) in pcm[..overlap].iter_mut().enumerate() {
            let weight = (n + 1) as f32 / (overlap + 1) as f32;
            let made = if self.is_silent() { 0.0 } else { self.next() * self.level() };
            self.made = self.made.saturating_add(1);
            *sample = to_sample(made + (f32::from(*sample) - made) * weight);
        }
    }
}

/// The lag at which the end of `history` is most like what was before it; `None` when there is too little of it.
fn pitch_period(history: &[f32], rate: u32) -> Option<usize> {
    let (shortest, longest) = (samples(PERIOD_US.0, rate).max(1), samples(PERIOD_US.1, rate));
    let longest = longest.min(history.len() / 2);
    if longest < shortest {
        return None;
    }
    let compared = samples(COMPARED_US, rate).min(history.len() - longest);
    // Coarsely at about 4 kHz, then to the sample.
    let step = (rate as usize / 4000).max(1);
    let thinned: Vec<f32> = history.iter().skip((history.len() - 1) % step).step_by(step).copied().collect();
    let coarse = best_lag(&thinned, compared / step, shortest.div_ceil(step)..=longest / step)? * step;
    best_lag(history, compared, (coarse + 1).saturating_sub(step).max(shortest)..=(coarse + step - 1).min(longest))
}

/// Of these lags the one at which the last `compared` samples correlate best with those before.
fn best_lag(history: &[f32], compared: usize, lags: RangeInclusive<usize>) -> Option<usize> {
    let tail = history.get(history.len().checked_sub(compared)?..)?;
    let likeness = |lag: usize| {
        let start = (history.len() - compared).checked_sub(lag)?;
        let lagged = &history[start..start + compared];
        Some(product(tail, lagged) / (product(lagged, lagged) + 1.0).sqrt())
    };
    lags.filter_map(|lag| Some((lag, likeness(lag)?))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(lag, _)| lag)
}

/// The scalar product, in eight sums: the compiler may not reorder one.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn samples(us: usize, rate: u32) -> usize {
    us * rate as usize / 1_000_000
}

fn to_sample(value: f32) -> i16 {
    value.round() as i16 // saturates
}

#[cfg(test)]
mod tests;
