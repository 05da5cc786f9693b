//! When to ping, and when a silent peer counts as gone. Time is a parameter; sending is somebody else's.

use std::time::{Duration, Instant};

/// The ping timer of one connection: a ping every `interval`, and a peer that does not answer within `timeout` is gone.
#[derive(Debug)]
pub struct Keepalive {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    next_ping: Option<Instant>,
    /// Payload number and time of the ping that waits for its pong.
    waiting: Option<(u64, Instant)>,
    counter: u64,
}

/// What a deadline of [`Keepalive`] asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum KeepaliveAction {
    /// Nothing is due.
    None,
    /// Send a ping with this payload.
    Ping([u8; 8]),
    /// The peer did not answer the ping: it is gone.
    Dead,
}

impl Keepalive {
    /// Starts the timer at `now`. `None` for `interval` sends no pings, `None` for `timeout` waits for ever.
    pub fn new(interval: Option<Duration>, timeout: Option<Duration>, now: Instant) -> Self {
        Self { interval, timeout, next_ping: interval.map(|i| now + i), waiting: None, counter: 0 }
    }

    /// The next time at which [`Self::expired`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.waiting, self.timeout) {
            (Some((_, sent)), Some(timeout)) => Some(sent + timeout),
            (Some(_), None) => None,
            (None, _) => self.next_ping,
        }
    }

    /// What is due at `now`.
    pub fn expired(&mut self, now: Instant) -> KeepaliveAction {
        match self.deadline() {
            Some(deadline) if deadline <= now => {}
            _ => return KeepaliveAction::None,
        }
        if self.waiting.is_some() {
            return KeepaliveAction::Dead;
        }
        self.counter += 1;
        self.waiting = Some((self.counter, now));
        KeepaliveAction::Ping(self.counter.to_be_bytes())
    }

    /// A pong arrived: answers the round-trip time when it belongs to the ping that was sent last.
    pub fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let (counter, sent) = self.waiting?;
        if payload != counter.to_be_bytes() {
            return None;
        }
        self.waiting = None;
        self.next_ping = self.interval.map(|i| sent.max(now) + i);
        Some(now - sent)
    }

    /// Reading was paused by us (back-pressure), so an answer could not have been seen: begin to wait anew.
    pub fn postpone(&mut self, now: Instant) {
        if let Some((_, sent)) = &mut self.waiting {
            *sent = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn pings_on_the_interval_and_declares_the_peer_dead_after_the_timeout() {
        let t0 = Instant::now();
        let mut k = Keepalive::new(Some(20 * S), Some(10 * S), t0);
        assert_eq!(k.deadline(), Some(t0 + 20 * S));
        assert_eq!(k.expired(t0 + 19 * S), KeepaliveAction::None);
        let KeepaliveAction::Ping(payload) = k.expired(t0 + 20 * S) else { panic!("no ping") };
        assert_eq!(k.pong(b"other", t0 + 21 * S), None);
        assert_eq!(k.pong(&payload, t0 + 21 * S), Some(S));
        assert_eq!(k.deadline(), Some(t0 + 41 * S));
        assert!(matches!(k.expired(t0 + 41 * S), KeepaliveAction::Ping(_)));
        assert_eq!(k.deadline(), Some(t0 + 51 * S));
        assert_eq!(k.expired(t0 + 51 * S), KeepaliveAction::Dead);
    }

    #[test]
    fn a_paused_reader_does_not_kill_its_peer() {
        let t0 = Instant::now();
        let mut k = Keepalive::new(Some(S), Some(S), t0);
        assert!(matches!(k.expired(t0 + S), KeepaliveAction::Ping(_)));
        k.postpone(t0 + 2 * S);
        assert_eq!(k.expired(t0 + 2 * S), KeepaliveAction::None);
        assert_eq!(k.expired(t0 + 3 * S), KeepaliveAction::Dead);
    }

    #[test]
    fn switched_off_it_has_no_deadline() {
        let t0 = Instant::now();
        assert_eq!(Keepalive::new(None, Some(S), t0).deadline(), None);
        let mut k = Keepalive::new(Some(S), None, t0);
        assert!(matches!(k.expired(t0 + S), KeepaliveAction::Ping(_)));
        assert_eq!(k.deadline(), None);
    }
}
