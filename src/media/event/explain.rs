//! Says which field of a media event is wrong, once it is known that one is.
//!
//! Slow and thorough: it reads the text once for each object that counts. It builds no tree, which would take many times
//! the memory of a text that a peer makes up. `fields` reads what is right.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Kind, Number, SmallNumber, Text};
use super::{EventError, Parsed};

const NUMBER: &str = "a whole number, 0 to 2^64-1, or such a number as a string";
const SMALL_NUMBER: &str = "a whole number, 0 to 2^32-1, or such a number as a string";
const OBJECT: &str = "an object";
const STRING: &str = "a string";
const BASE64: &str = "a string of base64";

/// Says what is wrong with a text that the quick step could not read.
pub(super) fn explain(text: &str) -> Parsed<'_> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Parsed::Malformed(EventError::Syntax(error.to_string()));
    }
    let event = member(text, "event").and_then(|event| serde_json::from_str::<String>(event).ok());
    let Some(kind) = event.as_deref().and_then(Kind::named) else {
        return Parsed::Ordinary;
    };
    match first_error(text, kind) {
        Err(error) => Parsed::Malformed(error),
        // Only a repeated member gets here: each reading is right, both are not.
        Ok(()) => Parsed::Malformed(EventError::Syntax("a member is there twice".to_owned())),
    }
}

/// The first field, in the order of the format's description, that holds what it should not.
fn first_error(message: &str, kind: Kind) -> Result<(), EventError> {
    check(message, "sequenceNumber", "sequenceNumber", NUMBER)?;
    check(message, "tag", "tag", STRING)?;
    match kind {
        Kind::Start => {
            let start = need(message, "start", "start", OBJECT)?;
            check(start, "tag", "start.tag", STRING)?;
            if let Some(format) = check(start, "mediaFormat", "start.mediaFormat", OBJECT)? {
                check(format, "encoding", "start.mediaFormat.encoding", STRING)?;
                let rate = "start.mediaFormat.sampleRate";
                check(format, "sampleRate", rate, SMALL_NUMBER)?;
                let channels = "start.mediaFormat.channels";
                check(format, "channels", channels, SMALL_NUMBER)?;
            }
        }
        Kind::Media => {
            let media = need(message, "media", "media", OBJECT)?;
            check(media, "tag", "media.tag", STRING)?;
            check(media, "chunk", "media.chunk", NUMBER)?;
            check(media, "timestamp", "media.timestamp", NUMBER)?;
            need(media, "payload", "media.payload", BASE64)?;
        }
        Kind::Stop => {
            if let Some(stop) = check(message, "stop", "stop", OBJECT)? {
                check(stop, "tag", "stop.tag", STRING)?;
                if let Some(info) = check(stop, "mediaInfo", "stop.mediaInfo", OBJECT)? {
                    check(info, "bytesSent", "stop.mediaInfo.bytesSent", NUMBER)?;
                    check(info, "duration", "stop.mediaInfo.duration", NUMBER)?;
                }
            }
        }
    }
    Ok(())
}

/// The member `key`, which must be there.
fn need<'v>(
    object: &'v str,
    key: &'static str,
    field: &'static str,
    expected: &'static str,
) -> Result<&'v str, EventError> {
    check(object, key, field, expected)?.ok_or(EventError::Missing { field, expected })
}

/// The member `key`, if it is there and not null; an error if it is not what is `expected`.
fn check<'v>(
    object: &'v str,
    key: &'static str,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<&'v str>, EventError> {
    let Some(value) = member(object, key).filter(|value| *value != "null") else {
        return Ok(None);
    };
    let right = match expected {
        OBJECT => value.starts_with('{'),
        NUMBER => serde_json::from_str::<Number>(value).is_ok(),
        SMALL_NUMBER => serde_json::from_str::<SmallNumber>(value).is_ok(),
        _ => value.starts_with('"'),
    };
    if right { Ok(Some(value)) } else { Err(EventError::wrong(field, value, expected)) }
}

/// The JSON text of the member `key`, the last of several; `None` if there is none, or this is no object.
fn member<'v>(object: &'v str, key: &'static str) -> Option<&'v str> {
    Member(key).deserialize(&mut serde_json::Deserializer::from_str(object)).ok()?.map(RawValue::get)
}

/// Finds one member and passes over the others.
struct Member(&'static str);

impl<'de> DeserializeSeed<'de> for Member {
    type Value = Option<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Member {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<Text<'de>>()? {
            if key.0 == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
