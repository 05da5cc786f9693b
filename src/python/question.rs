//! `Question`: a request that waits until Python has decided about it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::net::{Question, Verdict};
use crate::proto::handshake::Response;

use super::connection::address;
use super::errors;
use super::handle::Handle;

/// A request that waits for an answer.
#[pyclass(frozen, name = "Question", module = "voxwire._core")]
pub(super) struct PyQuestion(Handle<Question>);

impl PyQuestion {
    pub(super) fn new(question: Arc<Question>) -> Self {
        Self(Handle::new(question))
    }
}

#[pymethods]
impl PyQuestion {
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.0.get(py)?.id)
    }

    #[getter]
    fn method(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.0.get(py)?.method)
    }

    #[getter]
    fn path(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.0.get(py)?.path)
    }

    #[getter]
    fn host(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.0.get(py)?.host)
    }

    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Vec<(String, String)>> {
        Ok(self.0.get(py)?.headers.clone())
    }

    #[getter]
    fn protocols(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.0.get(py)?.protocols.clone())
    }

    #[getter]
    fn upgrade(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.0.get(py)?.upgrade)
    }

    #[getter]
    fn peer(&self, py: Python<'_>) -> PyResult<Option<(String, u16)>> {
        Ok(self.0.get(py)?.peer.map(address))
    }

    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.0.get(py)?.certificate.as_deref().map(|der| PyBytes::new(py, der)))
    }

    /// `protocol`: empty for none, `None` for the listener's choice.
    fn go_on(&self, py: Python<'_>, protocol: Option<String>, headers: Vec<(String, String)>) -> PyResult<()> {
        let protocol = protocol.map(|name| Some(name).filter(|name| !name.is_empty()));
        self.answer(py, Verdict::GoOn { protocol, headers })
    }

    fn respond(&self, py: Python<'_>, status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> PyResult<()> {
        self.answer(py, Verdict::Respond(Response { status, headers, body }))
    }
}

impl PyQuestion {
    fn answer(&self, py: Python<'_>, verdict: Verdict) -> PyResult<()> {
        self.0.get(py)?.answer(verdict).map_err(|e| errors::request(py, &e))
    }
}
