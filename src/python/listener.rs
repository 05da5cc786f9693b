//! `Listener`: the handle that the server of Python holds.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::net::{Listener, ListenerOptions, core};

use super::bridge::{LoopBridge, What};
use super::connection::address;
use super::handle::Handle;
use super::options::{ConnectionOptions, TlsConfig, seconds};

/// A listening socket.
#[pyclass(frozen, name = "Listener", module = "voxwire._core")]
pub(super) struct PyListener(Handle<Listener>);

#[pymethods]
impl PyListener {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "one call per server, from one place")]
    fn new(
        py: Python<'_>,
        bridge: &LoopBridge,
        sink: Py<PyAny>,
        host: &str,
        port: u16,
        protocols: Vec<String>,
        max_connections: usize,
        options: &ConnectionOptions,
        tls: Option<&TlsConfig>,
    ) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let options = ListenerOptions {
            protocols,
            max_connections,
            connection: options.0.clone(),
            tls: tls.and_then(|tls| tls.server.clone()),
        };
        let core = core()?;
        let listener = py.detach(|| Listener::bind(core, mailbox, host, port, options))?;
        bridge.register(listener.id(), sink, What::Listener(Arc::clone(&listener)));
        Ok(Self(Handle::new(listener)))
    }

    #[getter]
    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<(String, u16)>> {
        Ok(self.0.get(py)?.addresses().iter().copied().map(address).collect())
    }

    #[getter]
    fn connections(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.0.get(py)?.connections())
    }

    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        self.0.get(py)?.close(seconds(py, "timeout", timeout)?);
        Ok(())
    }
}
