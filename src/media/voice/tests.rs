//! What is speech and what is none, and the rules that make events of scores.

use super::*;
use crate::media::g711;
use crate::media::wav;

fn events(rate: u32, config: VoiceConfig, pcm: &[i16], cut: usize) -> Vec<VoiceEvent> {
    let mut voice = Voice::new(rate, config).expect("a rate");
    pcm.chunks(cut).for_each(|part| voice.push(part));
    voice.finish();
    std::iter::from_fn(|| voice.take()).collect()
}

fn found(rate: u32, pcm: &[i16]) -> Vec<VoiceEvent> {
    events(rate, VoiceConfig::default(), pcm, rate as usize / 50)
}

/// Uniform white noise of this level in dBFS.
fn noise(seconds: usize, rate: u32, level: f64) -> Vec<i16> {
    let amplitude = 32_768.0 * 3f64.sqrt() * 10f64.powf(level / 20.0);
    let mut state = 1_u64;
    let samples = (0..seconds * rate as usize).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0;
        (uniform * amplitude) as i16
    });
    samples.collect()
}

fn tone(seconds: usize, rate: u32, frequency: f64, amplitude: f64) -> Vec<i16> {
    let step = frequency * std::f64::consts::TAU / f64::from(rate);
    (0..seconds * rate as usize).map(|n| (amplitude * (n as f64 * step).sin()) as i16).collect()
}

fn speech() -> Vec<i16> {
    let wav = wav::parse(include_bytes!("../../../examples/speech.wav")).expect("a WAV file");
    assert_eq!(wav.rate, 16_000);
    wav.samples
}

#[test]
fn speech_is_found_where_it_is() {
    let mut pcm = vec![0; 16_000];
    pcm.extend(speech());
    let length = Duration::from_secs_f64(speech().len() as f64 / 16_000.0);
    pcm.extend(vec![0; 32_000]);
    let found = found(16_000, &pcm);
    let Some(VoiceEvent::Started { position }) = found.first() else { panic!("{found:?}") };
    assert!((1000..1500).contains(&position.as_millis()), "{found:?}");
    let Some(VoiceEvent::Ended { position, .. }) = found.last() else { panic!("{found:?}") };
    let end = Duration::from_secs(1) + length;
    assert!(position.abs_diff(end) < Duration::from_millis(600), "{found:?} for {end:?}");
    let sum: Duration =
        found.iter().map(|e| if let VoiceEvent::Ended { duration, .. } = e { *duration } else { Duration::ZERO }).sum();
    assert!(sum > length * 3 / 4, "{found:?}");
}

#[test]
fn speech_over_the_telephone_is_found() {
    let mut resampler = Resampler::new(16_000, 8000).unwrap();
    let mut narrow = vec![0; 8000];
    resampler.process_into(&speech(), &mut narrow);
    narrow.extend(vec![0; 8000]);
    let (mut codes, mut pcm) = (vec![], vec![]);
    g711::ulaw_encode_into(&narrow, &mut codes);
    g711::ulaw_decode_into(&codes, &mut pcm);
    let found = found(8000, &pcm);
    assert!(
        matches!(found.first(), Some(VoiceEvent::Started { position }) if position.as_millis() < 1600),
        "{found:?}"
    );
    assert!(matches!(found.last(), Some(VoiceEvent::Ended { .. })), "{found:?}");
}

#[test]
fn silence_and_noise_are_no_speech() {
    for rate in [8000, 16_000, 24_000, 48_000] {
        assert_eq!(found(rate, &vec![0; 10 * rate as usize]), [], "digital silence at {rate} Hz");
        for level in [-70.0, -50.0, -40.0] {
            assert_eq!(found(rate, &noise(10, rate, level)), [], "{level} dBFS at {rate} Hz");
        }
    }
}

#[test]
fn a_dial_tone_and_a_beep_are_no_speech() {
    for frequency in [425.0, 440.0, 1000.0, 2000.0] {
        for rate in [8000, 16_000] {
            assert_eq!(found(rate, &tone(10, rate, frequency, 8000.0)), [], "{frequency} Hz at {rate} Hz");
        }
    }
}

#[test]
fn how_the_audio_is_cut_does_not_matter() {
    let pcm = speech();
    let whole = events(16_000, VoiceConfig::default(), &pcm, pcm.len());
    assert!(whole.len() >= 2);
    for cut in [1, 160, 255, 256, 257, 5000] {
        assert_eq!(events(16_000, VoiceConfig::default(), &pcm, cut), whole, "{cut}");
    }
}

/// What the rules make of scores, one for each 16 ms.
fn judged(config: VoiceConfig, scores: &[f32]) -> Vec<(usize, VoiceEvent)> {
    let mut voice = Voice::new(16_000, config).unwrap();
    let mut events = vec![];
    for (index, &score) in scores.iter().enumerate() {
        voice.heard += 1;
        events.extend(voice.judge(score).map(|event| (index, event)));
    }
    voice.finish();
    events.extend(voice.take().map(|event| (scores.len(), event)));
    events
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn short_speech_is_none_and_a_short_pause_does_not_end_it() {
    let config = VoiceConfig { threshold: 0.7, min_speech: ms(48), min_silence: ms(64) };
    let (h, m, l) = (0.7, 0.6, 0.5);
    assert_eq!(judged(config, &[l, h, h, l, h, h, l]), [], "two blocks are too short");
    let started = |at, position| (at, VoiceEvent::Started { position: ms(position) });
    let ended = |at, position, duration| (at, VoiceEvent::Ended { position: ms(position), duration: ms(duration) });
    assert_eq!(judged(config, &[l, h, h, h, l, l, l, l]), [started(3, 16), ended(7, 64, 48)]);
    assert_eq!(judged(config, &[m, m, m, m]), [], "neither high nor low: as it was");
    assert_eq!(judged(config, &[h, m, h, m, m, m, m, m]), [started(2, 0), ended(8, 128, 128)]);
    assert_eq!(judged(config, &[h, h, h, l, l, l, h, l, l, l, l]), [started(2, 0), ended(10, 112, 112)]);
    assert_eq!(judged(config, &[h, h, h, l, l]), [started(2, 0), ended(5, 48, 48)], "the end of all");
}

#[test]
fn a_rate_that_cannot_be_converted_is_refused() {
    assert!(Voice::new(11_025, VoiceConfig::default()).is_err());
}
