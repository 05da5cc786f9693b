//! How much like the real audio what stands in for lost chunks is, on speech: beside silence and repeating the last chunk.
//! `cargo test --no-default-features --test media_concealment -- --nocapture` prints the figures of benches/README.md.

use voxwire::media::conceal::Concealer;
use voxwire::media::resample::Resampler;
use voxwire::media::wav;

/// So often lost chunks are chosen anew.
const RUNS: u64 = if cfg!(debug_assertions) { 4 } else { 20 };
/// 20 ms at 8 kHz.
const CHUNK: usize = 160;

fn speech() -> Vec<i16> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/speech.wav");
    let wav = wav::parse(&std::fs::read(path).expect("the example")).expect("a WAV");
    let mut pcm = vec![];
    Resampler::new(wav.rate, 8000).expect("a rate of ours").process_into(&wav.samples, &mut pcm);
    pcm.truncate(pcm.len() / CHUNK * CHUNK);
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
