//! Quality of every pair of rates, measured from outside: samples in, samples out.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.iter().flat_map(|&from| RATES.iter().map(move |&to| (from, to))).filter(|(from, to)| from != to)
}

fn sine(rate: u32, frequency: f64, samples: usize) -> Vec<i16> {
    let step = TAU * frequency / f64::from(rate);
    (0..samples).map(|n| (29_491.0 * (step * n as f64).sin()).round() as i16).collect()
}

fn convert(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to).expect("a known pair");
    let mut out = vec![];
    resampler.process_into(input, &mut out);
    resampler.flush_into(&mut out);
    out
}

/// The steady part of a converted sine.
fn steady(from: u32, to: u32, frequency: f64) -> Vec<i16> {
    let mut out = convert(from, to, &sine(from, frequency, from as usize / 8));
    let edge = out.len() / 10;
    out.truncate(out.len() - edge);
    out.drain(..edge);
    out
}

/// The amplitude of the best-fitting sine, and the RMS of what is left beside it.
fn fit(pcm: &[i16], rate: u32, frequency: f64) -> (f64, f64) {
    let step = TAU * frequency / f64::from(rate);
    let (mut ss, mut sc, mut cc, mut xs, mut xc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, &sample) in pcm.iter().enumerate() {
        let (s, c) = (step * n as f64).sin_cos();
        let x = f64::from(sample);
        ss += s * s;
        sc += s * c;
        cc += c * c;
        xs += x * s;
        xc += x * c;
    }
    let determinant = ss * cc - sc * sc;
    let a = (xs * cc - xc * sc) / determinant;
    let b = (xc * ss - xs * sc) / determinant;
    let rest: f64 = pcm
        .iter()
        .enumerate()
        .map(|(n, &sample)| {
            let (s, c) = (step * n as f64).sin_cos();
            (f64::from(sample) - a * s - b * c).powi(2)
        })
        .sum();
    (a.hypot(b), (rest / pcm.len() as f64).sqrt())
}

fn decibels(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

#[test]
fn thd_ripple_and_bandwidth_of_every_pair() {
    for (from, to) in pairs() {
        let nyquist = f64::from(from.min(to)) / 2.0;
        let (mut worst_noise, mut low, mut high) = (f64::INFINITY, f64::INFINITY, -f64::INFINITY);
        for step in 1..=16 {
            // Odd frequencies, so that the quantisation noise is spread out.
            let frequency = nyquist * 0.05 * f64::from(step) - 1.37;
            let (amplitude, rest) = fit(&steady(from, to, frequency), to, frequency);
            let gain = decibels(amplitude / 29_491.0);
            (low, high) = (low.min(gain), high.max(gain));
            worst_noise = worst_noise.min(decibels(amplitude / 2f64.sqrt() / rest));
        }
        let (edge, images) = fit(&steady(from, to, nyquist * 0.9), to, nyquist * 0.9);
        let edge_gain = decibels(edge / 29_491.0);
        let edge_images = decibels(edge / 2f64.sqrt() / images);
        println!(
            "{from}->{to}: to 0.8 Nyquist THD+N {worst_noise:.1} dB, gain {low:+.4}..{high:+.4} dB; \
             at 0.9 Nyquist {edge_gain:.2} dB, THD+N {edge_images:.1} dB"
        );
        assert!(worst_noise >= 90.0, "{from}->{to}: THD+N {worst_noise}");
        assert!(low >= -0.05 && high <= 0.05, "{from}->{to}: {low} {high}");
        assert!(edge_gain >= -3.0, "{from}->{to}: {edge_gain} dB at 0.9");
        assert!(edge_images >= 80.0, "{from}->{to}: images {edge_images}");
    }
}

#[test]
fn what_lies_above_the_lower_nyquist_is_gone() {
    for (from, to) in pairs().filter(|(from, to)| from > to) {
        let (nyquist, top) = (f64::from(to) / 2.0, f64::from(from) / 2.0);
        let worst = (0..=20)
            .map(|step| nyquist + (top - nyquist) * 0.98 * f64::from(step) / 20.0 + 0.7)
            .map(|frequency| {
                let out = steady(from, to, frequency);
                let energy: f64 = out.iter().map(|&sample| f64::from(sample).powi(2)).sum();
                decibels((energy / out.len() as f64).sqrt() / (29_491.0 / 2f64.sqrt()))
            })
            .fold(f64::NEG_INFINITY, f64::max);
        println!("{from}->{to}: alias {worst:.1} dB");
        assert!(worst <= -80.0, "{from}->{to}: alias {worst} dB");
    }
}

#[test]
fn the_output_has_the_length_of_the_input_and_no_delay() {
    for (from, to) in pairs() {
        for length in [0, 1, 2, 79, 160, 441, 4097, 10_000] {
            let expected = (length * u64::from(to)).div_ceil(u64::from(from)) as usize;
            let input = sine(from, 300.0, length as usize);
            let out = convert(from, to, &input);
            assert_eq!(out.len(), expected, "{from}->{to}: {length} samples");
        }
        // A sine comes out where it would be, had it been sampled at the other rate.
        let out = convert(from, to, &sine(from, 440.0, from as usize / 4));
        let ideal = sine(to, 440.0, out.len());
        let edge = out.len() / 10;
        for (n, (got, want)) in out.iter().zip(&ideal).enumerate().skip(edge) {
            if n < out.len() - edge {
                let error = (i32::from(*got) - i32::from(*want)).abs();
                assert!(error <= 3, "{from}->{to}: sample {n}: {got}, not {want}");
            }
        }
    }
}

#[test]
fn primed_every_frame_gives_a_frame() {
    for (from, to) in pairs() {
        let (frame, converted) = (from as usize / 50, to as usize / 50);
        let mut resampler = Resampler::new(from, to).expect("a known pair");
        resampler.prime();
        let input = sine(from, 440.0, frame * 20);
        let mut out = vec![];
        for (index, frame) in input.chunks(frame).enumerate() {
            resampler.process_into(frame, &mut out);
            assert_eq!(out.len(), (index + 1) * converted, "{from}->{to}");
        }
        resampler.flush_into(&mut out);
        assert_eq!(out.len(), 20 * converted + resampler.delay(), "{from}->{to}");
        // The same samples as unprimed where the delay is a whole number of output samples.
        let plain = convert(from, to, &input);
        let Resampler { filter, .. } = resampler;
        let filter = filter.expect("different rates");
        if (filter.half() * filter.up).is_multiple_of(filter.down) {
            assert_eq!(out[resampler.delay()..], plain);
        }
    }
}

#[test]
fn the_unflushed_output_is_the_delay_behind() {
    let mut resampler = Resampler::new(8000, 16_000).expect("a known pair");
    let mut out = vec![];
    for frame in sine(8000, 440.0, 1600).chunks(160) {
        resampler.process_into(frame, &mut out);
    }
    assert_eq!(out.len(), 3200 - resampler.delay());
    resampler.flush_into(&mut out);
    assert_eq!(out.len(), 3200);
    let first = out.clone();
    out.clear();
    resampler.process_into(&sine(8000, 440.0, 1600), &mut out);
    resampler.flush_into(&mut out);
    assert_eq!(out, first, "after a flush it is as new");
}

#[test]
fn extremes() {
    let mut loud = vec![i16::MAX; 400];
    loud.extend([i16::MIN; 400]);
    for (from, to) in pairs() {
        let out = convert(from, to, &loud);
        assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
        assert!(convert(from, to, &[0; 500]).iter().all(|&sample| sample == 0));
        let flat = convert(from, to, &[12_345; 2000]);
        let (edge, end) = (flat.len() / 3, flat.len() * 2 / 3);
        assert!(flat[edge..end].iter().all(|&sample| sample == 12_345));
    }
}

#[test]
fn equal_rates_pass_through_and_unknown_ones_are_named() {
    for rate in RATES {
        let mut resampler = Resampler::new(rate, rate).expect("a known pair");
        resampler.prime();
        let mut out = vec![];
        resampler.process_into(&[1, -2, 3], &mut out);
        assert_eq!((out.as_slice(), resampler.delay()), ([1, -2, 3].as_slice(), 0));
        resampler.flush_into(&mut out);
        assert_eq!(out, [1, -2, 3]);
    }
    assert_eq!(Resampler::new(8000, 11_025).map(|_| ()), Err(UnsupportedRate { rate: 11_025 }));
    assert_eq!(Resampler::new(0, 0).map(|_| ()), Err(UnsupportedRate { rate: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cutting_the_input_changes_nothing(
        from in 0..6usize,
        to in 0..6usize,
        input in proptest::collection::vec(any::<i16>(), 0..6000),
        cuts in proptest::collection::vec(prop_oneof![Just(0usize), Just(1), 2..400usize], 1..60),
    ) {
        let (from, to) = (RATES[from], RATES[to]);
        let whole = convert(from, to, &input);
        let mut resampler = Resampler::new(from, to).expect("a known pair");
        let (mut out, mut rest) = (vec![], input.as_slice());
        for &cut in &cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            resampler.process_into(part, &mut out);
            rest = after;
        }
        resampler.process_into(rest, &mut out);
        resampler.flush_into(&mut out);
        prop_assert_eq!(out, whole);
    }
}
