//! One thread that writes files, so that a slow disk never holds up audio or the network. Recordings and traces use it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Bytes that may wait for the disk, per file. Over it the file fails, which is better than eating all memory.
const MAX_WAITING: usize = 64 << 20;

type Work = Box<dyn FnOnce() + Send>;

/// The handle on the file thread.
pub(super) struct Files {
    work: mpsc::Sender<Work>,
}

impl Files {
    pub(super) fn start() -> std::io::Result<Self> {
        let (work, todo) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("voxwire-files".into()).spawn(move || {
            for job in todo {
                job();
            }
        })?;
        Ok(Self { work })
    }

    /// A file that is written in the background.
    pub(super) fn open(&self, file: File) -> BackgroundFile {
        BackgroundFile {
            work: self.work.clone(),
            state: Arc::new(State { file, waiting: AtomicUsize::new(0), failed: std::sync::OnceLock::new() }),
        }
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

struct State {
    file: File,
    waiting: AtomicUsize,
    failed: std::sync::OnceLock<String>,
}

/// A file that is written in the background, in order.
#[derive(Clone)]
pub(super) struct BackgroundFile {
    work: mpsc::Sender<Work>,
    state: Arc<State>,
}

impl BackgroundFile {
    /// Appends `bytes`.
    pub(super) fn append(&self, bytes: Vec<u8>) {
        let size = bytes.len();
        if self.state.waiting.fetch_add(size, Ordering::Relaxed) + size > MAX_WAITING {
            let _ = self.state.failed.set(format!("the disk is too slow: over {MAX_WAITING} bytes wait to be written"));
        }
        self.submit(move |state| {
            state.waiting.fetch_sub(size, Ordering::Relaxed);
            (&state.file).write_all(&bytes)
        });
    }

    /// Overwrites the beginning of the file and goes back to its end.
    pub(super) fn overwrite_start(&self, bytes: Vec<u8>) {
        self.submit(move |state| {
            let mut file = &state.file;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&bytes)?;
            file.seek(SeekFrom::End(0)).map(drop)
        });
    }

    /// Calls `done` when all before it is written, with the first error there was.
    pub(super) fn finish(&self, done: impl FnOnce(Option<String>) + Send + 'static) {
        let state = Arc::clone(&self.state);
        let _ = self.work.send(Box::new(move || done(state.failed.get().cloned())));
    }

    fn submit(&self, job: impl FnOnce(&State) -> std::io::Result<()> + Send + 'static) {
        let state = Arc::clone(&self.state);
        let _ = self.work.send(Box::new(move || {
            if state.failed.get().is_some() {
                return;
            }
            if let Err(error) = job(&state) {
                let _ = state.failed.set(error.to_string());
            }
        }));
    }
}
