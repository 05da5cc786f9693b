//! The feed against a stepped clock.

use proptest::prelude::*;

use super::*;

const RATE: u32 = 8000;
/// Bytes in 20 ms.
const FRAME: usize = 320;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What came out, with the ms at which it did.
#[derive(Clone, Debug, PartialEq)]
enum Happened {
    /// When it is to be heard, and the sample that it begins and ends with.
    Frame(u64, u64, i16, i16),
    Over(u64, u64),
    Marked(u64, u64, bool),
}

use Happened::{Frame, Marked, Over};

struct Bench {
    feed: Feed,
    zero: Instant,
    now: Instant,
    log: Vec<Happened>,
}

impl Bench {
    fn new(feed: Feed) -> Self {
        let zero = Instant::now() + Duration::from_hours(1);
        Self { feed, zero, now: zero, log: vec![] }
    }

    fn write(&mut self, value: i16, bytes: usize) {
        self.feed.write(self.now, &value.to_le_bytes().repeat(bytes / 2));
    }

    fn run(&mut self, until: u64) {
        let until = self.zero + ms(until);
        let mut steps = 0;
        while let Some(at) = self.feed.next_deadline().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            let (zero, log) = (self.zero, &mut self.log);
            let at = (self.now - zero).as_millis() as u64;
            self.feed.tick(self.now, &mut |output| {
                log.push(match output {
                    Output::Frame { key, at: heard, pcm } => {
                        assert_eq!((pcm.len(), key > 0), (FRAME / 2, true));
                        Frame(at, (heard - zero).as_millis() as u64, pcm[0], pcm[FRAME / 2 - 1])
                    }
                    Output::Over { key } => Over(at, key),
                    Output::Mark(Reached { id, played }) => Marked(at, id, played),
                });
            });
            steps += 1;
            assert!(steps < 100_000, "the deadline does not move");
        }
        self.now = until;
    }

    fn frames(&self) -> Vec<(u64, i16)> {
        self.log
            .iter()
            .filter_map(|entry| match entry {
                Frame(at, _, first, _) => Some((*at, *first)),
                _ => None,
            })
            .collect()
    }
}

fn bench() -> Bench {
    Bench::new(Feed::new(RATE, ms(10_000), Lead::default()))
}

#[test]
fn what_is_written_is_played_in_real_time() {
    let mut bench = bench();
    bench.write(5, 3 * FRAME);
    bench.run(10_000);
    assert_eq!(bench.frames(), [(0, 5), (20, 5), (40, 5)]);
    bench.write(6, FRAME);
    bench.feed.end(bench.now);
    bench.run(20_000);
    assert_eq!(bench.log[3..], [Frame(10_000, 10_000, 6, 6), Over(10_020, 1)]);
}

#[test]
fn utterances_follow_each_other_and_none_is_lost() {
    let mut bench = bench();
    bench.write(1, 2 * FRAME);
    bench.feed.end(bench.now);
    bench.run(15);
    bench.write(2, 2 * FRAME);
    bench.feed.end(bench.now);
    bench.write(3, FRAME);
    assert_eq!(bench.feed.queued(), ms(80));
    bench.run(10_000);
    assert_eq!(bench.frames(), [(0, 1), (20, 1), (40, 2), (60, 2), (80, 3)]);
    assert_eq!((bench.log[2].clone(), bench.log[5].clone()), (Over(40, 1), Over(80, 2)));
    assert_eq!(bench.feed.next_deadline(), None);
}

#[test]
fn marks_go_through_all_utterances() {
    let mut bench = bench();
    assert_eq!(bench.feed.mark(bench.now, 0), Ok(false));
    bench.write(1, 2 * FRAME);
    bench.feed.mark(bench.now, 1).unwrap();
    bench.feed.end(bench.now);
    bench.feed.mark(bench.now, 2).unwrap();
    bench.write(2, FRAME);
    bench.feed.mark(bench.now, 3).unwrap();
    bench.write(2, 2 * FRAME);
    bench.run(10_000);
    bench.log.retain(|entry| matches!(entry, Marked(..)));
    assert_eq!(bench.log, [Marked(40, 1, true), Marked(40, 2, true), Marked(60, 3, true)]);
}

#[test]
fn a_clear_drops_all_utterances_and_reaches_their_marks_in_order() {
    let mut bench = bench();
    bench.write(1, 2 * FRAME);
    bench.feed.mark(bench.now, 1).unwrap();
    bench.feed.end(bench.now);
    bench.write(2, 2 * FRAME);
    bench.feed.mark(bench.now, 2).unwrap();
    bench.run(20);
    assert_eq!(bench.feed.clear(bench.now), ms(40));
    assert_eq!(bench.feed.mark(bench.now, 3), Ok(true), "the frame before is still heard");
    bench.write(3, FRAME);
    bench.run(10_000);
    let expected = [
        Frame(0, 0, 1, 1),
        Frame(20, 20, 1, 1),
        Marked(40, 1, true),
        Marked(40, 2, false),
        Marked(40, 3, true),
        Over(40, 1),
        Frame(40, 40, 3, 3),
    ];
    let mut log = bench.log.clone();
    log.sort_by_key(|entry| matches!(entry, Frame(40, ..)));
    log[2..6].sort_by_key(|entry| if let Marked(_, id, _) = entry { *id } else { 9 });
    assert_eq!(log, expected);
    let marks: Vec<_> = bench.log.iter().filter(|entry| matches!(entry, Marked(..))).cloned().collect();
    assert_eq!(marks, [Marked(40, 1, true), Marked(40, 2, false), Marked(40, 3, true)]);
}

#[test]
fn no_more_marks_wait_than_may() {
    let mut bench = bench();
    bench.write(1, FRAME);
    for id in 0..MAX_MARKS as u64 {
        assert_eq!(bench.feed.mark(bench.now, id), Ok(true));
    }
    assert_eq!(bench.feed.mark(bench.now, 1), Err(TooManyMarks));
    bench.run(20);
    assert_eq!(bench.feed.mark(bench.now, 1), Ok(false), "all were reached");
}

#[test]
fn the_end_of_the_feed_reaches_what_is_left() {
    let mut bench = bench();
    bench.write(1, 2 * FRAME);
    bench.feed.mark(bench.now, 1).unwrap();
    let mut marks = vec![];
    bench.feed.close(&mut |output| marks.push(format!("{output:?}")));
    assert_eq!(marks, ["Mark(Reached { id: 1, played: false })"]);
    assert_eq!((bench.feed.queued(), bench.feed.next_deadline()), (Duration::ZERO, None));
}

proptest! {
    #[test]
    fn everything_is_played_once_in_order_and_no_faster_than_real_time(
        steps in prop::collection::vec((0..4u8, 1..200u64), 1..60)
    ) {
        let mut bench = bench();
        let (mut value, mut written) = (0, vec![]);
        for (step, size) in steps {
            match step {
                0 | 1 => {
                    value += 1;
                    bench.write(value, 2 * FRAME);
                    written.extend([value; 2]);
                }
                2 => bench.feed.end(bench.now),
                _ => {
                    let until = (bench.now - bench.zero).as_millis() as u64 + size;
                    bench.run(until);
                }
            }
        }
        bench.run(600_000);
        let frames = bench.frames();
        prop_assert_eq!(frames.iter().map(|frame| frame.1).collect::<Vec<_>>(), written);
        for pair in frames.windows(2) {
            prop_assert!(pair[1].0 >= pair[0].0 + 20, "{:?}", pair);
        }
    }
}

fn leading(lead: u64) -> Bench {
    Bench::new(Feed::new(RATE, ms(10_000), Lead::new(ms(lead)).unwrap()))
}

#[test]
fn a_feed_is_paused_and_resumed_over_its_utterances() {
    let mut bench = bench();
    bench.write(1, 2 * FRAME);
    bench.feed.end(bench.now);
    bench.write(2, FRAME);
    bench.run(10);
    bench.feed.pause(bench.now);
    bench.feed.end(bench.now);
    bench.write(3, FRAME);
    bench.run(1000);
    assert_eq!(bench.frames(), [(0, 1)]);
    assert_eq!(bench.feed.queued(), ms(60));
    bench.feed.resume(bench.now);
    bench.run(5000);
    assert_eq!(bench.frames(), [(0, 1), (1000, 1), (1020, 2), (1040, 3)]);
}

#[test]
fn frames_come_out_ahead_up_to_the_lead_and_then_in_real_time() {
    let mut bench = leading(100);
    bench.write(5, 20 * FRAME);
    bench.run(0);
    assert_eq!(bench.frames().len(), 6, "100 ms and the frame that is heard now");
    assert_eq!(bench.feed.ahead(bench.now), ms(100));
    assert_eq!(bench.feed.queued(), ms(280));
    bench.run(150);
    assert_eq!(bench.frames().len(), 13);
    bench.run(10_000);
    let heard: Vec<u64> = bench.log.iter().map(|e| if let Frame(_, heard, ..) = e { *heard } else { 0 }).collect();
    assert_eq!(heard, (0..20).map(|n| n * 20).collect::<Vec<_>>(), "each with the time at which it is heard");
    assert_eq!(bench.feed.ahead(bench.now), Duration::ZERO);
    // After it has run dry it is filled up again.
    bench.write(6, 20 * FRAME);
    bench.run(10_000);
    assert_eq!(bench.frames().len(), 26);
}

#[test]
fn what_is_no_whole_frame_is_not_sent_ahead() {
    let mut bench = leading(1000);
    for _ in 0..20 {
        bench.write(5, FRAME / 2 + 2);
        bench.run(0);
    }
    let padded = bench.log.iter().filter(|entry| matches!(entry, Frame(.., last) if *last != 5)).count();
    assert_eq!((bench.frames().len(), padded), (10, 0), "no gap inside");
    bench.run(5000);
    assert_eq!(bench.frames().len(), 11, "the rest, in its time");
}

#[test]
fn marks_and_clear_tell_what_they_can_of_audio_that_is_ahead() {
    let mut bench = leading(200);
    bench.write(1, 5 * FRAME);
    bench.feed.mark(bench.now, 1).unwrap();
    bench.feed.end(bench.now);
    bench.write(2, 20 * FRAME);
    bench.feed.mark(bench.now, 2).unwrap();
    bench.run(40);
    assert_eq!(bench.frames().len(), 13);
    assert_eq!(bench.feed.clear(bench.now), ms(240), "what has come out cannot be cleared");
    assert_eq!(bench.feed.ahead(bench.now), ms(200));
    bench.write(3, FRAME);
    bench.feed.mark(bench.now, 3).unwrap();
    bench.run(10_000);
    let marks: Vec<_> = bench.log.iter().filter(|entry| matches!(entry, Marked(..))).cloned().collect();
    assert_eq!(marks, [Marked(100, 1, true), Marked(100, 2, false), Marked(280, 3, true)]);
    assert_eq!(
        bench.log.iter().find(|entry| matches!(entry, Over(..))),
        Some(&Over(0, 1)),
        "told as soon as it is sent"
    );
    assert_eq!(bench.frames().last(), Some(&(60, 3)), "in the lead's time");
}

#[test]
fn what_is_ahead_at_the_end_of_an_utterance_counts_for_the_next() {
    let mut bench = leading(100);
    bench.write(1, 3 * FRAME);
    bench.feed.end(bench.now);
    bench.run(10);
    bench.write(2, 10 * FRAME);
    bench.run(10);
    assert_eq!(bench.frames().len(), 6, "no more than 100 ms ahead");
    assert_eq!(bench.feed.mark(bench.now, 1), Ok(true));
    bench.run(10_000);
    assert!(bench.log.contains(&Marked(260, 1, true)));
}

proptest! {
    #[test]
    fn no_frame_is_ever_further_ahead_than_the_lead(
        lead in 0..2000u64, steps in prop::collection::vec((0..5u8, 1..400u64), 1..60)
    ) {
        let mut bench = leading(lead);
        let mut pushed = 0;
        for (step, size) in steps {
            let at = (bench.now - bench.zero).as_millis() as u64;
            match step {
                0 | 1 => {
                    bench.write(9, 2 * size as usize);
                    pushed += size;
                }
                2 => bench.feed.end(bench.now),
                3 => {
                    bench.feed.pause(bench.now);
                    bench.run(at + size / 4);
                    bench.feed.resume(bench.now);
                }
                _ => bench.run(at + size),
            }
            prop_assert!(bench.feed.ahead(bench.now) <= ms(lead));
        }
        bench.run(1_000_000);
        let mut before = None;
        for entry in &bench.log {
            let Frame(at, heard, ..) = *entry else { continue };
            prop_assert!(heard >= at && heard <= at + lead, "{:?} with {} ms", entry, lead);
            // One after the other, as heard.
            prop_assert!(before.is_none_or(|before| heard >= before + 20), "{:?} after {:?}", entry, before);
            before = Some(heard);
        }
        prop_assert_eq!(bench.feed.queued(), Duration::ZERO);
        prop_assert!(bench.frames().len() as u64 >= pushed / 160);
    }
}
