//! Says which field of a media event is wrong, once it is known that one is.
//!
//! Slow and thorough: it reads the whole text as a tree. `fields` reads what is right.

use serde_json::Value;

use super::fields::{Kind, whole};
use super::{EventError, Parsed};

const NUMBER: &str = "a whole number, 0 to 2^64-1, or such a number as a string";
const SMALL_NUMBER: &str = "a whole number, 0 to 2^32-1, or such a number as a string";
const OBJECT: &str = "an object";
const STRING: &str = "a string";
const BASE64: &str = "a string of base64";

/// Says what is wrong with a text that the quick step could not read.
pub(super) fn explain(text: &str) -> Parsed<'_> {
    let message: Value = match serde_json::from_str(text) {
        Ok(message) => message,
        Err(error) => return Parsed::Malformed(EventError::Syntax(error.to_string())),
    };
    let Some(kind) = message.get("event").and_then(Value::as_str).and_then(Kind::named) else {
        return Parsed::Ordinary;
    };
    match first_error(&message, kind) {
        Err(error) => Parsed::Malformed(error),
        // Only a repeated member gets here: each reading is right, both are not.
        Ok(()) => Parsed::Malformed(EventError::Syntax("a member is there twice".to_owned())),
    }
}

/// The first field, in the order of the format's description, that holds what it should not.
fn first_error(message: &Value, kind: Kind) -> Result<(), EventError> {
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
    object: &'v Value,
    key: &str,
    field: &'static str,
    expected: &'static str,
) -> Result<&'v Value, EventError> {
    check(object, key, field, expected)?.ok_or(EventError::Missing { field, expected })
}

/// The member `key`, if it is there and not null; an error if it is not what is `expected`.
fn check<'v>(
    object: &'v Value,
    key: &str,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<&'v Value>, EventError> {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let number = |limit: u64| {
        let number = value
            .as_u64()
            .or_else(|| value.as_f64().and_then(whole))
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        number.is_some_and(|number| number <= limit)
    };
    let right = match expected {
        OBJECT => value.is_object(),
        NUMBER => number(u64::MAX),
        SMALL_NUMBER => number(u64::from(u32::MAX)),
        _ => value.is_string(),
    };
    if right {
        return Ok(Some(value));
    }
    Err(EventError::wrong(field, &value.to_string(), expected))
}
