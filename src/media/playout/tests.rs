//! Order, bounds and counts of the playout buffer.

use proptest::prelude::*;

use super::*;

fn playout() -> Playout {
    Playout::new(8000, Duration::from_secs(10))
}

fn play(playout: &mut Playout) -> Vec<i16> {
    let mut out = vec![];
    playout.pull(usize::MAX, &mut out);
    out
}

fn accepted(accepted: usize) -> Pushed {
    Pushed { accepted, ..Pushed::default() }
}

const DUPLICATE: Pushed = Pushed { accepted: 0, discarded: 0, duplicate: true, reordered: false, lost: 0 };

#[test]
fn in_order_from_any_first_number() {
    for first in [0, 1, 777, u64::MAX - 2] {
        let mut playout = playout();
        for step in 0..3 {
            let pushed = playout.push(Some(first + step), &[step as i16; 2]);
            assert_eq!(pushed, accepted(2), "{first}");
        }
        assert_eq!(playout.buffered(), 6);
        assert_eq!(playout.buffered_duration(), Duration::from_micros(750));
        assert_eq!(play(&mut playout), [0, 0, 1, 1, 2, 2]);
        assert_eq!(playout.buffered(), 0);
    }
}

#[test]
fn frames_are_cut_anywhere() {
    let mut playout = playout();
    playout.push(Some(1), &[1, 2, 3]);
    playout.push(Some(2), &[4, 5]);
    let mut out = vec![9];
    assert_eq!(playout.pull(2, &mut out), 2);
    assert_eq!(playout.pull(2, &mut out), 2);
    assert_eq!(playout.pull(2, &mut out), 1);
    assert_eq!(playout.pull(2, &mut out), 0);
    assert_eq!(out, [9, 1, 2, 3, 4, 5]);
}

#[test]
fn a_late_chunk_finds_its_place_while_it_can() {
    let mut playout = playout();
    playout.push(Some(1), &[10, 11]);
    let pushed = playout.push(Some(4), &[40, 41]);
    assert_eq!((pushed.lost, playout.lost()), (2, 2));
    let pushed = playout.push(Some(3), &[30, 31]);
    assert!(pushed.reordered && pushed.accepted == 2 && pushed.lost == 0);
    assert_eq!(playout.lost(), 1);
    playout.push(Some(2), &[20, 21]);
    assert_eq!(playout.lost(), 0);
    assert_eq!(play(&mut playout), [10, 11, 20, 21, 30, 31, 40, 41]);
}

#[test]
fn the_first_to_come_need_not_be_the_first_in_order() {
    let mut playout = playout();
    playout.push(Some(8), &[8]);
    let pushed = playout.push(Some(7), &[7]);
    assert!(pushed.reordered && pushed.accepted == 1);
    assert_eq!(playout.lost(), 0);
    assert_eq!(play(&mut playout), [7, 8]);
}

#[test]
fn older_than_what_is_being_played_is_too_late() {
    let mut playout = playout();
    playout.push(Some(5), &[50, 51]);
    playout.push(Some(7), &[70, 71]);
    let mut out = vec![];
    playout.pull(3, &mut out);
    assert_eq!(out, [50, 51, 70]);
    let late = Pushed { discarded: 3, reordered: true, ..Pushed::default() };
    assert_eq!(playout.push(Some(6), &[1; 3]), late);
    assert_eq!(playout.push(Some(4), &[1; 3]), late);
    assert_eq!(play(&mut playout), [71]);
}

#[test]
fn duplicates_are_dropped_buffered_or_played() {
    let mut playout = playout();
    playout.push(Some(1), &[1]);
    playout.push(Some(2), &[2]);
    assert_eq!(playout.push(Some(1), &[1]), DUPLICATE);
    assert_eq!(playout.push(Some(2), &[2]), DUPLICATE);
    assert_eq!(play(&mut playout), [1, 2]);
    assert_eq!(playout.push(Some(2), &[2]), DUPLICATE);
    assert_eq!(playout.buffered(), 0);
    assert_eq!(playout.lost(), 0);
}

#[test]
fn duplicates_far_behind_are_dropped_while_buffered() {
    let mut playout = playout();
    for number in 0..400 {
        playout.push(Some(number), &[number as i16]);
    }
    for number in 0..400 {
        assert_eq!(playout.push(Some(number), &[0]), DUPLICATE, "{number}");
    }
    assert_eq!(play(&mut playout), (0..400).collect::<Vec<i16>>());
}

#[test]
fn without_numbers_the_order_is_that_of_arrival() {
    let mut playout = playout();
    for value in [3, 1, 2] {
        assert_eq!(playout.push(None, &[value]), accepted(1));
    }
    assert_eq!(play(&mut playout), [3, 1, 2]);
}

#[test]
fn the_bound_holds_at_the_limit_and_one_past_it() {
    let mut playout = playout();
    for number in 0..500 {
        assert_eq!(playout.push(Some(number), &[1; 160]), accepted(160));
    }
    assert_eq!(playout.buffered_duration(), Duration::from_secs(10));
    let one_too_many = Pushed { discarded: 1, ..Pushed::default() };
    assert_eq!(playout.push(Some(500), &[2]), one_too_many);
    let mut out = vec![];
    playout.pull(100, &mut out);
    let partly = playout.push(Some(501), &[[3; 100].as_slice(), &[4; 60]].concat());
    assert_eq!((partly.accepted, partly.discarded), (100, 60));
    assert_eq!(playout.buffered(), 80_000);
    let rest = play(&mut playout);
    assert_eq!(rest[79_900..], [3; 100]);
    assert_eq!(playout.push(Some(502), &[5]), accepted(1));

    let mut tiny = Playout::new(8000, Duration::ZERO);
    assert_eq!(tiny.push(None, &[1]), one_too_many);
    let mut endless = Playout::new(48_000, Duration::MAX);
    assert_eq!(endless.push(None, &[1]), accepted(1));
}

#[test]
fn clear_drops_all_and_what_comes_late_from_before_it() {
    let mut playout = playout();
    playout.push(Some(1), &[1; 160]);
    playout.push(Some(3), &[3; 160]);
    assert_eq!(playout.clear(), 320);
    assert_eq!(playout.clear(), 0);
    assert_eq!(playout.push(Some(2), &[2; 160]).accepted, 0);
    assert_eq!(playout.push(Some(4), &[4]), accepted(1));
    assert_eq!(play(&mut playout), [4]);
}

#[test]
fn after_a_rest_numbers_may_begin_anew() {
    let mut playout = playout();
    playout.push(Some(100), &[1]);
    playout.rest();
    assert!(playout.push(Some(1), &[9]).reordered, "not while buffered");
    play(&mut playout);
    playout.rest();
    assert_eq!(playout.push(Some(1), &[2]), accepted(1));
    assert_eq!(playout.push(Some(2), &[3]), accepted(1));
    assert_eq!(play(&mut playout), [2, 3]);
    playout.rest();
    assert_eq!(playout.push(Some(5), &[6]).lost, 2, "a gap is still a gap");
}

#[test]
fn wild_numbers_do_no_harm() {
    let mut playout = playout();
    playout.push(Some(0), &[1]);
    assert_eq!(playout.push(Some(u64::MAX), &[2]).lost, u64::MAX - 1);
    playout.push(Some(1), &[3]);
    playout.push(Some(u64::MAX - 1), &[4]);
    playout.push(Some(u64::MAX), &[5]);
    assert_eq!(play(&mut playout), [1, 3, 4, 2]);
}

proptest! {
    #[test]
    fn what_is_played_is_in_order_and_accounted_for(
        steps in proptest::collection::vec((0u64..40, 0usize..30, 0usize..40), 1..200),
    ) {
        let mut playout = Playout::new(8000, Duration::from_millis(50));
        let (mut given, mut played) = (0, vec![]);
        for (number, samples, pull) in steps {
            let pushed = playout.push(Some(number), &vec![number as i16; samples]);
            prop_assert!(playout.buffered() <= 400);
            prop_assert!(!(pushed.duplicate && pushed.reordered));
            prop_assert_eq!(
                pushed.accepted + pushed.discarded,
                if pushed.duplicate { 0 } else { samples }
            );
            given += pushed.accepted;
            playout.pull(pull, &mut played);
        }
        playout.pull(usize::MAX, &mut played);
        prop_assert_eq!(played.len(), given);
        prop_assert!(played.is_sorted(), "numbers never go back: {:?}", played);
    }
}
