//! Codecs, one chunk at a time, and what works on samples: any payload for every decoder, any samples for the resampler, the
//! DTMF detector and the encoders. How samples are cut never changes anything.

use voxwire::media::{
    codec::{Decoder, Encoder, Part},
    dtmf::Detector,
    encoding::Encoding,
    opus::EncoderConfig,
    pcm::format::SampleFormat,
    resample::Resampler,
};

use super::input::{Choices, Cuts};

const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];
const ENCODINGS: [Encoding; 9] = [
    Encoding::Ulaw,
    Encoding::Alaw,
    Encoding::G722,
    Encoding::Opus,
    Encoding::OggOpus,
    Encoding::Pcm { format: SampleFormat::S16Be, rate: 8000 },
    Encoding::Pcm { format: SampleFormat::U8, rate: 16_000 },
    Encoding::Pcm { format: SampleFormat::S24Le, rate: 24_000 },
    Encoding::Pcm { format: SampleFormat::F32Le, rate: 48_000 },
];
/// Samples after which a decoder may stop, and those of its longest packet.
const MOST: usize = 960;
const LONGEST: usize = 5760;

/// A byte for what is to be done, and some for how.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.byte() % 4 {
        0 => decode(choices),
        1 => resample(choices),
        2 => digits(choices),
        _ => encode(choices),
    }
}

fn decode(mut choices: Choices<'_>) {
    let encoding = choices.pick(ENCODINGS);
    let mut decoder = match choices.byte() % 4 {
        0 => Decoder::interleaved(encoding, Part::Left),
        1 => Decoder::interleaved(encoding, Part::Mixed),
        _ => Decoder::new(encoding),
    };
    let cuts = choices.cuts();
    let mut samples = Vec::new();
    for payload in cuts.pieces(choices.rest()) {
        let before = samples.len();
        let decoded = decoder.decode_into(payload, MOST, &mut samples);
        let more = samples.len() - before;
        match decoded {
            Err(_) => assert_eq!(more, 0, "an error, and samples"),
            // Of plain encodings all of the chunk is decoded: a sample is no shorter than its code, or half of it (G.722).
            Ok(_) => assert!(more <= (MOST + LONGEST).max(2 * payload.len()), "{more} samples"),
        }
        let before = samples.len();
        if decoder.make_up(Some(payload), 160, &mut samples).is_some() {
            assert_eq!(samples.len(), before + 160);
        }
    }
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// The samples in pieces of these lengths.
fn pieces<'s>(samples: &'s [i16], cuts: &Cuts<'_>) -> Vec<&'s [i16]> {
    let marks = vec![0; samples.len()];
    let mut rest = samples;
    let mut found = Vec::new();
    for piece in cuts.pieces(&marks) {
        let (first, others) = rest.split_at(piece.len());
        found.push(first);
        rest = others;
    }
    found
}

fn resample(mut choices: Choices<'_>) {
    let (from, to) = (choices.pick(RATES), choices.pick(RATES));
    let cuts = choices.cuts();
    let input = samples(choices.rest());
    let convert = |parts: &[&[i16]]| {
        let mut resampler = Resampler::new(from, to).expect("a pair of our rates");
        let mut out = Vec::new();
        for part in parts {
            resampler.process_into(part, &mut out);
        }
        resampler.flush_into(&mut out);
        out
    };
    let whole = convert(&[&input]);
    assert_eq!(whole.len() as u64, (input.len() as u64 * u64::from(to)).div_ceil(u64::from(from)));
    assert_eq!(convert(&pieces(&input, &cuts)), whole);
}

fn digits(mut choices: Choices<'_>) {
    let rate = choices.pick(RATES);
    let cuts = choices.cuts();
    // Repeated: a digit is longer than most inputs.
    let input = samples(choices.rest()).repeat(4);
    let hear = |parts: &[&[i16]]| {
        let mut detector = Detector::new(rate);
        let mut heard = Vec::new();
        for part in parts {
            detector.push(part, |detected| heard.push(detected));
        }
        heard
    };
    assert_eq!(hear(&pieces(&input, &cuts)), hear(&[&input]));
}

/// What is encoded can be decoded: as many samples as there were, and the same where nothing is lost.
fn encode(mut choices: Choices<'_>) {
    let encoding = choices.pick(ENCODINGS);
    let input = samples(choices.rest());
    let Ok(mut encoder) = Encoder::new(encoding, EncoderConfig::default()) else { return };
    let (mut bytes, mut chunks) = (Vec::new(), Vec::new());
    let frame = usize::try_from(encoding.sample_rate() / 50).unwrap_or(160);
    for part in input.chunks_exact(frame) {
        encoder.encode(part, &mut bytes, |chunk, _| chunks.push(chunk.to_vec())).expect("a frame of 20 ms");
    }
    let mut decoder = Decoder::new(encoding);
    let mut back = Vec::new();
    for chunk in &chunks {
        decoder.decode_into(chunk, usize::MAX, &mut back).expect("our own");
    }
    let given = &input[..input.len() / frame * frame];
    if let Encoding::Pcm { format: SampleFormat::S16Be | SampleFormat::S24Le | SampleFormat::F32Le, .. } = encoding {
        assert_eq!(back, given);
    } else if !matches!(encoding, Encoding::OggOpus) {
        assert_eq!(back.len(), given.len());
    }
}
