//! The Python module: handles on what lives in `net`, and the event queue to asyncio. The only Rust that names pyo3.
//! Conversions and dispatch; no protocol decision.

mod audio;
mod blocking;
mod bridge;
mod buffer;
mod connection;
mod endpoint;
mod errors;
mod exit;
mod frames;
mod handle;
mod inbox;
mod listener;
mod options;
mod question;
mod reader;
mod routes;
mod statistics;
mod units;
mod via;
mod wake;

use std::time::Duration;

use pyo3::prelude::*;

use crate::net;
use crate::proto::Url;

/// The compiled core of voxwire.
#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    use super::audio::{
        MediaMessage, PyDecoder, PyEncoder, PyLevel, PyResampler, StartMessage, StopMessage, alaw_decode, alaw_encode,
        level_of, parse_media, ulaw_decode, ulaw_encode, write_media, write_start, write_stop,
    };
    #[pymodule_export]
    use super::blocking::{PyBlockingConnection, PyFrameSocket};
    #[pymodule_export]
    use super::bridge::LoopBridge;
    #[pymodule_export]
    use super::connection::PyConnection;
    #[pymodule_export]
    use super::endpoint::{Endpoint, write_held};
    #[pymodule_export]
    use super::frames::PyFrames;
    #[pymodule_export]
    use super::inbox::Inbox;
    #[pymodule_export]
    use super::listener::PyListener;
    #[pymodule_export]
    use super::options::{ConnectionOptions, TlsConfig};
    #[pymodule_export]
    use super::question::PyQuestion;
    #[pymodule_export]
    use super::routes::{route, routes, unroute};
    #[pymodule_export]
    use super::statistics::process_statistics;
    #[pymodule_export]
    use super::units::{
        PyAudioUnit, PyConference, PyPlayer, PyRecorder, PyRecorderChannel, PyToneDetector, PyToneGenerator,
    };
    #[pymodule_export]
    use super::via::Via;
    #[pymodule_export]
    use super::{check_url, mark_forked, shutdown};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}

/// Checks a WebSocket URL and answers it normalised. Raises `InvalidURL`.
#[pyfunction]
fn check_url(py: Python<'_>, url: &str) -> PyResult<String> {
    let url = Url::parse(url).map_err(|e| errors::invalid_url(py, &e))?;
    Ok(url.as_str().to_owned())
}

/// In a forked child: forgets the parent's runtime.
#[pyfunction]
fn mark_forked() {
    net::forget_after_fork();
    bridge::forget_dispatching();
}

/// Closes every connection and recorder and stops the runtime.
#[pyfunction]
fn shutdown(py: Python<'_>, timeout: f64) {
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    exit::begins();
    py.detach(|| {
        net::shutdown(timeout);
        bridge::wait_for_dispatching(timeout);
    });
}
