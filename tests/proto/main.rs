//! Properties of the sans-IO WebSocket through its public interface.

mod deflate;
mod frames;
mod generate;
mod handshake;
#[path = "../support/memory.rs"]
mod memory;
#[path = "../support/wire.rs"]
mod wire;
