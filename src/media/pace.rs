//! When a source that has its audio at hand gives its frames: one after the other in real time, some ahead of it when there
//! is a lead. Time is an argument, as in `stream`.

use std::time::{Duration, Instant};

use super::lead::Lead;
use super::stream::CATCH_UP;

/// The clock of one source.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    frame: Duration,
    lead: Lead,
    /// When the next frame is to be heard; `None` while the source rests.
    due: Option<Instant>,
    /// When what was given has been heard.
    heard: Option<Instant>,
}

impl Pace {
    /// A source at rest, of frames of this length.
    pub fn new(frame: Duration, lead: Lead) -> Self {
        Self { frame, lead, due: None, heard: None }
    }

    /// Gives frames from `now` on; the first is heard after what was given before.
    pub fn run(&mut self, now: Instant) {
        self.due = Some(self.heard.map_or(now, |heard| heard.max(now)));
    }

    /// Gives nothing until `run`. What was given ahead is out.
    pub fn rest(&mut self) {
        self.due = None;
    }

    /// When a frame may be given.
    pub fn opens(&self) -> Option<Instant> {
        self.due.map(|due| self.lead.opens(due))
    }

    /// When the frame that may be given at `now` is heard. What is later than [`CATCH_UP`] does not catch up.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.due.filter(|&due| self.lead.opens(due) <= now)?;
        Some(if now.saturating_duration_since(due) >= CATCH_UP { now } else { due })
    }

    /// The frame that is heard at `due` was given.
    pub fn gave(&mut self, due: Instant) {
        let end = due + self.frame;
        self.heard = Some(end);
        self.due = Some(end);
    }

    /// How much was given that will be heard only after the frame which is heard now.
    pub fn ahead(&self, now: Instant) -> Duration {
        let last = self.heard.and_then(|heard| heard.checked_sub(self.frame));
        last.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: Duration = Duration::from_millis(20);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pace(lead: u64) -> Pace {
        Pace::new(FRAME, Lead::new(ms(lead)).unwrap())
    }

    /// Gives all that may be given at `now`; answers how many frames.
    fn give(pace: &mut Pace, now: Instant) -> u64 {
        let mut count = 0;
        while let Some(due) = pace.due(now) {
            pace.gave(due);
            count += 1;
        }
        count
    }

    #[test]
    fn without_a_lead_each_frame_has_its_time() {
        let (mut pace, start) = (pace(0), Instant::now());
        assert_eq!((pace.opens(), give(&mut pace, start)), (None, 0));
        pace.run(start);
        assert_eq!(give(&mut pace, start), 1);
        assert_eq!(pace.opens(), Some(start + FRAME));
        assert_eq!(give(&mut pace, start + ms(19)), 0);
        assert_eq!(give(&mut pace, start + ms(61)), 3, "a late one catches up, on the same grid");
        assert_eq!(pace.opens(), Some(start + ms(80)));
        assert_eq!(pace.ahead(start + ms(61)), Duration::ZERO);
    }

    #[test]
    fn with_a_lead_the_first_come_at_once_and_the_rest_in_real_time() {
        let (mut pace, start) = (pace(100), Instant::now());
        pace.run(start);
        assert_eq!(give(&mut pace, start), 6, "100 ms and the frame that is heard now");
        assert_eq!(pace.ahead(start), ms(100));
        assert_eq!(pace.opens(), Some(start + FRAME));
        assert_eq!(give(&mut pace, start + ms(200)), 10);
    }

    #[test]
    fn what_was_given_before_a_pause_counts_after_it() {
        let (mut pace, start) = (pace(100), Instant::now());
        pace.run(start);
        give(&mut pace, start);
        pace.rest();
        assert_eq!(give(&mut pace, start + ms(40)), 0);
        assert_eq!(pace.ahead(start + ms(40)), ms(60));
        pace.run(start + ms(40));
        assert_eq!(give(&mut pace, start + ms(40)), 2, "up to 100 ms ahead again");
        pace.rest();
        pace.run(start + ms(1000));
        assert_eq!(give(&mut pace, start + ms(1000)), 6, "all was heard meanwhile");
    }

    #[test]
    fn a_source_that_was_held_up_for_long_does_not_catch_up() {
        let (mut pace, start) = (pace(100), Instant::now());
        pace.run(start);
        give(&mut pace, start);
        assert_eq!(give(&mut pace, start + ms(119) + CATCH_UP), 15, "all of it");
        let mut pace = self::pace(100);
        pace.run(start);
        give(&mut pace, start);
        let late = start + ms(120) + CATCH_UP;
        assert_eq!(give(&mut pace, late), 6, "as from the beginning");
        assert_eq!(pace.ahead(late), ms(100));
    }

    proptest! {
        #[test]
        fn no_frame_is_further_ahead_than_the_lead_and_the_average_is_real_time(
            lead in 0..2000u64, steps in prop::collection::vec((0..6u8, 1..150u64), 1..80)
        ) {
            let (mut pace, mut now) = (pace(lead), Instant::now());
            let (mut last, mut running, mut given) = (None, false, 0);
            for (step, length) in steps {
                match step {
                    0 => {
                        pace.rest();
                        running = false;
                    }
                    1 => {
                        pace.run(now);
                        running = true;
                    }
                    _ => now += ms(length),
                }
                while let Some(due) = pace.due(now) {
                    prop_assert!(running);
                    prop_assert!(due <= now + ms(lead), "{:?} ahead", due - now);
                    prop_assert!(last.is_none_or(|last| due >= last + FRAME));
                    last = Some(due);
                    pace.gave(due);
                    given += 1;
                }
                prop_assert!(pace.ahead(now) <= ms(lead));
                // Nothing opens in the past: all that could be given was.
                prop_assert!(pace.opens().is_none_or(|at| at > now));
            }
            if running {
                // From here on a second is a second.
                let before = given;
                for _ in 0..200 {
                    now += ms(5);
                    given += give(&mut pace, now);
                }
                prop_assert_eq!(given - before, 50);
            }
        }
    }
}
