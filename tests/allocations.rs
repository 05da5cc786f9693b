//! How often the hot paths ask for memory: exact figures, the same on every machine, so that one more is seen at once.
//! Warm: buffers have found their size before anything is counted. How long things take is for benches/.

use std::time::{Duration, Instant};

use voxwire::media::codec::{Decoder, Encoder};
use voxwire::media::encoding::Encoding;
use voxwire::media::event::{self, MediaEvent};
use voxwire::media::mixer::Mixer;
use voxwire::media::opus;
use voxwire::media::resample::Resampler;
use voxwire::proto::{
    CloseFrame, DeflateConfig, FrameLimits, FrameReader, FrameWriter, Limits, Negotiated, Payload, Receiver, Role,
    Sender, Text,
    handshake::{ClientRequest, HandshakeLimits, RequestParser, ResponseParser},
};
use voxwire::session::inbound::{self, Port};
use voxwire::session::{Applied, MediaRefusal, Outbound, Output, Streams, StreamsConfig};

#[path = "support/memory.rs"]
mod memory;
use memory::allocations;

const FRAME: Duration = Duration::from_millis(20);
const ROUNDS: usize = 100;

/// Takes messages as a driver does, and lets go of them.
struct Drain {
    messages: usize,
    streams: Streams,
    now: Instant,
}

impl Drain {
    fn new() -> Self {
        Self { messages: 0, streams: Streams::new(StreamsConfig::default()), now: Instant::now() }
    }
}

impl Port for Drain {
    fn text(&mut self, text: Text<'_>) {
        drop(text.into_string());
        self.messages += 1;
    }
    fn binary(&mut self, data: Payload<'_>) {
        drop(data.into_vec());
        self.messages += 1;
    }
    fn ping(&mut self, _: &[u8]) {}
    fn pong(&mut self, _: &[u8]) {}
    fn close(&mut self, _: Option<CloseFrame>) {}
    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        self.streams.apply(self.now, event)
    }
    fn media_error(&mut self, error: MediaRefusal) {
        panic!("{error}");
    }
}

/// The frames of `ROUNDS` messages, one after the other, as a server sends them.
fn wire(agreed: Option<&Negotiated>, send: impl Fn(&mut Sender, &mut Vec<u8>)) -> Vec<u8> {
    let (mut sender, mut out) = (Sender::with_deflate(Role::Server, agreed), Vec::new());
    for _ in 0..ROUNDS {
        send(&mut sender, &mut out);
    }
    out
}

fn receive(receiver: &mut Receiver, wire: &[u8], scratch: &mut Vec<u8>, port: &mut Drain) {
    scratch.clear();
    scratch.extend_from_slice(wire);
    inbound::receive(receiver, scratch, true, port).unwrap();
}

/// Allocations for `ROUNDS` messages, with everything warm.
fn received(agreed: Option<&Negotiated>, send: impl Fn(&mut Sender, &mut Vec<u8>)) -> usize {
    let wire = wire(agreed, send);
    let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), agreed);
    let (mut scratch, mut port) = (Vec::new(), Drain::new());
    receive(&mut receiver, &wire, &mut scratch, &mut port);
    let count = allocations(|| receive(&mut receiver, &wire, &mut scratch, &mut port));
    assert_eq!(port.messages, 2 * ROUNDS);
    count
}

fn compression() -> [Negotiated; 2] {
    let [config, servers] = [Role::Client, Role::Server].map(DeflateConfig::for_role);
    let request = ClientRequest {
        host: "h".into(),
        path_and_query: "/".into(),
        deflate: Some(config),
        ..ClientRequest::default()
    };
    let (bytes, key) = request.encode().unwrap();
    let request = RequestParser::new(HandshakeLimits::default()).feed(&bytes).unwrap().unwrap();
    let (answer, server) = request.accept_with(None, Some(&servers), &[]).unwrap();
    let accepted = ResponseParser::new(&key, &[]).with_deflate(Some(config)).feed(&answer).unwrap().unwrap();
    [accepted.deflate.unwrap(), server.unwrap()]
}

#[test]
fn a_received_message_is_allocated_once_for_the_application() {
    let text = "a word ".repeat(30);
    assert_eq!(received(None, |sender, out| sender.text(&text, out).unwrap()), ROUNDS);
    assert_eq!(received(None, |sender, out| sender.binary(&[7; 640], out).unwrap()), ROUNDS);
}

#[test]
fn a_compressed_message_takes_two_more_allocations() {
    let [client, server] = compression();
    let text = "a word ".repeat(30);
    let (mut sender, mut wire) = (Sender::with_deflate(Role::Server, Some(&server)), Vec::new());
    let mut receiver = Receiver::with_deflate(Role::Client, Limits::default(), Some(&client));
    let (mut scratch, mut port) = (Vec::new(), Drain::new());
    let mut counts = [(0, 0); 2];
    for (sent, received) in &mut counts {
        wire.clear();
        *sent = allocations(|| (0..ROUNDS).for_each(|_| sender.text(&text, &mut wire).unwrap()));
        *received = allocations(|| receive(&mut receiver, &wire, &mut scratch, &mut port));
    }
    // What is compressed has no place of its own; what was decompressed is cut to its length.
    assert_eq!(counts[1], (ROUNDS, 2 * ROUNDS));
}

#[test]
fn a_sent_message_allocates_nothing() {
    let mut outbound = Outbound::new(Role::Client, 1 << 20, None);
    let mut send = || {
        outbound.text("what a speech service says, as JSON or not").unwrap();
        outbound.binary(&[7; 640]).unwrap();
        outbound.ping(b"1234").unwrap();
        outbound.advance(outbound.pending().len());
    };
    send();
    assert_eq!(allocations(|| (0..ROUNDS).for_each(|_| send())), 0);
}

#[test]
fn a_frame_of_audio_allocates_nothing() {
    for (encoding, bytes) in [(Encoding::Ulaw, 160), (Encoding::pcm16(16_000), 640)] {
        let mut receiver = Receiver::new(Role::Client, Limits::default());
        let mut sender = Sender::new(Role::Server);
        let mut port = Drain::new();
        // Numbers get longer.
        let [mut scratch, mut message, mut wire] = [(); 3].map(|()| Vec::with_capacity(4096));
        let start = format!(
            r#"{{"event":"start","sequenceNumber":0,"start":{{"tag":"a","mediaFormat":{{"encoding":"{}","sampleRate":{},"channels":1}}}}}}"#,
            encoding.wire_name(),
            encoding.sample_rate()
        );
        sender.text(&start, &mut wire).unwrap();
        receive(&mut receiver, &wire, &mut scratch, &mut port);
        assert_eq!(port.messages, 0, "start was not taken: {start}");
        let (mut chunk, mut played) = (0, 0);
        let mut round = |port: &mut Drain| {
            chunk += 1;
            message.clear();
            event::write_media(&mut message, chunk + 1, "a", chunk, chunk * 20, &[0x31; 640][..bytes]);
            wire.clear();
            sender.text(str::from_utf8(&message).unwrap(), &mut wire).unwrap();
            receive(&mut receiver, &wire, &mut scratch, port);
            let now = port.now;
            port.streams.tick(now, &mut |output| played += usize::from(matches!(output, Output::Frame { .. })));
            port.now += FRAME;
        };
        // A minute: what is known of the delay has grown as far as it does.
        (0..3000).for_each(|_| round(&mut port));
        let count = allocations(|| (0..ROUNDS).for_each(|_| round(&mut port)));
        assert!(played > 3000, "{played} frames of {encoding:?} were played");
        assert_eq!(count, 0, "{encoding:?}");
    }
}

#[test]
fn a_leg_with_conversion_allocates_nothing() {
    let pcm: Vec<i16> = (0..160).map(|n| (n * 97 % 4000) as i16).collect();
    let mut resampler = Resampler::new(8000, 16_000).unwrap();
    let mut encoder = Encoder::new(Encoding::pcm16(16_000), opus::EncoderConfig::default()).unwrap();
    let mut decoder = Decoder::new(Encoding::pcm16(16_000));
    let mut mixer = Mixer::new();
    let (mut wide, mut bytes, mut message) = (Vec::new(), Vec::new(), Vec::new());
    let (mut samples, mut mixed) = (Vec::new(), Vec::new());
    let mut leg = || {
        wide.clear();
        resampler.process_into(&pcm, &mut wide);
        samples.clear();
        let encoded = encoder.encode(&wide, &mut bytes, |payload, _| {
            message.clear();
            event::write_media(&mut message, 1, "a", 1, 20, payload);
            decoder.decode_into(payload, usize::MAX, &mut samples).unwrap();
        });
        encoded.unwrap();
        mixed.clear();
        mixer.add(&samples);
        mixer.add(&samples);
        mixer.take_into(&mut mixed);
    };
    (0..3).for_each(|_| leg());
    assert_eq!(allocations(|| (0..ROUNDS).for_each(|_| leg())), 0);
}

#[test]
fn the_frames_of_the_drop_in_allocate_nothing_of_their_own() {
    let (mut writer, mut reader) =
        (FrameWriter::new(Role::Server), FrameReader::new(Role::Client, FrameLimits::default()));
    let (mut wire, mut out) = (Vec::with_capacity(4096), vec![0; 640]);
    let mut round = || {
        wire.clear();
        writer.frame(2, &[7; 640], true, None, &mut wire).unwrap();
        let mut input = wire.as_slice();
        reader.next(&mut input).unwrap().unwrap().payload.copy_to(&mut out);
    };
    round();
    assert_eq!(allocations(|| (0..ROUNDS).for_each(|_| round())), 0);
}
