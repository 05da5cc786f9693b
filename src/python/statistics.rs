//! Counters as dictionaries, of one connection and of the process. What the names mean stands in the Python classes.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::net::{self, LATENCY_BOUNDS_US, Snapshot};

/// The counters of a connection.
pub(super) fn of_connection<'py>(py: Python<'py>, s: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in [
        ("messages_sent", s.messages_sent),
        ("messages_received", s.messages_received),
        ("bytes_sent", s.bytes_sent),
        ("bytes_received", s.bytes_received),
        ("wire_bytes_sent", s.wire_bytes_sent),
        ("wire_bytes_received", s.wire_bytes_received),
        ("pings_sent", s.pings_sent),
        ("pongs_received", s.pongs_received),
        ("media_frames_sent", s.media_frames_sent),
        ("media_frames_received", s.media_frames_received),
        ("media_lost", s.media_lost),
        ("media_duplicates", s.media_duplicates),
        ("media_concealed_gaps", s.media_concealed_gaps),
        ("media_streams_refused", s.media_streams_refused),
        ("unhandled_bytes", s.unhandled_bytes),
        ("buffered_bytes", s.buffered_bytes),
    ] {
        dict.set_item(name, value)?;
    }
    dict.set_item("latency", s.latency.as_secs_f64())?;
    dict.set_item("media_discarded_ms", s.media_discarded.as_secs_f64() * 1000.0)?;
    dict.set_item("media_dropped_ms", s.media_dropped.as_secs_f64() * 1000.0)?;
    dict.set_item("media_concealed_ms", s.media_concealed.as_secs_f64() * 1000.0)?;
    dict.set_item("media_recovered_ms", s.media_recovered.as_secs_f64() * 1000.0)?;
    dict.set_item("media_adjusted_ms", s.media_adjusted.as_secs_f64() * 1000.0)?;
    Ok(dict)
}

/// The counters of the process.
#[pyfunction]
pub(super) fn process_statistics(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let s = py.detach(net::process_statistics);
    let dict = of_connection(py, &s.sums)?;
    dict.del_item("latency")?;
    for (name, value) in [
        ("connections_connecting", s.connecting),
        ("connections_open", s.open),
        ("connections_opened", s.opened),
        ("connections_failed", s.failed),
        ("connections_refused", s.refused),
        ("reconnects", s.reconnects),
    ] {
        dict.set_item(name, value)?;
    }
    dict.set_item("connections_closed", s.closed)?;
    let bounds = LATENCY_BOUNDS_US.iter().map(|&us| us as f64 / 1e6).chain([f64::INFINITY]);
    dict.set_item("latency_buckets", bounds.zip(s.latency).collect::<Vec<_>>())?;
    dict.set_item("latency_sum", s.latency_sum.as_secs_f64())?;
    dict.set_item("latency_max", s.latency_max.as_secs_f64())?;
    Ok(dict)
}
