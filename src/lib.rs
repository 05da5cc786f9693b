//! voxwire: a WebSocket that carries messages and live audio.
//!
//! Layers, top to bottom: `python` (the module people import), `net` (sockets, clock, routes),
//! `session` (one connection, sans-IO), `proto` and `media` (which do not know each other).
//! Arrows point downwards only; the Cargo features `net` and `python` make the compiler check it.

pub mod media;
#[cfg(feature = "net")]
pub mod net;
pub mod proto;
#[cfg(feature = "python")]
mod python;
pub mod session;
