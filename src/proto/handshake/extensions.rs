//! `Sec-WebSocket-Extensions` (RFC 6455 section 9.1): its grammar, and the one extension we know,
//! permessage-deflate (RFC 7692 section 7.1): the offer, the server's choice, the client's check of
//! it. What compression then does is in `deflate`.

use std::fmt;

use thiserror::Error;

use super::headers::{is_token, values};
use crate::proto::deflate::{DeflateConfig, NAME, Negotiated};

/// The name of the header.
pub(super) const HEADER: &str = "Sec-WebSocket-Extensions";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
/// The window where nothing was said about it.
const FULL: u8 = 15;

/// One element of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// Names and values of its parameters, in their order.
    pub params: Vec<(String, Option<String>)>,
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in &self.params {
            match value {
                None => write!(f, "; {name}")?,
                Some(value) => write!(f, "; {name}={value}")?,
            }
        }
        Ok(())
    }
}

/// All elements of all headers, in their order. Its text is the header's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(pub Vec<Extension>);

impl fmt::Display for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, extension) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            extension.fmt(f)?;
        }
        Ok(())
    }
}

/// The header does not follow the grammar.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("header Sec-WebSocket-Extensions is malformed: expected {expected} at byte {position} of {value:?}")]
pub struct ExtensionsError {
    /// The value of the header.
    pub value: String,
    /// What should be there.
    pub expected: &'static str,
    /// Where, in bytes from the start of the value.
    pub position: usize,
}

impl Extensions {
    /// Reads the values of all headers of that name, as if they were one list. Empty elements are
    /// skipped (RFC 9110 section 5.6.1.2).
    pub fn parse<'v>(values: impl IntoIterator<Item = &'v str>) -> Result<Self, ExtensionsError> {
        let mut all = Vec::new();
        for value in values {
            let mut reader = Reader { value, position: 0 };
            loop {
                while reader.skip(',') {}
                if reader.at_end() {
                    break;
                }
                all.push(reader.extension()?);
                if !reader.at_end() && !reader.skip(',') {
                    return Err(reader.expected("a comma, a semicolon or the end"));
                }
            }
        }
        Ok(Self(all))
    }

    /// Reads the extensions of a request or response.
    pub(super) fn of(headers: &[(String, String)]) -> Result<Self, ExtensionsError> {
        Self::parse(values(headers, HEADER))
    }
}

/// Reads one header value.
struct Reader<'v> {
    value: &'v str,
    position: usize,
}

impl<'v> Reader<'v> {
    fn rest(&self) -> &'v str {
        self.value.get(self.position..).unwrap_or_default()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn at_end(&mut self) -> bool {
        self.space();
        self.rest().is_empty()
    }

    /// Skips this separator and the space around it, if it is there.
    fn skip(&mut self, separator: char) -> bool {
        self.space();
        let found = self.rest().starts_with(separator);
        if found {
            self.position += separator.len_utf8();
            self.space();
        }
        found
    }

    fn expected(&self, expected: &'static str) -> ExtensionsError {
        ExtensionsError { value: self.value.to_owned(), expected, position: self.position }
    }

    fn token(&mut self, what: &'static str) -> Result<String, ExtensionsError> {
        let rest = self.rest();
        // A token has no character of more than one byte.
        let end = (0..rest.len()).find(|&at| !rest.get(at..=at).is_some_and(is_token)).unwrap_or(rest.len());
        match rest.get(..end) {
            Some(token) if end > 0 => {
                self.position += end;
                Ok(token.to_owned())
            }
            _ => Err(self.expected(what)),
        }
    }

    fn extension(&mut self) -> Result<Extension, ExtensionsError> {
        let name = self.token("the name of an extension")?;
        let mut params = Vec::new();
        while self.skip(';') {
            let name = self.token("the name of a parameter")?;
            let value = if self.skip('=') { Some(self.param_value()?) } else { None };
            params.push((name, value));
        }
        Ok(Extension { name, params })
    }

    /// A token, or a quoted string that is one when its quotes and backslashes are gone.
    fn param_value(&mut self) -> Result<String, ExtensionsError> {
        if !self.rest().starts_with('"') {
            return self.token("the value of a parameter");
        }
        let not_token = self.expected("a token in the quotes");
        let (mut text, mut chars) = (String::new(), self.rest().char_indices().skip(1));
        let end = loop {
            match chars.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) => text.extend(chars.next().map(|(_, c)| c)),
                Some((_, c)) => text.push(c),
                None => return Err(self.expected("a quoted string that ends")),
            }
        };
        if !is_token(&text) {
            return Err(not_token);
        }
        self.position += end + 1;
        Ok(text)
    }
}

/// What a client sends.
pub(super) fn offer(config: &DeflateConfig) -> Extension {
    let mut params = Vec::new();
    for (name, wanted) in [
        (SERVER_NO_CONTEXT_TAKEOVER, config.server_no_context_takeover),
        (CLIENT_NO_CONTEXT_TAKEOVER, config.client_no_context_takeover),
    ] {
        if wanted {
            params.push((name.to_owned(), None));
        }
    }
    let limited = |bits: u8| (bits < FULL).then(|| bits.to_string());
    if let Some(bits) = limited(config.server_max_window_bits) {
        params.push((SERVER_MAX_WINDOW_BITS.to_owned(), Some(bits)));
    }
    // Always there, as the server may only then limit our window (section 7.1.2.2).
    params.push((CLIENT_MAX_WINDOW_BITS.to_owned(), limited(config.client_max_window_bits)));
    Extension { name: NAME.to_owned(), params }
}

/// The parameters of one element.
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Without a value, which only an offer may do, it is 15.
    client_max_window_bits: Option<u8>,
}

impl Params {
    /// Reads them (sections 7.1.1 and 7.1.2); the error says what is wrong.
    fn read(extension: &Extension, in_offer: bool) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in &extension.params {
            let bits = || {
                // Decimal, without leading zeros or a sign.
                let found =
                    value.as_deref().filter(|value| !value.starts_with(['0', '+'])).and_then(|v| v.parse().ok());
                found.filter(|bits| (8..=FULL).contains(bits)).ok_or_else(|| {
                    format!("{name} is {}; expected 8 to 15", value.as_deref().unwrap_or("without a value"))
                })
            };
            let flag = || match value {
                None => Ok(true),
                Some(value) => Err(format!("{name} is {value}; expected no value")),
            };
            let repeated = match name.as_str() {
                SERVER_NO_CONTEXT_TAKEOVER => std::mem::replace(&mut read.server_no_context_takeover, flag()?),
                CLIENT_NO_CONTEXT_TAKEOVER => std::mem::replace(&mut read.client_no_context_takeover, flag()?),
                SERVER_MAX_WINDOW_BITS => read.server_max_window_bits.replace(bits()?).is_some(),
                CLIENT_MAX_WINDOW_BITS => {
                    let bits = if in_offer && value.is_none() { FULL } else { bits()? };
                    read.client_max_window_bits.replace(bits).is_some()
                }
                _ => return Err(format!("unknown parameter {name}")),
            };
            if repeated {
                return Err(format!("{name} is given more than once"));
            }
        }
        Ok(read)
    }
}

/// The server's choice: the first offer that can be accepted (section 5.1).
pub(super) fn choose(offers: &Extensions, config: &DeflateConfig) -> Option<Negotiated> {
    let mut of_deflate = offers.0.iter().filter(|offer| offer.name == NAME);
    // An offer with anything that is not known or not valid is declined (section 7.1).
    of_deflate.find_map(|offer| Params::read(offer, true).ok()).map(|offer| {
        let own = |bits: u8| (bits < FULL).then_some(bits);
        Negotiated {
            server_no_context_takeover: offer.server_no_context_takeover || config.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover || config.client_no_context_takeover,
            server_max_window_bits: match offer.server_max_window_bits {
                Some(asked) => Some(asked.min(config.server_max_window_bits)),
                None => own(config.server_max_window_bits),
            },
            // A client that did not name it does not understand it (section 7.1.2.2).
            client_max_window_bits: offer
                .client_max_window_bits
                .and_then(|most| own(most.min(config.client_max_window_bits))),
            config: *config,
        }
    })
}

/// The client's check of the response to [`offer`]; the error says what is wrong with it.
pub(super) fn confirm(found: &Extensions, config: &DeflateConfig) -> Result<Option<Negotiated>, String> {
    let mut agreed = None;
    for extension in &found.0 {
        if extension.name != NAME {
            return Err(format!("{} was not offered", extension.name));
        }
        if agreed.is_some() {
            return Err(format!("{NAME} is given more than once"));
        }
        let params = Params::read(extension, false)?;
        if config.server_no_context_takeover && !params.server_no_context_takeover {
            return Err(format!("{SERVER_NO_CONTEXT_TAKEOVER} is missing"));
        }
        for (name, bits, most) in [
            (SERVER_MAX_WINDOW_BITS, params.server_max_window_bits, config.server_max_window_bits),
            (CLIENT_MAX_WINDOW_BITS, params.client_max_window_bits, config.client_max_window_bits),
        ] {
            match bits {
                Some(bits) if bits > most => {
                    return Err(format!("{name} is {bits}; expected at most the {most} offered"));
                }
                // Of our own window the server need not speak: it is what we said, or less.
                None if most < FULL && name == SERVER_MAX_WINDOW_BITS => {
                    return Err(format!("{name} is missing; expected at most the {most} offered"));
                }
                _ => {}
            }
        }
        agreed = Some(Negotiated {
            server_no_context_takeover: params.server_no_context_takeover,
            client_no_context_takeover: params.client_no_context_takeover,
            server_max_window_bits: params.server_max_window_bits,
            client_max_window_bits: params.client_max_window_bits,
            config: *config,
        });
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests;
