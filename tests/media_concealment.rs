//! How much like the real audio what stands in for lost chunks is, on speech: beside silence and repeating the last chunk.
//! `cargo test --no-default-features --test media_concealment -- --nocapture` prints the figures of benches/README.md.

use voxwire::media::conceal::Concealer;
use voxwire::media::resample::Resampler;
use voxwire::media::wav;

use std::time::{Duration, Instant};

use voxwire::media::codec::Encoder;
use voxwire::media::encoding::Encoding;
use voxwire::media::opus::{self, EncoderConfig};
use voxwire::media::stream::{Stream, StreamConfig};

/// So often lost chunks are chosen anew.
const RUNS: u64 = if cfg!(debug_assertions) { 4 } else { 20 };
/// 20 ms at 8 kHz.
const CHUNK: usize = 160;

fn speech() -> Vec<i16> {
    speech_at(8000)
}

fn speech_at(rate: u32) -> Vec<i16> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/speech.wav");
    let wav = wav::parse(&std::fs::read(path).expect("the example")).expect("a WAV");
    let mut pcm = vec![];
    Resampler::new(wav.rate, rate).expect("a rate of ours").process_into(&wav.samples, &mut pcm);
    let chunk = rate as usize / 50;
    pcm.truncate(pcm.len() / chunk * chunk);
    pcm
}

/// Which chunks are lost: each with this probability, the same each time.
fn lost(chunks: usize, percent: u64, seed: u64) -> Vec<bool> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % 1000 < percent * 10
    };
    (0..chunks + 8).map(next).skip(8).collect()
}

/// What is heard of it.
type Heard = Vec<i16>;

fn zeros(pcm: &[i16], lost: &[bool]) -> Heard {
    pcm.chunks(CHUNK).zip(lost).flat_map(|(chunk, &lost)| if lost { vec![0; CHUNK] } else { chunk.to_vec() }).collect()
}

fn repeated(pcm: &[i16], lost: &[bool]) -> Heard {
    let mut last = vec![0; CHUNK];
    let mut heard = vec![];
    for (chunk, &lost) in pcm.chunks(CHUNK).zip(lost) {
        if !lost {
            last = chunk.to_vec();
        }
        heard.extend(&last);
    }
    heard
}

fn concealed(pcm: &[i16], lost: &[bool]) -> Heard {
    let mut concealer = Concealer::new(8000);
    let mut heard = vec![];
    for (chunk, &lost) in pcm.chunks(CHUNK).zip(lost) {
        if lost {
            concealer.conceal(CHUNK, &mut heard);
        } else {
            let mut chunk = chunk.to_vec();
            concealer.played(&mut chunk);
            heard.extend(chunk);
        }
    }
    heard
}

/// Signal to noise over all of it, in dB.
fn snr(said: &[i16], heard: &[i16]) -> f64 {
    let power = |n: f64| n * n;
    let signal: f64 = said.iter().map(|&s| power(f64::from(s))).sum();
    let noise: f64 = said.iter().zip(heard).map(|(&s, &h)| power(f64::from(s) - f64::from(h))).sum();
    10.0 * (signal / noise).log10()
}

/// The mean log-spectral distance in dB of the 32 ms around each lost chunk that was speech: the smaller, the more alike.
fn spectral_distance(said: &[i16], heard: &[i16], lost: &[bool]) -> f64 {
    const WINDOW: usize = 256;
    let (mut sum, mut count) = (0.0, 0);
    for (n, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
        let start = (n * CHUNK).saturating_sub(48).min(said.len() - WINDOW);
        let (a, b) = (&said[start..start + WINDOW], &heard[start..start + WINDOW]);
        if voxwire::media::pcm::rms_dbfs(a) < -45.0 {
            continue;
        }
        let (a, b) = (spectrum(a), spectrum(b));
        let square: f64 = a.iter().zip(&b).map(|(a, b)| (a - b) * (a - b)).sum();
        sum += (square / a.len() as f64).sqrt();
        count += 1;
    }
    sum / f64::from(count.max(1))
}

/// The power of each band up to 4 kHz in dB, floored at -60 dB re full scale a bin.
fn spectrum(pcm: &[i16]) -> Vec<f64> {
    let n = pcm.len() as f64;
    let windowed: Vec<f64> = pcm
        .iter()
        .enumerate()
        .map(|(i, &s)| f64::from(s) / 32768.0 * (0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n).cos()))
        .collect();
    (1..pcm.len() / 2)
        .map(|k| {
            let turn = std::f64::consts::TAU * k as f64 / n;
            let (mut re, mut im) = (0.0, 0.0);
            for (i, s) in windowed.iter().enumerate() {
                re += s * (turn * i as f64).cos();
                im += s * (turn * i as f64).sin();
            }
            10.0 * ((re * re + im * im) / n).max(1e-6).log10()
        })
        .collect()
}

#[test]
fn it_is_more_like_speech_than_silence_or_a_repeated_chunk() {
    let pcm = speech();
    println!("loss  SNR in dB: silence, repeated, concealed   log-spectral distance in dB: the same");
    for percent in [1, 3, 5, 10] {
        let mut figures = [[0.0; 3]; 2];
        for seed in 1..=RUNS {
            let lost = lost(pcm.len() / CHUNK, percent, seed);
            for (n, make) in [zeros, repeated, concealed].into_iter().enumerate() {
                let heard = make(&pcm, &lost);
                figures[0][n] += snr(&pcm, &heard) / RUNS as f64;
                figures[1][n] += spectral_distance(&pcm, &heard, &lost) / RUNS as f64;
            }
        }
        let [snr, distance] = figures;
        println!("{percent:3} %  {snr:6.1?}   {distance:6.1?}");
        assert!(snr[2] > snr[1] + 1.0, "{percent} %: not better than a repeated chunk: {snr:?}");
        // Silence is never very wrong, sample by sample; it is far off in what is heard.
        assert!(snr[2] > snr[0] - 0.5, "{percent} %: {snr:?}");
        assert!(distance[2] < distance[0] - 1.5 && distance[2] < distance[1] + 0.3, "{percent} %: {distance:?}");
    }
}

/// What a stream plays of these packets when some are lost, and how much of it was recovered. It all comes at once.
fn received(packets: &[Vec<u8>], lost: &[bool]) -> (Heard, Duration) {
    let config =
        StreamConfig { playout_delay_max: None, max_buffered: Duration::from_mins(5), ..StreamConfig::default() };
    let mut stream = Stream::new(String::new(), Encoding::Opus, None, config);
    let now = Instant::now();
    for (n, (packet, &lost)) in packets.iter().zip(lost).enumerate() {
        if !lost {
            stream.push(now, Some(n as u64), None, packet).expect("a packet");
        }
    }
    stream.stop(now);
    let (mut heard, mut frame) = (vec![], vec![]);
    while let Some(at) = stream.next_deadline() {
        if stream.tick(at, &mut frame).played {
            heard.extend(&frame);
        }
    }
    (heard, Duration::from_secs(stream.counters().recovered_samples) / opus::RATE)
}

/// Back at 8 kHz, where the figures are taken.
fn narrow(pcm: &[i16]) -> Heard {
    let mut out = vec![];
    Resampler::new(opus::RATE, 8000).expect("a rate of ours").process_into(pcm, &mut out);
    out
}

#[test]
fn opus_recovers_by_fec_what_it_else_conceals() {
    let pcm = speech_at(opus::RATE);
    let packets = |fec: Option<u8>| {
        let loss = fec.unwrap_or(0);
        let config = EncoderConfig {
            bitrate: Some(24_000),
            fec: fec.is_some(),
            expected_loss: loss,
            ..EncoderConfig::default()
        };
        let (mut encoder, mut bytes, mut packets) = (Encoder::new(Encoding::Opus, config).expect("it"), vec![], vec![]);
        encoder.encode(&pcm, &mut bytes, |packet, _| packets.push(packet.to_vec())).expect("frames");
        packets
    };
    println!(
        "loss  SNR in dB over what is heard without loss: silence, libopus, FEC   log-spectral distance   recovered"
    );
    for percent in [3, 5, 10] {
        let (plain, robust) = (packets(None), packets(Some(percent as u8)));
        let whole = |packets: &[Vec<u8>]| received(packets, &vec![false; packets.len()]).0;
        let (heard_plain, heard_robust) = (whole(&plain), narrow(&whole(&robust)));
        let clear = [narrow(&heard_plain), narrow(&heard_plain), heard_robust];
        let mut figures = [[0.0; 3]; 2];
        let mut share = 0.0;
        for seed in 1..=RUNS {
            let lost = lost(plain.len(), percent, seed);
            // The last one has none after it, and the first none before it.
            let lost: Vec<bool> =
                lost.iter().enumerate().map(|(n, &lost)| lost && n > 2 && n + 2 < plain.len()).collect();
            let chunks = heard_plain.chunks(960).zip(&lost);
            let silence = chunks.flat_map(|(chunk, &lost)| if lost { vec![0; chunk.len()] } else { chunk.to_vec() });
            let (concealed, none) = received(&plain, &lost);
            let (recovered, time) = received(&robust, &lost);
            assert_eq!(none, Duration::ZERO);
            share += time.as_secs_f64() / (0.02 * lost.iter().filter(|&&lost| lost).count() as f64) / RUNS as f64;
            let heard: [Heard; 3] = [silence.collect(), concealed, recovered];
            for (n, (heard, clear)) in heard.iter().zip(&clear).enumerate() {
                let heard = narrow(heard);
                figures[0][n] += snr(clear, &heard) / RUNS as f64;
                figures[1][n] += spectral_distance(clear, &heard, &lost) / RUNS as f64;
            }
        }
        let [snr, distance] = figures;
        println!("{percent:3} %  {snr:6.1?}   {distance:6.1?}   {:.0} %", share * 100.0);
        assert!(snr[2] > snr[1] + 1.0 && distance[2] < distance[1] - 1.0, "{percent} %: FEC: {snr:?} {distance:?}");
        assert!(distance[1] < distance[0] - 1.5, "{percent} %: libopus: {distance:?}");
    }
}
