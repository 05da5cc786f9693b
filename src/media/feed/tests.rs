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
    Bench::new(Feed::new(RATE, ms(10_000)))
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
