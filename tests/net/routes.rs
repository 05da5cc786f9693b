//! Audio between connections over real sockets: what is sent, in which order, and that it is all there.

use std::time::{Duration, Instant};

use voxwire::media::codec::Plain;
use voxwire::media::encoding::Encoding;
use voxwire::media::event::{MediaEvent, Parsed, decode_payload, parse, write_media, write_start, write_stop};
use voxwire::media::opus::EncoderConfig;
use voxwire::net::{Connection, ListenerOptions, Notice, Options, Recorder, RouteParams, Sink, Source, core};

use crate::support::{Inbox, PATIENCE, Pair, listen, listener_options, target, url_of};

fn params(encoding: Encoding) -> RouteParams {
    RouteParams { encoding, opus: EncoderConfig::default(), tag: None, custom: None }
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
    let recorder = Recorder::create(&core().expect("a core"), inbox.mailbox(), &path, 8000).expect("a file");
    pair.server.route(Sink::Unit(recorder.clone()), params(Encoding::Ulaw)).expect("a route");
    send_call(&pair, 10);
    loop {
        if let Notice::MediaEnded { .. } = pair.at_server.next() {
            break;
        }
    }
    recorder.close();
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
fn a_route_whose_target_closes_is_taken_down_and_a_taken_tag_is_refused() {
    let (a, b) = (Pair::with(plain(), Options::default()), Pair::new());
    a.server.route(Sink::Socket(b.server.clone()), params(Encoding::Ulaw)).expect("a route");
    let taken = b.client.route(Sink::Socket(b.server.clone()), params(Encoding::Ulaw)).unwrap_err().to_string();
    assert!(taken.contains("tag"), "{taken}");
    b.server.close(Some(1000), "");
    assert!(b.at_server.closed().was_clean);
    send_call(&a, 5);
    loop {
        if let Notice::MediaEnded { .. } = a.at_server.next() {
            break;
        }
    }
    a.server.route(Sink::Socket(b.server.clone()), params(Encoding::Ulaw)).expect("nothing happens");
}

#[test]
fn audio_for_a_connection_that_is_still_being_made_waits_for_it() {
    let a = Pair::with(plain(), Options::default());
    let (at_agent, at_client) = (Inbox::new(), Inbox::new());
    let options = ListenerOptions { connection: plain(), ..listener_options() };
    let listener = listen(&at_agent, options);
    let core = core().expect("a core");
    let target = target(&url_of(&listener));
    let connection = Connection::connect(core, at_client.mailbox(), target, Options::default()).expect("a request");
    a.server.route(Sink::Socket(connection.clone()), params(Encoding::Ulaw)).expect("a route");
    send_call(&a, 5);
    loop {
        if let Notice::MediaEnded { .. } = a.at_server.next() {
            break;
        }
    }
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
