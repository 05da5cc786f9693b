//! What each fuzz target does with one input. Also run by `tests/corpus.rs` over the committed inputs, so nothing
//! here knows the fuzzer.

pub mod codecs;
pub mod deflate;
pub mod frames;
pub mod handshake;
pub mod input;
pub mod media;
#[path = "../../tests/support/memory.rs"]
pub mod memory;
pub mod sound;
#[path = "../../tests/support/wire.rs"]
pub mod wire;
pub mod wire_frames;
