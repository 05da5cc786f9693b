//! How an outgoing connection is made, as Python hands it over.

use pyo3::prelude::*;

use crate::net;

use super::options::seconds;

/// How the server of an outgoing connection is reached.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct Via(pub(super) net::Via);

#[pymethods]
impl Via {
    #[new]
    #[pyo3(signature = (*, happy_eyeballs_delay))]
    fn new(py: Python<'_>, happy_eyeballs_delay: Option<f64>) -> PyResult<Self> {
        let delay = happy_eyeballs_delay.map(|value| seconds(py, "happy_eyeballs_delay", value)).transpose()?;
        Ok(Self(net::Via { happy_eyeballs_delay: delay }))
    }
}
