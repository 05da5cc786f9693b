//! G.711 for Python code that has bytes in its hands: the same tables as in the routes.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::media::codec::Plain;
use crate::media::encoding::Encoding;
use crate::media::pcm;

use super::buffer::{with_bytes, with_pcm};
use super::errors;

fn law_of(py: Python<'_>, law: &str) -> PyResult<Plain> {
    match Encoding::from_wire(Some(law), None, None) {
        Ok(Encoding::Ulaw) => Ok(Plain::Ulaw),
        Ok(Encoding::Alaw) => Ok(Plain::Alaw),
        _ => Err(errors::parameter(py, "law", &format!("{law:?}"), "\"ULAW\" or \"ALAW\"")),
    }
}

/// µ-law or A-law to s16le.
#[pyfunction]
pub(super) fn g711_decode<'py>(py: Python<'py>, data: &Bound<'py, PyAny>, law: &str) -> PyResult<Bound<'py, PyBytes>> {
    let law = law_of(py, law)?;
    let mut samples = Vec::new();
    // G.711 has a sample for every byte: this cannot fail.
    let _ = with_bytes(data, |bytes| law.decode_into(bytes, &mut samples))?;
    let mut out = Vec::with_capacity(samples.len() * 2);
    pcm::to_le_bytes_into(&samples, &mut out);
    Ok(PyBytes::new(py, &out))
}

/// s16le to µ-law or A-law.
#[pyfunction]
pub(super) fn g711_encode<'py>(py: Python<'py>, pcm: &Bound<'py, PyAny>, law: &str) -> PyResult<Bound<'py, PyBytes>> {
    let law = law_of(py, law)?;
    let mut out = Vec::new();
    with_pcm(pcm, |bytes| {
        let mut samples = Vec::with_capacity(bytes.len() / 2);
        pcm::from_le_bytes_into(bytes, &mut samples);
        law.encode_into(&samples, &mut out);
    })?;
    Ok(PyBytes::new(py, &out))
}
