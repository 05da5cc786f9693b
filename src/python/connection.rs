//! `Connection`: the handle that the WebSocket of Python holds.

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::net::{ConnectError, Connection, Sent, Target, core};
use crate::proto::Url;

use super::audio::PyLevel;
use super::bridge::{LoopBridge, What};
use super::buffer::with_bytes;
use super::errors;
use super::handle::Handle;
use super::options::{ConnectionOptions, TlsConfig};
use super::statistics;
use super::via::Via;

/// Messages longer than this are copied and written without the GIL; for shorter ones letting go of it costs more.
const DETACH_ABOVE: usize = 64 * 1024;

/// One WebSocket connection, either direction.
#[pyclass(frozen, name = "Connection", module = "voxwire._core")]
pub(super) struct PyConnection(Handle<Connection>);

impl PyConnection {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self(Handle::new(connection))
    }

    pub(super) fn get(&self, py: Python<'_>) -> PyResult<&Arc<Connection>> {
        self.0.get(py)
    }

    pub(super) fn send_text(&self, py: Python<'_>, on_loop: bool, text: &str) -> PyResult<Sent> {
        let connection = self.get(py)?;
        let sent = if text.len() > DETACH_ABOVE {
            py.detach(|| connection.send_text_on(false, text))
        } else {
            connection.send_text_on(on_loop, text)
        };
        sent.map_err(|e| errors::outbound(py, &e))
    }

    pub(super) fn send_binary(&self, py: Python<'_>, on_loop: bool, data: &[u8]) -> PyResult<Sent> {
        self.get(py)?.send_binary_on(on_loop, data).map_err(|e| errors::outbound(py, &e))
    }
}

#[pymethods]
impl PyConnection {
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "one call per connection, from one place")]
    fn connect(
        py: Python<'_>,
        bridge: &LoopBridge,
        sink: Py<PyAny>,
        url: &str,
        protocols: Vec<String>,
        headers: Vec<(String, String)>,
        options: &ConnectionOptions,
        tls: Option<&TlsConfig>,
        require_protocol: bool,
        via: &Via,
        sock: Option<i32>,
    ) -> PyResult<Self> {
        let mailbox = bridge.mailbox(py)?;
        let target = target(py, url, protocols, headers, tls, require_protocol, via, sock)?;
        let connection = Connection::connect(core()?, mailbox, target, options.0.clone())
            .map_err(|e| cannot_begin(py, &e, options))?;
        // Registered before this call returns to the loop, so no notice can come earlier.
        bridge.register(connection.id(), sink, What::Connection(Arc::clone(&connection)));
        Ok(Self::new(connection))
    }

    #[pyo3(signature = (trace=None))]
    fn start(&self, py: Python<'_>, trace: Option<PathBuf>) -> PyResult<()> {
        let connection = self.get(py)?;
        if let Some(path) = trace {
            connection.trace_to(&path).map_err(|e| errors::file(&e, &path))?;
        }
        connection.start();
        Ok(())
    }

    fn ping(&self, py: Python<'_>, payload: &Bound<'_, PyAny>) -> PyResult<()> {
        let connection = self.get(py)?;
        with_bytes(payload, |bytes| connection.ping(bytes))?.map_err(|e| errors::outbound(py, &e))
    }

    fn close(&self, py: Python<'_>, code: Option<u16>, reason: &str) -> PyResult<()> {
        self.get(py)?.close(code, reason);
        Ok(())
    }

    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.get(py)?.abort();
        Ok(())
    }

    pub(super) fn release(&self, py: Python<'_>, cost: usize) -> PyResult<()> {
        self.get(py)?.release(cost);
        Ok(())
    }

    fn take_over(&self, py: Python<'_>, lost: &Self, unhandled: usize) -> PyResult<()> {
        self.get(py)?.take_over(lost.get(py)?, unhandled);
        Ok(())
    }

    fn request_drain(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.get(py)?.request_drain())
    }

    #[getter]
    fn buffered_amount(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.get(py)?.buffered_amount())
    }

    #[getter]
    fn local_address(&self, py: Python<'_>) -> PyResult<Option<(String, u16)>> {
        Ok(self.get(py)?.addresses().map(|(local, _)| address(local)))
    }

    #[getter]
    fn remote_address(&self, py: Python<'_>) -> PyResult<Option<(String, u16)>> {
        Ok(self.get(py)?.addresses().map(|(_, remote)| address(remote)))
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        statistics::of_connection(py, &self.get(py)?.statistics())
    }

    fn clear_media(&self, py: Python<'_>, tag: Option<&str>) -> PyResult<f64> {
        Ok(self.get(py)?.clear_media(tag).as_secs_f64() * 1000.0)
    }

    fn media_level(&self, py: Python<'_>, tag: Option<&str>) -> PyResult<PyLevel> {
        Ok(PyLevel::of(self.get(py)?.media_level(tag)))
    }

    fn pause_media(&self, py: Python<'_>, tag: Option<&str>, paused: bool) -> PyResult<()> {
        self.get(py)?.pause_media(tag, paused);
        Ok(())
    }

    fn mark_media(&self, py: Python<'_>, tag: Option<&str>, identity: u64) -> PyResult<()> {
        self.get(py)?.mark_media(tag, identity).map_err(|e| errors::too_many_marks(py, e))
    }

    fn buffered_media(&self, py: Python<'_>, tag: Option<&str>) -> PyResult<f64> {
        Ok(self.get(py)?.buffered_media(tag).as_secs_f64() * 1000.0)
    }
}

/// Where to connect to and what to ask for.
#[expect(clippy::too_many_arguments, reason = "one call per connection, from two places")]
pub(super) fn target(
    py: Python<'_>,
    url: &str,
    protocols: Vec<String>,
    headers: Vec<(String, String)>,
    tls: Option<&TlsConfig>,
    require_protocol: bool,
    via: &Via,
    sock: Option<i32>,
) -> PyResult<Target> {
    let url = Url::parse(url).map_err(|e| errors::invalid_url(py, &e))?;
    let config = match tls.and_then(|tls| tls.client.clone()) {
        None if url.secure() => Some(crate::net::default_client_config().map_err(|e| errors::tls(py, &e))?),
        config => config,
    };
    let server_name = tls.and_then(|tls| tls.server_name.clone());
    let via = via.0.clone();
    if sock.is_none() {
        via.proxies.for_url(&url).map_err(|e| errors::proxy(py, &e))?;
    }
    let socket = sock.map(duplicate).transpose()?;
    Ok(Target { url, protocols, headers, tls: config, server_name, require_protocol, via, socket })
}

/// Why connecting could not even begin.
pub(super) fn cannot_begin(py: Python<'_>, error: &ConnectError, options: &ConnectionOptions) -> PyErr {
    match error {
        ConnectError::Request(source) => errors::request(py, source),
        ConnectError::Trace(source) => errors::file(source, options.0.trace.as_deref().unwrap_or("".as_ref())),
    }
}

/// A descriptor of our own for an open file.
pub(super) fn duplicate(fd: RawFd) -> std::io::Result<OwnedFd> {
    // SAFETY: the caller's socket object keeps the descriptor open during the call, and it is borrowed no longer.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned()
}

/// An address the way Python's sockets give it.
pub(super) fn address(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}
