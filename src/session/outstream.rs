//! One outgoing media stream: turns PCM frames into `start`, `media` and `stop` messages.
//! It knows no socket and no route; it appends JSON text to a buffer that somebody sends.

use crate::media::codec::Encoder;
use crate::media::encoding::Encoding;
use crate::media::event;
use crate::media::opus::{EncoderConfig, OpusError};
use crate::media::scratch;

/// Numbering and state of one outgoing stream (`VoxEngine`, "Media stream format").
#[derive(Debug)]
pub struct OutStream {
    tag: String,
    encoder: Encoder,
    running: bool,
    numbers: Numbers,
}

/// What the messages of a stream count.
#[derive(Debug, Default)]
struct Numbers {
    sequence: u64,
    chunk: u64,
    timestamp: u64,
    bytes: u64,
}

impl OutStream {
    /// A stream that has not started. An empty tag leaves the field out. `opus` is how Opus is made, if that is the encoding:
    /// fails where its parameters are wrong, or there is no memory for the encoder.
    pub fn new(encoding: Encoding, opus: EncoderConfig) -> Result<Self, OpusError> {
        Ok(Self {
            tag: String::new(),
            encoder: Encoder::new(encoding, opus)?,
            running: false,
            numbers: Numbers::default(),
        })
    }

    /// How the audio is sent.
    pub fn encoding(&self) -> Encoding {
        self.encoder.encoding()
    }

    /// Whether a `start` was written and no `stop` since.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Appends the `start` message. `custom` is JSON text.
    pub fn start(&mut self, tag: &str, custom: Option<&str>, out: &mut Vec<u8>) {
        tag.clone_into(&mut self.tag);
        self.running = true;
        self.numbers = Numbers { sequence: self.numbers.sequence, ..Numbers::default() };
        event::write_start(out, self.numbers.sequence, &self.tag, self.encoding(), custom);
        self.numbers.sequence += 1;
    }

    /// Encodes these samples, which have the rate of the encoding, and calls `send` for each `media` message that they
    /// complete, with its samples; none for what DTX leaves out. `out` is where the message is written.
    pub fn media(&mut self, pcm: &[i16], out: &mut Vec<u8>, mut send: impl FnMut(&[u8], usize)) {
        let Self { encoder, numbers, tag, .. } = self;
        scratch::bytes(|payload| {
            // libopus refuses no frame of the right length, and the encoder gives it no other.
            let _ = encoder.encode(pcm, payload, |bytes, samples| numbers.media(tag, bytes, samples, out, &mut send));
        });
    }

    /// Sends what the encoder has kept back, then the `stop` message, with 0 samples; the next `start` begins a new stream.
    pub fn stop(&mut self, out: &mut Vec<u8>, mut send: impl FnMut(&[u8], usize)) {
        let rate = u64::from(self.encoding().sample_rate());
        let Self { encoder, numbers, tag, .. } = self;
        scratch::bytes(|payload| {
            let _ = encoder.finish(payload, |bytes, samples| numbers.media(tag, bytes, samples, out, &mut send));
        });
        out.clear();
        event::write_stop(out, numbers.sequence, tag, numbers.bytes, numbers.timestamp * 1000 / rate);
        send(out, 0);
        self.running = false;
        self.numbers.sequence = 0;
    }
}

impl Numbers {
    fn media(
        &mut self,
        tag: &str,
        payload: &[u8],
        samples: usize,
        out: &mut Vec<u8>,
        send: &mut impl FnMut(&[u8], usize),
    ) {
        let timestamp = self.timestamp;
        self.timestamp += samples as u64;
        if payload.is_empty() {
            // As over RTP (RFC 7587 section 3.1.3): time goes on, numbers do not, so that nobody takes it for a loss.
            return;
        }
        self.chunk += 1;
        out.clear();
        event::write_media(out, self.sequence, tag, self.chunk, timestamp, payload);
        self.sequence += 1;
        self.bytes += payload.len() as u64;
        send(out, samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(out: &mut Vec<u8>) -> serde_json::Value {
        let value = serde_json::from_slice(out).expect("valid JSON");
        out.clear();
        value
    }

    #[test]
    fn start_media_stop_carry_the_numbers_of_the_format() {
        let mut stream = OutStream::new(Encoding::Ulaw, EncoderConfig::default()).unwrap();
        let mut out = Vec::new();
        stream.start("t", Some(r#"{"a":1}"#), &mut out);
        let start = json(&mut out);
        assert_eq!(start["sequenceNumber"], 0);
        assert_eq!(start["start"]["tag"], "t");
        assert_eq!(start["start"]["mediaFormat"]["encoding"], "ULAW");
        assert_eq!(start["start"]["customParameters"], r#"{"a":1}"#);

        for n in 0..3_u64 {
            let mut sent = Vec::new();
            stream.media(&[0; 160], &mut out, |json, samples| sent.push((json.to_vec(), samples)));
            let [(media, 160)] = sent.as_mut_slice() else { panic!("{sent:?}") };
            let media = json(media);
            assert_eq!(media["sequenceNumber"], n + 1);
            assert_eq!(media["media"]["chunk"], n + 1);
            assert_eq!(media["media"]["timestamp"], n * 160);
            assert_eq!(media["media"]["tag"], "t");
        }
        let mut sent = Vec::new();
        stream.stop(&mut out, |json, _| sent.push(json.to_vec()));
        let [stop] = sent.as_mut_slice() else { panic!("{sent:?}") };
        let stop = json(stop);
        assert_eq!(stop["sequenceNumber"], 4);
        assert_eq!(stop["stop"]["mediaInfo"]["bytesSent"], 480);
        assert_eq!(stop["stop"]["mediaInfo"]["duration"], 60);
        assert!(!stream.is_running());
    }

    #[test]
    fn what_dtx_leaves_out_takes_time_and_no_number() {
        let config = EncoderConfig { dtx: true, ..EncoderConfig::default() };
        let mut stream = OutStream::new(Encoding::Opus, config).unwrap();
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        stream.start("", None, &mut out);
        for _ in 0..100 {
            stream.media(&[0; 960], &mut out, |json, _| sent.push(json.to_vec()));
        }
        stream.stop(&mut out, |json, _| sent.push(json.to_vec()));
        let mut events: Vec<_> = sent.iter_mut().map(json).collect();
        let stop = events.pop().unwrap();
        assert_eq!(stop["stop"]["mediaInfo"]["duration"], 2000);
        assert!((5..50).contains(&events.len()), "{} packets of silence", events.len());
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event["sequenceNumber"], n + 1);
            assert_eq!(event["media"]["chunk"], n + 1);
        }
        assert!(events.last().unwrap()["media"]["timestamp"].as_u64().unwrap() > 60 * 960);
    }

    #[test]
    fn opus_is_sent_in_frames_of_20_ms_whatever_comes_in() {
        let mut stream = OutStream::new(Encoding::Opus, EncoderConfig::default()).unwrap();
        let mut out = Vec::new();
        stream.start("", None, &mut out);
        assert_eq!(json(&mut out)["start"]["mediaFormat"]["sampleRate"], 48_000);
        let mut sent = Vec::new();
        for _ in 0..5 {
            stream.media(&[100; 700], &mut out, |json, samples| sent.push((json.to_vec(), samples)));
        }
        stream.stop(&mut out, |json, samples| sent.push((json.to_vec(), samples)));
        let samples: Vec<usize> = sent.iter().map(|(_, samples)| *samples).collect();
        assert_eq!(samples, [960, 960, 960, 960, 0]);
        let media: Vec<_> = sent.iter_mut().map(|(message, _)| json(message)).collect();
        assert_eq!(media[3]["media"]["timestamp"], 3 * 960);
        assert_eq!(media[4]["stop"]["mediaInfo"]["duration"], 80);
    }
}
