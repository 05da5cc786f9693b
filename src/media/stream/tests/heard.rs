//! Level and voice activity of a stream against a stepped clock.

use super::*;
use crate::media::voice::VoiceEvent;
use crate::media::wav;

fn voices(bench: &mut Bench) -> Vec<VoiceEvent> {
    std::iter::from_fn(|| bench.stream.take_voice()).collect()
}

/// A second of speech at 8 kHz, from its middle.
fn speech() -> Vec<i16> {
    let wav = wav::parse(include_bytes!("../../../../examples/speech.wav")).expect("a WAV file");
    let mut pcm = vec![];
    crate::media::resample::Resampler::new(wav.rate, 8000).unwrap().process_into(&wav.samples, &mut pcm);
    pcm[8000..16_000].to_vec()
}

fn listening() -> Bench {
    Bench::new(StreamConfig { voice: Some(VoiceConfig::default()), ..plain() })
}

impl Bench {
    fn say(&mut self, pcm: &[i16]) {
        for frame in pcm.chunks(FRAME) {
            let mut payload = vec![];
            Plain::Pcm(SampleFormat::S16Le).encode_into(frame, &mut payload);
            self.chunk += 1;
            self.stream.push(self.now, Some(self.chunk), None, &payload).expect("whole samples");
        }
    }
}

#[test]
fn speech_is_told_of_when_it_comes_in_and_not_when_it_is_played() {
    let mut bench = listening();
    bench.push(0, 8000);
    bench.say(&speech());
    let found = voices(&mut bench);
    let [VoiceEvent::Started { position }] = found[..] else { panic!("{found:?}") };
    assert!((1000..1600).contains(&position.as_millis()), "{position:?}");
    assert_eq!(bench.log, [], "nothing was played");
    bench.push(0, 8000);
    let found = voices(&mut bench);
    let [VoiceEvent::Ended { position: end, duration }] = found[..] else { panic!("{found:?}") };
    assert_eq!(end, position + duration);
    assert!((1800..2300).contains(&end.as_millis()), "{end:?}");
}

#[test]
fn speech_ends_with_the_stop_and_when_nothing_comes_any_more() {
    let mut bench = listening();
    bench.say(&speech());
    assert_eq!(voices(&mut bench).len(), 1);
    bench.run(1500);
    assert_eq!(voices(&mut bench), []);
    bench.run(10_000);
    assert!(matches!(voices(&mut bench)[..], [VoiceEvent::Ended { .. }]), "with the silence that ends the audio");
    bench.say(&speech());
    bench.stop();
    assert!(matches!(voices(&mut bench)[..], [VoiceEvent::Started { .. }, VoiceEvent::Ended { .. }]));
}

#[test]
fn the_level_is_of_what_is_played() {
    let mut bench = Bench::new(StreamConfig { levels: true, ..plain() });
    bench.push(3277, 50 * FRAME);
    assert_eq!(bench.stream.level(bench.now), None);
    bench.run(500);
    let level = bench.stream.level(bench.now).unwrap();
    assert!((level.rms + 20.0).abs() < 0.01 && (level.peak + 20.0).abs() < 0.01, "{level:?}");
    bench.run(2000);
    assert_eq!(bench.stream.level(bench.now), None, "nothing was played for a second");
}

#[test]
fn nobody_listens_unless_it_is_asked_for() {
    let mut bench = bench();
    bench.say(&speech());
    bench.run(500);
    assert_eq!((voices(&mut bench), bench.stream.level(bench.now)), (vec![], None));
}
