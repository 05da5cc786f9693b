//! Marks against a stepped clock: when they are told of, in which order, and as what.

use super::*;

impl Bench {
    fn mark(&mut self, id: u64) -> bool {
        self.stream.mark(self.now, id)
    }

    fn marks(&self) -> Vec<Happened> {
        self.log.iter().filter(|entry| matches!(entry, Marked(..))).cloned().collect()
    }
}

#[test]
fn a_mark_is_told_of_when_the_frame_with_the_last_sample_before_it_has_ended() {
    let mut bench = bench();
    bench.push(1000, 5 * FRAME);
    assert!(bench.mark(1)); // 100 ms
    bench.push(1000, FRAME / 2);
    assert!(bench.mark(2)); // 110 ms: in the middle of a frame
    assert!(bench.mark(3)); // the same place
    bench.push(1000, 5 * FRAME);
    bench.run(5000);
    assert_eq!(bench.marks(), [Marked(100.0, 1, true), Marked(120.0, 2, true), Marked(120.0, 3, true)]);
}

#[test]
fn with_nothing_before_it_a_mark_is_reached_already() {
    let mut bench = bench();
    assert!(!bench.mark(1), "nothing has come");
    bench.push(1000, 2 * FRAME);
    bench.run(20);
    assert!(bench.mark(2), "the second frame has been handed out, and is heard until 40 ms");
    assert!(bench.mark(3));
    bench.run(2000);
    assert_eq!(bench.marks(), [Marked(40.0, 2, true), Marked(40.0, 3, true)]);
    assert!(!bench.mark(4), "all was played");
    assert!(!bench.stream.is_marked());
}

#[test]
fn a_clear_reaches_what_was_not_handed_out_and_keeps_the_order() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.mark(1);
    bench.push(1000, 50 * FRAME);
    bench.mark(2);
    bench.mark(3);
    bench.run(25); // the second frame is being heard
    bench.stream.clear(bench.now);
    bench.run(2000);
    assert_eq!(bench.marks(), [Marked(40.0, 1, true), Marked(40.0, 2, false), Marked(40.0, 3, false)]);
}

#[test]
fn a_clear_long_after_the_last_frame_is_told_of_at_once() {
    let mut bench = Bench::new(StreamConfig { playout_delay: ms(1000), ..plain() });
    bench.push(1000, FRAME);
    bench.mark(7);
    bench.run(100);
    bench.stream.clear(bench.now);
    assert_eq!(bench.stream.next_deadline(), Some(bench.now));
    bench.run(100);
    assert_eq!(bench.marks(), [Marked(100.0, 7, false)]);
}

#[test]
fn after_a_clear_nothing_that_was_buffered_is_heard_from_the_next_frame_on() {
    for at in [0, 1, 19, 20, 21, 555] {
        let mut bench = bench();
        bench.push(1000, 100 * FRAME);
        bench.run(at);
        let handed_out = bench.audible().len();
        let dropped = bench.stream.clear(bench.now);
        assert_eq!(handed_out * FRAME + dropped, 100 * FRAME);
        bench.push(2000, 10 * FRAME);
        bench.run(5000);
        let mut frames = bench.log.iter().filter_map(|entry| match entry {
            Frame(start, frame) if *start >= at as f64 && frame.contains(&1000) => Some(*start),
            _ => None,
        });
        // What was handed out at this very instant, before the clear, is the last of it: 20 ms.
        assert!(frames.all(|start| start <= at as f64), "cleared at {at} ms");
    }
}

#[test]
fn a_chunk_that_comes_late_is_before_the_marks_behind_its_place() {
    let mut bench = bench();
    let chunk = |number: u64, bench: &mut Bench| {
        bench.chunk = number - 1;
        bench.push(100 * number as i16, FRAME);
    };
    chunk(1, &mut bench);
    chunk(2, &mut bench);
    bench.mark(2);
    chunk(4, &mut bench);
    bench.mark(4);
    chunk(3, &mut bench);
    bench.mark(3);
    chunk(5, &mut bench);
    bench.run(2000);
    assert_eq!(bench.marks(), [Marked(40.0, 2, true), Marked(80.0, 4, true), Marked(80.0, 3, true)]);
}

#[test]
fn what_does_not_fit_is_behind_the_marks() {
    let mut bench = Bench::new(StreamConfig { max_buffered: ms(100), ..plain() });
    bench.push(1000, 5 * FRAME);
    bench.mark(1);
    assert_eq!(bench.push(1000, 5 * FRAME).overflow, 5 * FRAME);
    bench.mark(2);
    bench.run(3000);
    assert_eq!(bench.marks(), [Marked(100.0, 1, true), Marked(100.0, 2, true)]);
}

#[test]
fn what_is_cut_out_was_not_played() {
    let mut bench = Bench::new(StreamConfig::default());
    let mut id = 0;
    for chunk in 0..500_u64 {
        // 20 ms each, but for a stall of 1.5 s after two seconds.
        let sent = if (100..175).contains(&chunk) { 175 * 20 } else { chunk * 20 };
        bench.run(sent);
        bench.push(1000, FRAME);
        id += 1;
        bench.mark(id);
    }
    bench.run(15_000);
    let cut = bench.stream.counters().discarded_samples / FRAME as u64;
    let told = bench.marks();
    let dropped = told.iter().filter(|mark| matches!(mark, Marked(_, _, false))).count() as u64;
    assert!(cut >= 40, "{cut} frames were cut out");
    assert!(dropped.abs_diff(cut) <= 1, "{dropped} of {cut}");
    let ids: Vec<u64> = told.iter().map(|mark| if let Marked(_, id, _) = mark { *id } else { 0 }).collect();
    assert_eq!(ids, (1..=500).collect::<Vec<_>>(), "each once, in order");
}

#[test]
fn the_end_of_the_stream_reaches_what_is_left() {
    let mut bench = bench();
    bench.push(1000, 2 * FRAME);
    bench.mark(1);
    bench.push(1000, 50 * FRAME);
    bench.mark(2);
    bench.run(25);
    bench.stream.abandon();
    let left: Vec<_> = std::iter::from_fn(|| bench.stream.take_last_mark()).collect();
    let at = Some(bench.zero + ms(40));
    assert_eq!(left, [(at, Reached { id: 1, played: true }), (None, Reached { id: 2, played: false })]);
}

proptest! {
    #[test]
    fn each_mark_is_told_of_once_in_order_and_not_before_its_audio(
        steps in prop::collection::vec((0..4u8, 1..900usize), 1..80)
    ) {
        let mut bench = bench();
        let (mut next, mut pushed, mut due) = (0, 0, vec![]);
        for (step, size) in steps {
            match step {
                0 | 1 => pushed += bench.push(1000, size).accepted,
                2 => {
                    if bench.mark(next) {
                        due.push((next, pushed));
                    }
                    next += 1;
                }
                _ => {
                    let until = (bench.now - bench.zero + ms(size as u64)).as_millis() as u64;
                    bench.run(until);
                }
            }
        }
        bench.run(600_000);
        let mut heard = 0.0; // Samples, and the ends of their frames.
        let mut ends = vec![];
        let mut real = bench.real.iter();
        for entry in &bench.log {
            if let Frame(at, _) = entry {
                heard += real.next().unwrap() * 8.0;
                ends.push((heard, at + 20.0));
            }
        }
        let told = bench.marks();
        prop_assert_eq!(told.len(), due.len());
        for (entry, (id, before)) in told.iter().zip(due) {
            let Marked(at, told, played) = *entry else { unreachable!() };
            prop_assert_eq!((told, played), (id, true));
            let end = ends.iter().find(|(heard, _)| *heard + 0.5 >= before as f64).map(|(_, end)| *end);
            prop_assert_eq!(Some(at), end, "mark {} behind {} samples", id, before);
        }
    }
}
