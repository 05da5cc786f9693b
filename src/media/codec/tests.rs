//! Each encoding there and back, in any pieces, and what cannot be decoded.

use super::*;

const PCM: Plain = Plain::Pcm(SampleFormat::S16Le);

fn encoded(encoding: Encoding, pcm: &[i16], pieces: usize) -> Vec<(Vec<u8>, usize)> {
    let (mut encoder, mut bytes, mut chunks) =
        (Encoder::new(encoding, EncoderConfig::default()).unwrap(), Vec::new(), Vec::new());
    for piece in pcm.chunks(pieces) {
        encoder.encode(piece, &mut bytes, |chunk, samples| chunks.push((chunk.to_vec(), samples))).unwrap();
    }
    encoder.finish(&mut bytes, |chunk, samples| chunks.push((chunk.to_vec(), samples))).unwrap();
    chunks
}

fn tone(rate: u32, samples: usize) -> Vec<i16> {
    let step = 440.0 * std::f64::consts::TAU / f64::from(rate);
    (0..samples).map(|n| ((n as f64 * step).sin() * 8000.0) as i16).collect()
}

/// How far `back` is from `pcm`, delayed by whatever fits best, in dB.
fn signal_to_noise(pcm: &[i16], back: &[i16]) -> f64 {
    let at = |delay: usize| {
        let pairs = pcm.iter().zip(&back[delay..]).skip(pcm.len() / 4).take(pcm.len() / 2);
        let (signal, noise) = pairs.fold((0.0, 1e-9), |(signal, noise), (&a, &b)| {
            (signal + f64::from(a).powi(2), noise + (f64::from(a) - f64::from(b)).powi(2))
        });
        10.0 * (signal / noise).log10()
    };
    (0..back.len().min(700)).map(at).fold(f64::MIN, f64::max)
}

#[test]
fn every_encoding_comes_back_as_it_was_whatever_the_pieces() {
    let table = [
        (Encoding::pcm16(24_000), 90.0),
        (Encoding::Pcm { format: SampleFormat::S16Be, rate: 8000 }, 90.0),
        (Encoding::Pcm { format: SampleFormat::U8, rate: 44_100 }, 30.0),
        (Encoding::Pcm { format: SampleFormat::S24Le, rate: 32_000 }, 90.0),
        (Encoding::Pcm { format: SampleFormat::F32Le, rate: 48_000 }, 90.0),
        (Encoding::Ulaw, 30.0),
        (Encoding::Alaw, 30.0),
        (Encoding::G722, 20.0),
        (Encoding::Opus, 20.0),
        (Encoding::OggOpus, 20.0),
    ];
    for (encoding, least) in table {
        let rate = encoding.sample_rate();
        let pcm = tone(rate, rate as usize / 2);
        for pieces in [rate as usize / 50, 77, 5000] {
            let chunks = encoded(encoding, &pcm, pieces);
            let sent: usize = chunks.iter().map(|(_, samples)| samples).sum();
            assert!((pcm.len()..pcm.len() + 960).contains(&sent), "{encoding:?}: {sent} samples");
            let (mut decoder, mut back) = (Decoder::new(encoding), Vec::new());
            for (chunk, _) in &chunks {
                decoder.decode_into(chunk, usize::MAX, &mut back).unwrap();
            }
            back.extend([0; 1400]);
            let db = signal_to_noise(&pcm, &back);
            assert!(db > least, "{encoding:?} in pieces of {pieces}: {db} dB");
        }
    }
}

#[test]
fn ogg_is_recognised_by_its_first_bytes_and_may_be_cut_anywhere() {
    let pcm = tone(48_000, 9600);
    let bytes: Vec<u8> = encoded(Encoding::OggOpus, &pcm, 960).into_iter().flat_map(|(chunk, _)| chunk).collect();
    let decoded = |cut: usize| {
        let (mut decoder, mut back) = (Decoder::new(Encoding::Opus), Vec::new());
        for piece in bytes.chunks(cut) {
            decoder.decode_into(piece, usize::MAX, &mut back).unwrap();
        }
        back
    };
    let whole = decoded(bytes.len());
    // Pre-skip and the end are trimmed: as many samples as went in.
    assert_eq!(whole.len(), pcm.len());
    for cut in [4, 5, 100, 1000] {
        assert_eq!(decoded(cut), whole, "cut every {cut} bytes");
    }
}

#[test]
fn a_chunk_of_ogg_gives_no_more_than_there_is_room_for() {
    let mut bytes = Vec::new();
    let mut writer = ogg::Writer::new(&WriterConfig { pre_skip: 0, ..WriterConfig::default() }, &mut bytes);
    for _ in 0..5000 {
        writer.packet_into(&[0x1B, 0x02], &mut bytes).unwrap(); // 2 bytes, 2 frames of 60 ms
    }
    writer.finish_into(None, &mut bytes);
    assert!(bytes.len() < 40_000);
    let (mut decoder, mut out) = (Decoder::new(Encoding::OggOpus), Vec::new());
    let left_out = decoder.decode_into(&bytes, 10 * 48_000, &mut out).unwrap();
    assert!((480_000..480_000 + 5760).contains(&out.len()), "{} samples", out.len());
    assert_eq!(out.len() + left_out, 5000 * 5760);
}

#[test]
fn a_packet_that_is_none_leaves_the_output_alone_and_the_next_is_decoded() {
    let (mut decoder, mut out) = (Decoder::new(Encoding::Opus), vec![7]);
    let good = encoded(Encoding::Opus, &tone(48_000, 960), 960).remove(0).0;
    assert!(matches!(
        decoder.decode_into(&[], usize::MAX, &mut out),
        Err(PayloadError::Opus(OpusError::Packet { bytes: 0 }))
    ));
    assert!(decoder.decode_into(&[0x03, 0xFF], usize::MAX, &mut out).is_err());
    assert_eq!(out, [7]);
    decoder.decode_into(&good, usize::MAX, &mut out).unwrap();
    assert_eq!(out.len(), 961);
}

#[test]
fn an_encoder_that_has_finished_begins_a_new_stream() {
    let mut encoder = Encoder::new(Encoding::OggOpus, EncoderConfig::default()).unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let mut chunks = Vec::new();
        encoder.encode(&[0; 1000], &mut bytes, |chunk, _| chunks.push(chunk.to_vec())).unwrap();
        encoder.finish(&mut bytes, |chunk, _| chunks.push(chunk.to_vec())).unwrap();
        assert!(chunks[0].starts_with(b"OggS"));
        assert_eq!(chunks[0][5], 2, "the first page of a stream");
        assert_eq!(chunks.last().unwrap()[5], 4, "the last page of a stream");
    }
}

#[test]
fn an_odd_number_of_pcm_bytes_is_an_error_and_leaves_the_output_alone() {
    let mut out = vec![7];
    let error = PCM.decode_into(&[1, 2, 3], &mut out).expect_err("an error");
    assert_eq!(error.to_string(), "media payload: PCM: 3 bytes of s16le; expected a multiple of 2");
    assert_eq!(out, [7]);
    Plain::Ulaw.decode_into(&[0xFF, 0xFF, 0xFF], &mut out).expect("any number of G.711 bytes");
    assert_eq!(out, [7, 0, 0, 0]);
}

#[test]
fn bytes_and_samples_append() {
    let pcm = [0, 1, -1, i16::MAX, i16::MIN];
    let (mut bytes, mut back) = (vec![], vec![]);
    PCM.encode_into(&pcm[..2], &mut bytes);
    PCM.encode_into(&pcm[2..], &mut bytes);
    PCM.decode_into(&bytes, &mut back).expect("even");
    assert_eq!(back, pcm);
}
