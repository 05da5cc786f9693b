//! Sockets, TLS, the clock and the routes: the only layer that names tokio. No Python here.
//!
//! A connection is one `Connection` handle (shared, any thread) and one task (`driver`) that owns its socket.
//! What the application has to know is posted to its `Mailbox`.

mod blocking;
mod connect;
mod connection;
mod discreet;
mod driver;
mod error;
mod files;
mod handoff;
mod hex;
mod io;
mod listen;
mod mailbox;
mod options;
mod pacer;
mod pressure;
mod proxy;
mod room;
mod route;
mod runtime;
mod server;
mod socket;
mod stats;
mod tls;
mod totals;
mod trace;
mod units;
mod verifier;

/// What `handoff` and `pressure` are made of. tests/interleavings has loom's in its place.
mod sync {
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
}

pub use blocking::{
    BlockingConnection, Data, End, FrameSocket, Greeting, InvalidText, Next, Opening, Receiving, Room, Step, Stepped,
    Unsent, Waited, poll_socket,
};
pub use connect::{ConnectError, RedirectError, Target, Via};
pub use connection::{Connection, LoopTurn, Sent, Turn, write_held};
pub use discreet::printable;
pub use error::{Failure, Refused, Stage};
pub use handoff::Handoff;
pub use listen::{Endpoint, ListenError};
pub use mailbox::{Closed, Mailbox, Notice, Taker, UnitError};
pub use options::Options;
pub use proxy::{Environment, Proxies, Proxy, ProxyError, ProxyUrlError, SocksError};
pub use route::{Fanout, MediaSink, RouteEnd, RouteError, RouteFigures, RouteParams, Sink, Source};
pub use runtime::{Core, core, forget_after_fork, generation, process_statistics, routes, shutdown};
pub use server::{Listener, ListenerOptions, Question, Verdict};
pub use socket::OpenSocket;
pub use stats::Snapshot;
pub use tls::{
    Authorities, ClientAuth, ClientTls, TlsError, Trust, Versions, client_config, default_client_config, server_config,
};
pub use totals::{LATENCY_BOUNDS_US, ProcessSnapshot};
pub use units::{
    AudioUnit, AudioUnitError, Conference, Play, Player, PlayerConfig, PlayerError, Recorder, RecorderChannel,
    RecorderConfig, RecorderError, RecordingFormat, ToneDetector, ToneGenerator,
};
