//! The limits of ITU-T Q.24 (as AT&T has them there): duration, pause, twist, frequency, level, noise, talk-off.

use std::f64::consts::TAU;
use std::time::Duration;

use super::*;
use crate::media::tone::Synth;
use crate::media::{g711, wav};

const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];

/// A tone as a network may deliver it.
#[derive(Clone, Copy)]
struct Tone {
    rate: u32,
    ms: f64,
    /// Amplitudes of low and high, of 32768.
    amplitudes: (f64, f64),
    /// Factors of the frequencies.
    off: (f64, f64),
}

const PLAIN: Tone = Tone { rate: 8000, ms: 50.0, amplitudes: (6000.0, 6000.0), off: (1.0, 1.0) };

impl Tone {
    fn samples(self, digit: Digit) -> Vec<i16> {
        let (low, high) = digit.frequencies();
        let count = (self.ms * f64::from(self.rate) / 1000.0).round() as usize;
        (0..count)
            .map(|n| {
                let t = n as f64 / f64::from(self.rate);
                let low = self.amplitudes.0 * (TAU * low * self.off.0 * t).sin();
                let high = self.amplitudes.1 * (TAU * high * self.off.1 * t + 1.0).sin();
                (low + high).round().clamp(-32_768.0, 32_767.0) as i16
            })
            .collect()
    }
}

fn all() -> impl Iterator<Item = Digit> {
    (0..16).filter_map(Digit::from_event)
}

fn silence(rate: u32, ms: f64) -> Vec<i16> {
    vec![0; (ms * f64::from(rate) / 1000.0).round() as usize]
}

fn heard(rate: u32, pcm: &[i16], chunk: usize) -> Vec<Detected> {
    let (mut detector, mut found) = (Detector::new(rate), vec![]);
    for part in pcm.chunks(chunk) {
        detector.push(part, |one| found.push(one));
    }
    found
}

fn digits(found: &[Detected]) -> String {
    found
        .iter()
        .filter_map(|one| if let Detected::Started(digit) = one { Some(digit.as_char()) } else { None })
        .collect()
}

/// How often a tone is heard, of all digits and 16 places in the grid of the detector.
fn accepted(tone: Tone) -> (usize, usize) {
    let (mut taken, mut of) = (0, 0);
    for digit in all() {
        for shift in 0..16 {
            let lead = silence(tone.rate, 40.0 + f64::from(shift) * 5.0 / 16.0);
            let pcm = [lead, tone.samples(digit), silence(tone.rate, 60.0)].concat();
            let found = digits(&heard(tone.rate, &pcm, 160));
            assert!(found.is_empty() || found == digit.as_char().to_string(), "{found:?} for {digit:?}");
            taken += found.len();
            of += 1;
        }
    }
    (taken, of)
}

#[test]
fn names_and_numbers() {
    let keys: String = all().map(Digit::as_char).collect();
    assert_eq!(keys, "0123456789*#ABCD");
    for (event, digit) in (0..16).zip(all()) {
        assert_eq!(digit.event(), event);
        assert_eq!(Digit::from_char(digit.as_char()), Some(digit));
    }
    assert_eq!(Digit::from_char('d'), Digit::from_event(15));
    assert_eq!((Digit::from_char('E'), Digit::from_char('µ'), Digit::from_event(16)), (None, None, None));
    assert_eq!(Digit::from_char('5').map(Digit::frequencies), Some((770.0, 1336.0)));
    assert_eq!(Digit::from_char('#').map(Digit::frequencies), Some((941.0, 1477.0)));
}

#[test]
fn what_is_generated_is_heard_at_every_rate_and_through_g711() {
    for rate in RATES {
        let config = ToneConfig { tone_ms: 60, pause_ms: 50, ..ToneConfig::default() };
        let mut generator = Synth::new(rate);
        all().for_each(|digit| generator.push(config.tone(digit), Some(1)));
        let (mut pcm, mut total) = (vec![], 0);
        while !generator.is_idle() {
            total += generator.fill_into(rate as usize / 50, &mut pcm);
        }
        assert_eq!((pcm.len(), generator.fill_into(10, &mut pcm)), (total, 0));
        assert_eq!(pcm.len(), 16 * (rate as usize * 60 / 1000 + rate as usize * 50 / 1000));
        for chunk in [1, 37, 160, 100_000] {
            let found = heard(rate, &pcm, chunk);
            assert_eq!(digits(&found), "0123456789*#ABCD", "{rate} Hz");
            for one in &found[..found.len() - 1] {
                if let Detected::Ended { duration, .. } = one {
                    let off = duration.abs_diff(Duration::from_millis(60));
                    assert!(off <= Duration::from_millis(10), "{rate} Hz: {duration:?}");
                }
            }
        }
        let (mut codes, mut back) = (vec![], vec![]);
        g711::ulaw_encode_into(&pcm, &mut codes);
        g711::ulaw_decode_into(&codes, &mut back);
        assert_eq!(digits(&heard(rate, &back, 160)), "0123456789*#ABCD");
    }
}

#[test]
fn the_same_digit_twice_and_a_change_without_a_pause() {
    let five = Digit::from_char('5').expect("a key");
    let nine = Digit::from_char('9').expect("a key");
    for pause in [40.0, 60.0, 200.0] {
        let tone = PLAIN.samples(five);
        let pcm = [silence(8000, 20.0), tone.clone(), silence(8000, pause), tone, silence(8000, 60.0)].concat();
        assert_eq!(digits(&heard(8000, &pcm, 160)), "55", "{pause} ms");
    }
    // An interruption of up to 10 ms is none.
    for gap in [2.0, 5.0, 10.0] {
        let tone = Tone { ms: 60.0, ..PLAIN }.samples(five);
        let pcm = [silence(8000, 20.0), tone.clone(), silence(8000, gap), tone, silence(8000, 60.0)].concat();
        assert_eq!(digits(&heard(8000, &pcm, 160)), "5", "{gap} ms");
    }
    let pcm = [PLAIN.samples(five), PLAIN.samples(nine), silence(8000, 60.0)].concat();
    let found = heard(8000, &pcm, 160);
    assert_eq!(digits(&found), "59");
    assert!(matches!(found[1], Detected::Ended { digit, .. } if digit == five), "{found:?}");
}

#[test]
fn tones_of_40_ms_are_taken_and_of_23_ms_are_not() {
    for rate in [8000, 16_000, 48_000] {
        let with = |ms| accepted(Tone { rate, ms, ..PLAIN });
        let (taken, of) = with(40.0);
        assert_eq!(taken, of, "40 ms at {rate} Hz");
        assert_eq!(with(23.0).0, 0, "23 ms at {rate} Hz");
    }
}

#[test]
fn twist_and_level() {
    let with = |low: f64, high: f64| accepted(Tone { amplitudes: (low, high), ..PLAIN });
    let factor = |decibels: f64| 10f64.powf(decibels / 20.0);
    for (decibels, expected) in [(4.0, true), (-8.0, true), (0.0, true), (7.0, false), (-11.0, false)] {
        let (taken, of) = with(5000.0, 5000.0 * factor(decibels));
        assert_eq!(taken, if expected { of } else { 0 }, "{decibels} dB");
    }
    // 0 dBm0 is a sine 3.17 dB below full scale (G.711, µ-law). Taken: 0 to -25 dBm0 each; not taken: -55.
    for (dbm0, expected) in [(-4.0, true), (-15.0, true), (-25.0, true), (-55.0, false)] {
        let amplitude = 32_768.0 * factor(dbm0 - 3.17);
        let (taken, of) = with(amplitude, amplitude);
        assert_eq!(taken, if expected { of } else { 0 }, "{dbm0} dBm0");
    }
}

#[test]
fn frequencies_may_be_off_by_a_little() {
    for percent in [1.5, 1.8] {
        for (low, high) in [(percent, percent), (-percent, -percent), (percent, -percent), (0.0, percent)] {
            let off = (1.0 + low / 100.0, 1.0 + high / 100.0);
            let (taken, of) = accepted(Tone { off, ..PLAIN });
            assert_eq!(taken, of, "{low} % {high} %");
        }
    }
    for percent in [3.5, -3.5, 5.0] {
        for off in [(1.0 + percent / 100.0, 1.0), (1.0, 1.0 + percent / 100.0)] {
            assert_eq!(accepted(Tone { off, ..PLAIN }).0, 0, "{percent} %");
        }
    }
}

#[test]
fn noise_15_db_below_does_not_matter() {
    let mut state = 1u64;
    let mut noise = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    // Uniform noise has a third of its amplitude squared as power; the tones together 6000^2.
    let amplitude = 6000.0 * 3f64.sqrt() * 10f64.powf(-15.0 / 20.0);
    let mut missed = 0;
    for round in 0..20 {
        for digit in all() {
            let clean = [silence(8000, 30.0 + f64::from(round)), PLAIN.samples(digit), silence(8000, 60.0)].concat();
            let noisy: Vec<i16> = clean.iter().map(|&s| (f64::from(s) + amplitude * noise()) as i16).collect();
            let found = digits(&heard(8000, &noisy, 160));
            missed += usize::from(found != digit.as_char().to_string());
        }
    }
    assert_eq!(missed, 0, "of 320");
}

#[test]
fn speech_and_noise_have_no_digits() {
    let speech = wav::parse(include_bytes!("../../../examples/speech.wav")).expect("a WAV file");
    assert_eq!(digits(&heard(speech.rate, &speech.samples, 320)), "");
    // As if spoken faster and slower, higher and lower: other pitches meet the frequencies.
    for rate in [8000, 10_000, 12_000, 14_000, 18_000, 20_000, 24_000, 32_000] {
        assert_eq!(digits(&heard(rate, &speech.samples, 320)), "", "at {rate} Hz");
    }
    let mut state = 5u32;
    let noise: Vec<i16> = (0..8000 * 60)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 17) as i16
        })
        .collect();
    assert_eq!(digits(&heard(8000, &noise, 160)), "");
    // One tone, dial tone, and a chord are no digits.
    for chord in [&[697.0][..], &[1209.0], &[350.0, 440.0], &[425.0], &[697.0, 770.0], &[697.0, 1209.0, 1000.0]] {
        let pcm: Vec<i16> = (0..8000)
            .map(|n| chord.iter().map(|f| 5000.0 * (TAU * f * f64::from(n) / 8000.0).sin()).sum::<f64>() as i16)
            .collect();
        assert_eq!(digits(&heard(8000, &pcm, 160)), "", "{chord:?}");
    }
}

#[test]
fn odd_rates_and_no_audio_do_no_harm() {
    for rate in [0, 1, 199, 1000, 4000, 192_000] {
        let mut detector = Detector::new(rate);
        detector.push(&[], |_| panic!("nothing"));
        detector.push(&[i16::MAX; 3000], |one| panic!("{one:?}"));
    }
}
