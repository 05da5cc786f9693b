//! Reads the `media` events that nearly all senders write, fifty times a second for each stream.
//!
//! Plain strings, plain numbers, no member that is not known, none twice: whatever is else is left to `fields`, which would
//! answer the same for what is read here.

use std::borrow::Cow;

use super::Media;

/// The event, if the text is one of that kind.
pub(super) fn media(text: &str) -> Option<Media<'_>> {
    let mut reader = Reader { text, at: 0 };
    let (mut event, mut outer, mut sequence_number, mut body) = (None, None, None, None);
    reader.object(|reader, member| match member {
        "event" => once(&mut event, reader.string()?).filter(|()| event == Some("media")),
        "media" => once(&mut body, reader.body()?),
        "sequenceNumber" => once(&mut sequence_number, reader.number()?),
        "tag" => once(&mut outer, reader.string()?),
        _ => None,
    })?;
    reader.end()?;
    event?;
    let Body { tag, chunk, timestamp, payload } = body?;
    let given = |tag: &&str| !tag.is_empty();
    Some(Media {
        sequence_number,
        tag: tag.filter(given).or(outer.filter(given)).map(Cow::Borrowed),
        chunk,
        timestamp,
        payload: Cow::Borrowed(payload),
    })
}

/// What stands in `media`.
struct Body<'a> {
    tag: Option<&'a str>,
    chunk: Option<u64>,
    timestamp: Option<u64>,
    payload: &'a str,
}

/// Keeps a value, unless there is one.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A text, read up to `at`. Each step answers `None` for what is not plain.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Passes over white space (RFC 8259 section 2).
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.rest().first() {
            self.at += 1;
        }
    }

    /// Takes this byte, and the white space before it.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.space();
        if *self.rest().first()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        self.space();
        self.rest().is_empty().then_some(())
    }

    /// An object with at least one member; `member` reads the value of each.
    fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        loop {
            let name = self.string()?;
            self.take(b':')?;
            member(self, name)?;
            self.space();
            let byte = *self.rest().first()?;
            self.at += 1;
            match byte {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn body(&mut self) -> Option<Body<'a>> {
        let (mut tag, mut chunk, mut timestamp, mut payload) = (None, None, None, None);
        self.object(|reader, member| match member {
            "tag" => once(&mut tag, reader.string()?),
            "chunk" => once(&mut chunk, reader.number()?),
            "timestamp" => once(&mut timestamp, reader.number()?),
            "payload" => once(&mut payload, reader.string()?),
            _ => None,
        })?;
        Some(Body { tag, chunk, timestamp, payload: payload? })
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let start = self.at;
        let length = memchr::memchr(b'"', self.rest())?;
        let inner = self.rest().get(..length)?;
        // Without a branch for each byte it is done sixteen at a time.
        if inner.iter().fold(0, |bad, &byte| bad | u8::from(byte < b' ') | u8::from(byte == b'\\')) != 0 {
            return None;
        }
        self.at += length + 1;
        self.text.get(start..start + length)
    }

    /// A whole number in decimal digits.
    fn number(&mut self) -> Option<u64> {
        self.space();
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = self.text.get(self.at..self.at + digits)?;
        if digits > 1 && text.starts_with('0') {
            return None;
        }
        self.at += digits;
        text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{MediaEvent, Parsed, fields, write_media};
    use super::*;

    /// What is read here is what is read otherwise.
    fn check(text: &str) -> bool {
        match media(text) {
            Some(quick) => {
                assert_eq!(fields::read(text), Parsed::Event(MediaEvent::Media(quick)), "{text}");
                true
            }
            None => false,
        }
    }

    #[test]
    fn what_senders_write_is_read_here() {
        for text in [
            r#"{"event":"media","sequenceNumber":1,"media":{"tag":"t","chunk":1,"timestamp":160,"payload":"AAAA"}}"#,
            r#"{"event": "media", "sequenceNumber": 1, "media": {"payload": "AA==", "timestamp": 0, "chunk": 0}}"#,
            " {\r\n\t\"media\" : {\"payload\":\"\"} , \"tag\":\"é\", \"event\" : \"media\" }\n",
            r#"{"event":"media","media":{"chunk":18446744073709551615,"tag":"","payload":"x"},"tag":"outer"}"#,
        ] {
            assert!(check(text), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_others() {
        for text in [
            "",
            "{",
            "{}",
            r#"{"event":"media"}"#,
            r#"{"event":"stop","media":{"payload":""}}"#,
            r#"{"event":"media","media":{}}"#,
            r#"{"event":"media","media":{"payload":""}"#,
            r#"{"event":"media","media":{"payload":""}} x"#,
            r#"{"event":"media","media":{"payload":""},}"#,
            r#"{"event":"media","media":{"payload":"",}}"#,
            r#"{"event":"media","media":{"payload":"" "chunk":1}}"#,
            r#"{"event":"media","media":{"payload":"AA\/="}}"#,
            "{\"event\":\"media\",\"media\":{\"payload\":\"A\u{1}A\"}}",
            r#"{"event":"media","media":{"payload":"","chunk":"1"}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":1.0}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":01}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":-1}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":18446744073709551616}}"#,
            r#"{"event":"media","media":{"payload":"","chunk":null}}"#,
            r#"{"event":"media","media":{"payload":"","payload":""}}"#,
            r#"{"event":"media","event":"media","media":{"payload":""}}"#,
            r#"{"event":"media","media":{"payload":""},"more":1}"#,
            r#"{"event":"media","media":{"payload":"","track":"inbound"}}"#,
        ] {
            assert!(!check(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_message_with_a_mistake_is_read_alike(at in 0..150usize, byte in any::<char>(), cut in any::<bool>()) {
            let mut out = vec![];
            write_media(&mut out, 12, "t", 345, 6789, &[7; 30]);
            let text = String::from_utf8(out).expect("text");
            prop_assert!(check(&text));
            let mut changed: Vec<char> = text.chars().collect();
            let at = at % changed.len();
            if cut {
                changed.remove(at);
            } else {
                changed[at] = byte;
            }
            check(&changed.into_iter().collect::<String>());
        }

        #[test]
        fn members_in_any_form_are_read_alike(
            members in proptest::collection::vec(
                (prop::sample::select(vec!["event", "tag", "sequenceNumber", "media", "x"]),
                 prop::sample::select(vec![
                    "\"media\"", "\"stop\"", "1", "0", "-1", "1.0", "\"1\"", "null", "{}", "[]",
                    "{\"payload\":\"\"}", "{\"payload\":\"AA\",\"chunk\":3}", "{\"payload\":\"AA\",\"tag\":\"\"}",
                    "{\"chunk\":1}", "{\"payload\":1}"])),
                0..5),
        ) {
            let inner: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            check(&format!("{{{}}}", inner.join(",")));
        }
    }
}
