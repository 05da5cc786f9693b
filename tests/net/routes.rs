//! Audio between connections over real sockets: what is sent, in which order, and that it is all there.

use std::time::{Duration, Instant};

use voxwire::media::codec::Plain;
use voxwire::media::encoding::Encoding;
use voxwire::media::event::{MediaEvent, Parsed, decode_payload, parse, write_media, write_start, write_stop};
use voxwire::net::{
    AudioUnit, Connection, ListenerOptions, Notice, Options, Recorder, RecorderConfig, RecordingFormat, RouteParams,
    Sink, Source, core,
};

use crate::support::{Inbox, PATIENCE, Pair, listen, listener_options, target, url_of};

fn params(encoding: Encoding) -> RouteParams {
    RouteParams { encoding, ..RouteParams::default() }
}

fn json(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

/// No media handling: media events arrive as texts, as any other peer would see them.
fn plain() -> Options {
    Options { media: None, ..Options::default() }
}

/// Sends `frames` frames of µ-law with a ramp of levels, faster than real time.
fn send_call(pair: &Pair, frames: u64) {
    let send = |text: String| pair.client.send_text(&text).expect("sent");
    send(json(|out| write_start(out, 0, "caller", Encoding::Ulaw, Some(r#"{"a":1}"#))));
    for n in 0..frames {
        let payload = [0x80 + (n % 64) as u8; 160];
        send(json(|out| write_media(out, n + 1, "caller", n + 1, n * 160, &payload)));
    }
    send(json(|out| write_stop(out, frames + 1, "caller", frames * 160, frames * 20)));
}

fn wait_ended(pair: &Pair) {
    while !matches!(pair.at_server.next(), Notice::MediaEnded { .. }) {}
}

const PCM: Encoding = Encoding::pcm16(8000);

/// Sends the start of a stream of PCM at 8 kHz, and frames of 20 ms whose samples have this value.
fn send_level(pair: &Pair, tag: &str, frames: u64, level: i16) {
    let send = |text: String| pair.client.send_text(&text).expect("sent");
    send(json(|out| write_start(out, 0, tag, PCM, None)));
    for n in 0..frames {
        let payload: Vec<u8> = level.to_le_bytes().repeat(160);
        send(json(|out| write_media(out, n + 1, tag, n + 1, n * 160, &payload)));
    }
}

fn send_stop(pair: &Pair, tag: &str) {
    pair.client.send_text(&json(|out| write_stop(out, 1000, tag, 0, 0))).expect("sent");
}

/// What one stream brought, from its start to its stop: its tag, and the level of each frame.
fn one_stream(inbox: &Inbox) -> (String, Vec<i16>) {
    let (mut tag, mut levels) = (None, Vec::new());
    loop {
        let text = inbox.text();
        match parse(&text) {
            Parsed::Event(MediaEvent::Start(start)) => {
                assert_eq!(tag, None, "a second start");
                tag = Some(start.tag.unwrap_or_default().into_owned());
            }
            Parsed::Event(MediaEvent::Media(media)) => {
                let mut payload = Vec::new();
                decode_payload(&media.payload, &mut payload).expect("base64");
                assert_eq!(payload.len(), 320, "20 ms");
                assert_eq!(media.chunk, Some(levels.len() as u64 + 1));
                let samples: Vec<i16> = payload.chunks(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
                assert_eq!(samples, [samples[0]; 160]);
                levels.push(samples[0]);
            }
            Parsed::Event(MediaEvent::Stop(_)) => return (tag.expect("a start"), levels),
            Parsed::Ordinary | Parsed::Malformed(_) => panic!("{text}"),
        }
    }
}

fn sum(levels: &[i16]) -> i32 {
    levels.iter().map(|&level| i32::from(level)).sum()
}

#[test]
fn two_sources_are_mixed_into_one_stream_that_ends_with_the_last_of_them() {
    let [a, b, c] = [(); 3].map(|()| Pair::with(plain(), Options::default()));
    a.server.route(Sink::Socket(c.server.clone()), params(PCM)).expect("a route");
    let louder = RouteParams { gain: 20.0, ..params(PCM) };
    b.server.route(Sink::Socket(c.server.clone()), louder).expect("a route");
    let other = b.server.route(Sink::Socket(c.server.clone()), RouteParams { tag: Some("x".into()), ..params(PCM) });
    other.expect("another tag is another stream");
    b.server.unroute(&Sink::Socket(c.server.clone()), Some("x"), None);

    send_level(&a, "a", 40, 1);
    while !matches!(a.at_server.next(), Notice::MediaStarted { .. }) {}
    send_level(&b, "b", 20, 10);
    send_stop(&b, "b");
    wait_ended(&b);
    let refused = b.client.route(Sink::Socket(c.server.clone()), params(Encoding::Ulaw)).unwrap_err().to_string();
    assert!(refused.contains("PCM8") && refused.contains("ULAW"), "{refused}");
    send_stop(&a, "a");
    let (tag, levels) = one_stream(&c.at_client);
    assert_eq!(tag, "a", "of the source that began it");
    assert_eq!(sum(&levels), 40 + 20 * 100);
    assert!(levels.contains(&101), "never mixed: {levels:?}");
}

#[test]
fn two_streams_of_one_source_are_mixed() {
    let (a, b) = (Pair::with(plain(), Options::default()), Pair::with(plain(), Options::default()));
    a.server.route(Sink::Socket(b.server.clone()), params(PCM)).expect("a route");
    send_level(&a, "x", 50, 1);
    send_level(&a, "y", 50, 100);
    send_stop(&a, "y");
    wait_ended(&a);
    send_stop(&a, "x");
    let (tag, levels) = one_stream(&b.at_client);
    assert_eq!((tag.as_str(), sum(&levels)), ("x", 50 + 50 * 100));
    assert!(levels.contains(&101), "never mixed: {levels:?}");
}

#[test]
fn audio_may_go_in_circles() {
    let [a, b] = [(); 2].map(|()| Pair::with(plain(), Options::default()));
    let unit = AudioUnit::new(core().expect("a core"), Inbox::new().mailbox(), 8000, PATIENCE, Duration::ZERO)
        .expect("a unit");
    for (from, to) in [(&a, &b), (&b, &a)] {
        from.server.route(Sink::Socket(to.server.clone()), params(PCM)).expect("a route");
        from.server.route(Sink::Unit(unit.clone()), params(PCM)).expect("a route");
        unit.route(Sink::Socket(to.server.clone()), params(PCM)).expect("a route");
    }
    unit.route(Sink::Unit(unit.clone()), params(PCM)).expect("a route");
    unit.write(&[1, 0].repeat(160 * 50)).expect("written");
    for pair in [&a, &b] {
        send_level(pair, "", 50, 100);
        send_stop(pair, "");
    }
    unit.end();
    for pair in [&a, &b] {
        let mut heard = 0;
        while heard < 50 + 50 * 100 {
            match parse(&pair.at_client.text()) {
                Parsed::Event(MediaEvent::Media(media)) => {
                    let mut payload = Vec::new();
                    decode_payload(&media.payload, &mut payload).expect("base64");
                    heard += i32::from(i16::from_le_bytes([payload[0], payload[1]]));
                }
                Parsed::Event(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard, 50 + 50 * 100);
    }
    unit.close();
}

#[test]
fn audio_is_transcoded_paced_and_complete() {
    const FRAMES: u64 = 25;
    let (a, b) = (Pair::with(plain(), Options::default()), Pair::with(plain(), Options::default()));
    a.server.route(Sink::Socket(b.server.clone()), params(Encoding::pcm16(16_000))).expect("a route");
    let begin = Instant::now();
    send_call(&a, FRAMES);

    let (mut chunks, mut samples, mut texts) = (Vec::new(), 0, 0);
    loop {
        let text = b.at_client.text();
        texts += 1;
        let Parsed::Event(event) = parse(&text) else { panic!("no media event: {text}") };
        match event {
            MediaEvent::Start(start) => {
                assert_eq!(texts, 1);
                assert_eq!(start.tag.as_deref(), Some("caller"));
                assert_eq!(start.custom_parameters.as_deref(), Some(r#"{"a":1}"#));
                assert_eq!(
                    Encoding::from_wire(start.encoding.as_deref(), start.sample_rate, start.channels),
                    Ok(Encoding::pcm16(16_000))
                );
            }
            MediaEvent::Media(media) => {
                let mut payload = Vec::new();
                decode_payload(&media.payload, &mut payload).expect("base64");
                assert_eq!(payload.len(), 640);
                assert_eq!(media.timestamp, Some(samples));
                samples += 320;
                chunks.push(media.chunk.expect("a number"));
            }
            MediaEvent::Stop(_) => break,
        }
    }
    assert_eq!(chunks, (1..=FRAMES).collect::<Vec<_>>());
    // Faster than real time would be wrong; how much slower is the machine's business.
    assert!(begin.elapsed() >= Duration::from_millis(20) * (FRAMES as u32 - 1));

    let mut events = Vec::new();
    while events.len() < 2 {
        match a.at_server.next() {
            Notice::MediaStarted { tag, encoding, custom } => {
                assert_eq!((tag.as_str(), encoding, custom.as_deref()), ("caller", "ULAW", Some(r#"{"a":1}"#)));
                events.push("started");
            }
            Notice::MediaEnded { tag, duration } => {
                assert_eq!((tag.as_str(), duration), ("caller", Duration::from_millis(20 * FRAMES)));
                events.push("ended");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events, ["started", "ended"]);
}

#[test]
fn silence_of_one_second_ends_the_audio() {
    let pair = Pair::with(plain(), Options::default());
    let send = |text: String| pair.client.send_text(&text).expect("sent");
    send(json(|out| write_start(out, 0, "", Encoding::Ulaw, None)));
    send(json(|out| write_media(out, 1, "", 1, 0, &[0x10; 160])));
    assert!(matches!(pair.at_server.next(), Notice::MediaStarted { .. }));
    let started = Instant::now();
    match pair.at_server.next() {
        Notice::MediaEnded { duration, .. } => assert_eq!(duration, Duration::from_millis(20)),
        other => panic!("{other:?}"),
    }
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(1) && waited < PATIENCE, "{waited:?}");
}

#[test]
fn a_recorder_gets_what_was_played() {
    let path = std::env::temp_dir().join(format!("voxwire-recorder-{}.wav", std::process::id()));
    let pair = Pair::with(plain(), Options::default());
    let inbox = Inbox::new();
    let config = RecorderConfig {
        path: path.clone(),
        format: RecordingFormat::Wav,
        rate: 8000,
        channels: 1,
        split_after: None,
        split_bytes: None,
    };
    let recorder = Recorder::create(&core().expect("a core"), inbox.mailbox(), config).expect("a file");
    pair.server.route(Sink::Unit(recorder.channels()[0].clone()), params(Encoding::Ulaw)).expect("a route");
    send_call(&pair, 10);
    wait_ended(&pair);
    recorder.close();
    assert!(matches!(inbox.next(), Notice::FileCompleted(completed) if completed == path));
    assert!(matches!(inbox.next(), Notice::Finished(None)));
    let wav = voxwire::media::wav::parse(&std::fs::read(&path).expect("a file")).expect("a WAV");
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(wav.rate, 8000);
    let mut expected = Vec::new();
    for n in 0..10_u8 {
        Plain::Ulaw.decode_into(&[0x80 + n; 160], &mut expected).expect("bytes");
    }
    // A frame that came late (a busy machine) leaves silence; apart from that it is the audio, in order.
    let heard: Vec<i16> = wav.samples.into_iter().filter(|&s| s != 0).collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_route_whose_target_closes_is_taken_down() {
    let (a, b) = (Pair::with(plain(), Options::default()), Pair::new());
    a.server.route(Sink::Socket(b.server.clone()), params(Encoding::Ulaw)).expect("a route");
    b.server.close(Some(1000), "");
    assert!(b.at_server.closed().was_clean);
    send_call(&a, 5);
    wait_ended(&a);
    a.server.route(Sink::Socket(b.server.clone()), params(Encoding::Ulaw)).expect("nothing happens");
}

#[test]
fn audio_for_a_connection_that_is_still_being_made_waits_for_it() {
    let a = Pair::with(plain(), Options::default());
    let (at_agent, at_client) = (Inbox::new(), Inbox::new());
    let options = ListenerOptions { connection: plain().into(), ..listener_options() };
    let listener = listen(&at_agent, options);
    let core = core().expect("a core");
    let target = target(&url_of(&listener));
    let connection = Connection::connect(core, at_client.mailbox(), target, Options::default()).expect("a request");
    a.server.route(Sink::Socket(connection.clone()), params(Encoding::Ulaw)).expect("a route");
    send_call(&a, 5);
    wait_ended(&a);
    connection.start();
    at_client.open();
    at_agent.incoming().start();
    at_agent.open();
    let mut events = Vec::new();
    while events.last() != Some(&"stop") {
        match parse(&at_agent.text()) {
            Parsed::Event(MediaEvent::Start(_)) => events.push("start"),
            Parsed::Event(MediaEvent::Media(_)) => events.push("media"),
            Parsed::Event(MediaEvent::Stop(_)) => events.push("stop"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events, ["start", "media", "media", "media", "media", "media", "stop"]);
}
