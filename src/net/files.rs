//! A thread that works with files, so that a slow disk never holds up audio or the network. Recordings, players and
//! traces use it.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use super::runtime::lock;

/// Bytes that may wait for the disk, per file. Over it the file fails, which is better than eating all memory.
const MAX_WAITING: usize = 64 << 20;

type Work = Box<dyn FnOnce() + Send>;

/// The handle on the file thread.
pub(super) struct Files {
    work: mpsc::Sender<Work>,
}

impl Files {
    pub(super) fn start(name: &str) -> std::io::Result<Self> {
        let (work, todo) = mpsc::channel::<Work>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in todo {
                job();
            }
        })?;
        Ok(Self { work })
    }

    /// A file that is written in the background.
    pub(super) fn open(&self, file: File) -> BackgroundFile {
        self.own(file)
    }

    /// Something that works with files, and does so in the background.
    pub(super) fn own<T: Send + 'static>(&self, it: T) -> Background<T> {
        let state = State { it: Mutex::new(it), waiting: AtomicUsize::new(0), failed: OnceLock::new() };
        Background { work: self.work.clone(), state: Arc::new(state) }
    }

    /// Does `job` after what was given before.
    pub(super) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let _ = self.work.send(Box::new(job));
    }

    /// Waits until all that was written before is with the operating system, or `timeout` has passed.
    pub(super) fn flush(&self, timeout: Duration) {
        let (done, wait) = mpsc::channel();
        if self
            .work
            .send(Box::new(move || {
                let _ = done.send(());
            }))
            .is_ok()
        {
            let _ = wait.recv_timeout(timeout);
        }
    }
}

struct State<T> {
    it: Mutex<T>,
    waiting: AtomicUsize,
    failed: OnceLock<String>,
}

/// Something that only the file thread touches, job by job, in order. After the first error nothing more is done with it.
pub(super) struct Background<T> {
    work: mpsc::Sender<Work>,
    state: Arc<State<T>>,
}

/// A file that is written in the background, in order.
pub(super) type BackgroundFile = Background<File>;

impl Background<File> {
    /// Appends `bytes`.
    pub(super) fn append(&self, bytes: Vec<u8>) {
        self.submit(bytes.len(), move |file| file.write_all(&bytes));
    }
}

impl<T: Send + 'static> Background<T> {
    /// Does `job`, which keeps `size` bytes waiting until then. False: something failed, and nothing will be done.
    pub(super) fn submit(&self, size: usize, job: impl FnOnce(&mut T) -> std::io::Result<()> + Send + 'static) -> bool {
        if self.state.waiting.fetch_add(size, Ordering::Relaxed) + size > MAX_WAITING {
            let _ = self.state.failed.set(format!("the disk is too slow: over {MAX_WAITING} bytes wait to be written"));
        }
        let state = Arc::clone(&self.state);
        let _ = self.work.send(Box::new(move || {
            state.waiting.fetch_sub(size, Ordering::Relaxed);
            if state.failed.get().is_some() {
                return;
            }
            if let Err(error) = job(&mut lock(&state.it)) {
                let _ = state.failed.set(error.to_string());
            }
        }));
        self.state.failed.get().is_none()
    }

    /// Calls `done` when all before it is done, with the first error there was.
    pub(super) fn finish(&self, done: impl FnOnce(Option<String>) + Send + 'static) {
        let state = Arc::clone(&self.state);
        let _ = self.work.send(Box::new(move || done(state.failed.get().cloned())));
    }
}
