//! Media stream events: any text, and events in any order at any time, through the session; one stream by itself, whose
//! figures must add up; what we write is read back. Sounds of any kind are in `sound`.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use voxwire::{
    media::{
        codec::Plain,
        encoding::Encoding,
        event::{self, MediaEvent, Parsed},
        lead::Lead,
        opus::EncoderConfig,
        pcm::format::SampleFormat,
        samples_in,
        silence::SilenceConfig,
        stream::{Stream, StreamConfig, StreamEvent},
    },
    proto::{CloseFrame, Limits, Payload, Receiver, Role, Sender, Text},
    session::{Applied, MediaRefusal, OutStream, Output, Stereo, Streams, StreamsConfig, inbound},
};

use super::{input::Choices, memory::Watch, sound};

const MS: Duration = Duration::from_millis(1);
const ENCODINGS: [Encoding; 4] = [Encoding::pcm16(8000), Encoding::pcm16(16_000), Encoding::Ulaw, Encoding::Alaw];
const TAGS: [&str; 5] = ["", "a", "b", "\"\\\n\u{e9}\u{1f600}", "a.left"];
/// Scratch and other small things that a stream may hold beside its audio, in bytes.
const SMALL: usize = 64 * 1024;

/// One byte for what follows.
///
/// # Panics
/// If anything is not as it should be.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let kind = choices.byte();
    if kind >= 0xf8 {
        return sound::run(choices);
    }
    match kind % 4 {
        0 => text(&String::from_utf8_lossy(choices.rest())),
        1 => one_stream(choices),
        2 => outgoing(choices),
        _ => session(choices),
    }
}

/// Any text is read, and a media event reads the same when it is written again.
fn text(text: &str) {
    let mut decoded = vec![7];
    let watch = Watch::start();
    let parsed = event::parse(text);
    // A text without its escapes, and an error with a field of it.
    let allowed = 2 * text.len() + 4096;
    assert!(watch.peak() <= allowed, "{} bytes; at most {allowed}", watch.peak());
    match parsed {
        Parsed::Ordinary => {}
        Parsed::Malformed(error) => assert!(error.to_string().chars().count() < 400, "{error}"),
        Parsed::Event(read) => {
            let mut out = Vec::new();
            match &read {
                MediaEvent::Start(start) => {
                    let tag = start.tag.as_deref().unwrap_or_default();
                    let format = Encoding::from_wire(start.encoding.as_deref(), start.sample_rate, start.channels);
                    let Ok(encoding) = format else { return };
                    let custom = start.custom_parameters.as_deref();
                    event::write_start(&mut out, start.sequence_number.unwrap_or(3), tag, encoding, custom);
                    let Parsed::Event(MediaEvent::Start(again)) = event::parse(utf8(&out)) else { panic!("{out:?}") };
                    let format = Encoding::from_wire(again.encoding.as_deref(), again.sample_rate, again.channels);
                    assert_eq!(format, Ok(encoding));
                    assert_eq!((&again.tag, &again.custom_parameters), (&start.tag, &start.custom_parameters));
                }
                MediaEvent::Media(media) => {
                    let good = event::decode_payload(&media.payload, &mut decoded).is_ok();
                    assert!(decoded[0] == 7 && (good || decoded.len() == 1));
                    let (tag, number) = (media.tag.as_deref().unwrap_or_default(), media.chunk.unwrap_or(u64::MAX));
                    let time = media.timestamp.unwrap_or(1);
                    event::write_media(&mut out, 0, tag, number, time, &decoded[1..]);
                    let Parsed::Event(MediaEvent::Media(again)) = event::parse(utf8(&out)) else { panic!("{out:?}") };
                    assert_eq!((&again.tag, again.chunk, again.timestamp), (&media.tag, Some(number), Some(time)));
                    let mut payload = vec![7];
                    assert_eq!(event::decode_payload(&again.payload, &mut payload), Ok(()));
                    assert_eq!(payload, decoded);
                }
                MediaEvent::Stop(stop) => {
                    let tag = stop.tag.as_deref().unwrap_or_default();
                    let (bytes, duration) = (stop.bytes_sent.unwrap_or(0), stop.duration.unwrap_or(u64::MAX));
                    event::write_stop(&mut out, stop.sequence_number.unwrap_or(0), tag, bytes, duration);
                    let Parsed::Event(MediaEvent::Stop(again)) = event::parse(utf8(&out)) else { panic!("{out:?}") };
                    assert_eq!(again.tag, stop.tag);
                    assert_eq!((again.bytes_sent, again.duration), (Some(bytes), Some(duration)));
                }
            }
        }
    }
}

fn utf8(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => panic!("{error}: {bytes:?}"),
    }
}

fn config(choices: &mut Choices<'_>) -> StreamConfig {
    StreamConfig {
        frame: choices.pick([20, 5, 60, 1000]) * MS,
        playout_delay: choices.pick([40, 0, 1000]) * MS,
        max_buffered: choices.pick([1000, 100, 0, 10_000]) * MS,
        silence: SilenceConfig {
            duration: choices.pick([1000, 0, 20, u32::MAX]) * MS,
            threshold_dbfs: choices.pick([None, Some(-50.0)]),
        },
        playout_delay_max: choices.pick([None, Some(500 * MS), Some(Duration::ZERO)]),
        conceal: choices.pick([false, true]),
        lead: Lead::default(),
        levels: false,
        voice: None,
    }
}

fn step(choices: &mut Choices<'_>) -> Duration {
    choices.pick([20, 0, 1, 50, 199, 200, 1000, 15_000, 3_600_000]) * MS
}

/// Some audio: loud, quiet or none.
fn audio(choices: &mut Choices<'_>, encoding: Encoding) -> Vec<u8> {
    let samples = choices.pick([160, 0, 1, 77, 320, 1000, 9000, 100_000]);
    let level = choices.pick([3000, 0, 9, 100]);
    let mut bytes = Vec::new();
    plain(encoding).encode_into(&vec![level; samples], &mut bytes);
    bytes
}

fn plain(encoding: Encoding) -> Plain {
    match encoding {
        Encoding::Ulaw => Plain::Ulaw,
        Encoding::Alaw => Plain::Alaw,
        Encoding::Pcm { format, .. } => Plain::Pcm(format),
        Encoding::G722 | Encoding::Opus | Encoding::OggOpus => Plain::Pcm(SampleFormat::S16Le),
    }
}

/// A chunk's number: none, or a step from the one before, or any.
fn number(choices: &mut Choices<'_>, last: u64) -> Option<u64> {
    match choices.byte() {
        0xff => None,
        0xfe => Some(u64::MAX),
        0xfd => Some(0),
        step => Some(last.wrapping_add_signed(i64::from(step as i8 % 64))),
    }
}

/// A stream of which every sample is accounted for.
fn one_stream(mut choices: Choices<'_>) {
    let config = config(&mut choices);
    let encoding = choices.pick(ENCODINGS);
    let rate = encoding.sample_rate();
    let mut stream = Stream::new("t".to_owned(), encoding, None, config);
    let (mut now, mut frame, mut last) = (Instant::now(), Vec::new(), 0);
    let (mut received, mut accepted, mut discarded, mut cleared, mut duplicates) = (0, 0, 0, 0, 0);
    let (mut since_start, mut started) = (0, false);
    while !choices.is_empty() {
        match choices.byte() % 8 {
            0 => stream.stop(now),
            1 => cleared += stream.clear(now) as u64,
            2 | 3 => {
                now += step(&mut choices);
                let mut ticks = 0;
                while stream.next_deadline().is_some_and(|at| at <= now) {
                    ticks += 1;
                    assert!(ticks <= 100, "{stream:?}");
                    let before = stream.counters().played_samples;
                    let tick = stream.tick(now, &mut frame);
                    let played = stream.counters().played_samples - before;
                    // A frame may be made up from its beginning to its end.
                    assert!(played <= frame.len() as u64);
                    assert!(tick.played == (played > 0) || (tick.played && config.conceal));
                    assert_eq!(frame.len(), if tick.played { samples_in(config.frame, rate) } else { 0 });
                    if tick.event == Some(StreamEvent::Started) {
                        assert!(!std::mem::replace(&mut started, true) && tick.played);
                        since_start = 0;
                    }
                    since_start += played;
                    if let Some(StreamEvent::Ended { duration }) = tick.event {
                        assert!(std::mem::replace(&mut started, false) && !tick.played);
                        assert!(samples_in(duration, rate) as u64 <= since_start);
                    }
                    assert_eq!(started, stream.is_started());
                    if tick.ended_stream {
                        assert_eq!((stream.buffered(), stream.next_deadline()), (Duration::ZERO, None));
                        return;
                    }
                }
            }
            _ => {
                let chunk = number(&mut choices, last);
                last = chunk.unwrap_or(last);
                let pushed = stream.push(now, chunk, Some(last), &audio(&mut choices, encoding));
                let Ok(pushed) = pushed else { panic!("{pushed:?}") };
                received += 1;
                accepted += pushed.accepted as u64;
                discarded += pushed.discarded as u64;
                duplicates += u64::from(pushed.duplicate);
            }
        }
        let counters = stream.counters();
        let buffered = samples_in(stream.buffered(), rate) as u64;
        let cut = counters.discarded_samples - discarded - cleared;
        let gone = counters.shortened_samples + cut + cleared;
        assert_eq!(accepted, counters.played_samples + gone + buffered, "{stream:?}");
        let adapts = config.playout_delay_max.is_some();
        assert!(adapts || counters.shortened_samples + counters.lengthened_samples + cut == 0);
        assert!(config.conceal || counters.concealed_samples == 0);
        assert_eq!((counters.received, counters.duplicates), (received, duplicates));
        assert!(stream.buffered() <= config.max_buffered);
    }
}

/// What an outgoing stream writes is what its numbers say, and can be read.
fn outgoing(mut choices: Choices<'_>) {
    let encoding = choices.pick(ENCODINGS);
    let tag = String::from_utf8_lossy(choices.bytes(9)).into_owned();
    let custom = String::from_utf8_lossy(choices.bytes(20)).into_owned();
    let custom = event_custom(&custom);
    let mut stream = OutStream::new(encoding, EncoderConfig::default()).expect("an encoder without a state");
    let mut out = Vec::new();
    stream.start(&tag, custom.as_deref(), &mut out);
    let given = Some(tag.as_str()).filter(|tag| !tag.is_empty());
    match event::parse(utf8(&out)) {
        Parsed::Event(MediaEvent::Start(start)) => {
            assert_eq!((start.tag.as_deref(), start.custom_parameters.as_deref()), (given, custom.as_deref()));
            let read = Encoding::from_wire(start.encoding.as_deref(), start.sample_rate, start.channels);
            assert_eq!(read, Ok(encoding));
        }
        other => panic!("{other:?}"),
    }
    let (mut chunks, mut samples, mut bytes) = (0, 0, 0);
    while !choices.is_empty() && chunks < 20 {
        let payload = audio(&mut choices, encoding);
        let mut pcm = Vec::new();
        assert_eq!(plain(encoding).decode_into(&payload, &mut pcm), Ok(()));
        let mut sent = Vec::new();
        stream.media(&pcm, &mut out, |json, samples| sent.push((json.to_vec(), samples)));
        if payload.is_empty() {
            assert!(sent.is_empty(), "a message without audio");
            continue;
        }
        let [(out, said)] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(*said, pcm.len());
        chunks += 1;
        let Parsed::Event(MediaEvent::Media(media)) = event::parse(utf8(out)) else { panic!("{out:?}") };
        assert_eq!((media.tag.as_deref(), media.sequence_number), (given, Some(chunks)));
        assert_eq!((media.chunk, media.timestamp), (Some(chunks), Some(samples)));
        let mut read = Vec::new();
        assert_eq!(event::decode_payload(&media.payload, &mut read), Ok(()));
        assert_eq!(read.len(), payload.len());
        samples += pcm.len() as u64;
        bytes += payload.len() as u64;
    }
    let mut sent = 0;
    stream.stop(&mut out, |_, _| sent += 1);
    assert_eq!(sent, 1);
    let Parsed::Event(MediaEvent::Stop(stop)) = event::parse(utf8(&out)) else { panic!("{out:?}") };
    let duration = samples * 1000 / u64::from(encoding.sample_rate());
    assert_eq!((stop.bytes_sent, stop.duration), (Some(bytes), Some(duration)));
}

/// A text as JSON text, if it is: as the custom parameters of an event that has it there.
fn event_custom(text: &str) -> Option<String> {
    let start = format!(r#"{{"event":"start","start":{{"customParameters":{text}}}}}"#);
    match event::parse(&start) {
        Parsed::Event(MediaEvent::Start(start)) => start.custom_parameters.map(std::borrow::Cow::into_owned),
        _ => None,
    }
}

/// What the driver would do, and what was seen.
struct Driver {
    streams: Streams,
    now: Instant,
    /// Media events taken as audio.
    audio: u64,
    texts: u64,
    errors: u64,
}

impl Driver {
    /// Each chunk counts once, or once for each of the channels that it is split into.
    fn has_received(&self, chunks: u64, stereo: Stereo) -> bool {
        let most = if stereo == Stereo::Split { 2 } else { 1 };
        (self.audio..=most * self.audio).contains(&chunks)
    }
}

impl inbound::Port for Driver {
    fn text(&mut self, _: Text<'_>) {
        self.texts += 1;
    }
    fn binary(&mut self, _: Payload<'_>) {
        panic!("only texts are sent");
    }
    fn ping(&mut self, _: &[u8]) {
        panic!("only texts are sent");
    }
    fn pong(&mut self, _: &[u8]) {
        panic!("only texts are sent");
    }
    fn close(&mut self, _: Option<CloseFrame>) {
        panic!("only texts are sent");
    }
    fn media(&mut self, event: &MediaEvent<'_>) -> Result<Applied, MediaRefusal> {
        let applied = self.streams.apply(self.now, event);
        self.audio += u64::from(matches!((event, &applied), (MediaEvent::Media(_), Ok(Applied::Audio))));
        applied
    }
    fn media_error(&mut self, error: MediaRefusal) {
        self.errors += 1;
        assert!(!error.to_string().is_empty());
    }
}

/// What was told of the streams: an order that must hold.
#[derive(Default)]
struct Told {
    started: HashMap<String, bool>,
    over: Vec<u64>,
    /// Marks that wait, and the last one.
    marks: Vec<u64>,
    last_mark: u64,
}

impl Told {
    fn note(&mut self, output: &Output<'_>, frame: Duration) {
        match output {
            Output::Started { tag, .. } => {
                assert!(!self.started.insert((*tag).to_owned(), true).unwrap_or(false), "started twice");
            }
            Output::Frame { key, rate, pcm, .. } => {
                assert!(!self.over.contains(key), "a frame of a stream that is over");
                assert_eq!(pcm.len(), samples_in(frame, *rate));
            }
            Output::Ended { tag, .. } => assert_eq!(self.started.insert((*tag).to_owned(), false), Some(true)),
            Output::Discarded { duration, .. } => assert!(!duration.is_zero(), "nothing was discarded"),
            Output::Voice { .. } => panic!("nobody listens"),
            Output::Mark(mark) => {
                let at = self.marks.iter().position(|id| *id == mark.id);
                self.marks.remove(at.expect("a mark that waits"));
            }
            Output::Over { key } => {
                assert!(!self.over.contains(key), "over twice");
                self.over.push(*key);
            }
        }
    }
}

/// Texts as they come over a connection, some of them events, and the clock.
fn session(mut choices: Choices<'_>) {
    let stream = config(&mut choices);
    let max_streams = choices.pick([4, 0, 1, 32]);
    let stereo = choices.pick([Stereo::Mix, Stereo::Split]);
    let (mut told, mut sent, mut last, mut longest) = (Told::default(), 0, 0, 0);
    let (mut out, mut wire) = (Vec::new(), Vec::new());
    let mut receiver = Receiver::new(Role::Client, Limits::default());
    let mut sender = Sender::new(Role::Server);
    let now = Instant::now();
    let mut driver = Driver {
        streams: Streams::new(StreamsConfig { stream, max_streams, stereo }),
        now,
        audio: 0,
        texts: 0,
        errors: 0,
    };
    let watch = Watch::start();
    while !choices.is_empty() {
        out.clear();
        match choices.byte() % 8 {
            0 => {
                let length = usize::from(choices.byte()) * 2;
                out.extend_from_slice(String::from_utf8_lossy(choices.bytes(length)).as_bytes());
            }
            1 => {
                event::write_start(&mut out, 0, choices.pick(TAGS), choices.pick(ENCODINGS), Some("{\"a\":1}"));
                if choices.byte().is_multiple_of(2) {
                    out = utf8(&out).replace("\"channels\":1", "\"channels\":2").into_bytes();
                }
            }
            2..=4 => {
                let tag = choices.pick(TAGS);
                let chunk = number(&mut choices, last);
                last = chunk.unwrap_or(last);
                let encoding = choices.pick(ENCODINGS);
                event::write_media(&mut out, 0, tag, last, 0, &audio(&mut choices, encoding));
            }
            5 => event::write_stop(&mut out, 0, choices.pick(TAGS), 0, 0),
            6 => {
                let until = driver.now + step(&mut choices);
                let late = choices.byte().is_multiple_of(2);
                tick(&mut driver, until, late, &mut |output| told.note(&output, stream.frame));
            }
            _ => match choices.byte() {
                0 => driver.streams.finish(&mut |output| told.note(&output, stream.frame)),
                which => {
                    let tag = Some(TAGS[usize::from(which) % TAGS.len()]).filter(|_| which < 0x80);
                    told.last_mark += 1;
                    if driver.streams.mark(driver.now, tag, told.last_mark) == Ok(true) {
                        told.marks.push(told.last_mark);
                    }
                    let dropped = match which % 3 {
                        0 => Duration::ZERO,
                        _ => driver.streams.clear(driver.now, tag, &mut |output| told.note(&output, stream.frame)),
                    };
                    assert!(dropped <= stream.max_buffered * max_streams as u32 + MS, "{dropped:?}");
                }
            },
        }
        if !out.is_empty() {
            sent += 1;
            longest = longest.max(out.len());
            wire.clear();
            assert_eq!(sender.text(utf8(&out), &mut wire), Ok(()));
            let (before, audio) = ((driver.texts, driver.errors), driver.audio);
            assert_eq!(inbound::receive(&mut receiver, &mut wire, true, &mut driver), Ok(()));
            // Each is a message or audio (or a start, or a stop); what is refused is told and is a message.
            let told = (driver.texts - before.0, driver.errors - before.1);
            assert!(matches!(told, (0 | 1, 0) | (1, 1)) && (driver.audio == audio || told == (0, 0)), "{told:?}");
        }
        let samples = samples_in(stream.max_buffered, 16_000);
        // Of each stream its samples and a note per chunk, both in buffers that double, and its strings.
        let spans = samples.min(usize::try_from(driver.audio).unwrap_or(usize::MAX));
        let of_one = 4 * samples + 2 * 40 * spans + 2 * longest.min(1024) + SMALL;
        let ours = out.capacity() + wire.capacity() + 16 * told.over.capacity() + SMALL;
        let held = watch.held().saturating_sub(ours);
        assert!(held <= max_streams * of_one + 4 * SMALL, "{held} bytes held");
        let counters = driver.streams.counters();
        assert!(driver.has_received(counters.received, stereo));
        assert!(counters.duplicates <= counters.received);
        assert!(driver.texts + driver.audio <= sent);
    }
    driver.streams.finish(&mut |output| told.note(&output, stream.frame));
    assert!(told.started.values().all(|started| !started), "a stream was not ended");
    assert!(told.marks.is_empty(), "{:?} were not told of", told.marks);
    assert_eq!(driver.streams.next_deadline(), None);
    assert!(driver.has_received(driver.streams.counters().received, stereo));
}

/// Moves the clock on: at once, or from deadline to deadline.
fn tick(driver: &mut Driver, until: Instant, late: bool, out: &mut impl FnMut(Output<'_>)) {
    let mut ticks = 0;
    while let Some(at) = driver.streams.next_deadline().filter(|&at| at <= until) {
        ticks += 1;
        assert!(ticks < 20_000, "no end of ticks");
        driver.now = if late { until } else { at.max(driver.now) };
        driver.streams.tick(driver.now, out);
    }
    driver.now = until;
}
