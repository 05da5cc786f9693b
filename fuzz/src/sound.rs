//! Sound files and streams: WAV, Ogg Opus and raw audio, any bytes cut anywhere. How they are cut never changes what is heard,
//! and little memory is taken beside it.

use voxwire::media::{
    encoding::Encoding,
    pcm::format::SampleFormat,
    sound::{OggLength, SoundFormat, SoundReader},
};

use super::{input::Choices, memory::Watch};

const FORMATS: [SoundFormat; 6] = [
    SoundFormat::Any,
    SoundFormat::Wav,
    SoundFormat::Ogg,
    SoundFormat::Raw(Encoding::Pcm { format: SampleFormat::S24Le, rate: 44_100 }),
    SoundFormat::Raw(Encoding::Ulaw),
    SoundFormat::Raw(Encoding::G722),
];
/// What a reader keeps: a page and a packet, the decoder, a block of a WAV file of 65,535 channels.
const KEPT: usize = 2 << 20;

/// One byte for the format, then where to cut.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(mut choices: Choices<'_>) {
    let format = choices.pick(FORMATS);
    let cuts = choices.cuts();
    let bytes = choices.rest();
    let watch = Watch::start();
    let whole = read(format, &[bytes]);
    // The samples grow in a vector that doubles, beside a copy of it while it does.
    let heard = whole.as_ref().map_or(0, |(_, samples)| 2 * samples.len());
    let allowed = 4 * heard + 4 * bytes.len() + KEPT;
    assert!(whole.is_none() || watch.peak() <= allowed, "{} bytes; at most {allowed}", watch.peak());
    assert_eq!(read(format, &cuts.pieces(bytes)), whole);
}

/// The rate and the samples, or that it is no sound.
fn read(format: SoundFormat, pieces: &[&[u8]]) -> Option<(Option<u32>, Vec<i16>)> {
    let mut reader = SoundReader::new(format).ok()?;
    let (mut samples, mut length) = (Vec::new(), OggLength::default());
    for piece in pieces {
        reader.push(piece, &mut samples).ok()?;
        length.push(piece);
    }
    reader.finish(&mut samples).ok()?;
    if reader.is_ogg() {
        assert!(length.finish() >= samples.len() as u64);
    }
    Some((reader.rate(), samples))
}
