//! What all connections of a process share: the tokio runtime, the pacers, the file thread, and the list of what is
//! open. Made when first needed, forgotten after a fork, stopped at interpreter exit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::blocking::BlockingConnection;
use super::connection::Connection;
use super::files::Files;
use super::pacer::Pacer;
use super::route::{Junctions, RouteFigures, Table};
use super::stats::Snapshot;
use super::totals::{ProcessSnapshot, Totals};
use super::units::Recorder;

/// The shared machinery of one process.
pub struct Core {
    runtime: Mutex<Option<Runtime>>,
    handle: tokio::runtime::Handle,
    pacers: Vec<Pacer>,
    pub(super) files: Files,
    /// Reads and decodes what is played: recordings that are encoded do not keep it waiting.
    pub(super) sounds: Files,
    next_id: AtomicU64,
    connections: Mutex<Connections>,
    pub(super) totals: Totals,
    recorders: Mutex<Vec<Weak<Recorder>>>,
    pub(super) junctions: Junctions,
    pub(super) routes: Table,
    /// Whether a task looks after the loops that read sockets.
    watching_loops: AtomicBool,
}

/// The connections that have not ended, and what the others have counted. Under one lock: none is in both or in neither.
#[derive(Default)]
struct Connections {
    open: HashMap<u64, Weak<Connection>>,
    /// Those that their callers drive.
    blocking: HashMap<u64, Weak<BlockingConnection>>,
    ended: Snapshot,
}

/// The core is shared by every thread of the process; `None` before first use and after `shutdown`.
type Place = Mutex<Option<Arc<Core>>>;
/// Where it is in the process that loaded the module.
static FIRST: Place = Mutex::new(None);
/// Where it is in a forked child; null where there was no fork.
static FORKED: AtomicPtr<Place> = AtomicPtr::new(std::ptr::null_mut());
/// Counts forks: handles of an older generation belong to the parent.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How often it is looked whether the loops that read sockets do so; after twice this time without a turn one is taken off.
const LOOP_CHECK: Duration = Duration::from_secs(1);

/// Threads that move bytes: two are enough for thousands of calls, and leave cores to Python.
const MAX_WORKERS: usize = 4;

/// Where the core of this process is.
fn place() -> &'static Place {
    // SAFETY: it is null, or was leaked by `forget_after_fork` and so lives for ever.
    unsafe { FORKED.load(Ordering::Acquire).as_ref() }.unwrap_or(&FIRST)
}

/// The core of this process, started if it does not run.
pub fn core() -> std::io::Result<Arc<Core>> {
    let mut slot = lock(place());
    if let Some(core) = &*slot {
        return Ok(Arc::clone(core));
    }
    let core = Arc::new(Core::start()?);
    *slot = Some(Arc::clone(&core));
    Ok(core)
}

/// The core of this process, if it runs.
pub(super) fn current() -> Option<Arc<Core>> {
    lock(place()).as_ref().map(Arc::clone)
}

/// The counters of this process; all zero when nothing has run yet.
pub fn process_statistics() -> ProcessSnapshot {
    current().map(|core| core.statistics()).unwrap_or_default()
}

/// All routes of this process, in the order in which they were made.
pub fn routes() -> Vec<RouteFigures> {
    current().map(|core| core.routes.figures()).unwrap_or_default()
}

/// The number of forks this process is away from where the module was loaded.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Acquire)
}

/// In a forked child: none of the parent's threads exist here, so its core is left alone and a new one is made when
/// needed.
pub fn forget_after_fork() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    // A new place, and never a look into the old one: a thread that does not exist here may have held its lock.
    FORKED.store(Box::into_raw(Box::new(Mutex::new(None))), Ordering::Release);
    // Masking keys and handshake nonces must not be those of the parent. A system without randomness has told so at start.
    let _ = rand::rng().reseed();
}

/// Closes everything and stops the threads; waits at most `timeout` for recorders to be on disk.
pub fn shutdown(timeout: Duration) {
    let Some(core) = lock(place()).take() else { return };
    let until = Instant::now() + timeout;
    for recorder in lock(&core.recorders).drain(..).filter_map(|r| r.upgrade()) {
        recorder.close();
    }
    for connection in core.connections() {
        connection.close_internal(1001, "");
    }
    for connection in core.blocking_connections() {
        connection.leave();
    }
    core.files.flush(until.saturating_duration_since(Instant::now()));
    for pacer in &core.pacers {
        pacer.stop();
    }
    if let Some(runtime) = lock(&core.runtime).take() {
        runtime.shutdown_background();
    }
}

/// Whether there may be as many threads more as a core has. tokio panics where it cannot start one, so it is tried before: with
/// threads that are there at the same time and end at once.
fn check_threads(workers: usize) -> std::io::Result<()> {
    // Workers, pacers, two threads for files: none ends before all are there.
    let gate = Arc::new(Mutex::new(()));
    let closed = lock(&gate);
    let started: Vec<_> = (0..2 * workers + 2)
        .map(|_| {
            let gate = Arc::clone(&gate);
            std::thread::Builder::new().name("voxwire-check".to_owned()).spawn(move || drop(lock(&gate)))
        })
        .collect();
    drop(closed);
    // All are waited for, also when one could not be started.
    let results: Vec<_> = started.into_iter().map(|thread| thread.map(|handle| drop(handle.join()))).collect();
    results.into_iter().collect()
}

impl Core {
    fn start() -> std::io::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, MAX_WORKERS);
        check_threads(workers)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("voxwire-net")
            .enable_io()
            .enable_time()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            pacers: (0..workers).map(|_| Pacer::start()).collect::<std::io::Result<_>>()?,
            files: Files::start("voxwire-files")?,
            sounds: Files::start("voxwire-sounds")?,
            next_id: AtomicU64::new(1),
            connections: Mutex::default(),
            totals: Totals::default(),
            recorders: Mutex::default(),
            junctions: Junctions::default(),
            routes: Table::default(),
            watching_loops: AtomicBool::new(false),
        })
    }

    /// An id for anything that posts notices.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn handle(&self) -> &tokio::runtime::Handle {
        &self.handle
    }

    /// The pacer of the object `id`.
    pub(super) fn pacer(&self, id: u64) -> &Pacer {
        &self.pacers[id as usize % self.pacers.len()]
    }

    pub(super) fn add(&self, connection: &Arc<Connection>) {
        lock(&self.connections).open.insert(connection.id(), Arc::downgrade(connection));
    }

    /// Looks after connections that their loops read, as long as there are any.
    pub(super) fn watch_loops(self: &Arc<Self>) {
        if self.watching_loops.swap(true, Ordering::AcqRel) {
            return;
        }
        let core = Arc::downgrade(self);
        self.handle.spawn(async move {
            loop {
                tokio::time::sleep(LOOP_CHECK).await;
                let Some(core) = core.upgrade() else { return };
                let any = || core.connections().iter().filter(|connection| connection.check_loop()).count() > 0;
                if !any() {
                    core.watching_loops.store(false, Ordering::Release);
                    // One may have come meanwhile, and have seen the flag.
                    if !any() || core.watching_loops.swap(true, Ordering::AcqRel) {
                        return;
                    }
                }
            }
        });
    }

    /// A connection has ended with these counters.
    pub(super) fn retire(&self, id: u64, counters: &Snapshot) {
        let mut connections = lock(&self.connections);
        connections.open.remove(&id);
        connections.ended += counters;
    }

    pub(super) fn add_blocking(&self, id: u64, connection: &Arc<BlockingConnection>) {
        self.totals.opened.add(1);
        lock(&self.connections).blocking.insert(id, Arc::downgrade(connection));
    }

    pub(super) fn retire_blocking(&self, id: u64, counters: &Snapshot) {
        let mut connections = lock(&self.connections);
        if connections.blocking.remove(&id).is_some() {
            connections.ended += counters;
        }
    }

    /// The counters of all connections, ended ones too.
    fn statistics(&self) -> ProcessSnapshot {
        let (open, blocking, ended) = {
            let connections = lock(&self.connections);
            let open: Vec<_> = connections.open.values().filter_map(Weak::upgrade).collect();
            let blocking: Vec<_> = connections.blocking.values().filter_map(Weak::upgrade).collect();
            (open, blocking, connections.ended.clone())
        };
        let mut snapshot = ProcessSnapshot::new(&self.totals, ended);
        for connection in blocking {
            snapshot.sums += &connection.statistics();
            snapshot.open += 1;
        }
        for connection in open {
            connection.add_to(&mut snapshot);
        }
        snapshot
    }

    pub(super) fn add_recorder(&self, recorder: &Arc<Recorder>) {
        let mut recorders = lock(&self.recorders);
        recorders.retain(|r| r.strong_count() > 0);
        recorders.push(Arc::downgrade(recorder));
    }

    fn blocking_connections(&self) -> Vec<Arc<BlockingConnection>> {
        lock(&self.connections).blocking.values().filter_map(Weak::upgrade).collect()
    }

    /// Connections that are not closed.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.connections).open.values().filter_map(Weak::upgrade).collect()
    }
}

/// Locks, also after a panic of another holder: what we guard stays usable.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
