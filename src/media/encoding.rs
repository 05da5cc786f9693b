//! The audio encodings and the names they have on the wire.
//!
//! Here: name and rate -> `Encoding`. Not here: bytes <-> samples (`codec`), the JSON around them (`event`).

use thiserror::Error;

use super::opus::Channels;
use super::pcm::format::SampleFormat;
use super::{g722, opus, resample};

/// How the bytes of a stream become samples. Always one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// PCM at `rate` Hz.
    Pcm {
        /// How a sample is stored.
        format: SampleFormat,
        /// Sample rate in Hz.
        rate: u32,
    },
    /// ITU-T G.711 µ-law, 8 kHz.
    Ulaw,
    /// ITU-T G.711 A-law, 8 kHz.
    Alaw,
    /// ITU-T G.722 at 64 kbit/s, 16 kHz.
    G722,
    /// Opus (RFC 6716), a packet a chunk, 48 kHz. A stream that begins with `OggS` is Ogg all the same.
    Opus,
    /// Ogg Opus (RFC 7845), cut anywhere, 48 kHz.
    OggOpus,
}

/// A `mediaFormat` that this version cannot decode.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("media format: field \"{field}\" is \"{value}\"; expected {expected}")]
pub struct FormatError {
    /// The field of `mediaFormat`.
    pub field: &'static str,
    /// What it held.
    pub value: String,
    /// What this version takes there.
    pub expected: &'static str,
}

const PCM_RATES: &str = "8000, 16000, 24000, 32000, 44100 or 48000 for PCM";
const OPUS_RATES: &str = "48000 (or 8000, 12000, 16000, 24000) for Opus";
const NAMES: &str = "one of PCM8, PCM16, PCM16_8KHZ, PCM16_16KHZ, L16, audio/l16, audio/x-l16, audio/pcm, \
     linear16, pcm_s16le, pcm_s16be, pcm_u8, pcm_s24le, pcm_f32le, ULAW, PCMU, mulaw, pcm_mulaw, audio/x-mulaw, \
     audio/basic, ALAW, PCMA, pcm_alaw, audio/x-alaw, G722, audio/g722, OPUS, audio/opus, audio/ogg";

/// What a name says by itself, before the rate has its word.
enum Family {
    Pcm { format: SampleFormat, default_rate: u32 },
    Ulaw,
    Alaw,
    G722,
    Opus,
    OggOpus,
}

impl Encoding {
    /// The encoding that the `mediaFormat` of a `start` event names, once it can be decoded here.
    ///
    /// Case does not matter and MIME parameters are read (`audio/l16;rate=16000`). No name means
    /// PCM. For PCM the rate decides: `sample_rate`, else the MIME `rate`, else the one the name
    /// stands for, else 8000 Hz.
    pub fn from_wire(
        encoding: Option<&str>,
        sample_rate: Option<u32>,
        channels: Option<u32>,
    ) -> Result<Self, FormatError> {
        match Self::received(encoding, sample_rate, channels)? {
            (encoding, Channels::Mono) => Ok(encoding),
            (_, Channels::Stereo) => Err(wrong("channels", "2", "1 (mono), or 2 for Opus")),
        }
    }

    /// As [`from_wire`](Self::from_wire), for what is received: PCM and G.711 may have two channels, interleaved. Opus is
    /// mixed down by its decoder, whatever it has inside.
    pub fn received(
        encoding: Option<&str>,
        sample_rate: Option<u32>,
        channels: Option<u32>,
    ) -> Result<(Self, Channels), FormatError> {
        let given = encoding.unwrap_or("PCM8");
        let mut parts = given.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let family = family(name).ok_or_else(|| wrong("encoding", given, NAMES))?;
        let (mut rate, mut channels) = (sample_rate, channels);
        for parameter in parts {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            let number =
                || value.parse::<u32>().map_err(|_| wrong("encoding", given, "a number as its MIME parameter"));
            if key.eq_ignore_ascii_case("rate") {
                rate = Some(rate.unwrap_or(number()?));
            } else if key.eq_ignore_ascii_case("channels") {
                channels = Some(channels.unwrap_or(number()?));
            }
        }

        let most = if matches!(family, Family::G722) { 1 } else { 2 };
        if let Some(channels) = channels.filter(|channels| !(1..=most).contains(channels)) {
            return Err(wrong("channels", &channels.to_string(), "1 (mono), or 2 for PCM, G.711 and Opus"));
        }
        let interleaved = matches!(family, Family::Pcm { .. } | Family::Ulaw | Family::Alaw) && channels == Some(2);
        let encoding = match family {
            Family::Pcm { format, default_rate } => match rate.unwrap_or(default_rate) {
                rate if resample::RATES.contains(&rate) => Ok(Self::Pcm { format, rate }),
                rate => Err(wrong("sampleRate", &rate.to_string(), PCM_RATES)),
            },
            Family::Ulaw => fixed(Self::Ulaw, rate, &[8000], "8000 for G.711"),
            Family::Alaw => fixed(Self::Alaw, rate, &[8000], "8000 for G.711"),
            // RTP counts its time at 8 kHz by an old mistake (RFC 3551 section 4.5.2), and so some senders say 8000.
            Family::G722 => fixed(Self::G722, rate, &[16_000, 8000], "16000 or 8000 for G.722"),
            Family::Opus => fixed(Self::Opus, rate, &opus::RATES, OPUS_RATES),
            Family::OggOpus => fixed(Self::OggOpus, rate, &opus::RATES, OPUS_RATES),
        }?;
        Ok((encoding, if interleaved { Channels::Stereo } else { Channels::Mono }))
    }

    /// Signed 16-bit little-endian PCM at `rate` Hz.
    pub const fn pcm16(rate: u32) -> Self {
        Self::Pcm { format: SampleFormat::S16Le, rate }
    }

    /// The name that is sent.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Pcm { format: SampleFormat::S16Le, rate: 8000 } => "PCM8",
            Self::Pcm { format: SampleFormat::S16Le, .. } => "PCM16",
            Self::Pcm { format: SampleFormat::S16Be, .. } => "pcm_s16be",
            Self::Pcm { format: SampleFormat::U8, .. } => "pcm_u8",
            Self::Pcm { format: SampleFormat::S24Le, .. } => "pcm_s24le",
            Self::Pcm { format: SampleFormat::F32Le, .. } => "pcm_f32le",
            Self::Ulaw => "ULAW",
            Self::Alaw => "ALAW",
            Self::G722 => "G722",
            Self::Opus => "OPUS",
            Self::OggOpus => "audio/ogg",
        }
    }

    /// What people call it: Opus has one name, however it is packed, and PCM16 at other rates than `VoxEngine`'s says so.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcm { format: SampleFormat::S16Le, rate: 24_000 } => "audio/l16;rate=24000",
            Self::Pcm { format: SampleFormat::S16Le, rate: 32_000 } => "audio/l16;rate=32000",
            Self::Pcm { format: SampleFormat::S16Le, rate: 44_100 } => "audio/l16;rate=44100",
            Self::Pcm { format: SampleFormat::S16Le, rate: 48_000 } => "audio/l16;rate=48000",
            Self::OggOpus => Self::Opus.wire_name(),
            other => other.wire_name(),
        }
    }

    /// Samples a second.
    pub fn sample_rate(self) -> u32 {
        match self {
            Self::Pcm { rate, .. } => rate,
            Self::Ulaw | Self::Alaw => 8000,
            Self::G722 => g722::RATE,
            Self::Opus | Self::OggOpus => opus::RATE,
        }
    }
}

fn family(name: &str) -> Option<Family> {
    let pcm = |format| Family::Pcm { format, default_rate: 8000 };
    let pcm16 = Family::Pcm { format: SampleFormat::S16Le, default_rate: 16_000 };
    Some(match name.to_ascii_lowercase().as_str() {
        // L16 of RFC 3551 is big-endian; whoever sends it over a WebSocket, `VoxEngine` among them, means little-endian.
        "pcm8" | "pcm16_8khz" | "l16" | "audio/l16" | "audio/x-l16" | "audio/pcm" | "linear16" | "pcm_s16le" => {
            pcm(SampleFormat::S16Le)
        }
        "pcm16" | "pcm16_16khz" => pcm16,
        "pcm_s16be" => pcm(SampleFormat::S16Be),
        "pcm_u8" => pcm(SampleFormat::U8),
        "pcm_s24le" => pcm(SampleFormat::S24Le),
        "pcm_f32le" => pcm(SampleFormat::F32Le),
        "ulaw" | "pcmu" | "mulaw" | "pcm_mulaw" | "audio/pcmu" | "audio/x-mulaw" | "audio/basic" => Family::Ulaw,
        "alaw" | "pcma" | "pcm_alaw" | "audio/pcma" | "audio/x-alaw" => Family::Alaw,
        "g722" | "audio/g722" => Family::G722,
        "opus" | "audio/opus" => Family::Opus,
        "audio/ogg" => Family::OggOpus,
        _ => return None,
    })
}

/// An encoding whose rate is what it is: a sender may name it, or a rate that stands for it.
fn fixed(
    encoding: Encoding,
    rate: Option<u32>,
    named: &[u32],
    expected: &'static str,
) -> Result<Encoding, FormatError> {
    match rate {
        Some(rate) if !named.contains(&rate) => Err(wrong("sampleRate", &rate.to_string(), expected)),
        _ => Ok(encoding),
    }
}

fn wrong(field: &'static str, value: &str, expected: &'static str) -> FormatError {
    FormatError { field, value: value.chars().take(64).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCM8: Encoding = Encoding::pcm16(8000);
    const PCM16: Encoding = Encoding::pcm16(16_000);

    #[test]
    fn every_spelling_of_the_wire() {
        let table = [
            (None, None, PCM8),
            (None, Some(16_000), PCM16),
            (Some("PCM8"), None, PCM8),
            (Some("PCM8"), Some(16_000), PCM16),
            (Some("pcm16"), None, PCM16),
            (Some("PCM16"), Some(8000), PCM8),
            (Some("PCM16_8KHZ"), None, PCM8),
            (Some("Pcm16_16kHz"), None, PCM16),
            (Some("ULAW"), None, Encoding::Ulaw),
            (Some("ulaw"), Some(8000), Encoding::Ulaw),
            (Some("PCMU"), None, Encoding::Ulaw),
            (Some("audio/x-mulaw"), Some(8000), Encoding::Ulaw),
            (Some("audio/basic"), None, Encoding::Ulaw),
            (Some("audio/PCMU;rate=8000"), None, Encoding::Ulaw),
            (Some("ALAW"), None, Encoding::Alaw),
            (Some("pcma"), None, Encoding::Alaw),
            (Some("audio/x-alaw"), None, Encoding::Alaw),
            (Some("audio/l16"), Some(8000), PCM8),
            (Some("audio/L16"), Some(16_000), PCM16),
            (Some("L16"), Some(16_000), PCM16),
            (Some("audio/x-l16"), Some(16_000), PCM16),
            (Some("audio/l16"), None, PCM8),
            (Some("audio/l16;rate=16000"), None, PCM16),
            (Some("audio/L16 ; channels=1 ; Rate=\"16000\""), None, PCM16),
            (Some("audio/l16;rate=16000"), Some(8000), PCM8),
            (Some("audio/pcm;rate=16000;endianness=little"), None, PCM16),
            (Some("audio/l16;rate=24000"), None, Encoding::pcm16(24_000)),
            (Some("PCM16"), Some(44_100), Encoding::pcm16(44_100)),
            (Some("linear16"), Some(24_000), Encoding::pcm16(24_000)),
            (Some("pcm_s16le"), None, PCM8),
            (Some("PCM_S16LE"), Some(16_000), PCM16),
            (Some("pcm_s16be;rate=32000"), None, Encoding::Pcm { format: SampleFormat::S16Be, rate: 32_000 }),
            (Some("pcm_u8"), Some(8000), Encoding::Pcm { format: SampleFormat::U8, rate: 8000 }),
            (Some("Pcm_S24le"), Some(48_000), Encoding::Pcm { format: SampleFormat::S24Le, rate: 48_000 }),
            (Some("pcm_f32le"), Some(44_100), Encoding::Pcm { format: SampleFormat::F32Le, rate: 44_100 }),
            (Some("pcm_mulaw"), Some(8000), Encoding::Ulaw),
            (Some("mulaw"), None, Encoding::Ulaw),
            (Some("PCM_ALAW"), None, Encoding::Alaw),
            (Some("G722"), Some(8000), Encoding::G722),
            (Some("audio/G722"), None, Encoding::G722),
            (Some("OPUS"), Some(48_000), Encoding::Opus),
            (Some("audio/opus;rate=16000"), None, Encoding::Opus),
            (Some("Audio/Ogg"), None, Encoding::OggOpus),
            (Some("audio/ogg; codecs=opus"), None, Encoding::OggOpus),
        ];
        for (name, rate, expected) in table {
            for channels in [None, Some(1)] {
                let got = Encoding::from_wire(name, rate, channels);
                assert_eq!(got, Ok(expected), "{name:?} {rate:?}");
            }
        }
    }

    #[test]
    fn a_wire_name_reads_back() {
        for encoding in [PCM8, PCM16, Encoding::Ulaw, Encoding::Alaw, Encoding::G722, Encoding::Opus, Encoding::OggOpus]
        {
            let (name, rate) = (encoding.wire_name(), encoding.sample_rate());
            assert_eq!(Encoding::from_wire(Some(name), None, None), Ok(encoding));
            assert_eq!(Encoding::from_wire(Some(name), Some(rate), Some(1)), Ok(encoding));
        }
        for format in SampleFormat::ALL {
            for rate in resample::RATES {
                let encoding = Encoding::Pcm { format, rate };
                assert_eq!(Encoding::from_wire(Some(encoding.wire_name()), Some(rate), Some(1)), Ok(encoding));
                if format == SampleFormat::S16Le {
                    assert_eq!(Encoding::from_wire(Some(encoding.name()), None, None), Ok(encoding), "without a rate");
                }
            }
        }
    }

    #[test]
    fn two_channels_of_pcm_and_g711_are_received_and_not_sent() {
        for (name, channels, expected) in [
            ("PCM16", Some(2), Channels::Stereo),
            ("audio/x-mulaw", Some(2), Channels::Stereo),
            ("pcm_f32le;rate=24000;channels=2", None, Channels::Stereo),
            ("PCMA", Some(1), Channels::Mono),
            ("OPUS", Some(2), Channels::Mono),
        ] {
            assert_eq!(Encoding::received(Some(name), None, channels).map(|(_, channels)| channels), Ok(expected));
            let sent = Encoding::from_wire(Some(name), None, channels);
            assert_eq!(sent.is_ok(), expected == Channels::Mono, "{name}");
        }
        for (name, channels) in [("G722", 2), ("PCM8", 3), ("ULAW", 0)] {
            let error = Encoding::received(Some(name), None, Some(channels)).expect_err("an error");
            assert_eq!((error.field, error.value), ("channels", channels.to_string()));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let error = |name, rate, channels| Encoding::from_wire(name, rate, channels).expect_err("an error");
        assert_eq!(
            error(Some("MP3"), None, None).to_string(),
            format!("media format: field \"encoding\" is \"MP3\"; expected {NAMES}")
        );
        for name in ["OPUS", "Audio/Ogg"] {
            let error = error(Some(name), Some(44_100), None);
            assert_eq!((error.field, error.value.as_str()), ("sampleRate", "44100"));
        }
        assert_eq!(error(Some("G722"), Some(48_000), None).expected, "16000 or 8000 for G.722");
        for rate in [0, 7999, 11_025, 96_000, u32::MAX] {
            let error = error(Some("PCM16"), Some(rate), None);
            assert_eq!((error.field, error.value), ("sampleRate", rate.to_string()));
        }
        assert_eq!(
            error(Some("PCMU"), Some(16_000), None).to_string(),
            "media format: field \"sampleRate\" is \"16000\"; expected 8000 for G.711"
        );
        for channels in [0, 2] {
            let error = error(None, None, Some(channels));
            assert_eq!((error.field, error.value), ("channels", channels.to_string()));
        }
        assert_eq!(error(Some("OPUS"), None, Some(3)).field, "channels");
        assert_eq!(Encoding::from_wire(Some("OPUS"), None, Some(2)), Ok(Encoding::Opus));
        assert_eq!(error(Some("audio/l16;channels=2"), None, None).field, "channels");
        assert_eq!(error(Some("audio/l16;rate=fast"), None, None).field, "encoding");
        assert_eq!(error(Some(""), None, None).value, "");
        assert_eq!(error(Some(&"é".repeat(1000)), None, None).value, "é".repeat(64));
    }
}
