//! A little more or less audio where it is not heard: one pitch period repeated or left out, cross-faded over its whole
//! length, where two periods are alike; anything where it is quiet. When that is wanted is not known here.

use super::conceal::QUIET_PEAK;
use super::pcm;

/// Periods of 2.5 to 10 ms: 100 to 400 Hz, and multiples of what is higher.
const PERIOD_US: (usize, usize) = (2500, 10_000);

/// Two periods that correlate by this are alike.
const ALIKE: f32 = 0.9;
/// Samples of two of the longest, taken at 8 to 16 kHz.
const COARSE: usize = 2 * 16 * PERIOD_US.1 / 1000;
/// Of so many bits, the squares of all of them fit into 32.
const COARSE_BITS: u32 = 11;

/// Samples that `shorten` wants beside the frame.
pub fn reach(rate: u32) -> usize {
    samples(PERIOD_US.1, rate)
}

/// Makes `frame` samples of more: `pcm` is what follows now, `frame` and [`reach`] samples or more. Takes out at most
/// `most` samples, cross-fading periods that correlate by at least `likeness`. Answers how many samples of `pcm` are used;
/// `None`, and nothing in `out`, when it would be heard.
pub fn shorten(pcm: &[i16], frame: usize, rate: u32, most: usize, likeness: f32, out: &mut Vec<i16>) -> Option<usize> {
    let longest = reach(rate).min(most).min(frame).min(pcm.len().checked_sub(frame)?);
    let lag = period(pcm, longest, rate, likeness)?;
    out.extend(cross_fade(&pcm[..lag], &pcm[lag..2 * lag]));
    out.extend_from_slice(&pcm[2 * lag..frame + lag]);
    Some(frame + lag)
}

/// Makes `frame` samples of less. Otherwise as [`shorten`].
pub fn lengthen(pcm: &[i16], frame: usize, rate: u32, most: usize, likeness: f32, out: &mut Vec<i16>) -> Option<usize> {
    let longest = reach(rate).min(most).min(frame / 3);
    let lag = period(pcm.get(..frame)?, longest, rate, likeness)?;
    out.extend_from_slice(&pcm[..lag]);
    out.extend(cross_fade(&pcm[lag..2 * lag], &pcm[..lag]));
    out.extend_from_slice(&pcm[lag..frame - lag]);
    Some(frame - lag)
}

/// The lag at which `pcm` is most like itself, if it is alike enough; the longest where it is quiet.
///
/// At 8 kHz or little more, in whole numbers of 11 bits, so that a processor multiplies eight at once and no sum overflows:
/// it is done for every frame while a correction waits, which must cost no more than the frame does.
fn period(pcm: &[i16], longest: usize, rate: u32, likeness: f32) -> Option<usize> {
    let shortest = samples(PERIOD_US.0, rate).max(1);
    let pcm = pcm.get(..2 * longest)?;
    let peak = pcm::peak(pcm);
    if peak <= QUIET_PEAK {
        return Some(longest).filter(|&lag| lag > 0);
    }
    if longest < shortest {
        return None;
    }
    let step = (rate as usize / 8000).max(1);
    let shift = (u16::BITS - peak.leading_zeros()).saturating_sub(COARSE_BITS);
    let mut room = [0_i16; COARSE];
    let coarse = room.get_mut(..pcm.len().div_ceil(step))?;
    for (coarse, &sample) in coarse.iter_mut().zip(pcm.iter().step_by(step)) {
        *coarse = sample >> shift;
    }
    let dot = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    let lags = shortest.div_ceil(step)..=longest / step;
    // Of the period before the lag and of the one after it.
    let mut before = dot(&coarse[..*lags.start()], &coarse[..*lags.start()]);
    let mut both = dot(&coarse[..2 * *lags.start()], &coarse[..2 * *lags.start()]);
    // The one that is most alike; where none is like itself, the longest that will do, so that it is done with soon.
    let (mut best, mut longest): (Option<(usize, f32)>, _) = (None, None);
    for lag in lags {
        let (now, then) = (coarse.get(..lag)?, coarse.get(lag..2 * lag)?);
        let energy = (before as f32 + 1.0) * ((both - before) as f32 + 1.0);
        let alike = dot(now, then) as f32 / energy.sqrt();
        if best.is_none_or(|(_, most)| alike >= most) {
            best = Some((lag * step, alike));
        }
        if alike >= likeness {
            longest = Some(lag * step);
        }
        let square = |at: usize| coarse.get(at).map_or(0, |&sample| i32::from(sample) * i32::from(sample));
        before += square(lag);
        both += square(2 * lag) + square(2 * lag + 1);
    }
    best.filter(|&(_, alike)| alike >= ALIKE && alike >= likeness).map(|(lag, _)| lag).or(longest)
}

fn cross_fade<'a>(from: &'a [i16], to: &'a [i16]) -> impl Iterator<Item = i16> + use<'a> {
    let step = 1.0 / (from.len() + 1) as f32;
    from.iter().zip(to).enumerate().map(move |(n, (&from, &to))| {
        let (from, to) = (f32::from(from), f32::from(to));
        (from + (to - from) * (n + 1) as f32 * step).round() as i16
    })
}

fn samples(us: usize, rate: u32) -> usize {
    us * rate as usize / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, rate: u32, count: usize) -> Vec<i16> {
        let step = std::f32::consts::TAU * hz / rate as f32;
        (0..count).map(|n| ((n as f32 * step).sin() * 10_000.0) as i16).collect()
    }

    /// The largest step from one sample to the next.
    fn roughest(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_tone_stays_a_tone() {
        for rate in [8000, 16_000, 48_000] {
            let frame = rate as usize / 50;
            let pcm = tone(210.0, rate, 2 * frame);
            let mut out = vec![];
            let used = shorten(&pcm, frame, rate, usize::MAX, 0.9, &mut out).expect("alike");
            assert_eq!(out.len(), frame);
            assert!(used > frame);
            out.extend(&pcm[used..]);
            assert!(roughest(&out) <= roughest(&pcm) + 600, "{rate}: {}", roughest(&out));

            let mut out = vec![];
            let used = lengthen(&pcm, frame, rate, usize::MAX, 0.9, &mut out).expect("alike");
            assert!(out.len() == frame && used < frame);
            out.extend(&pcm[used..]);
            assert!(roughest(&out) <= roughest(&pcm) + 600, "{rate}: {}", roughest(&out));
        }
    }

    #[test]
    fn it_refuses_where_it_would_be_heard_and_takes_what_is_asked_where_it_is_quiet() {
        let mut noise = 1_u32;
        let noise: Vec<i16> = (0..400)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 16) as i16
            })
            .collect();
        let mut out = vec![];
        assert_eq!(shorten(&noise, 160, 8000, usize::MAX, 0.9, &mut out), None);
        assert_eq!(lengthen(&noise, 160, 8000, usize::MAX, 0.9, &mut out), None);
        assert!(out.is_empty());
        assert_eq!(shorten(&[50; 400], 160, 8000, 7, 0.9, &mut out), Some(167));
        assert_eq!(out, [50; 160]);
        out.clear();
        assert_eq!(lengthen(&[50; 400], 160, 8000, 7, 0.9, &mut out), Some(153));
        assert_eq!(out, [50; 160]);
    }

    #[test]
    fn odd_lengths_do_no_harm() {
        for length in 0..200 {
            let pcm = tone(300.0, 8000, length);
            for frame in [0, 1, 8, 160] {
                let mut out = vec![];
                for used in [
                    shorten(&pcm, frame, 8000, usize::MAX, -1.0, &mut out),
                    lengthen(&pcm, frame, 8000, usize::MAX, -1.0, &mut vec![]),
                ] {
                    assert!(used.is_none_or(|used| used <= length));
                }
            }
        }
    }
}
