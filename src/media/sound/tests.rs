//! Sounds of every kind, cut anywhere.

use proptest::prelude::*;

use super::*;
use crate::media::codec::Encoder;
use crate::media::opus::EncoderConfig;
use crate::media::pcm::format::SampleFormat;

fn tone(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| ((n as f64 * 0.05).sin() * 9000.0) as i16).collect()
}

fn encoded(encoding: Encoding, pcm: &[i16]) -> Vec<u8> {
    let (mut all, mut bytes) = (vec![], vec![]);
    let mut encoder = Encoder::new(encoding, EncoderConfig::default()).expect("an encoder");
    encoder.encode(pcm, &mut bytes, |chunk, _| all.extend_from_slice(chunk)).expect("encoded");
    encoder.finish(&mut bytes, |chunk, _| all.extend_from_slice(chunk)).expect("encoded");
    all
}

fn wav_of(pcm: &[i16], rate: u32) -> Vec<u8> {
    let mut bytes = wav::header(rate, 1, 2 * pcm.len() as u32).to_vec();
    bytes.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn read(format: SoundFormat, bytes: &[u8], size: usize) -> Result<(u32, Vec<i16>), SoundError> {
    let (mut reader, mut out) = (SoundReader::new(format)?, vec![]);
    for piece in bytes.chunks(size) {
        reader.push(piece, &mut out)?;
    }
    reader.finish(&mut out)?;
    Ok((reader.rate().expect("a rate"), out))
}

const PCM24: Encoding = Encoding::Pcm { format: SampleFormat::S24Le, rate: 16_000 };

#[test]
fn every_kind_cut_anywhere() {
    let pcm = tone(4801);
    let sounds = [
        (SoundFormat::Any, wav_of(&pcm, 16_000), 16_000),
        (SoundFormat::Any, encoded(Encoding::OggOpus, &pcm), 48_000),
        (SoundFormat::Ogg, encoded(Encoding::OggOpus, &pcm), 48_000),
        (SoundFormat::Wav, wav_of(&pcm, 44_100), 44_100),
        (SoundFormat::Raw(PCM24), encoded(PCM24, &pcm), 16_000),
        (SoundFormat::Raw(Encoding::Ulaw), encoded(Encoding::Ulaw, &pcm), 8000),
        (SoundFormat::Raw(Encoding::G722), encoded(Encoding::G722, &pcm), 16_000),
    ];
    for (format, bytes, rate) in sounds {
        let whole = read(format, &bytes, bytes.len()).expect("a sound");
        assert_eq!(whole.0, rate, "{format:?}");
        // G.722 has a byte for two samples.
        assert!(whole.1.len().abs_diff(4801) <= 1, "{format:?}: {}", whole.1.len());
        for size in [1, 2, 3, 100, 511] {
            assert_eq!(read(format, &bytes, size).as_ref(), Ok(&whole), "{format:?} {size}");
        }
        let mut reader = SoundReader::new(format).expect("a reader");
        let mut out = vec![];
        reader.push(&bytes[..100.min(bytes.len())], &mut out).expect("a sound");
        if reader.is_ogg() {
            let mut length = OggLength::default();
            bytes.chunks(7).for_each(|piece| length.push(piece));
            assert_eq!(length.finish(), 4801);
        } else if matches!(format, SoundFormat::Raw(_)) {
            assert_eq!(reader.samples_left(bytes.len() as u64), Some(whole.1.len() as u64));
        } else {
            assert_eq!(reader.samples_left(bytes.len() as u64), Some(whole.1.len() as u64 - out.len() as u64));
        }
    }
}

#[test]
fn what_is_no_sound_says_why() {
    let error = |format, bytes: &[u8]| read(format, bytes, 5).expect_err("an error").to_string();
    assert!(error(SoundFormat::Any, b"ID3 and so on").starts_with("neither WAV nor Ogg"));
    assert!(error(SoundFormat::Any, b"").starts_with("neither WAV nor Ogg"));
    assert!(error(SoundFormat::Any, b"RIFFxxxxAVI ").starts_with("WAV: the file does not begin"));
    assert!(error(SoundFormat::Ogg, b"OggS").contains("no Opus stream"));
    assert!(error(SoundFormat::Wav, &wav_of(&[1], 11_025)).contains("11025 Hz"));
    assert!(error(SoundFormat::Raw(Encoding::Opus), b"").contains("expected Ogg"));
}

#[test]
fn a_sound_that_is_cut_off_is_what_was_there() {
    let pcm = tone(48_000);
    let bytes = encoded(Encoding::OggOpus, &pcm);
    let (_, whole) = read(SoundFormat::Any, &bytes, 1000).expect("a sound");
    let (_, part) = read(SoundFormat::Any, &bytes[..bytes.len() / 2], 1000).expect("a sound");
    assert!(part.len() > 15_000 && whole.starts_with(&part), "{}", part.len());
    let (_, part) = read(SoundFormat::Any, &wav_of(&pcm, 8000)[..1001], 1000).expect("a sound");
    assert_eq!(part, pcm[..478]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(head in 0..3usize, bytes in proptest::collection::vec(any::<u8>(), 0..600), size in 1..80usize) {
        let start: &[u8] = [&b""[..], b"RIFF\x10\x00\x00\x00WAVEfmt \x10\x00\x00\x00", b"OggS\x00"][head];
        let _ = read(SoundFormat::Any, &[start, &bytes].concat(), size);
        prop_assert!(read(SoundFormat::Raw(PCM24), &bytes, size).is_ok_and(|(_, out)| out.len() == bytes.len() / 3));
    }
}
