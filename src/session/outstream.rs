//! One outgoing media stream: turns PCM frames into `start`, `media` and `stop` messages.
//! It knows no socket and no route; it appends JSON text to a buffer that somebody sends.

use crate::media::encoding::Encoding;
use crate::media::event;

/// Numbering and state of one outgoing stream (`VoxEngine`, "Media stream format").
#[derive(Debug)]
pub struct OutStream {
    tag: String,
    encoding: Encoding,
    running: bool,
    sequence: u64,
    chunk: u64,
    timestamp: u64,
    bytes: u64,
    payload: Vec<u8>,
}

impl OutStream {
    /// A stream that has not started. An empty tag leaves the field out.
    pub fn new(encoding: Encoding) -> Self {
        Self {
            tag: String::new(),
            encoding,
            running: false,
            sequence: 0,
            chunk: 0,
            timestamp: 0,
            bytes: 0,
            payload: Vec::new(),
        }
    }

    /// How the audio is sent.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether a `start` was written and no `stop` since.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Appends the `start` message. `custom` is JSON text.
    pub fn start(&mut self, tag: &str, custom: Option<&str>, out: &mut Vec<u8>) {
        tag.clone_into(&mut self.tag);
        self.running = true;
        (self.chunk, self.timestamp, self.bytes) = (0, 0, 0);
        event::write_start(out, self.sequence, &self.tag, self.encoding, custom);
        self.sequence += 1;
    }

    /// Appends one `media` message with these samples at the rate of the encoding.
    pub fn media(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        self.payload.clear();
        self.encoding.encode_into(pcm, &mut self.payload);
        self.chunk += 1;
        event::write_media(out, self.sequence, &self.tag, self.chunk, self.timestamp, &self.payload);
        self.sequence += 1;
        self.timestamp += pcm.len() as u64;
        self.bytes += self.payload.len() as u64;
    }

    /// Appends the `stop` message; the next `start` begins a new stream.
    pub fn stop(&mut self, out: &mut Vec<u8>) {
        let duration_ms = self.timestamp * 1000 / u64::from(self.encoding.sample_rate());
        event::write_stop(out, self.sequence, &self.tag, self.bytes, duration_ms);
        self.running = false;
        self.sequence = 0;
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
        let mut stream = OutStream::new(Encoding::Ulaw);
        let mut out = Vec::new();
        stream.start("t", Some(r#"{"a":1}"#), &mut out);
        let start = json(&mut out);
        assert_eq!(start["sequenceNumber"], 0);
        assert_eq!(start["start"]["tag"], "t");
        assert_eq!(start["start"]["mediaFormat"]["encoding"], "ULAW");
        assert_eq!(start["start"]["customParameters"], r#"{"a":1}"#);

        for n in 0..3_u64 {
            stream.media(&[0; 160], &mut out);
            let media = json(&mut out);
            assert_eq!(media["sequenceNumber"], n + 1);
            assert_eq!(media["media"]["chunk"], n + 1);
            assert_eq!(media["media"]["timestamp"], n * 160);
            assert_eq!(media["media"]["tag"], "t");
        }
        stream.stop(&mut out);
        let stop = json(&mut out);
        assert_eq!(stop["sequenceNumber"], 4);
        assert_eq!(stop["stop"]["mediaInfo"]["bytesSent"], 480);
        assert_eq!(stop["stop"]["mediaInfo"]["duration"], 60);
        assert!(!stream.is_running());
    }
}
