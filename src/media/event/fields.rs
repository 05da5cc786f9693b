//! Reads the members of a media event in one pass, borrowing its text.
//!
//! When that fails, `explain` reads the text again: it says which field is wrong, or that the message
//! is ordinary after all. So the errors made here are never seen.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::explain::explain;
use super::{EventError, Media, MediaEvent, Parsed, Start, Stop};

/// Which media event a message says it is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Start,
    Media,
    Stop,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "start" => Some(Self::Start),
            "media" => Some(Self::Media),
            "stop" => Some(Self::Stop),
            _ => None,
        }
    }
}

/// Text, borrowed where it can be. (`Option<Cow<str>>` does not borrow in serde.)
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Borrowing).map(Self)
    }
}

/// A whole number, also as a string or with a zero fraction (`1.0`).
pub(super) struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lenient;
        impl Visitor<'_> for Lenient {
            type Value = u64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
                Ok(number)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
                whole(number).ok_or_else(|| E::custom("no whole number"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Lenient).map(Self)
    }
}

/// The whole number that a float stands for, as far as floats are exact (2^53).
fn whole(number: f64) -> Option<u64> {
    let exact = (0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
    exact.then_some(number as u64)
}

/// A `u32` in the same forms.
pub(super) struct SmallNumber(u32);

impl<'de> Deserialize<'de> for SmallNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Number(number) = Number::deserialize(deserializer)?;
        number.try_into().map(Self).map_err(de::Error::custom)
    }
}

/// A struct from a JSON object only; serde's derive would take an array, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, members: M) -> Result<T, M::Error> {
                T::deserialize(de::value::MapAccessDeserializer::new(members))
            }
        }
        deserializer.deserialize_map(Members(PhantomData)).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartBody<'a> {
    #[serde(borrow)]
    tag: Option<Text<'a>>,
    #[serde(borrow)]
    media_format: Option<Object<Format<'a>>>,
    #[serde(borrow)]
    custom_parameters: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Format<'a> {
    #[serde(borrow)]
    encoding: Option<Text<'a>>,
    sample_rate: Option<SmallNumber>,
    channels: Option<SmallNumber>,
}

#[derive(Deserialize)]
struct MediaBody<'a> {
    #[serde(borrow)]
    tag: Option<Text<'a>>,
    chunk: Option<Number>,
    timestamp: Option<Number>,
    #[serde(borrow)]
    payload: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct StopBody<'a> {
    #[serde(borrow)]
    tag: Option<Text<'a>>,
    media_info: Option<Object<Info>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Info {
    bytes_sent: Option<Number>,
    duration: Option<Number>,
}

/// The members of the message, as they come.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<Kind>,
    /// `event` names something else: the rest need not be read.
    ordinary: bool,
    sequence_number: Option<Number>,
    tag: Option<Text<'a>>,
    start: Option<Object<StartBody<'a>>>,
    media: Option<Object<MediaBody<'a>>>,
    stop: Option<Object<StopBody<'a>>>,
    /// Bodies that came before `event`; which one counts is not known until then.
    early: [Option<&'a RawValue>; 3],
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    Event,
    SequenceNumber,
    Tag,
    Start,
    Media,
    Stop,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for &mut Envelope<'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Envelope<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<(), M::Error> {
        while let Some(member) = members.next_key()? {
            match member {
                Member::Event => {
                    self.kind = kind_of(members.next_value()?);
                    if self.kind.is_none() {
                        self.ordinary = true;
                        return Err(de::Error::custom("another event"));
                    }
                }
                Member::SequenceNumber => self.sequence_number = members.next_value()?,
                Member::Tag => self.tag = members.next_value()?,
                Member::Start => match self.kind {
                    Some(Kind::Start) => self.start = members.next_value()?,
                    other => self.early[0] = skip(&mut members, other)?,
                },
                Member::Media => match self.kind {
                    Some(Kind::Media) => self.media = members.next_value()?,
                    other => self.early[1] = skip(&mut members, other)?,
                },
                Member::Stop => match self.kind {
                    Some(Kind::Stop) => self.stop = members.next_value()?,
                    other => self.early[2] = skip(&mut members, other)?,
                },
                Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        let [start, media, stop] = self.early.map(|body| body.map(RawValue::get));
        match self.kind {
            Some(Kind::Start) if self.start.is_none() => self.start = body(start)?,
            Some(Kind::Media) if self.media.is_none() => self.media = body(media)?,
            Some(Kind::Stop) if self.stop.is_none() => self.stop = body(stop)?,
            _ => {}
        }
        Ok(())
    }
}

/// The kind that the value of `event` names.
fn kind_of(event: &RawValue) -> Option<Kind> {
    let inner = event.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return Kind::named(&serde_json::from_str::<String>(event.get()).ok()?);
    }
    Kind::named(inner)
}

/// Passes over a body: one for later while the kind is unknown, none of ours when it is known.
fn skip<'de, M: MapAccess<'de>>(members: &mut M, kind: Option<Kind>) -> Result<Option<&'de RawValue>, M::Error> {
    if kind.is_some() {
        members.next_value::<IgnoredAny>()?;
        return Ok(None);
    }
    members.next_value().map(Some)
}

fn body<'a, T: Deserialize<'a>, E: de::Error>(text: Option<&'a str>) -> Result<Option<T>, E> {
    text.map_or(Ok(None), |text| serde_json::from_str(text).map_err(E::custom))
}

/// Reads a text that is likely to be a media event.
pub(super) fn read(text: &str) -> Parsed<'_> {
    let mut envelope = Envelope::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = envelope.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if envelope.ordinary {
        return Parsed::Ordinary;
    }
    match result {
        Ok(()) if envelope.kind.is_none() => Parsed::Ordinary,
        Ok(()) => match envelope.event() {
            Some(event) => Parsed::Event(event),
            None => explain(text),
        },
        Err(error) if error.is_data() => explain(text),
        Err(error) if envelope.kind.is_some() => Parsed::Malformed(EventError::Syntax(error.to_string())),
        Err(_) => Parsed::Ordinary,
    }
}

impl<'a> Envelope<'a> {
    /// The event, if all that it needs is there.
    fn event(self) -> Option<MediaEvent<'a>> {
        let sequence_number = number(self.sequence_number);
        let outer = self.tag;
        let tag = |inner: Option<Text<'a>>| {
            let given = |tag: &Text<'_>| !tag.0.is_empty();
            let tag = inner.filter(given).or(outer.filter(given))?;
            Some(tag.0)
        };
        Some(match self.kind? {
            Kind::Start => {
                let Object(start) = self.start?;
                let format = start.media_format.map(|format| format.0).unwrap_or_default();
                MediaEvent::Start(Start {
                    sequence_number,
                    tag: tag(start.tag),
                    encoding: format.encoding.map(|text| text.0),
                    sample_rate: format.sample_rate.map(|number| number.0),
                    channels: format.channels.map(|number| number.0),
                    custom_parameters: start.custom_parameters.map(custom_text),
                })
            }
            Kind::Media => {
                let Object(media) = self.media?;
                MediaEvent::Media(Media {
                    sequence_number,
                    tag: tag(media.tag),
                    chunk: number(media.chunk),
                    timestamp: number(media.timestamp),
                    payload: media.payload.0,
                })
            }
            Kind::Stop => {
                let stop = self.stop.map(|stop| stop.0).unwrap_or_default();
                let info = stop.media_info.map(|info| info.0).unwrap_or_default();
                MediaEvent::Stop(Stop {
                    sequence_number,
                    tag: tag(stop.tag),
                    bytes_sent: number(info.bytes_sent),
                    duration: number(info.duration),
                })
            }
        })
    }
}

fn number(number: Option<Number>) -> Option<u64> {
    number.map(|number| number.0)
}

/// The JSON text that custom parameters stand for: see [`Start::custom_parameters`].
fn custom_text(raw: &RawValue) -> Cow<'_, str> {
    let text = raw.get();
    if text.starts_with('"')
        && let Ok(Text(inner)) = serde_json::from_str::<Text<'_>>(text)
        && serde_json::from_str::<IgnoredAny>(&inner).is_ok()
    {
        return inner;
    }
    Cow::Borrowed(text)
}
