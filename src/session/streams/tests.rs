//! The streams of one connection against a stepped clock.

use super::*;
use crate::media::event::{Parsed, parse};
use crate::media::stream::{MAX_MARKS, TooManyMarks};

const MS: Duration = Duration::from_millis(1);

fn apply(streams: &mut Streams, now: Instant, json: &str) -> Result<Applied, MediaRefusal> {
    match parse(json) {
        Parsed::Event(event) => streams.apply(now, &event),
        other => panic!("not a media event: {other:?}"),
    }
}

fn start(tag: &str) -> String {
    format!(r#"{{"event":"start","start":{{"tag":"{tag}","mediaFormat":{{"encoding":"PCM8"}}}}}}"#)
}

/// 20 ms of loud PCM8.
fn media(tag: &str, chunk: u64) -> String {
    let payload = base64_simd::STANDARD.encode_to_string(100_i16.to_le_bytes().repeat(160));
    format!(r#"{{"event":"media","media":{{"tag":"{tag}","chunk":{chunk},"timestamp":0,"payload":"{payload}"}}}}"#)
}

/// Steps from deadline to deadline until `until` and lists what comes out as (ms since t0, text).
fn play(streams: &mut Streams, t0: Instant, until: Instant) -> Vec<(u128, String)> {
    let mut log = Vec::new();
    while let Some(at) = streams.next_deadline().filter(|&d| d <= until) {
        streams.tick(at, &mut |output| {
            let text = match output {
                Output::Started { tag, .. } => format!("started {tag}"),
                Output::Frame { tag, pcm, .. } => format!("frame {tag} {}", pcm.len()),
                Output::Ended { tag, duration } => format!("ended {tag} {}", duration.as_millis()),
                Output::Discarded { tag, duration } => format!("discarded {tag} {}", duration.as_millis()),
                Output::Voice { tag, event } => format!("voice {tag} {event:?}"),
                Output::Mark(mark) => format!("mark {} {}", mark.id, mark.played),
                Output::Over { .. } => "over".to_owned(),
            };
            log.push(((at - t0).as_millis(), text));
        });
    }
    log
}

#[test]
fn media_before_start_is_an_ordinary_message() {
    let mut streams = Streams::new(StreamsConfig::default());
    let now = Instant::now();
    assert_eq!(apply(&mut streams, now, &media("a", 1)).unwrap(), Applied::Ordinary);
    assert_eq!(apply(&mut streams, now, r#"{"event":"stop","stop":{"tag":"a"}}"#).unwrap(), Applied::Ordinary);
    apply(&mut streams, now, &start("b")).unwrap();
    assert_eq!(apply(&mut streams, now, &media("a", 1)).unwrap(), Applied::Ordinary);
    assert_eq!(apply(&mut streams, now, &media("b", 1)).unwrap(), Applied::Audio);
}

#[test]
fn a_stream_starts_plays_and_ends() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    apply(&mut streams, t0, &start("a")).unwrap();
    apply(&mut streams, t0, &media("a", 1)).unwrap();
    apply(&mut streams, t0, &media("a", 2)).unwrap();
    apply(&mut streams, t0, r#"{"event":"stop","stop":{"tag":"a"}}"#).unwrap();
    let log = play(&mut streams, t0, t0 + 5000 * MS);
    let texts: Vec<_> = log.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["started a", "frame a 160", "frame a 160", "ended a 40", "over"]);
    assert_eq!(log[3].0, 40);
    assert_eq!(streams.next_deadline(), None);
}

#[test]
fn a_new_start_of_the_same_tag_waits_until_the_old_audio_has_played() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    for round in 0..2 {
        apply(&mut streams, t0, &start("a")).unwrap();
        for chunk in 1..=3 {
            apply(&mut streams, t0, &media("a", chunk)).unwrap();
        }
        if round == 1 {
            apply(&mut streams, t0, r#"{"event":"stop","stop":{"tag":"a"}}"#).unwrap();
        }
    }
    let texts: Vec<_> = play(&mut streams, t0, t0 + 5000 * MS).into_iter().map(|(_, text)| text).collect();
    let round = ["started a", "frame a 160", "frame a 160", "frame a 160", "ended a 60", "over"];
    assert_eq!(texts, [round, round].concat());
}

#[test]
fn streams_of_several_tags_play_on_one_grid() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    for (tag, offset) in [("a", 0), ("b", 7)] {
        let now = t0 + offset * MS;
        play(&mut streams, t0, now);
        apply(&mut streams, now, &start(tag)).unwrap();
        for chunk in 1..=50 {
            apply(&mut streams, now, &media(tag, chunk)).unwrap();
        }
    }
    let log = play(&mut streams, t0, t0 + 500 * MS);
    let times = |tag: &str| -> Vec<u128> {
        log.iter().filter(|(_, text)| text.starts_with(&format!("frame {tag}"))).map(|(at, _)| *at).collect()
    };
    let (a, b) = (times("a"), times("b"));
    assert!(b.len() > 20 && b.iter().all(|at| a.contains(at)), "a {a:?} b {b:?}");
    assert!(a.windows(2).skip(1).all(|w| w[1] - w[0] == 20), "a {a:?}");
}

#[test]
fn the_number_of_streams_is_bounded() {
    let mut streams = Streams::new(StreamsConfig { max_streams: 2, ..StreamsConfig::default() });
    let now = Instant::now();
    apply(&mut streams, now, &start("a")).unwrap();
    apply(&mut streams, now, &start("b")).unwrap();
    let error = apply(&mut streams, now, &start("c")).unwrap_err().to_string();
    assert_eq!(error, r#"media event: start of tag "c" would be stream 3 of this connection; max_streams is 2"#);
}

#[test]
fn a_tag_and_custom_parameters_of_a_start_are_bounded() {
    let mut streams = Streams::new(StreamsConfig::default());
    let now = Instant::now();
    let custom = |length: usize| {
        let text = "x".repeat(length - r#"{"a":""}"#.len());
        format!(
            r#"{{"event":"start","start":{{"tag":"c","mediaFormat":{{"encoding":"PCM8"}},"customParameters":{{"a":"{text}"}}}}}}"#
        )
    };
    apply(&mut streams, now, &start(&"x".repeat(1024))).expect("a tag at the limit");
    apply(&mut streams, now, &custom(65_536)).expect("parameters at the limit");
    for (json, field, length) in
        [(start(&"x".repeat(1025)), "start.tag", 1025), (custom(65_537), "start.customParameters", 65_537)]
    {
        let error = apply(&mut streams, now, &json).unwrap_err();
        let limit = length - 1;
        let message = format!("media event: field \"{field}\" of a start has {length} bytes; the limit is {limit}");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn what_did_not_fit_is_told_of_once_a_second_and_before_the_end() {
    let t0 = Instant::now();
    let stream = StreamConfig { max_buffered: 100 * MS, ..StreamConfig::default() };
    let mut streams = Streams::new(StreamsConfig { stream, ..StreamsConfig::default() });
    apply(&mut streams, t0, &start("a")).unwrap();
    let mut log = vec![];
    for chunk in 1..=200 {
        let now = t0 + 10 * MS * chunk; // twice as fast as it plays
        log.extend(play(&mut streams, t0, now));
        apply(&mut streams, now, &media("a", u64::from(chunk))).unwrap();
    }
    assert!(streams.buffered(Some("a")) >= 80 * MS && streams.buffered(Some("b")).is_zero());
    apply(&mut streams, t0 + 2000 * MS, r#"{"event":"stop","stop":{"tag":"a"}}"#).unwrap();
    log.extend(play(&mut streams, t0, t0 + 5000 * MS));
    let told: Vec<_> = log.iter().filter(|(_, text)| text.starts_with("discarded")).collect();
    assert!((2..=3).contains(&told.len()), "{told:?}");
    assert!(told.windows(2).all(|two| two[1].0 >= two[0].0 + 1000 || two[1].0 >= 2000), "{told:?}");
    let sum: u128 = told.iter().filter_map(|(_, text)| text.rsplit(' ').next()?.parse::<u128>().ok()).sum();
    let discarded = streams.counters().discarded.as_millis();
    assert!(discarded > 1500 && sum.abs_diff(discarded) <= 3, "{sum} of {discarded}");
    let texts: Vec<_> = log.iter().rev().take(3).map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts[0], "over");
    assert!(texts[1].starts_with("ended a"), "{texts:?}");
}

#[test]
fn a_connection_that_goes_ends_what_was_playing() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    apply(&mut streams, t0, &start("a")).unwrap();
    apply(&mut streams, t0, &start("never played")).unwrap();
    for chunk in 1..=10 {
        apply(&mut streams, t0, &media("a", chunk)).unwrap();
    }
    play(&mut streams, t0, t0 + 30 * MS);
    let mut ended = Vec::new();
    streams.finish(&mut |output| {
        if let Output::Ended { tag, duration } = output {
            ended.push((tag.to_owned(), duration.as_millis()));
        }
    });
    assert_eq!(ended, [("a".to_owned(), 40)]);
    assert_eq!(streams.next_deadline(), None);
}

#[test]
fn chunks_said_to_be_lost_are_counted_up_to_the_most_there_is() {
    let mut streams = Streams::new(StreamsConfig::default());
    let now = Instant::now();
    for tag in ["a", "b"] {
        apply(&mut streams, now, &start(tag)).unwrap();
        apply(&mut streams, now, &media(tag, 0)).unwrap();
        apply(&mut streams, now, &media(tag, u64::MAX)).unwrap();
    }
    assert_eq!(streams.counters().lost, u64::MAX);
}

#[test]
fn a_long_chunk_leaves_no_more_than_what_can_be_played_of_it() {
    let mut streams = Streams::new(StreamsConfig::default());
    let now = Instant::now();
    apply(&mut streams, now, &start("a")).unwrap();
    let payload = base64_simd::STANDARD.encode_to_string(vec![1; 4 << 20]);
    let long = format!(r#"{{"event":"media","media":{{"tag":"a","payload":"{payload}"}}}}"#);
    apply(&mut streams, now, &long).unwrap();
    scratch::bytes(|room| assert!(room.capacity() < 1 << 20));
    assert_eq!(streams.entries[0].stream.buffered(), Duration::from_secs(10));
}

fn marks(streams: &mut Streams, t0: Instant, until: Instant) -> Vec<(u128, Reached)> {
    let mut told = Vec::new();
    while let Some(at) = streams.next_deadline().filter(|&d| d <= until) {
        streams.tick(at, &mut |output| {
            if let Output::Mark(mark) = output {
                told.push(((at - t0).as_millis(), mark));
            }
        });
    }
    told
}

#[test]
fn a_mark_without_a_tag_is_reached_when_all_streams_have_played() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    for (tag, chunks) in [("a", 2), ("b", 5)] {
        apply(&mut streams, t0, &start(tag)).unwrap();
        for chunk in 1..=chunks {
            apply(&mut streams, t0, &media(tag, chunk)).unwrap();
        }
    }
    assert_eq!(streams.mark(t0, Some("c"), 1), Ok(false), "nothing is buffered of that");
    assert_eq!(streams.mark(t0, None, 2), Ok(true));
    assert_eq!(streams.mark(t0, Some("a"), 3), Ok(true));
    let told = marks(&mut streams, t0, t0 + 5000 * MS);
    assert_eq!(told, [(40, Reached { id: 3, played: true }), (100, Reached { id: 2, played: true })]);
}

#[test]
fn a_mark_of_which_a_part_was_dropped_was_not_played() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    for tag in ["a", "b"] {
        apply(&mut streams, t0, &start(tag)).unwrap();
        for chunk in 1..=5 {
            apply(&mut streams, t0, &media(tag, chunk)).unwrap();
        }
    }
    streams.mark(t0, None, 1).unwrap();
    streams.mark(t0, Some("a"), 2).unwrap();
    let mut told = Vec::new();
    streams.clear(t0, Some("a"), &mut |output| told.push(format!("{output:?}")));
    assert_eq!(told, ["Mark(Reached { id: 2, played: false })"], "at once");
    assert_eq!(marks(&mut streams, t0, t0 + 5000 * MS), [(100, Reached { id: 1, played: false })]);
}

#[test]
fn a_mark_waits_for_the_stream_of_its_tag_that_waits_too() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    for _ in 0..2 {
        apply(&mut streams, t0, &start("a")).unwrap();
        for chunk in 1..=3 {
            apply(&mut streams, t0, &media("a", chunk)).unwrap();
        }
    }
    streams.mark(t0, Some("a"), 1).unwrap();
    let told = marks(&mut streams, t0, t0 + 5000 * MS);
    assert_eq!(told, [(120, Reached { id: 1, played: true })]);
}

#[test]
fn marks_are_told_of_at_the_end_of_the_connection_and_bounded() {
    let t0 = Instant::now();
    let mut streams = Streams::new(StreamsConfig::default());
    apply(&mut streams, t0, &start("a")).unwrap();
    apply(&mut streams, t0, &media("a", 1)).unwrap();
    for id in 0..MAX_MARKS as u64 {
        assert_eq!(streams.mark(t0, None, id), Ok(true));
    }
    assert_eq!(streams.mark(t0, None, 7), Err(TooManyMarks));
    assert_eq!(streams.mark(t0, Some("b"), 7), Err(TooManyMarks));
    let mut told = Vec::new();
    streams.finish(&mut |output| {
        if let Output::Mark(mark) = output {
            told.push(mark);
        }
    });
    let expected: Vec<_> = (0..MAX_MARKS as u64).map(|id| Reached { id, played: false }).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_pause_is_of_a_tag_or_of_all_and_of_streams_that_start_later() {
    let t0 = Instant::now();
    let speak = |streams: &mut Streams, tag: &str| {
        apply(streams, t0, &start(tag)).unwrap();
        apply(streams, t0, &media(tag, 1)).unwrap();
        apply(streams, t0, &media(tag, 2)).unwrap();
    };
    let frames = |streams: &mut Streams, until: u32| {
        let mut log = play(streams, t0, t0 + until * MS);
        log.retain(|(_, text)| text.starts_with("frame"));
        log.into_iter().map(|(_, text)| text).collect::<Vec<_>>()
    };
    let stream = StreamConfig { conceal: false, ..StreamConfig::default() };
    let config = StreamsConfig { stream, ..StreamsConfig::default() };
    let mut streams = Streams::new(config);
    speak(&mut streams, "a");
    streams.pause(t0, Some("b"), true);
    speak(&mut streams, "b");
    assert_eq!(frames(&mut streams, 100), ["frame a 160"; 2]);
    streams.pause(t0 + 100 * MS, None, true);
    streams.pause(t0 + 100 * MS, Some("c"), false);
    speak(&mut streams, "c");
    speak(&mut streams, "d");
    // (c plays late, and at once.)
    assert_eq!(frames(&mut streams, 300), ["frame c 160"; 2]);
    streams.pause(t0 + 300 * MS, Some("d"), false);
    assert_eq!(frames(&mut streams, 500), ["frame d 160"; 2]);
    let mut later = Streams::new(config);
    later.take_over(streams.pauses().clone());
    speak(&mut later, "b");
    assert_eq!(frames(&mut later, 100), [""; 0]);
    streams.pause(t0 + 500 * MS, None, false);
    assert_eq!(frames(&mut streams, 700), ["frame b 160"; 2]);
}

fn stereo(max_streams: usize) -> Streams {
    Streams::new(StreamsConfig { max_streams, stereo: Stereo::Split, ..StreamsConfig::default() })
}

fn start_of_two(tag: &str) -> String {
    let format = r#"{"encoding":"PCM8","channels":2}"#;
    format!(r#"{{"event":"start","start":{{"tag":"{tag}","mediaFormat":{format},"customParameters":{{"n":1}}}}}}"#)
}

/// 20 ms of two channels: the left one counts up from `1000 * chunk`, the right one down from its negative.
fn media_of_two(tag: &str, chunk: u64) -> String {
    let pairs = (0..160).flat_map(|n| {
        let sample = 1000 * chunk as i16 + n;
        [sample, -sample]
    });
    let bytes: Vec<u8> = pairs.flat_map(i16::to_le_bytes).collect();
    let payload = base64_simd::STANDARD.encode_to_string(bytes);
    format!(r#"{{"event":"media","media":{{"tag":"{tag}","chunk":{chunk},"timestamp":0,"payload":"{payload}"}}}}"#)
}

/// What is heard of a tag until `until`.
fn heard(streams: &mut Streams, until: Instant) -> (Vec<i16>, Vec<i16>) {
    let (mut left, mut right) = (vec![], vec![]);
    while let Some(at) = streams.next_deadline().filter(|&d| d <= until) {
        streams.tick(at, &mut |output| {
            if let Output::Frame { tag, pcm, custom, rate, .. } = output {
                assert_eq!((custom, rate), (Some(r#"{"n":1}"#), 8000));
                match tag {
                    "t.left" => left.extend_from_slice(pcm),
                    "t.right" => right.extend_from_slice(pcm),
                    other => panic!("{other}"),
                }
            }
        });
    }
    (left, right)
}

#[test]
fn two_channels_are_two_streams_sample_for_sample() {
    let t0 = Instant::now();
    let mut streams = stereo(2);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    for chunk in [1, 3, 2, 3, 4] {
        assert_eq!(apply(&mut streams, t0, &media_of_two("t", chunk)).unwrap(), Applied::Audio);
    }
    assert_eq!(streams.buffered(Some("t.left")), 80 * MS);
    assert_eq!(streams.buffered(Some("t.right")), 80 * MS);
    assert_eq!(streams.buffered(Some("t")), Duration::ZERO, "nobody is called that");
    assert_eq!(apply(&mut streams, t0, r#"{"event":"stop","stop":{"tag":"t"}}"#).unwrap(), Applied::Audio);
    assert_eq!(apply(&mut streams, t0, &media_of_two("t", 5)).unwrap(), Applied::Ordinary, "both are stopped");
    let (left, right) = heard(&mut streams, t0 + 5000 * MS);
    let expected: Vec<i16> = (1..=4).flat_map(|chunk| (0..160).map(move |n| 1000 * chunk + n)).collect();
    assert_eq!(left, expected);
    assert_eq!(right, expected.iter().map(|sample| -sample).collect::<Vec<_>>());
    let counters = streams.counters();
    assert_eq!((counters.received, counters.duplicates, counters.lost), (10, 2, 0), "both channels count");
    assert_eq!(streams.next_deadline(), None);
}

#[test]
fn each_channel_starts_and_ends_with_its_tag() {
    let t0 = Instant::now();
    let mut streams = stereo(2);
    apply(&mut streams, t0, &start_of_two("")).unwrap();
    apply(&mut streams, t0, &media_of_two("", 1)).unwrap();
    apply(&mut streams, t0, r#"{"event":"stop","stop":{}}"#).unwrap();
    let mut log = play(&mut streams, t0, t0 + 5000 * MS);
    log.sort();
    let texts: Vec<_> = log.iter().map(|(_, text)| text.as_str()).collect();
    let expected =
        ["ended left 20", "ended right 20", "frame left 160", "frame right 160", "over", "over", "started left"];
    for text in expected.iter().chain(&["started right"]) {
        assert!(texts.contains(text), "{text}: {texts:?}");
    }
    assert_eq!(texts.len(), 8, "{texts:?}");
}

#[test]
fn a_lost_chunk_is_concealed_in_both_channels() {
    let t0 = Instant::now();
    let mut streams = stereo(2);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    for chunk in [1, 2, 4, 5] {
        apply(&mut streams, t0, &media_of_two("t", chunk)).unwrap();
    }
    apply(&mut streams, t0, r#"{"event":"stop","stop":{"tag":"t"}}"#).unwrap();
    let (left, right) = heard(&mut streams, t0 + 5000 * MS);
    assert_eq!((left.len(), right.len()), (800, 800));
    let counters = streams.counters();
    assert_eq!((counters.lost, counters.concealed_gaps), (2, 2), "one in each");
    assert!(left[340..460].iter().any(|&s| s > 0) && right[340..460].iter().any(|&s| s < 0), "made of its own channel");
}

#[test]
fn silence_ends_one_channel_alone() {
    let t0 = Instant::now();
    let stream = StreamConfig { playout_delay_max: None, ..StreamConfig::default() };
    let mut streams = Streams::new(StreamsConfig { stream, stereo: Stereo::Split, ..StreamsConfig::default() });
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    let mut log = vec![];
    for chunk in 0..100_u32 {
        let now = t0 + 20 * MS * chunk;
        log.extend(play(&mut streams, t0, now));
        let pairs: Vec<u8> =
            [100_i16, if chunk < 10 { 100 } else { 0 }].repeat(160).into_iter().flat_map(i16::to_le_bytes).collect();
        let payload = base64_simd::STANDARD.encode_to_string(pairs);
        let json = format!(r#"{{"event":"media","media":{{"tag":"t","chunk":{chunk},"payload":"{payload}"}}}}"#);
        apply(&mut streams, now, &json).unwrap();
    }
    let ended: Vec<_> = log.iter().filter(|(_, text)| text.starts_with("ended")).collect();
    assert!(matches!(&*ended, [(_, text)] if text.starts_with("ended t.right")), "{ended:?}");
    let frames = |tag: &str| {
        let of_tag = log.iter().filter(|(_, text)| text.starts_with(&format!("frame {tag}")));
        of_tag.map(|(at, _)| *at).collect::<Vec<_>>()
    };
    assert!(frames("t.left").len() > 90);
    assert_eq!(frames("t.left"), frames("t.right"), "they are heard together");
}

#[test]
fn both_channels_count_and_none_is_made_alone() {
    let now = Instant::now();
    let mut streams = stereo(3);
    apply(&mut streams, now, &start("a")).unwrap();
    apply(&mut streams, now, &start("b")).unwrap();
    let error = apply(&mut streams, now, &start_of_two("t")).unwrap_err();
    assert!(matches!(error, MediaRefusal::TooManyStreams { limit: 3, .. }), "{error}");
    assert_eq!(apply(&mut streams, now, &media_of_two("t", 1)).unwrap(), Applied::Ordinary);
    assert_eq!(streams.entries.len(), 2);
}

#[test]
fn a_payload_that_is_refused_is_in_neither_channel() {
    let now = Instant::now();
    let mut streams = stereo(2);
    apply(&mut streams, now, &start_of_two("t")).unwrap();
    let odd = r#"{"event":"media","media":{"tag":"t","chunk":1,"payload":"AAAA"}}"#;
    assert!(matches!(apply(&mut streams, now, odd), Err(MediaRefusal::Payload(_))));
    assert_eq!((streams.counters().received, streams.buffered(None)), (0, Duration::ZERO));
}

#[test]
fn a_stream_that_is_called_as_a_channel_takes_its_place_and_that_of_the_other_one() {
    let t0 = Instant::now();
    let mut streams = stereo(8);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    apply(&mut streams, t0, &media_of_two("t", 1)).unwrap();
    apply(&mut streams, t0, &start("t.left")).unwrap();
    assert_eq!(apply(&mut streams, t0, &media_of_two("t", 2)).unwrap(), Applied::Ordinary);
    assert_eq!(apply(&mut streams, t0, &media("t.left", 1)).unwrap(), Applied::Audio);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    assert_eq!(apply(&mut streams, t0, &media("t.left", 2)).unwrap(), Applied::Ordinary);
    assert_eq!(apply(&mut streams, t0, &media_of_two("t", 1)).unwrap(), Applied::Audio);
}

#[test]
fn a_channel_is_cleared_paused_and_marked_by_itself() {
    let t0 = Instant::now();
    let mut streams = stereo(2);
    streams.pause(t0, Some("t.right"), true);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    for chunk in 1..=3 {
        apply(&mut streams, t0, &media_of_two("t", chunk)).unwrap();
    }
    assert_eq!(streams.mark(t0, Some("t.left"), 1), Ok(true));
    assert_eq!(streams.mark(t0, Some("t"), 2), Ok(false));
    assert_eq!(marks(&mut streams, t0, t0 + 200 * MS), [(60, Reached { id: 1, played: true })]);
    assert_eq!(streams.buffered(Some("t.right")), 60 * MS);
    assert_eq!(streams.clear(t0 + 200 * MS, Some("t.left"), &mut |_| {}), Duration::ZERO);
    assert_eq!(streams.clear(t0 + 200 * MS, Some("t.right"), &mut |_| {}), 60 * MS);
}

#[test]
fn ticks_that_are_late_do_not_move_the_grid_of_several_streams() {
    let t0 = Instant::now();
    let mut streams = stereo(2);
    apply(&mut streams, t0, &start_of_two("t")).unwrap();
    for chunk in 1..=20 {
        apply(&mut streams, t0, &media_of_two("t", chunk)).unwrap();
    }
    let mut due = vec![];
    while let Some(at) = streams.next_deadline().filter(|&at| at < t0 + 400 * MS) {
        due.push((at - t0).as_millis());
        streams.tick(at + 3 * MS, &mut |_| {});
    }
    assert_eq!(due, (0..20).map(|n| 20 * n).collect::<Vec<_>>());
}
