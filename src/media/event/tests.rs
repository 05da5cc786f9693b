//! Reading and writing media events: the usual, the lenient, the malformed, the ordinary.

use proptest::prelude::*;

use super::*;
use crate::media::encoding::Encoding;

fn media(text: &str) -> Media<'_> {
    match parse(text) {
        Parsed::Event(MediaEvent::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

fn start(text: &str) -> Start<'_> {
    match parse(text) {
        Parsed::Event(MediaEvent::Start(start)) => start,
        other => panic!("{other:?}"),
    }
}

fn stop(text: &str) -> Stop<'_> {
    match parse(text) {
        Parsed::Event(MediaEvent::Stop(stop)) => stop,
        other => panic!("{other:?}"),
    }
}

fn malformed(text: &str) -> String {
    match parse(text) {
        Parsed::Malformed(error) => error.to_string(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_messages_of_the_format() {
    let text = r#"{"event":"start","sequenceNumber":0,"start":{"tag":"t","mediaFormat":
        {"encoding":"ULAW","sampleRate":8000,"channels":1},"customParameters":{"a":[1, 2]}}}"#;
    let expected = Start {
        sequence_number: Some(0),
        tag: Some("t".into()),
        encoding: Some("ULAW".into()),
        sample_rate: Some(8000),
        channels: Some(1),
        custom_parameters: Some(r#"{"a":[1, 2]}"#.into()),
    };
    assert_eq!(start(text), expected);

    let text = r#"{"event":"media","sequenceNumber":1,
        "media":{"tag":"t","chunk":1,"timestamp":160,"payload":"AAEC"}}"#;
    let got = media(text);
    let expected = Media {
        sequence_number: Some(1),
        tag: Some("t".into()),
        chunk: Some(1),
        timestamp: Some(160),
        payload: "AAEC".into(),
    };
    assert_eq!(got, expected);
    assert!(matches!(got.payload, Cow::Borrowed(_)), "not copied");
    assert!(matches!(got.tag, Some(Cow::Borrowed(_))), "not copied");

    let text = r#"{"event":"stop","sequenceNumber":9,
        "stop":{"tag":"t","mediaInfo":{"bytesSent":21100,"duration":124}}}"#;
    let expected =
        Stop { sequence_number: Some(9), tag: Some("t".into()), bytes_sent: Some(21_100), duration: Some(124) };
    assert_eq!(stop(text), expected);
}

#[test]
fn whatever_can_be_left_out_may_be() {
    assert_eq!(start(r#"{"event":"start","start":{}}"#), Start::default());
    assert_eq!(
        start(r#"{"event":"start","start":{"tag":null,"mediaFormat":null,"customParameters":null}}"#),
        Start::default()
    );
    assert_eq!(start(r#"{"event":"start","start":{"mediaFormat":{"encoding":null}}}"#), Start::default());
    assert_eq!(media(r#"{"event":"media","media":{"payload":""}}"#), Media::default());
    for text in [
        r#"{"event":"stop"}"#,
        r#"{"event":"stop","stop":null}"#,
        r#"{"event":"stop","stop":{}}"#,
        r#"{"event":"stop","stop":{"mediaInfo":{}}}"#,
    ] {
        assert_eq!(stop(text), Stop::default(), "{text}");
    }
}

#[test]
fn members_come_in_any_order_with_others_between() {
    let text = r#" {"x":{"event":"no"},"media":{"z":[1],"payload":"AA==","chunk":2},
        "start":7,"event":"media","stop":[],"tag":"out","sequenceNumber":"3"}"#;
    let expected = Media {
        sequence_number: Some(3),
        tag: Some("out".into()),
        chunk: Some(2),
        timestamp: None,
        payload: "AA==".into(),
    };
    assert_eq!(media(text), expected);
}

#[test]
fn numbers_come_as_strings_and_floats_too() {
    for (number, value) in [
        ("7", 7),
        ("\"7\"", 7),
        ("7.0", 7),
        ("7e1", 70),
        ("18446744073709551615", u64::MAX),
        ("\"18446744073709551615\"", u64::MAX),
    ] {
        let text = format!(
            r#"{{"event":"media","sequenceNumber":{number},"media":{{"chunk":{number},"timestamp":{number},"payload":""}}}}"#
        );
        let got = media(&text);
        assert_eq!(got.sequence_number, Some(value), "{number}");
        assert_eq!((got.chunk, got.timestamp), (Some(value), Some(value)));
    }
    let text = r#"{"event":"start","start":{"mediaFormat":{"sampleRate":"16000","channels":"1"}}}"#;
    let got = start(text);
    assert_eq!((got.sample_rate, got.channels), (Some(16_000), Some(1)));
}

#[test]
fn the_inner_tag_counts_and_an_empty_one_is_none() {
    for (text, tag) in [
        (r#"{"event":"stop","tag":"a","stop":{"tag":"b"}}"#, Some("b")),
        (r#"{"event":"stop","tag":"a","stop":{"tag":""}}"#, Some("a")),
        (r#"{"event":"stop","tag":"a"}"#, Some("a")),
        (r#"{"event":"stop","tag":"","stop":{"tag":""}}"#, None),
    ] {
        assert_eq!(stop(text).tag.as_deref(), tag, "{text}");
    }
    assert_eq!(stop(r#"{"event":"stop","tag":"\u00e9\n"}"#).tag.as_deref(), Some("é\n"));
}

#[test]
fn custom_parameters_are_json_text() {
    for (given, text) in [
        (r#"{"a":1}"#, r#"{"a":1}"#),
        (r#""{\"a\":1}""#, r#"{"a":1}"#),
        ("[1,2]", "[1,2]"),
        (r#""[1,2]""#, "[1,2]"),
        ("5", "5"),
        (r#""5""#, "5"),
        (r#""plain""#, r#""plain""#),
        (r#""""#, r#""""#),
        (r#""{broken""#, r#""{broken""#),
        (r#""\"quoted\"""#, r#""quoted""#),
    ] {
        let message = format!(r#"{{"event":"start","start":{{"customParameters":{given}}}}}"#);
        let custom = start(&message).custom_parameters;
        assert_eq!(custom.as_deref(), Some(text), "{given}");
    }
}

#[test]
fn ordinary_messages() {
    for text in [
        "",
        "hello",
        "5",
        "[{\"event\":\"media\"}]",
        "\"event\"",
        "{}",
        r#"{"type":"media"}"#,
        r#"{"event":"customEvent","media":5}"#,
        r#"{"media":5,"tag":5,"event":"customEvent"}"#,
        r#"{"event":5,"media":{}}"#,
        r#"{"event":null}"#,
        r#"{"event":["media"]}"#,
        r#"{"event":{"event":"media"}}"#,
        r#"{"event":"Media","media":{}}"#,
        r#"{"x":{"event":"media","media":{}}}"#,
        r#"{"text":"\"event\":\"media\""}"#,
        r#"{"event":"customEvent","media":"#,
        r#"{"media":{},"event""#,
        r#"{"x": }, "event":"media"}"#,
        r#"{"event":"med"#,
    ] {
        assert_eq!(parse(text), Parsed::Ordinary, "{text}");
    }
}

#[test]
fn an_escaped_event_name_is_read() {
    let text = r#"{"event":"m\u0065dia","media":{"payload":"AA\/="}}"#;
    assert_eq!(media(text).payload, "AA/=");
}

#[test]
fn malformed_events_name_field_value_and_expectation() {
    let table = [
        (
            r#"{"event":"media","media":{"chunk":1}}"#,
            r#"field "media.payload" is missing; expected a string of base64"#,
        ),
        (
            r#"{"media":{"chunk":1},"event":"media"}"#,
            r#"field "media.payload" is missing; expected a string of base64"#,
        ),
        (r#"{"event":"media"}"#, r#"field "media" is missing; expected an object"#),
        (r#"{"event":"start","start":null}"#, r#"field "start" is missing; expected an object"#),
        (r#"{"event":"media","media":["t",1,2,"AA=="]}"#, r#"field "media" is ["t",1,2,"AA=="]; expected an object"#),
        (r#"{"event":"media","media":{"payload":5}}"#, r#"field "media.payload" is 5; expected a string of base64"#),
        (
            r#"{"event":"media","media":{"chunk":"one","payload":""}}"#,
            r#"field "media.chunk" is "one"; expected a whole number"#,
        ),
        (
            r#"{"event":"media","media":{"chunk":-1,"payload":""}}"#,
            r#"field "media.chunk" is -1; expected a whole number"#,
        ),
        (
            r#"{"event":"media","media":{"timestamp":1.5,"payload":""}}"#,
            r#"field "media.timestamp" is 1.5; expected a whole number"#,
        ),
        (r#"{"event":"media","media":{"tag":7,"payload":""}}"#, r#"field "media.tag" is 7; expected a string"#),
        (r#"{"event":"media","tag":7,"media":{"payload":""}}"#, r#"field "tag" is 7; expected a string"#),
        (r#"{"tag":7,"event":"media","media":{"payload":""}}"#, r#"field "tag" is 7; expected a string"#),
        (
            r#"{"event":"media","sequenceNumber":true,"media":{"payload":""}}"#,
            r#"field "sequenceNumber" is true; expected a whole number"#,
        ),
        (
            r#"{"event":"start","start":{"mediaFormat":"ULAW"}}"#,
            r#"field "start.mediaFormat" is "ULAW"; expected an object"#,
        ),
        (
            r#"{"event":"start","start":{"mediaFormat":{"encoding":8}}}"#,
            r#"field "start.mediaFormat.encoding" is 8; expected a string"#,
        ),
        (
            r#"{"event":"start","start":{"mediaFormat":{"sampleRate":4294967296}}}"#,
            r#"field "start.mediaFormat.sampleRate" is 4294967296; expected a whole number, 0 to 2^32-1"#,
        ),
        (
            r#"{"event":"start","start":{"mediaFormat":{"channels":[]}}}"#,
            r#"field "start.mediaFormat.channels" is []; expected a whole number, 0 to 2^32-1"#,
        ),
        (r#"{"event":"stop","stop":5}"#, r#"field "stop" is 5; expected an object"#),
        (
            r#"{"event":"stop","stop":{"mediaInfo":{"duration":"long"}}}"#,
            r#"field "stop.mediaInfo.duration" is "long"; expected a whole number"#,
        ),
        (
            r#"{"event":"stop","stop":{"mediaInfo":{"bytesSent":{}}}}"#,
            r#"field "stop.mediaInfo.bytesSent" is {}; expected a whole number"#,
        ),
        (r#"{"event":"stop","stop":{"tag":"a","tag":"b"}}"#, "a member is there twice"),
    ];
    for (text, message) in table {
        let got = malformed(text);
        let expected = format!("media event: {message}");
        assert!(got.starts_with(&expected), "{text}\n{got}\n{expected}");
    }
}

#[test]
fn a_long_value_is_shortened() {
    let text = format!(r#"{{"event":"media","media":{{"chunk":"{}","payload":""}}}}"#, "é".repeat(500));
    let message = malformed(&text);
    assert!(message.contains(&format!("is \"{}…; expected", "é".repeat(63))));
}

#[test]
fn json_that_breaks_off_after_naming_its_event_is_malformed_with_a_position() {
    for text in [
        r#"{"event":"media""#,
        r#"{"event":"media","media":{"payload":"AA"#,
        r#"{"event":"media","media":{"payload":"AA"},}"#,
        r#"{"event":"media","media":{"payload":"AA"}} x"#,
        "{\"event\":\"media\",\"media\":{\"payload\":\"A\nA\"}}",
        r#"{"event":"stop" "stop":{}}"#,
        r#"{"event":"start","start":{"customParameters":{]}}"#,
    ] {
        let message = malformed(text);
        assert!(message.contains("line ") && message.contains("column "), "{message}");
    }
}

#[test]
fn payloads_decode_with_and_without_padding() {
    for (text, bytes) in [
        ("", b"".as_slice()),
        ("AA==", b"\0"),
        ("AA", b"\0"),
        ("AAE=", b"\0\x01"),
        ("AAE", b"\0\x01"),
        ("+/+/", b"\xfb\xff\xbf"),
    ] {
        let mut out = vec![9];
        decode_payload(text, &mut out).expect("base64");
        assert_eq!(out, [[9].as_slice(), bytes].concat(), "{text}");
    }
    for text in ["A", "AA=", "A===", "AA==AA==", "-_-_", "A A=", "ÄÄ", "AB=="] {
        let mut out = vec![9];
        let error = decode_payload(text, &mut out).expect_err("no base64");
        assert_eq!(
            error.to_string(),
            format!("media event: field \"media.payload\" is {text}; expected base64 (RFC 4648 section 4)")
        );
        assert_eq!(out, [9]);
    }
}

#[test]
fn what_is_written_is_the_format() {
    let mut out = b">".to_vec();
    write_start(&mut out, 0, "t", Encoding::Ulaw, Some(r#"{"a":"é"}"#));
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#">{"event":"start","sequenceNumber":0,"start":{"tag":"t","mediaFormat":{"encoding":"ULAW","sampleRate":8000,"channels":1},"customParameters":"{\"a\":\"é\"}"}}"#
    );
    out.clear();
    write_start(&mut out, 1, "", Encoding::pcm16(16_000), None);
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#"{"event":"start","sequenceNumber":1,"start":{"mediaFormat":{"encoding":"PCM16","sampleRate":16000,"channels":1}}}"#
    );
    out.clear();
    write_media(&mut out, 10, "t", 0, u64::MAX, &[0, 1, 2, 3]);
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#"{"event":"media","sequenceNumber":10,"media":{"tag":"t","chunk":0,"timestamp":18446744073709551615,"payload":"AAECAw=="}}"#
    );
    out.clear();
    write_stop(&mut out, 9, "", 21_100, 124);
    assert_eq!(
        String::from_utf8_lossy(&out),
        r#"{"event":"stop","sequenceNumber":9,"stop":{"mediaInfo":{"bytesSent":21100,"duration":124}}}"#
    );
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        tag in any::<String>(),
        custom in any::<String>(),
        payload in proptest::collection::vec(any::<u8>(), 0..700),
        (sequence, chunk, timestamp) in any::<(u64, u64, u64)>(),
    ) {
        let given = Some(tag.as_str()).filter(|tag| !tag.is_empty());
        let mut out = vec![];
        write_media(&mut out, sequence, &tag, chunk, timestamp, &payload);
        let text = String::from_utf8(out).expect("text");
        let got = media(&text);
        prop_assert_eq!(got.tag.as_deref(), given);
        prop_assert_eq!(got.sequence_number, Some(sequence));
        prop_assert_eq!((got.chunk, got.timestamp), (Some(chunk), Some(timestamp)));
        let mut bytes = vec![];
        decode_payload(&got.payload, &mut bytes).expect("base64");
        prop_assert_eq!(bytes, payload);

        let mut out = vec![];
        let custom = serde_json::to_string(&custom).expect("a string");
        write_start(&mut out, sequence, &tag, Encoding::Alaw, Some(&custom));
        let text = String::from_utf8(out).expect("text");
        let got = start(&text);
        prop_assert_eq!(got.custom_parameters.as_deref(), Some(custom.as_str()));
        prop_assert_eq!((got.tag.as_deref(), got.encoding.as_deref()), (given, Some("ALAW")));

        let mut out = vec![];
        write_stop(&mut out, sequence, &tag, chunk, timestamp);
        let text = String::from_utf8(out).expect("text");
        let got = stop(&text);
        prop_assert_eq!(got.tag.as_deref(), given);
        prop_assert_eq!((got.bytes_sent, got.duration), (Some(chunk), Some(timestamp)));
    }

    #[test]
    fn no_text_panics(text in "[{}\\[\\]\":,a-z0-9 ]{0,60}") {
        let _ = parse(&text);
        let media = format!("{{\"event\":\"media\",{text}}}");
        prop_assert!(!matches!(parse(&media), Parsed::Event(MediaEvent::Start(_))));
        let _ = parse(&format!("{{\"event\":\"start\",\"start\":{text}}}"));
    }
}
