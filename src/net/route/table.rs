//! All routes of the process: so that they can be listed, and so that a target that goes away finds those that end there.

use std::collections::HashMap;
use std::sync::{Mutex, Weak};
use std::time::Duration;

use crate::net::runtime::lock;

use super::junction::{Junction, PortFigures};
use super::{Inner, RouteEnd};

/// What became of the audio of one route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteFigures {
    /// Its id.
    pub id: u64,
    /// Samples per second at the target.
    pub rate: u32,
    /// Audio of the source is on its way.
    pub open: bool,
    /// It is mixed with that of others.
    pub mixed: bool,
    /// How much waits to be mixed.
    pub buffered: Duration,
    /// How much went to the target.
    pub played: Duration,
    /// How much came faster than the clock of the mix and was thrown away.
    pub discarded: Duration,
}

impl RouteFigures {
    pub(super) fn new(id: u64, rate: u32, port: PortFigures) -> Self {
        let time = |samples: u64| Duration::from_secs_f64(samples as f64 / f64::from(rate));
        Self {
            id,
            rate,
            open: port.open,
            mixed: port.mixed,
            buffered: time(port.waiting as u64),
            played: time(port.played),
            discarded: time(port.discarded),
        }
    }
}

/// One route.
pub(super) struct Entry {
    pub(super) source: Weak<Inner>,
    pub(super) sink: u64,
    pub(super) junction: Weak<Junction>,
}

/// All routes there are. Held by the core.
#[derive(Default)]
pub(in crate::net) struct Table(Mutex<HashMap<u64, Entry>>);

impl Table {
    pub(super) fn add(&self, route: u64, entry: Entry) {
        lock(&self.0).insert(route, entry);
    }

    pub(super) fn remove(&self, route: u64) {
        // The entry is dropped after the lock.
        let _entry = lock(&self.0).remove(&route);
    }

    /// Every route, in the order in which they were made.
    pub(in crate::net) fn figures(&self) -> Vec<RouteFigures> {
        let mut routes: Vec<_> =
            lock(&self.0).iter().filter_map(|(id, entry)| Some((*id, entry.junction.upgrade()?))).collect();
        routes.sort_unstable_by_key(|(id, _)| *id);
        routes.iter().map(|(id, junction)| junction.figures(*id)).collect()
    }

    /// The target with this id is gone, and so are the routes that end there. Nothing may be locked: what sends there is.
    pub(in crate::net) fn target_gone(&self, sink: u64) {
        let sources: Vec<_> =
            lock(&self.0).values().filter(|entry| entry.sink == sink).map(|entry| entry.source.clone()).collect();
        for source in sources.iter().filter_map(Weak::upgrade) {
            source.end_if(RouteEnd::Target, |leg| leg.sink_id() == sink);
        }
    }
}
