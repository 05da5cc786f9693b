//! The network layer over real sockets: our client and server against tokio-tungstenite, which nobody here wrote, and
//! against peers made of raw bytes. Real time is used with generous bounds; nothing here measures speed.
#![cfg(feature = "net")]

mod blocking;
mod listeners;
mod messages;
mod pressure;
mod proxies;
mod recordings;
mod routes;
mod sockets;
mod support;
mod tls;
