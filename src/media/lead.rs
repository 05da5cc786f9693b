//! The pacing rule of a source whose listener buffers: it may send some time ahead of real time, so that what the
//! listener has bridges a stall of the network.

use std::time::{Duration, Instant};

/// How far ahead a source may be at most: what a playout buffer holds.
pub const MAX_LEAD: Duration = Duration::from_secs(10);

/// How far ahead of real time a source may be. Zero: not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lead(Duration);

/// More than [`MAX_LEAD`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lead is {} s; expected at most {} s", .0.as_secs_f64(), MAX_LEAD.as_secs())]
pub struct LeadTooLong(pub Duration);

impl Lead {
    /// So far ahead.
    pub fn new(lead: Duration) -> Result<Self, LeadTooLong> {
        if lead > MAX_LEAD { Err(LeadTooLong(lead)) } else { Ok(Self(lead)) }
    }

    /// When a frame may be sent that is to be heard at `due`. What is no whole frame yet is not sent ahead: more may come
    /// to fill it up.
    pub fn opens(self, due: Instant) -> Instant {
        due.checked_sub(self.0).unwrap_or(due)
    }

    /// Whether frames are sent in real time.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_has_a_bound() {
        assert_eq!(Lead::new(MAX_LEAD).map(Lead::is_zero), Ok(false));
        let more = MAX_LEAD + Duration::from_millis(1);
        assert_eq!(Lead::new(more), Err(LeadTooLong(more)));
        assert_eq!(LeadTooLong(more).to_string(), "lead is 10.001 s; expected at most 10 s");
    }

    #[test]
    fn a_frame_may_go_so_much_before_it_is_heard() {
        let due = Instant::now() + MAX_LEAD;
        assert_eq!(Lead::default().opens(due), due);
        let lead = Lead::new(Duration::from_millis(300)).unwrap();
        assert_eq!(lead.opens(due), due.checked_sub(Duration::from_millis(300)).unwrap());
    }
}
