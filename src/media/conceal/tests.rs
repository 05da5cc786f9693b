//! What is made up for a gap: its pitch, its level, its joins.

use super::*;

const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];

fn tone(hz: f32, rate: u32, count: usize) -> Vec<i16> {
    let step = std::f32::consts::TAU * hz / rate as f32;
    (0..count).map(|n| ((n as f32 * step).sin() * 10_000.0) as i16).collect()
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / pcm.len() as f64).sqrt()
}

fn snr(reference: &[i16], pcm: &[i16]) -> f64 {
    let error: Vec<i16> = reference.iter().zip(pcm).map(|(a, b)| a.saturating_sub(*b)).collect();
    20.0 * (rms(reference) / rms(&error).max(1e-9)).log10()
}

#[test]
fn a_steady_tone_goes_on_through_the_first_ten_ms() {
    for rate in RATES {
        let ms = rate as usize / 1000;
        let mut pcm = tone(130.0, rate, 100 * ms);
        let mut concealer = Concealer::new(rate);
        concealer.played(&mut pcm[..60 * ms]);
        let mut made = vec![];
        concealer.conceal(10 * ms, &mut made);
        let snr = snr(&pcm[60 * ms..70 * ms], &made);
        assert!(snr > 20.0, "{rate} Hz: {snr:.1} dB");
    }
}

#[test]
fn it_fades_from_ten_ms_and_is_silent_after_sixty() {
    for rate in RATES {
        let ms = rate as usize / 1000;
        let mut concealer = Concealer::new(rate);
        concealer.played(&mut tone(200.0, rate, 60 * ms));
        let mut made = vec![];
        for _ in 0..5 {
            concealer.conceal(20 * ms, &mut made);
        }
        assert_eq!(made.len(), 100 * ms);
        let full = 10_000.0 / 2_f64.sqrt();
        for (n, part) in made.chunks(10 * ms).enumerate() {
            let expected = [1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0][n];
            let level = rms(part) / full;
            assert!((level - expected).abs() < 0.06, "{rate} Hz, {} ms: {level:.2}", n * 10);
        }
        assert!(made[61 * ms..].iter().all(|&s| s == 0));
    }
}

#[test]
fn joins_do_not_click() {
    for rate in RATES {
        let ms = rate as usize / 1000;
        let pcm = tone(173.0, rate, 200 * ms);
        let steepest = |pcm: &[i16]| pcm.windows(2).map(|w| w[0].abs_diff(w[1])).max();
        for gap in [5, 10, 20, 35, 60, 80] {
            let mut concealer = Concealer::new(rate);
            let mut out = pcm[..60 * ms].to_vec();
            concealer.played(&mut out);
            concealer.conceal(gap * ms, &mut out);
            let mut rest = pcm[(60 + gap) * ms..].to_vec();
            concealer.played(&mut rest);
            out.extend(&rest);
            let (is, may) = (steepest(&out), steepest(&pcm).map(|s| s * 3));
            assert!(is <= may, "{rate} Hz, {gap} ms: {is:?} of {may:?}");
            assert_eq!(rest[10 * ms..], pcm[(70 + gap) * ms..], "untouched after the cross-fade");
        }
    }
}

#[test]
fn a_pause_fades_out_once_and_only_when_something_was_heard() {
    let mut concealer = Concealer::new(8000);
    let mut out = vec![];
    assert!(!concealer.fade_out(160, &mut out), "nothing was played");
    concealer.played(&mut tone(200.0, 8000, 800));
    assert!(concealer.fade_out(160, &mut out));
    assert!(rms(&out[..40]) > 4000.0 && out[159].abs() < 100, "from full level to none");
    assert!(!concealer.fade_out(160, &mut out), "it has faded out");
    concealer.played(&mut [0; 160]);
    assert!(!concealer.fade_out(160, &mut out), "it was quiet");
    assert_eq!(out.len(), 160);
}

#[test]
fn what_is_real_is_untouched_and_memory_is_bounded() {
    let mut concealer = Concealer::new(48_000);
    let frame = tone(440.0, 48_000, 960);
    for _ in 0..1000 {
        let mut played = frame.clone();
        concealer.played(&mut played);
        assert_eq!(played, frame);
    }
    assert!(concealer.history.capacity() < 8 * samples(HISTORY_US, 48_000));
    concealer.forget();
    assert_eq!(concealer.history.capacity(), 0);
}

#[test]
fn any_past_and_any_rate_do_no_harm() {
    for rate in [1, 100, 999, 8000, 11_025, 96_000] {
        for past in [0, 1, 7, 79, 80, 81, 160, 400, 2000] {
            let mut concealer = Concealer::new(rate);
            concealer.played(&mut vec![i16::MIN; past]);
            let mut out = vec![];
            for count in [0, 1, 160, 7, 5000] {
                concealer.conceal(count, &mut out);
                concealer.played(&mut vec![i16::MAX; count]);
                concealer.fade_out(count, &mut out);
                concealer.join();
            }
        }
    }
}
