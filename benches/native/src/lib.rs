//! What the native programs of the benchmarks share: WebSocket by hand, the audio, talking to the harness.

pub mod audio;
pub mod harness;
pub mod server;
pub mod websocket;
