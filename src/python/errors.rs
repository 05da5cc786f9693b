//! From the core's errors to the exceptions of `voxwire.errors`, each in one place.

use std::io;
use std::path::Path;

use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict};

use crate::media::codec::PayloadError;
use crate::media::encoding::FormatError;
use crate::media::event::EventError;
use crate::media::lead::LeadTooLong;
use crate::media::pcm::format::PartialSample;
use crate::media::stream::TooManyMarks;
use crate::net::{
    AudioUnitError, Closed, End, Failure, ListenError, PlayerError, ProxyError, ProxyUrlError, RecorderError,
    RouteError, TlsError, UnitError, printable,
};
use crate::proto::handshake::{HandshakeError, RequestError, TunnelError};
use crate::proto::{ProtocolError, SendError, UrlError};
use crate::session::{MediaRefusal, OutboundError};

/// An instance of `voxwire.errors.<class>`. Its message fits on a line, whatever a peer put into it.
fn error(py: Python<'_>, class: &str, message: String, fields: Option<&Bound<'_, PyDict>>) -> PyErr {
    let message = printable(message);
    let made = py
        .import("voxwire.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call((message,), fields));
    match made {
        Ok(instance) => PyErr::from_value(instance),
        Err(error) => error,
    }
}

fn plain(py: Python<'_>, class: &str, message: &impl ToString) -> PyErr {
    error(py, class, message.to_string(), None)
}

pub(super) fn forked(py: Python<'_>) -> PyErr {
    plain(py, "ForkedError", &"this object belongs to the parent process; make a new one after a fork")
}

pub(super) fn still_connecting(py: Python<'_>) -> PyErr {
    plain(py, "InvalidState", &"the WebSocket is still connecting; send in the OPEN handler or after wait_open()")
}

pub(super) fn invalid_url(py: Python<'_>, source: &UrlError) -> PyErr {
    plain(py, "InvalidURL", source)
}

pub(super) fn request(py: Python<'_>, source: &RequestError) -> PyErr {
    plain(py, "InvalidParameter", source)
}

/// A parameter with a value that it cannot have.
pub(super) fn parameter(py: Python<'_>, field: &str, value: &str, expected: &str) -> PyErr {
    let message = format!("{field} is {value}; expected {expected}");
    let fields = [("field", field), ("value", value), ("expected", expected)].into_py_dict(py);
    error(py, "InvalidParameter", message, fields.ok().as_ref())
}

/// A proxy that cannot be used is a wrong parameter, wherever it was named. Its credentials are not repeated.
pub(super) fn proxy(py: Python<'_>, source: &ProxyUrlError) -> PyErr {
    let fields = [("field", "proxy"), ("expected", "the URL of a proxy")].into_py_dict(py);
    error(py, "InvalidParameter", format!("proxy: {source}"), fields.ok().as_ref())
}

/// TLS settings that cannot be used are a wrong parameter.
pub(super) fn tls(py: Python<'_>, source: &TlsError) -> PyErr {
    plain(py, "InvalidParameter", source)
}

/// A call that is right, but not now.
pub(super) fn state(py: Python<'_>, message: &impl ToString) -> PyErr {
    plain(py, "InvalidState", message)
}

/// Another call is closing the connection just now.
pub(super) fn closing(py: Python<'_>) -> PyErr {
    plain(py, "ConnectionClosed", &"the WebSocket is closing: close() was called")
}

/// A frame that must not be sent.
pub(super) fn frame(py: Python<'_>, source: &SendError) -> PyErr {
    plain(py, "InvalidParameter", source)
}

/// There is nothing to receive any more, nor anybody to send to; the cause is what failed. Of a private connection, the
/// message has nothing of what the peer sent.
pub(super) fn closed(py: Python<'_>, end: &End, private: bool) -> PyErr {
    let End { closed: Closed { code, reason, was_clean }, failure: source } = end;
    let why = if reason.is_empty() || private { String::new() } else { format!(" ({reason})") };
    let said = source.as_ref().map(|source| if private { source.discreet() } else { source.to_string() });
    let message = format!(
        "the WebSocket is closed, code {code}{why}{}",
        said.map(|said| format!(": {said}")).unwrap_or_default()
    );
    let fields = PyDict::new(py);
    let filled = fields
        .set_item("code", code)
        .and_then(|()| fields.set_item("reason", reason))
        .and_then(|()| fields.set_item("wasClean", was_clean));
    if let Err(error) = filled {
        return error;
    }
    let error = error(py, "ConnectionClosed", message, Some(&fields));
    if let Some(source) = source {
        error.set_cause(py, Some(PyErr::from_value(failure(py, source, private).into_bound(py))));
    }
    error
}

pub(super) fn outbound(py: Python<'_>, source: &OutboundError) -> PyErr {
    match source {
        OutboundError::Full { .. } => plain(py, "SendBufferFull", source),
        OutboundError::NoMemory { .. } => PyMemoryError::new_err(source.to_string()),
        OutboundError::Frame(_) => plain(py, "InvalidParameter", source),
    }
}

pub(super) fn route(py: Python<'_>, source: &RouteError) -> PyErr {
    plain(py, "AudioRouteError", source)
}

pub(super) fn audio_unit(py: Python<'_>, source: &AudioUnitError) -> PyErr {
    match source {
        AudioUnitError::Rate(_) | AudioUnitError::Lead(_) => plain(py, "InvalidParameter", source),
        AudioUnitError::Full { .. } => plain(py, "MediaBufferFull", source),
        AudioUnitError::Marks(_) | AudioUnitError::Closed => plain(py, "InvalidState", source),
    }
}

pub(super) fn lead(py: Python<'_>, source: LeadTooLong) -> PyErr {
    plain(py, "InvalidParameter", &source)
}

pub(super) fn too_many_marks(py: Python<'_>, source: TooManyMarks) -> PyErr {
    plain(py, "InvalidState", &source)
}

/// What cannot be played: a file, or something without a name.
pub(super) fn player(py: Python<'_>, source: &PlayerError, path: Option<&Path>) -> PyErr {
    match (source, path) {
        (PlayerError::Io(error), Some(path)) => file(error, path),
        (PlayerError::Sound(error), Some(path)) => plain(py, "MediaError", &format!("{}: {error}", path.display())),
        (PlayerError::Sound(error), None) => plain(py, "MediaError", error),
        (PlayerError::Io(error), None) => PyOSError::new_err(error.to_string()),
    }
}

pub(super) fn recorder(py: Python<'_>, source: &RecorderError, path: &Path) -> PyErr {
    match source {
        RecorderError::Io(error) => file(error, path),
        RecorderError::Opus(error) => plain(py, "InvalidParameter", error),
        RecorderError::Parameter { field, value, expected } => parameter(py, field, value, expected),
    }
}

/// A file that could not be opened or read: number, words and file, as `open()` raises it.
pub(super) fn file(source: &io::Error, path: &Path) -> PyErr {
    let Some(number) = source.raw_os_error() else {
        return PyOSError::new_err(format!("{source}: {}", path.display()));
    };
    let text = source.to_string();
    let words = text.split(" (os error").next().unwrap_or_default().to_owned();
    PyOSError::new_err((number, words, path.display().to_string()))
}

/// Nothing listens: the number, as sockets raise it, and words.
pub(super) fn listen(source: &ListenError) -> PyErr {
    let text = source.to_string();
    match source.errno() {
        Some(number) => PyOSError::new_err((number, text.split(" (os error").next().unwrap_or_default().to_owned())),
        None => PyOSError::new_err(text),
    }
}

/// What ended a media unit: a file that could not be read or written in the background, or what is no sound.
pub(super) fn unit(py: Python<'_>, source: &UnitError) -> Py<PyAny> {
    let error = match source {
        UnitError::File(message) => PyOSError::new_err(message.clone()),
        UnitError::Sound(message) => plain(py, "MediaError", message),
    };
    error.into_value(py).into_any()
}

/// Audio that cannot be used: names field, value and what was expected.
pub(super) fn media(py: Python<'_>, message: String, field: &str, value: &str, expected: &str) -> PyErr {
    let fields = [("field", field), ("value", value), ("expected", expected)].into_py_dict(py);
    error(py, "MediaError", message, fields.ok().as_ref())
}

pub(super) fn format_error(py: Python<'_>, source: &FormatError) -> PyErr {
    media(py, source.to_string(), source.field, &source.value, source.expected)
}

/// The exception for the ERROR event; of a private connection, its message has nothing of what the peer sent.
pub(super) fn failure(py: Python<'_>, source: &Failure, private: bool) -> Py<PyAny> {
    let message = if private { source.discreet() } else { source.to_string() };
    let error = match source {
        Failure::Resolve { .. } => error(py, "NameResolutionError", message, None),
        Failure::Connect { errno, .. } => with_errno(py, error(py, "ConnectError", message, None), *errno),
        Failure::Interrupted { source, .. } => {
            with_errno(py, error(py, "ConnectError", message, None), source.raw_os_error())
        }
        Failure::Cancelled => error(py, "ConnectError", message, None),
        Failure::Proxy { proxy, error: source, .. } => {
            with_errno(py, through_proxy(py, message, proxy, source), source.errno())
        }
        Failure::Tls { broken, .. } => with_errno(py, error(py, "TLSError", message, None), hung_up(*broken)),
        Failure::Timeout { .. } => error(py, "ConnectTimeout", message, None),
        Failure::Request(_) => error(py, "InvalidParameter", message, None),
        Failure::Handshake { error: source, .. } => {
            let broken = matches!(source, HandshakeError::Closed { .. });
            with_errno(py, handshake(py, "HandshakeError", message, source), hung_up(broken))
        }
        Failure::Redirect(refused) => handshake(py, "RedirectError", message, &refused.answer),
        Failure::NoProtocol { .. } => error(py, "HandshakeError", message, None),
        Failure::Protocol(source) => protocol(py, message, source),
        Failure::Transport(source) => with_errno(py, error(py, "TransportError", message, None), source.raw_os_error()),
        Failure::Keepalive(_) => error(py, "KeepaliveTimeout", message, None),
        Failure::Media(source) => media_refusal(py, message, source),
    };
    error.into_value(py).into_any()
}

fn with_errno(py: Python<'_>, error: PyErr, errno: Option<i32>) -> PyErr {
    if let Some(errno) = errno {
        // A class of ours always takes an attribute; without it the error is still a good one.
        let _ = error.value(py).setattr("errno", errno);
    }
    error
}

/// The number that tells a peer that went away from one that gave a wrong answer.
fn hung_up(broken: bool) -> Option<i32> {
    broken.then(|| rustix::io::Errno::CONNRESET.raw_os_error())
}

fn handshake(py: Python<'_>, class: &str, message: String, source: &HandshakeError) -> PyErr {
    let fields = PyDict::new(py);
    if let HandshakeError::Status { status, headers, body, .. } = source {
        let filled = fields
            .set_item("status", status)
            .and_then(|()| fields.set_item("headers", headers.clone()))
            .and_then(|()| fields.set_item("body", PyBytes::new(py, body)));
        if let Err(error) = filled {
            return error;
        }
    }
    error(py, class, message, Some(&fields))
}

fn through_proxy(py: Python<'_>, message: String, proxy: &str, source: &ProxyError) -> PyErr {
    let fields = PyDict::new(py);
    let mut filled = fields.set_item("proxy", proxy);
    if let ProxyError::Tunnel { error: TunnelError::Status { status, headers, body, .. }, .. } = source {
        filled = filled
            .and_then(|()| fields.set_item("status", status))
            .and_then(|()| fields.set_item("headers", headers.clone()))
            .and_then(|()| fields.set_item("body", PyBytes::new(py, body)));
    }
    match filled {
        Ok(()) => error(py, "ProxyError", message, Some(&fields)),
        Err(error) => error,
    }
}

fn protocol(py: Python<'_>, message: String, source: &ProtocolError) -> PyErr {
    let code = source.close_code();
    let class = if code == 1009 { "MessageTooBig" } else { "ProtocolError" };
    error(py, class, message, [("close_code", code)].into_py_dict(py).ok().as_ref())
}

fn media_refusal(py: Python<'_>, message: String, source: &MediaRefusal) -> PyErr {
    match source {
        MediaRefusal::Event(source) => media_event(py, message, source),
        MediaRefusal::Format(FormatError { field, value, expected }) => media(py, message, field, value, expected),
        MediaRefusal::Payload(source) => payload(py, message, source),
        MediaRefusal::TooLong { field, length, limit } => {
            media(py, message, field, &format!("{length} bytes"), &format!("at most {limit} bytes"))
        }
        MediaRefusal::TooManyStreams { tag, limit } => {
            media(py, message, "start.tag", tag, &format!("at most {limit} streams on one connection"))
        }
    }
}

/// A media event that cannot be read.
pub(super) fn media_event(py: Python<'_>, message: String, source: &EventError) -> PyErr {
    match source {
        EventError::Missing { field, expected } => media(py, message, field, "missing", expected),
        EventError::Syntax(what) => media(py, message, "event", what, "a JSON object"),
        EventError::Wrong { field, value, expected } => media(py, message, field, value, expected),
    }
}

/// A payload that cannot be decoded.
pub(super) fn payload(py: Python<'_>, message: String, source: &PayloadError) -> PyErr {
    match source {
        PayloadError::Pcm(PartialSample { bytes, format }) => {
            let expected = format!("a multiple of {} bytes", format.width());
            media(py, message, "media.payload", &format!("{bytes} bytes"), &expected)
        }
        PayloadError::Opus(what) => {
            media(py, message, "media.payload", &what.to_string(), "an Opus packet (RFC 6716 section 3)")
        }
        PayloadError::Ogg(what) => {
            media(py, message, "media.payload", &what.to_string(), "Ogg Opus of one or two channels (RFC 7845)")
        }
    }
}
