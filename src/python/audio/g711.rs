//! G.711 in one call: it remembers nothing from chunk to chunk.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::{g711, pcm};
use crate::python::buffer::{bytes_of, pcm_of};

use super::work_on;

/// Samples at a time: what keeps the samples between the two steps in the nearest cache.
const BLOCK: usize = 4096;

/// µ-law to 16-bit PCM (ITU-T G.711, bit for bit as G.191's reference): two bytes for each.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub(in crate::python) fn ulaw_decode<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    decode(data, g711::ulaw_decode_into)
}

/// A-law to 16-bit PCM (ITU-T G.711, bit for bit as G.191's reference): two bytes for each.
#[pyfunction]
#[pyo3(signature = (data, /))]
pub(in crate::python) fn alaw_decode<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    decode(data, g711::alaw_decode_into)
}

/// 16-bit PCM to µ-law (ITU-T G.711, bit for bit as G.191's reference): a byte a sample.
#[pyfunction]
#[pyo3(signature = (pcm, /))]
pub(in crate::python) fn ulaw_encode<'py>(pcm: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    encode(pcm, g711::ulaw_encode_into)
}

/// 16-bit PCM to A-law (ITU-T G.711, bit for bit as G.191's reference): a byte a sample.
#[pyfunction]
#[pyo3(signature = (pcm, /))]
pub(in crate::python) fn alaw_encode<'py>(pcm: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    encode(pcm, g711::alaw_encode_into)
}

fn decode<'py>(data: &Bound<'py, PyAny>, law: fn(&[u8], &mut Vec<i16>)) -> PyResult<Bound<'py, PyBytes>> {
    let py = data.py();
    let bytes = bytes_of(data, "a bytes-like object")?;
    let length = bytes.as_slice().len();
    PyBytes::new_with(py, 2 * length, |out| {
        work_on(py, &bytes, 1, |codes| {
            let mut samples = Vec::with_capacity(length.min(BLOCK));
            for (codes, out) in codes.chunks(BLOCK).zip(out.chunks_mut(2 * BLOCK)) {
                samples.clear();
                law(codes, &mut samples);
                pcm::to_le_bytes(&samples, out);
            }
        });
        Ok(())
    })
}

fn encode<'py>(pcm: &Bound<'py, PyAny>, law: fn(&[i16], &mut Vec<u8>)) -> PyResult<Bound<'py, PyBytes>> {
    let py = pcm.py();
    let bytes = pcm_of(pcm)?;
    let length = bytes.as_slice().len() / 2;
    PyBytes::new_with(py, length, |out| {
        work_on(py, &bytes, 1, |bytes| {
            let mut samples = Vec::with_capacity(length.min(BLOCK));
            let mut codes = Vec::with_capacity(length.min(BLOCK));
            for (bytes, out) in bytes.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)) {
                samples.clear();
                codes.clear();
                pcm::from_le_bytes_into(bytes, &mut samples);
                law(&samples, &mut codes);
                out.copy_from_slice(&codes);
            }
        });
        Ok(())
    })
}
