//! `Listener`: the handle that the server of Python holds.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::net::{Endpoint, Listener, ListenerOptions, core};
use crate::proto::handshake::{HandshakeLimits, Origins};

use super::bridge::{LoopBridge, What};
use super::connection::{address, duplicate};
use super::errors;
use super::handle::Handle;
use super::options::{ConnectionOptions, TlsConfig, seconds};

/// A listening socket.
#[pyclass(frozen, name = "Listener", module = "voxwire._core")]
pub(super) struct PyListener(Handle<Listener>);

/// Where to listen: `(host, port, reuse_port)`, `(unix_path, mode)`, or a descriptor.
#[derive(FromPyObject)]
enum Place {
    Tcp(String, u16, bool),
    Unix(PathBuf, Option<u32>),
    Socket(i32),
}

#[pymethods]
impl PyListener {
    #[new]
    #[pyo3(signature = (bridge, sink, place, *, protocols, max_connections, max_line, max_headers, max_head, origins, ask,
        options, tls))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        bridge: &LoopBridge,
        sink: Py<PyAny>,
        place: Place,
        protocols: Vec<String>,
        max_connections: usize,
        max_line: usize,
        max_headers: usize,
        max_head: usize,
        origins: Option<Vec<Option<String>>>,
        ask: bool,
        options: &ConnectionOptions,
        tls: Option<&TlsConfig>,
    ) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let options = ListenerOptions {
            limits: HandshakeLimits { max_line, max_headers, max_head },
            origins: origins.map(|listed| Origins {
                absent: listed.contains(&None),
                allowed: listed.into_iter().flatten().collect(),
            }),
            ask,
            protocols,
            max_connections,
            connection: options.0.clone(),
            tls: tls.and_then(|tls| tls.server.clone()),
        };
        let endpoint = match place {
            Place::Tcp(host, port, reuse_port) => Endpoint::Tcp { host, port, reuse_port },
            Place::Unix(path, mode) => Endpoint::Unix { path, mode },
            Place::Socket(fd) => Endpoint::Socket(duplicate(fd)?),
        };
        let core = core()?;
        let bound = py.detach(|| Listener::bind(core, mailbox, endpoint, options));
        let listener = bound.map_err(|e| errors::listen(&e))?;
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

    fn set_tls(&self, py: Python<'_>, tls: &TlsConfig) -> PyResult<()> {
        let listener = self.0.get(py)?;
        if let Some(config) = tls.server.clone() {
            listener.set_tls(config);
        }
        Ok(())
    }

    fn close(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        self.0.get(py)?.close(seconds(py, "timeout", timeout)?);
        Ok(())
    }
}
