//! `voxwire.audio`: the core's audio functions for Python code that has the bytes in its hands.
//!
//! Conversions only: what they do is in `media`. Each answers `bytes`, takes whatever has the buffer protocol, and lets
//! other threads run Python when there is much to do.

mod decoder;
mod encoder;
mod g711;
mod level;
mod message;
mod resampler;

pub(super) use decoder::PyDecoder;
pub(super) use encoder::PyEncoder;
pub(super) use g711::{alaw_decode, alaw_encode, ulaw_decode, ulaw_encode};
pub(super) use level::{PyLevel, level_of};
pub(super) use message::{MediaMessage, StartMessage, StopMessage, parse_media, write_media, write_start, write_stop};
pub(super) use resampler::PyResampler;

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::media::encoding::Encoding;

use super::buffer::Bytes;
use super::errors;

/// How much work, in bytes of G.711, is worth letting others run: some 10 µs, below which to wait for one's turn again costs
/// more than it gives.
const MUCH: usize = 64 << 10;
/// What a byte costs beside one of G.711.
const RESAMPLED: usize = 16;

/// What a byte of PCM, or of the encoded audio, costs beside one of G.711.
fn weight(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Pcm { .. } | Encoding::Ulaw | Encoding::Alaw => 1,
        Encoding::G722 => 32,
        Encoding::Opus | Encoding::OggOpus => 256,
    }
}

/// Works on bytes: at once when there is little to do, else without holding up other threads.
fn work_on<T: Send>(py: Python<'_>, data: &Bytes<'_>, weight: usize, work: impl FnOnce(&[u8]) -> T + Send) -> T {
    if data.as_slice().len().saturating_mul(weight) < MUCH { work(data.as_slice()) } else { data.detached(py, work) }
}

/// Works on bytes with the state of a stream. Two threads take turns, and neither waits for the interpreter while it has
/// the state.
fn work_with<S: Send, T: Send>(
    py: Python<'_>,
    state: &Mutex<S>,
    data: &Bytes<'_>,
    weight: usize,
    work: impl FnOnce(&mut S, &[u8]) -> T + Send,
) -> T {
    if data.as_slice().len().saturating_mul(weight) < MUCH {
        let mut state = lock_attached(py, state);
        return work(&mut state, data.as_slice());
    }
    data.detached(py, |bytes| work(&mut state.lock().unwrap_or_else(PoisonError::into_inner), bytes))
}

fn lock_attached<'a, S>(py: Python<'_>, state: &'a Mutex<S>) -> MutexGuard<'a, S> {
    state.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

/// A buffer that is kept between calls does not keep the size of the longest one.
fn forget_size<T>(buffer: &mut Vec<T>) {
    if buffer.capacity() > MUCH {
        *buffer = Vec::new();
    }
}

/// The encoding with that name on the wire. Raises `MediaError`.
fn encoding_of(py: Python<'_>, name: Option<&str>, rate: Option<i64>) -> PyResult<Encoding> {
    let rate = rate.map(|rate| rate_of(py, "rate", rate)).transpose()?;
    Encoding::from_wire(name, rate, None).map_err(|e| errors::format_error(py, &e))
}

/// A number of Hz. Raises `InvalidParameter` for what can be none.
fn rate_of(py: Python<'_>, field: &str, rate: i64) -> PyResult<u32> {
    u32::try_from(rate).map_err(|_| errors::parameter(py, field, &rate.to_string(), "a sample rate in Hz"))
}
