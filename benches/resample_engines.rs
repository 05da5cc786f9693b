//! Resamplers behind one command, for `benches/resample_quality.py`: this crate's and rubato's.
//!
//! `resample_engines ENGINE FROM TO` converts 16-bit PCM from standard input to standard output, in frames of 20 ms.
//! `resample_engines ENGINE FROM TO time` prints the nanoseconds of a 20 ms frame, as little as a batch took, and
//! the delay in output samples.

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Instant;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, SincInterpolationType, WindowFunction};
use voxwire::media::resample::Resampler;

const BATCH: u32 = 50;
const BATCHES: u32 = 400;

/// Converts one frame of 20 ms.
type Engine = (Box<dyn FnMut(&[i16], &mut Vec<i16>)>, usize);

fn voxwire(from: u32, to: u32) -> Engine {
    let mut resampler = Resampler::new(from, to).expect("a known pair");
    let delay = resampler.delay();
    resampler.prime();
    (Box::new(move |frame, out| resampler.process_into(frame, out)), delay)
}

/// rubato works on floats: the conversion there and back is part of what a user of 16-bit PCM pays.
fn rubato(mut resampler: Box<dyn rubato::Resampler<f32>>) -> Engine {
    let delay = resampler.output_delay();
    let (mut input, mut output) = (vec![], vec![0.0; resampler.output_frames_max()]);
    let convert = move |frame: &[i16], out: &mut Vec<i16>| {
        input.clear();
        input.extend(frame.iter().map(|&sample| f32::from(sample)));
        let room = output.len();
        let frames = InterleavedSlice::new(&input, 1, input.len()).expect("mono");
        let mut made = InterleavedSlice::new_mut(&mut output, 1, room).expect("mono");
        let (_, count) = resampler.process_into_buffer(&frames, &mut made, None).expect("a frame");
        out.extend(output[..count].iter().map(|&sample| sample.round_ties_even() as i16));
    };
    (Box::new(convert), delay)
}

fn engine(name: &str, from: u32, to: u32) -> Engine {
    let (input, output, frame) = (from as usize, to as usize, from as usize / 50);
    match name {
        "voxwire" => voxwire(from, to),
        "rubato-fft" => {
            let made = Fft::<f32>::new(input, output, frame, 1, FixedSync::Input);
            rubato(Box::new(made.expect("rates")))
        }
        "rubato-sinc" => {
            let parameters = SincInterpolationParameters::new(128, WindowFunction::BlackmanHarris2)
                .oversampling_factor(256)
                .interpolation(SincInterpolationType::Cubic);
            let ratio = f64::from(to) / f64::from(from);
            let made = Async::<f32>::new_sinc(ratio, 1.0, &parameters, frame, 1, FixedAsync::Input);
            rubato(Box::new(made.expect("rates")))
        }
        _ => panic!("{name}: expected voxwire, rubato-fft or rubato-sinc"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, from, to, rest @ ..] = arguments.as_slice() else {
        panic!("expected ENGINE FROM TO [time]");
    };
    let (from, to): (u32, u32) = (from.parse().expect("Hz"), to.parse().expect("Hz"));
    let (mut convert, delay) = engine(name, from, to);
    let mut out = vec![];
    if !rest.is_empty() {
        let frame: Vec<i16> = (0..from / 50).map(|n| (20_000.0 * (n as f32 * 0.3).sin()) as i16).collect();
        let batch = |convert: &mut dyn FnMut(&[i16], &mut Vec<i16>)| {
            let begun = Instant::now();
            for _ in 0..BATCH {
                out.clear();
                convert(black_box(&frame), &mut out);
                black_box(out.as_slice());
            }
            begun.elapsed().as_nanos() / u128::from(BATCH)
        };
        let best = std::iter::repeat_with({
            let mut batch = batch;
            move || batch(&mut *convert)
        })
        .take(BATCHES as usize)
        .min();
        println!("{} {delay}", best.unwrap_or_default());
        return;
    }
    let mut bytes = vec![];
    std::io::stdin().read_to_end(&mut bytes).expect("standard input");
    let pcm: Vec<i16> = bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    for frame in pcm.chunks_exact(from as usize / 50) {
        convert(frame, &mut out);
    }
    let bytes: Vec<u8> = out.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::io::stdout().write_all(&bytes).expect("standard output");
}
