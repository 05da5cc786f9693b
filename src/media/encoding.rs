//! The audio encodings and the names they have on the wire.
//!
//! Here: name and rate -> `Encoding`, bytes <-> samples. Not here: the JSON around them (`event`).

use thiserror::Error;

use super::{g711, pcm};

/// How the bytes of a stream become samples. Always one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Signed 16-bit little-endian PCM at `rate` Hz.
    Pcm {
        /// Sample rate in Hz.
        rate: u32,
    },
    /// ITU-T G.711 µ-law, 8 kHz.
    Ulaw,
    /// ITU-T G.711 A-law, 8 kHz.
    Alaw,
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

/// A payload whose bytes are no whole number of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// 16-bit PCM needs two bytes a sample.
    #[error("media payload: {bytes} bytes of 16-bit PCM; expected an even number (2 bytes a sample)")]
    OddPcm {
        /// Length of the payload in bytes.
        bytes: usize,
    },
}

const NAMES: &str = "one of PCM8, PCM16, PCM16_8KHZ, PCM16_16KHZ, L16, audio/l16, audio/x-l16, audio/pcm, \
     ULAW, PCMU, audio/x-mulaw, audio/basic, ALAW, PCMA, audio/x-alaw";
const NOT_YET: &str = "PCM8, PCM16, ULAW or ALAW (this version cannot decode Opus)";

/// What a name says by itself, before the rate has its word.
enum Family {
    Pcm { default_rate: u32 },
    Ulaw,
    Alaw,
    Opus,
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
        let given = encoding.unwrap_or("PCM8");
        let mut parts = given.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let family = family(name).ok_or_else(|| wrong("encoding", given, NAMES))?;
        if matches!(family, Family::Opus) {
            return Err(wrong("encoding", given, NOT_YET));
        }

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

        if let Some(channels) = channels.filter(|&channels| channels != 1) {
            return Err(wrong("channels", &channels.to_string(), "1 (mono)"));
        }
        let g711 = |encoding| match rate {
            None | Some(8000) => Ok(encoding),
            Some(rate) => Err(wrong("sampleRate", &rate.to_string(), "8000 for G.711")),
        };
        match family {
            Family::Pcm { default_rate } => match rate.unwrap_or(default_rate) {
                rate @ (8000 | 16_000) => Ok(Self::Pcm { rate }),
                rate => Err(wrong("sampleRate", &rate.to_string(), "8000 or 16000 for PCM")),
            },
            Family::Ulaw => g711(Self::Ulaw),
            Family::Alaw => g711(Self::Alaw),
            Family::Opus => Err(wrong("encoding", given, NOT_YET)),
        }
    }

    /// The name that is sent: `PCM8`, `PCM16`, `ULAW` or `ALAW`.
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Pcm { rate: 8000 } => "PCM8",
            Self::Pcm { .. } => "PCM16",
            Self::Ulaw => "ULAW",
            Self::Alaw => "ALAW",
        }
    }

    /// Samples a second.
    pub fn sample_rate(self) -> u32 {
        match self {
            Self::Pcm { rate } => rate,
            Self::Ulaw | Self::Alaw => 8000,
        }
    }

    /// Appends the samples of `bytes` to `out`; on an error `out` is as before.
    pub fn decode_into(self, bytes: &[u8], out: &mut Vec<i16>) -> Result<(), PayloadError> {
        match self {
            Self::Pcm { .. } if !bytes.len().is_multiple_of(2) => {
                return Err(PayloadError::OddPcm { bytes: bytes.len() });
            }
            Self::Pcm { .. } => pcm::from_le_bytes_into(bytes, out),
            Self::Ulaw => g711::ulaw_decode_into(bytes, out),
            Self::Alaw => g711::alaw_decode_into(bytes, out),
        }
        Ok(())
    }

    /// Appends the bytes of `pcm` to `out`.
    pub fn encode_into(self, pcm: &[i16], out: &mut Vec<u8>) {
        match self {
            Self::Pcm { .. } => pcm::to_le_bytes_into(pcm, out),
            Self::Ulaw => g711::ulaw_encode_into(pcm, out),
            Self::Alaw => g711::alaw_encode_into(pcm, out),
        }
    }
}

fn family(name: &str) -> Option<Family> {
    let pcm8 = Family::Pcm { default_rate: 8000 };
    let pcm16 = Family::Pcm { default_rate: 16_000 };
    Some(match name.to_ascii_lowercase().as_str() {
        "pcm8" | "pcm16_8khz" | "l16" | "audio/l16" | "audio/x-l16" | "audio/pcm" => pcm8,
        "pcm16" | "pcm16_16khz" => pcm16,
        "ulaw" | "pcmu" | "audio/pcmu" | "audio/x-mulaw" | "audio/basic" => Family::Ulaw,
        "alaw" | "pcma" | "audio/pcma" | "audio/x-alaw" => Family::Alaw,
        "opus" | "audio/opus" | "audio/ogg" => Family::Opus,
        _ => return None,
    })
}

fn wrong(field: &'static str, value: &str, expected: &'static str) -> FormatError {
    FormatError { field, value: value.chars().take(64).collect(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCM8: Encoding = Encoding::Pcm { rate: 8000 };
    const PCM16: Encoding = Encoding::Pcm { rate: 16_000 };

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
        for encoding in [PCM8, PCM16, Encoding::Ulaw, Encoding::Alaw] {
            let (name, rate) = (encoding.wire_name(), encoding.sample_rate());
            assert_eq!(Encoding::from_wire(Some(name), None, None), Ok(encoding));
            assert_eq!(Encoding::from_wire(Some(name), Some(rate), Some(1)), Ok(encoding));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_named() {
        let error = |name, rate, channels| Encoding::from_wire(name, rate, channels).expect_err("an error");
        assert_eq!(
            error(Some("MP3"), None, None).to_string(),
            format!("media format: field \"encoding\" is \"MP3\"; expected {NAMES}")
        );
        for name in ["OPUS", "audio/opus", "Audio/Ogg", "audio/ogg; codecs=opus"] {
            let error = error(Some(name), Some(48_000), None);
            assert_eq!((error.field, error.value.as_str()), ("encoding", name));
            assert!(error.expected.contains("cannot decode Opus"));
        }
        for rate in [0, 7999, 11_025, 24_000, 48_000, u32::MAX] {
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
        assert_eq!(error(Some("audio/l16;channels=2"), None, None).field, "channels");
        assert_eq!(error(Some("audio/l16;rate=fast"), None, None).field, "encoding");
        assert_eq!(error(Some(""), None, None).value, "");
        assert_eq!(error(Some(&"é".repeat(1000)), None, None).value, "é".repeat(64));
    }

    #[test]
    fn an_odd_number_of_pcm_bytes_is_an_error_and_leaves_the_output_alone() {
        let mut out = vec![7];
        let error = PCM8.decode_into(&[1, 2, 3], &mut out);
        assert_eq!(error, Err(PayloadError::OddPcm { bytes: 3 }));
        assert_eq!(out, [7]);
        Encoding::Ulaw.decode_into(&[0xFF, 0xFF, 0xFF], &mut out).expect("any number of G.711 bytes");
        assert_eq!(out, [7, 0, 0, 0]);
    }

    #[test]
    fn bytes_and_samples_append() {
        let pcm = [0, 1, -1, i16::MAX, i16::MIN];
        for encoding in [PCM8, PCM16] {
            let (mut bytes, mut back) = (vec![], vec![]);
            encoding.encode_into(&pcm[..2], &mut bytes);
            encoding.encode_into(&pcm[2..], &mut bytes);
            encoding.decode_into(&bytes, &mut back).expect("even");
            assert_eq!(back, pcm);
        }
    }
}
