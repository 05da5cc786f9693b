//! Opening a blocking connection: the core's threads connect, as they do for the others, while the calling thread waits;
//! then the socket is taken out of their hands.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tokio::task::JoinHandle;

use crate::net::connect::{ConnectError, Target, Upgraded};
use crate::net::error::Failure;
use crate::net::options::Options;
use crate::net::runtime::{Core, lock};
use crate::net::stats::Stats;
use crate::net::trace::Trace;
use crate::proto::{Receiver, Role};
use crate::session::{Keepalive, Outbound};

use super::connection::{BlockingConnection, Greeting};
use super::inlet::Inlet;
use super::outlet::Outlet;
use super::{LONGEST_WAIT, Waited, poll_socket};

/// The socket's own time-out is no shorter.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// A connection that is being made. Dropped, it is given up.
pub struct Opening {
    core: Arc<Core>,
    options: Arc<Options>,
    trace: Option<Trace>,
    task: JoinHandle<()>,
    result: Arc<Mutex<Option<Result<Upgraded, Failure>>>>,
    /// Readable when there is a result: the task has dropped the other end.
    done: OwnedFd,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("done", &self.done).finish_non_exhaustive()
    }
}

impl Opening {
    /// Begins to connect. Fails only for what can be told without the network.
    pub fn begin(core: Arc<Core>, target: Target, options: Arc<Options>) -> Result<Self, ConnectError> {
        target.check(&options)?;
        let trace = options.trace.as_ref().map(|path| Trace::open(path, &core.files)).transpose()?;
        let (done, undone) = io::pipe()?;
        let result = Arc::new(Mutex::new(None));
        let (limits, slot) = (Arc::clone(&options), Arc::clone(&result));
        let task = core.handle().spawn(async move {
            let upgraded = Box::pin(target.open(&limits)).await;
            *lock(&slot) = Some(upgraded);
            drop(undone);
        });
        Ok(Self { core, options, trace, task, result, done: done.into() })
    }

    /// Waits for the result: one step.
    pub fn wait(&self) -> io::Result<Waited> {
        poll_socket(self.done.as_fd(), false, None)
    }

    /// The connection, when there is one.
    pub fn finish(mut self) -> Result<Arc<BlockingConnection>, Failure> {
        let trace = self.trace.take();
        let result = lock(&self.result).take();
        let made = result.unwrap_or(Err(Failure::Cancelled)).and_then(|upgraded| self.opened(upgraded, trace));
        match &made {
            Ok(connection) => self.core.add_blocking(connection.id, connection),
            Err(_) => self.core.totals.failed.add(1),
        }
        made
    }

    fn opened(&self, upgraded: Upgraded, trace: Option<Trace>) -> Result<Arc<BlockingConnection>, Failure> {
        let Upgraded { socket, addresses, tls, accepted } = upgraded;
        let options = Arc::clone(&self.options);
        let slice = [options.ping_interval, options.ping_timeout].into_iter().flatten().min();
        let slice = slice.map_or(LONGEST_WAIT, |time| (time / 4).clamp(SHORTEST_WAIT, LONGEST_WAIT));
        let socket = socket.into_blocking().map_err(Failure::Transport)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(slice)).map_err(|e| Failure::Transport(e.into()))?;
        let socket = Arc::new(socket);
        let agreed = accepted.deflate;
        let receiver = Receiver::with_deflate(Role::Client, options.limits, agreed.as_ref());
        let keepalive = Keepalive::new(options.ping_interval, options.ping_timeout, Instant::now());
        let inlet = Inlet::new(Arc::clone(&socket), receiver, keepalive, accepted.rest);
        let outlet = Outlet::new(Arc::clone(&socket), Outbound::new(Role::Client, usize::MAX, agreed.as_ref()));
        Ok(Arc::new(BlockingConnection {
            id: self.core.next_id(),
            core: Arc::clone(&self.core),
            options,
            greeting: Greeting {
                protocol: accepted.protocol.unwrap_or_default(),
                extensions: agreed.map(|agreed| agreed.to_string()).unwrap_or_default(),
                headers: accepted.headers,
                addresses,
            },
            socket: Mutex::new(Some(socket)),
            inlet: Mutex::new(inlet),
            outlet: Mutex::new(outlet),
            tls: tls.map(Mutex::new),
            slice,
            state: AtomicU8::new(super::connection::OPEN),
            full: AtomicBool::new(false),
            receiving: AtomicUsize::new(0),
            end: Mutex::new(None),
            changed: Condvar::new(),
            pings: Mutex::default(),
            stats: Stats::default(),
            trace,
        }))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
