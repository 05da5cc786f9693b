//! Pings of the application that wait for their pong, oldest first. Keepalive pings are the session's.

use std::time::{Duration, Instant};

/// The pings on their way, and those answered that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct Pings(Vec<Ping>);

#[derive(Debug)]
struct Ping {
    payload: Vec<u8>,
    sent: Instant,
    latency: Option<Duration>,
}

impl Pings {
    /// Notes a ping. False when one with this payload is on its way already.
    pub(super) fn sent(&mut self, payload: &[u8], now: Instant) -> bool {
        let new = self.0.iter().all(|ping| ping.payload != payload);
        if new {
            self.0.push(Ping { payload: payload.to_vec(), sent: now, latency: None });
        }
        new
    }

    /// A pong came: the latency of its ping. It answers older pings, too: a peer may answer the last one alone (RFC 6455
    /// section 5.5.3).
    pub(super) fn answered(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let last = self.0.iter().position(|ping| ping.latency.is_none() && ping.payload == payload)?;
        for ping in self.0.iter_mut().take(last + 1) {
            ping.latency.get_or_insert(now - ping.sent);
        }
        self.0.get(last)?.latency
    }

    /// The latency of a ping that was answered; it is forgotten then.
    pub(super) fn taken(&mut self, payload: &[u8]) -> Option<Duration> {
        let latency = self.0.iter().find(|ping| ping.payload == payload)?.latency?;
        self.forget(payload);
        Some(latency)
    }

    /// Nobody waits for this one.
    pub(super) fn forget(&mut self, payload: &[u8]) {
        self.0.retain(|ping| ping.payload != payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_pong_answers_its_ping_and_those_before_it() {
        let (mut pings, t0) = (Pings::default(), Instant::now());
        for (second, payload) in [b"a", b"b", b"c"].into_iter().enumerate() {
            assert!(pings.sent(payload, t0 + S * second as u32));
        }
        assert!(!pings.sent(b"b", t0));
        assert_eq!(pings.answered(b"x", t0 + 9 * S), None);
        assert_eq!(pings.answered(b"b", t0 + 3 * S), Some(2 * S));
        assert_eq!(pings.answered(b"b", t0 + 5 * S), None);
        assert_eq!([b"a", b"b", b"c"].map(|p| pings.taken(p)), [Some(3 * S), Some(2 * S), None]);
        pings.forget(b"c");
        assert_eq!(pings.answered(b"c", t0 + 9 * S), None);
    }
}
