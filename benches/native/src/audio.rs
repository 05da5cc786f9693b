//! The audio of the bridged calls: prepared streams to send, and what came out of the bridge, listened to.
//!
//! Each 20 ms frame has a level of its own, one of 16 in turn: whoever receives the frames can tell which one it is, and
//! whether one is missing, repeated or made up. Independent of voxwire and of audioop.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::websocket;

/// How many levels there are.
const LEVELS: usize = 16;
/// µ-law is this coarse near full scale.
const TOLERANCE: i32 = 600;

/// One of the two formats of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// G.711 µ-law at 8 kHz: the callers'.
    Ulaw,
    /// 16-bit PCM at 16 kHz: the agents'.
    Pcm16,
}

fn level(number: usize) -> i32 {
    2000 + 1500 * (number % LEVELS) as i32
}

/// One code decoded; ITU-T G.711 table 2.
fn ulaw_value(code: u8) -> i32 {
    let code = i32::from(!code);
    let value = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 0x07)) - 0x84;
    if code & 0x80 == 0 { value } else { -value }
}

/// The code nearest to a value.
fn ulaw_code(value: i32) -> u8 {
    (0..=255).min_by_key(|&code| (ulaw_value(code) - value).abs()).unwrap_or_default()
}

impl Format {
    fn payload(self, number: usize) -> Vec<u8> {
        match self {
            Self::Ulaw => vec![ulaw_code(level(number)); 160],
            Self::Pcm16 => (level(number) as i16).to_le_bytes().repeat(320),
        }
    }

    /// WebSocket frames: start, `count` media, stop.
    pub fn stream(self, count: usize, key: Option<[u8; 4]>) -> Vec<Vec<u8>> {
        let (name, rate, samples) = match self {
            Self::Ulaw => ("ULAW", 8000, 160),
            Self::Pcm16 => ("PCM16", 16_000, 320),
        };
        let encoded: Vec<String> = (0..LEVELS).map(|number| STANDARD.encode(self.payload(number))).collect();
        let form = json!({"encoding": name, "sampleRate": rate, "channels": 1});
        let start = json!({"event": "start", "sequenceNumber": 0, "start": {"tag": "call", "mediaFormat": form}});
        let media = (0..count).map(|number| {
            json!({"event": "media", "sequenceNumber": number + 1, "media": {
                "tag": "call", "chunk": number + 1, "timestamp": number * samples, "payload": encoded[number % LEVELS],
            }})
        });
        let info = json!({"bytesSent": self.payload(0).len() * count, "duration": count * 20});
        let stop = json!({"event": "stop", "sequenceNumber": count + 1, "stop": {"tag": "call", "mediaInfo": info}});
        let frame = |event: serde_json::Value| websocket::build(websocket::TEXT, event.to_string().as_bytes(), key);
        std::iter::once(start).chain(media).chain([stop]).map(frame).collect()
    }

    /// Which of the levels a media message holds; `None` when it is none of them. The length is whatever a bridge makes of
    /// 20 ms.
    pub fn heard(self, message: &[u8]) -> Option<usize> {
        let event: serde_json::Value = serde_json::from_slice(message).ok()?;
        let data = STANDARD.decode(event["media"]["payload"].as_str()?).ok()?;
        let samples: Vec<i32> = match self {
            Self::Ulaw => data.into_iter().map(ulaw_value).collect(),
            Self::Pcm16 => data.as_chunks::<2>().0.iter().map(|&bytes| i32::from(i16::from_le_bytes(bytes))).collect(),
        };
        let mut middle = samples[samples.len() / 3..samples.len() * 2 / 3].to_vec();
        middle.sort_unstable();
        let value = *middle.get(middle.len() / 2)?;
        let index = (0..LEVELS).min_by_key(|&index| (level(index) - value).abs())?;
        ((level(index) - value).abs() <= TOLERANCE).then_some(index)
    }
}

/// Follows one leg: counts the frames that are not the one after the frame before them.
#[derive(Debug, Default)]
pub struct Listener {
    before: Option<usize>,
    /// Frames listened to.
    pub probed: u64,
    /// Those that were wrong.
    pub wrong: u64,
}

impl Listener {
    /// Listens to one media message.
    pub fn take(&mut self, format: Format, message: &[u8]) {
        let level = format.heard(message);
        let follows = match (self.before, level) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(level)) => level == (before + 1) % LEVELS,
        };
        self.wrong += u64::from(!follows);
        self.probed += 1;
        self.before = level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_recognised_and_what_is_missing_too() {
        for format in [Format::Ulaw, Format::Pcm16] {
            let frames = format.stream(40, Some([9, 8, 7, 6]));
            assert_eq!(frames.len(), 42);
            let mut all = Listener::default();
            let mut gap = Listener::default();
            for (number, frame) in frames[1..41].iter().enumerate() {
                let message = websocket::payload(frame);
                all.take(format, &message);
                if number != 20 {
                    gap.take(format, &message);
                }
            }
            assert_eq!((all.probed, all.wrong), (40, 0));
            assert_eq!((gap.probed, gap.wrong), (39, 1));
        }
    }

    #[test]
    fn mu_law_is_that_of_the_recommendation() {
        assert_eq!([0x00, 0x80, 0xFF, 0x7F].map(ulaw_value), [-32_124, 32_124, 0, 0]);
    }
}
