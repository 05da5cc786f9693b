//! Messages of media streams, read and written: JSON text to fields and bytes, and back.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::media::event::{self, EventError, MediaEvent, Parsed};
use crate::python::buffer::{Bytes, bytes_of};
use crate::python::errors;

use super::decoder::PyDecoder;
use super::encoding_of;

/// A stream begins: `{"event":"start","start":{…}}`.
#[pyclass(frozen, get_all, name = "StartMessage", module = "voxwire.audio")]
pub(in crate::python) struct StartMessage {
    /// The stream's name, "" when it has none.
    tag: String,
    /// The encoding, as the sender calls it; None when it does not say.
    encoding: Option<String>,
    /// In Hz; None when the sender does not say.
    #[pyo3(name = "sampleRate")]
    sample_rate: Option<u32>,
    /// None when the sender does not say.
    channels: Option<u32>,
    /// Anything that JSON can hold; None when there is nothing.
    #[pyo3(name = "customParameters")]
    custom_parameters: Option<Py<PyAny>>,
    /// The message's number.
    #[pyo3(name = "sequenceNumber")]
    sequence_number: Option<u64>,
}

/// A chunk of a stream's audio: `{"event":"media","media":{…}}`.
#[pyclass(frozen, get_all, name = "MediaMessage", module = "voxwire.audio")]
pub(in crate::python) struct MediaMessage {
    /// The stream's name, "" when it has none.
    tag: Py<PyString>,
    /// The chunk's number.
    chunk: Option<u64>,
    /// Samples in all chunks before.
    timestamp: Option<u64>,
    /// The audio: as it was sent, or PCM when there was a decoder.
    payload: Py<PyBytes>,
    /// The message's number.
    #[pyo3(name = "sequenceNumber")]
    sequence_number: Option<u64>,
}

/// A stream ends: `{"event":"stop","stop":{…}}`.
#[pyclass(frozen, get_all, name = "StopMessage", module = "voxwire.audio")]
pub(in crate::python) struct StopMessage {
    /// The stream's name, "" when it has none.
    tag: String,
    /// Bytes of audio that were sent, before base64; None when the sender does not say.
    #[pyo3(name = "bytesSent")]
    bytes_sent: Option<u64>,
    /// Milliseconds of audio that were sent; None when the sender does not say.
    duration: Option<u64>,
    /// The message's number.
    #[pyo3(name = "sequenceNumber")]
    sequence_number: Option<u64>,
}

#[pymethods]
impl StartMessage {
    fn __repr__(&self) -> String {
        format!("StartMessage(tag={:?}, encoding={:?})", self.tag, self.encoding.as_deref().unwrap_or("PCM8"))
    }
}

#[pymethods]
impl MediaMessage {
    fn __repr__(&self, py: Python<'_>) -> String {
        let length = self.payload.as_bytes(py).len();
        let chunk = self.chunk.map_or("None".to_owned(), |chunk| chunk.to_string());
        format!("MediaMessage(tag={:?}, chunk={chunk}, {length} bytes)", self.tag.to_string())
    }
}

#[pymethods]
impl StopMessage {
    fn __repr__(&self) -> String {
        format!("StopMessage(tag={:?})", self.tag)
    }
}

/// Reads a message of a media stream. None: it is an ordinary message.
#[pyfunction]
#[pyo3(signature = (message, decoder = None))]
pub(in crate::python) fn parse_media<'py>(
    message: &Bound<'py, PyAny>,
    decoder: Option<&Bound<'py, PyDecoder>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = message.py();
    if let Ok(text) = message.cast::<PyString>() {
        return read(py, text.to_str()?, decoder.map(Bound::get));
    }
    let bytes = bytes_of(message, "str or a bytes-like object")?;
    match simdutf8::basic::from_utf8(bytes.as_slice()) {
        Ok(text) => read(py, text, decoder.map(Bound::get)),
        // JSON is UTF-8 (RFC 8259 section 8.1).
        Err(_) => Ok(None),
    }
}

fn read<'py>(py: Python<'py>, text: &str, decoder: Option<&PyDecoder>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let event = match event::parse(text) {
        Parsed::Ordinary => return Ok(None),
        Parsed::Malformed(error) => return Err(refused(py, &error)),
        Parsed::Event(event) => event,
    };
    Ok(Some(match event {
        MediaEvent::Media(media) => {
            let mut payload = Vec::with_capacity(media.payload.len() / 4 * 3 + 3);
            event::decode_payload(&media.payload, &mut payload).map_err(|e| refused(py, &e))?;
            let payload = match decoder {
                Some(decoder) => decoder.decode_bytes(py, &Bytes::Fixed(&payload))?,
                None => PyBytes::new(py, &payload),
            };
            let message = MediaMessage {
                tag: PyString::new(py, media.tag.as_deref().unwrap_or_default()).unbind(),
                chunk: media.chunk,
                timestamp: media.timestamp,
                payload: payload.unbind(),
                sequence_number: media.sequence_number,
            };
            Bound::new(py, message)?.into_any()
        }
        MediaEvent::Start(start) => {
            let loads = |text: Cow<'_, str>| py.import("json")?.call_method1("loads", (text,)).map(Bound::unbind);
            let message = StartMessage {
                tag: owned(start.tag),
                encoding: start.encoding.map(Cow::into_owned),
                sample_rate: start.sample_rate,
                channels: start.channels,
                custom_parameters: start.custom_parameters.map(loads).transpose()?,
                sequence_number: start.sequence_number,
            };
            Bound::new(py, message)?.into_any()
        }
        MediaEvent::Stop(stop) => {
            let message = StopMessage {
                tag: owned(stop.tag),
                bytes_sent: stop.bytes_sent,
                duration: stop.duration,
                sequence_number: stop.sequence_number,
            };
            Bound::new(py, message)?.into_any()
        }
    }))
}

fn owned(tag: Option<Cow<'_, str>>) -> String {
    tag.map(Cow::into_owned).unwrap_or_default()
}

fn refused(py: Python<'_>, source: &EventError) -> PyErr {
    errors::media_event(py, source.to_string(), source)
}

/// Writes the message that begins a stream. `customParameters` is anything that JSON can hold.
#[pyfunction]
#[pyo3(signature = (encoding = None, sampleRate = None, *, tag = "", sequenceNumber = 0, customParameters = None))]
#[expect(non_snake_case, reason = "the names of the format")]
pub(in crate::python) fn write_start<'py>(
    py: Python<'py>,
    encoding: Option<&str>,
    sampleRate: Option<i64>,
    tag: &str,
    sequenceNumber: u64,
    customParameters: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyString>> {
    let encoding = encoding_of(py, encoding, sampleRate)?;
    let custom = customParameters
        .map(|custom| py.import("json")?.call_method1("dumps", (custom,))?.extract::<String>())
        .transpose()?;
    let mut out = Vec::new();
    event::write_start(&mut out, sequenceNumber, tag, encoding, custom.as_deref());
    PyString::from_bytes(py, &out)
}

/// Writes the message with a chunk of audio, which is encoded already.
#[pyfunction]
#[pyo3(signature = (payload, *, chunk, timestamp, tag = "", sequenceNumber = 0))]
#[expect(non_snake_case, reason = "the names of the format")]
pub(in crate::python) fn write_media<'py>(
    payload: &Bound<'py, PyAny>,
    chunk: u64,
    timestamp: u64,
    tag: &str,
    sequenceNumber: u64,
) -> PyResult<Bound<'py, PyString>> {
    let bytes = bytes_of(payload, "a bytes-like object")?;
    let mut out = Vec::new();
    event::write_media(&mut out, sequenceNumber, tag, chunk, timestamp, bytes.as_slice());
    PyString::from_bytes(payload.py(), &out)
}

/// Writes the message that ends a stream.
#[pyfunction]
#[pyo3(signature = (*, bytesSent, duration, tag = "", sequenceNumber = 0))]
#[expect(non_snake_case, reason = "the names of the format")]
pub(in crate::python) fn write_stop<'py>(
    py: Python<'py>,
    bytesSent: u64,
    duration: u64,
    tag: &str,
    sequenceNumber: u64,
) -> PyResult<Bound<'py, PyString>> {
    let mut out = Vec::new();
    event::write_stop(&mut out, sequenceNumber, tag, bytesSent, duration);
    PyString::from_bytes(py, &out)
}
