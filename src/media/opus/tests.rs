//! libopus as it is linked here: encoder against decoder, loss, and bytes that are no packets.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::encoder::MAX_ENCODED;
use super::*;

/// Numbers that look random and are the same each time (xorshift64).
pub(super) struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// -1..1
    fn sample(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// Something like speech: voiced syllables with a gliding pitch and formants, noisy consonants, pauses.
fn speech(rate: u32, seconds: f64) -> Vec<i16> {
    let mut noise = Noise(0x1234_5678_9ABC_DEF1);
    let (mut phase, mut out) = (0.0, vec![]);
    for n in 0..(seconds * f64::from(rate)) as usize {
        let t = n as f64 / f64::from(rate);
        let syllable = (t * 3.1).fract();
        let pitch = 110.0 + 35.0 * (TAU * 0.7 * t).sin() + 20.0 * syllable;
        phase += pitch / f64::from(rate);
        let envelope = if syllable < 0.6 { (syllable / 0.6 * std::f64::consts::PI).sin() } else { 0.0 };
        let mut voiced = 0.0;
        for harmonic in 1..=24 {
            let frequency = pitch * f64::from(harmonic);
            if frequency < 0.45 * f64::from(rate) {
                let formant = |center: f64, width: f64| 1.0 / (1.0 + ((frequency - center) / width).powi(2));
                let weight = formant(500.0 + 250.0 * (TAU * 1.3 * t).sin(), 120.0) + 0.5 * formant(1600.0, 200.0);
                voiced += weight * (TAU * f64::from(harmonic) * phase).sin();
            }
        }
        let hiss = if (0.62..0.75).contains(&syllable) { 0.08 } else { 0.001 };
        let sample = 0.25 * envelope * voiced + hiss * noise.sample();
        out.push((sample.clamp(-1.0, 1.0) * 32_000.0) as i16);
    }
    out
}

fn packets(config: EncoderConfig, pcm: &[i16]) -> Vec<(Vec<u8>, u32)> {
    let mut encoder = Encoder::new(config).expect("an encoder");
    let length = encoder.frame_length();
    pcm.chunks_exact(length)
        .map(|frame| {
            let mut packet = vec![];
            let bytes = encoder.encode_into(frame, &mut packet).expect("a packet");
            assert_eq!(bytes, packet.len());
            assert!(bytes > 0 && bytes <= MAX_ENCODED);
            (packet, encoder.final_range().expect("a range"))
        })
        .collect()
}

fn energy(pcm: &[i16]) -> f64 {
    pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum()
}

/// How far `got` is from `want`, in dB.
fn snr(want: &[i16], got: &[i16]) -> f64 {
    let error: f64 = want.iter().zip(got).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (energy(want) / error.max(1.0)).log10()
}

fn interleaved(left: &[i16], right: &[i16]) -> Vec<i16> {
    left.iter().zip(right).flat_map(|(&left, &right)| [left, right]).collect()
}

#[test]
fn encoder_and_decoder_agree_to_the_bit() {
    let mut compared = 0;
    for rate in RATES {
        let (one, two) = (speech(rate, 0.6), speech(rate, 0.63));
        let both = interleaved(&one, &two[two.len() - one.len()..]);
        for (index, frame) in FrameDuration::ALL.into_iter().enumerate() {
            for application in [Application::Voip, Application::Audio, Application::LowDelay] {
                // Not all combinations, but each value with each frame duration.
                for (dtx, fec, bitrate, complexity, channels) in [
                    (false, false, None, 9, Channels::Mono),
                    (true, true, Some(16_000), index as u8, Channels::Mono),
                    (true, false, Some(6000 + 9000 * index as u32), 3, Channels::Stereo),
                    (false, true, Some(96_000), 5, Channels::Stereo),
                ] {
                    let expected_loss = if fec { 15 } else { 0 };
                    let config = EncoderConfig {
                        rate,
                        channels,
                        application,
                        frame,
                        bitrate,
                        complexity,
                        dtx,
                        fec,
                        expected_loss,
                    };
                    let pcm = if channels == Channels::Mono { &one } else { &both };
                    for to in [Channels::Mono, Channels::Stereo] {
                        let mut decoder = Decoder::new(rate, to).expect("a decoder");
                        let mut out = vec![];
                        for (number, (packet, range)) in packets(config, pcm).into_iter().enumerate() {
                            out.clear();
                            let samples = decoder.decode_into(&packet, &mut out).expect("audio");
                            assert_eq!(samples, frame.samples(rate));
                            assert_eq!(out.len(), samples * to.count());
                            if packet.len() > 2 {
                                assert_eq!(decoder.final_range(), Ok(range), "{config:?}, packet {number}");
                                compared += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(compared > 30_000, "{compared} packets");
}

#[test]
fn what_comes_out_is_what_went_in() {
    for (rate, channels, least) in
        [(48_000, Channels::Mono, 12.0), (16_000, Channels::Mono, 12.0), (48_000, Channels::Stereo, 12.0)]
    {
        let mono = speech(rate, 2.0);
        let silence = vec![0; mono.len()];
        let pcm = if channels == Channels::Mono { mono.clone() } else { interleaved(&mono, &silence) };
        let bitrate = Some(64_000 * channels.count() as u32);
        let config =
            EncoderConfig { rate, channels, application: Application::Audio, bitrate, ..EncoderConfig::default() };
        let late = Encoder::new(config).expect("an encoder").lookahead().expect("samples");
        let mut decoder = Decoder::new(rate, channels).expect("a decoder");
        let mut out = vec![];
        for (packet, _) in packets(config, &pcm) {
            assert_eq!(packet_samples(&packet, rate), Ok(rate as usize / 50));
            decoder.decode_into(&packet, &mut out).expect("audio");
        }
        let left: Vec<i16> = out.iter().copied().step_by(channels.count()).skip(late).collect();
        let ratio = snr(&mono[..left.len()], &left);
        assert!(ratio > least, "{rate} {channels:?}: {ratio} dB");
        if channels == Channels::Stereo {
            let right: Vec<i16> = out.iter().copied().skip(1).step_by(2).collect();
            assert!(energy(&right) < 1e-3 * energy(&left), "the channels are kept apart");
        }
    }
}

#[test]
fn stereo_is_mixed_to_mono_and_mono_doubled() {
    let (pcm, rate) = (speech(RATE, 1.0), RATE);
    let silence = vec![0; pcm.len()];
    let bitrate = Some(128_000);
    let stereo = EncoderConfig {
        channels: Channels::Stereo,
        bitrate,
        application: Application::Audio,
        ..EncoderConfig::default()
    };
    let (mut mono, mut both) = (vec![], vec![]);
    let mut to_mono = Decoder::new(rate, Channels::Mono).expect("a decoder");
    let mut to_both = Decoder::new(rate, Channels::Stereo).expect("a decoder");
    for (packet, _) in packets(stereo, &interleaved(&pcm, &silence)) {
        assert_eq!(packet_channels(&packet), Some(Channels::Stereo));
        to_mono.decode_into(&packet, &mut mono).expect("audio");
        to_both.decode_into(&packet, &mut both).expect("audio");
    }
    let mean: Vec<i16> = both.chunks_exact(2).map(|pair| i16::midpoint(pair[0], pair[1])).collect();
    assert!(snr(&mean, &mono) > 30.0, "{}", snr(&mean, &mono));

    let mut doubled = vec![];
    to_both.reset().expect("reset");
    for (packet, _) in packets(EncoderConfig::default(), &pcm) {
        assert_eq!(packet_channels(&packet), Some(Channels::Mono));
        to_both.decode_into(&packet, &mut doubled).expect("audio");
    }
    assert!(energy(&doubled) > 0.0 && doubled.chunks_exact(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_lost_packet_is_concealed_by_more_of_the_same_and_then_by_less() {
    let rate = RATE;
    let tone: Vec<i16> =
        (0..rate).map(|n| (12_000.0 * (TAU * 220.0 * f64::from(n) / f64::from(rate)).sin()) as i16).collect();
    let mut decoder = Decoder::new(rate, Channels::Mono).expect("a decoder");
    let mut out = vec![];
    for (packet, _) in packets(EncoderConfig::default(), &tone) {
        decoder.decode_into(&packet, &mut out).expect("audio");
    }
    let before = energy(&out[out.len() - 960..]);
    let mut lost = vec![];
    for _ in 0..50 {
        assert_eq!(decoder.conceal_into(960, &mut lost), Ok(960));
    }
    let first = energy(&lost[..960]) / before;
    assert!((0.25..1.5).contains(&first), "the first 20 ms have {first} of the energy");
    let border = (i32::from(lost[0]) - i32::from(out[out.len() - 1])).abs();
    assert!(border < 1500, "a jump of {border} at the border");
    let last = energy(&lost[lost.len() - 960..]) / before;
    assert!(last < 0.05, "after a second {last} of the energy is left, besides comfort noise");
    for samples in [120, 240, 480, 1920, 2880, 5760] {
        assert_eq!(decoder.conceal_into(samples, &mut lost), Ok(samples));
    }
}

#[test]
fn fec_brings_back_what_concealment_guesses() {
    let rate = 16_000;
    let pcm = speech(rate, 6.0);
    let config =
        EncoderConfig { rate, bitrate: Some(32_000), fec: true, expected_loss: 25, ..EncoderConfig::default() };
    let packets = packets(config, &pcm);
    let mut decoders = [(); 3].map(|()| Decoder::new(rate, Channels::Mono).expect("a decoder"));
    let (mut whole, mut with_fec, mut concealed) = (vec![], vec![], vec![]);
    let (mut sent, mut got, mut guessed, mut copies) = (vec![], vec![], vec![], 0);
    let [perfect, by_fec, by_plc] = &mut decoders;
    let mut at = 0;
    for (number, (packet, _)) in packets.iter().enumerate() {
        perfect.decode_into(packet, &mut whole).expect("audio");
        let lost = number % 4 == 3 && number + 1 < packets.len();
        if lost {
            let next = &packets[number + 1].0;
            copies += usize::from(has_fec(next));
            assert_eq!(by_fec.recover_into(next, 320, &mut with_fec), Ok(320));
            assert_eq!(by_plc.conceal_into(320, &mut concealed), Ok(320));
            sent.extend_from_slice(&whole[at..]);
            got.extend_from_slice(&with_fec[at..]);
            guessed.extend_from_slice(&concealed[at..]);
        } else {
            by_fec.decode_into(packet, &mut with_fec).expect("audio");
            by_plc.decode_into(packet, &mut concealed).expect("audio");
        }
        at += 320;
    }
    assert_eq!((whole.len(), with_fec.len(), concealed.len()), (at, at, at));
    assert!(copies * 10 > packets.len(), "only {copies} of {} packets carry a copy", packets.len());
    let (fec, plc) = (snr(&sent, &got), snr(&sent, &guessed));
    println!("lost frames: FEC {fec:.1} dB, concealment {plc:.1} dB");
    assert!(fec > plc + 3.0, "FEC {fec} dB, concealment {plc} dB");
}

#[test]
fn dtx_sends_next_to_nothing_in_silence() {
    let config = EncoderConfig { dtx: true, ..EncoderConfig::default() };
    let sizes: Vec<usize> = packets(config, &vec![0; 48_000 * 3]).iter().map(|(packet, _)| packet.len()).collect();
    let quiet = sizes.iter().filter(|&&bytes| bytes <= 2).count();
    assert!(quiet * 2 > sizes.len(), "{quiet} of {} packets are empty", sizes.len());
    let loud = packets(config, &speech(RATE, 3.0));
    assert!(loud.iter().filter(|(packet, _)| packet.len() > 20).count() * 2 > loud.len());
}

#[test]
fn bitrate_and_complexity_do_what_they_say() {
    let pcm = speech(RATE, 2.0);
    for bits in [12_000, 32_000, 96_000] {
        let config = EncoderConfig { bitrate: Some(bits), application: Application::Audio, ..EncoderConfig::default() };
        let bytes: usize = packets(config, &pcm).iter().map(|(packet, _)| packet.len()).sum();
        let rate = bytes as f64 * 8.0 / 2.0;
        assert!((0.4..1.3).contains(&(rate / f64::from(bits))), "{rate} bit/s, asked for {bits}");
    }
}

#[test]
fn twenty_thousand_packets_of_random_bytes() {
    let mut noise = Noise(42);
    let mut decoders: Vec<Decoder> = RATES
        .iter()
        .flat_map(|&rate| [Channels::Mono, Channels::Stereo].map(|to| Decoder::new(rate, to).expect("a decoder")))
        .collect();
    let (mut out, mut decoded, mut refused) = (vec![], 0, 0);
    let count = decoders.len();
    for number in 0..20_000 {
        let decoder = &mut decoders[number % count];
        let length = (noise.next() % 200) as usize;
        let packet: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
        out.clear();
        match decoder.decode_into(&packet, &mut out) {
            Ok(samples) => {
                assert!(samples <= decoder.rate() as usize * 120 / 1000, "120 ms at most, so the time is bounded");
                assert_eq!(out.len(), samples * decoder.channels().count());
                decoded += 1;
            }
            Err(OpusError::Packet { bytes }) => {
                assert_eq!((bytes, out.len()), (length, 0));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        let step = decoder.rate() as usize / 50;
        let _ = decoder.recover_into(&packet, step, &mut out);
        let _ = has_fec(&packet);
    }
    assert!(decoded > 1000 && refused > 1000, "{decoded} {refused}");
}

#[test]
fn damaged_packets_do_no_harm() {
    let mut noise = Noise(7);
    let mut decoder = Decoder::new(RATE, Channels::Stereo).expect("a decoder");
    let config = EncoderConfig { fec: true, expected_loss: 20, ..EncoderConfig::default() };
    let good = packets(config, &speech(RATE, 2.0));
    let mut out = vec![];
    for _ in 0..10 {
        for (packet, _) in &good {
            let mut packet = packet.clone();
            for _ in 0..=noise.next() % 4 {
                let at = noise.next() as usize % packet.len();
                packet[at] ^= 1 << (noise.next() % 8);
            }
            packet.truncate(1 + noise.next() as usize % packet.len());
            out.clear();
            let _ = decoder.decode_into(&packet, &mut out);
            assert!(out.len() <= 2 * 5760);
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let message = |config: EncoderConfig| Encoder::new(config).map(|_| ()).expect_err("an error").to_string();
    let config = EncoderConfig::default();
    assert_eq!(
        message(EncoderConfig { rate: 44_100, ..config }),
        "Opus: rate is 44100; expected 8000, 12000, 16000, 24000 or 48000 Hz"
    );
    assert_eq!(
        message(EncoderConfig { bitrate: Some(499), ..config }),
        "Opus: bitrate is 499; expected 500..=512000 for each channel, or none"
    );
    assert!(message(EncoderConfig { bitrate: Some(512_001), ..config }).contains("512001"));
    assert_eq!(message(EncoderConfig { complexity: 11, ..config }), "Opus: complexity is 11; expected 0..=10");
    assert!(message(EncoderConfig { expected_loss: 101, ..config }).contains("expected_loss is 101"));
    let channels = Channels::Stereo;
    Encoder::new(EncoderConfig { bitrate: Some(1_024_000), channels, ..config }).expect("the highest bit rate");

    let mut out = vec![9];
    let mut encoder = Encoder::new(config).expect("an encoder");
    let error = encoder.encode_into(&[0; 959], &mut out);
    assert_eq!(error, Err(OpusError::FrameLength { samples: 959, expected: 960 }));
    assert_eq!(out, [9]);

    let mut decoder = Decoder::new(8000, Channels::Mono).expect("a decoder");
    let mut pcm = vec![3];
    assert_eq!(decoder.decode_into(&[], &mut pcm), Err(OpusError::Packet { bytes: 0 }));
    // RFC 6716 section 3.2.5: code 3 with a count of 0 frames.
    assert_eq!(decoder.decode_into(&[3, 0], &mut pcm), Err(OpusError::Packet { bytes: 2 }));
    for samples in [0, 19, 21, 980] {
        let error = decoder.conceal_into(samples, &mut pcm);
        assert_eq!(error, Err(OpusError::ConcealedLength { samples, step: 20, limit: 960 }));
    }
    assert_eq!(pcm, [3]);
    assert_eq!(packet_channels(&[]), None);
    assert!(!has_fec(&[]));
    assert_eq!(version(), "libopus 1.6.1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_pcm_is_encoded_and_decoded(seed in any::<u64>(), frame in 0..6usize, gain in 0..=32_767i32) {
        let mut noise = Noise(seed | 1);
        let frame = FrameDuration::ALL[frame];
        let pcm: Vec<i16> = (0..5760).map(|_| (noise.sample() * f64::from(gain)) as i16).collect();
        let mut decoder = Decoder::new(RATE, Channels::Mono).expect("a decoder");
        let mut out = vec![];
        for (packet, range) in packets(EncoderConfig { frame, ..EncoderConfig::default() }, &pcm) {
            decoder.decode_into(&packet, &mut out).expect("audio");
            prop_assert_eq!(decoder.final_range(), Ok(range));
        }
    }
}
