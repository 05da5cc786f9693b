//! Limits and time-outs of one connection. Checked by whoever builds them; here they are only carried.

use std::path::PathBuf;
use std::time::Duration;

use crate::proto::{DeflateConfig, Limits};
use crate::session::StreamsConfig;

/// Limits and time-outs of one connection; `None` switches a time-out off.
#[derive(Debug, Clone)]
pub struct Options {
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Option<Duration>,
    /// For the HTTP upgrade.
    pub handshake_timeout: Option<Duration>,
    /// How long the peer has to answer a close.
    pub close_timeout: Duration,
    /// How often a ping is sent.
    pub ping_interval: Option<Duration>,
    /// How long the peer has to answer one.
    pub ping_timeout: Option<Duration>,
    /// Limits of incoming messages.
    pub limits: Limits,
    /// Compression to offer or to accept; `None` for none. Its defaults differ with the role.
    pub deflate: Option<DeflateConfig>,
    /// High-water mark in bytes of messages that the application has not handled.
    pub receive_buffer: usize,
    /// Bound in bytes of messages that the network has not taken.
    pub send_buffer: usize,
    /// Whether media stream events are audio; `None` leaves them ordinary messages.
    pub media: Option<StreamsConfig>,
    /// What goes wrong is told without anything that the peer sent.
    pub privacy: bool,
    /// Text file that every message is appended to.
    pub trace: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(10)),
            handshake_timeout: Some(Duration::from_secs(10)),
            close_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Some(Duration::from_secs(20)),
            limits: Limits::default(),
            deflate: None,
            receive_buffer: 1 << 20,
            send_buffer: 16 << 20,
            media: Some(StreamsConfig::default()),
            privacy: false,
            trace: None,
        }
    }
}
