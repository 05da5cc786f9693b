//! Order, bounds and counts of the playout buffer.

use proptest::prelude::*;

use super::*;

impl Playout {
    /// Pushes a chunk that came as these samples.
    fn take(&mut self, chunk: Option<u64>, pcm: &[i16]) -> Pushed {
        let bytes: Vec<u8> = pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.push(chunk, fingerprint(&bytes), pcm)
    }
}

fn playout() -> Playout {
    Playout::new(8000, Duration::from_secs(10))
}

/// Everything that is buffered, gaps left out.
fn play(playout: &mut Playout) -> Vec<i16> {
    let mut out = vec![];
    while playout.buffered() > 0 {
        playout.give_up(u64::MAX);
        assert!(playout.pull(usize::MAX, &mut out) > 0, "a gap that does not end");
    }
    out
}

fn accepted(accepted: usize) -> Pushed {
    Pushed { accepted, ..Pushed::default() }
}

const DUPLICATE: Pushed =
    Pushed { accepted: 0, behind: 0, discarded: 0, overflow: 0, duplicate: true, reordered: false, lost: 0 };

#[test]
fn in_order_from_any_first_number() {
    for first in [0, 1, 777, u64::MAX - 2] {
        let mut playout = playout();
        for step in 0..3 {
            let pushed = playout.take(Some(first + step), &[step as i16; 2]);
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
    playout.take(Some(1), &[1, 2, 3]);
    playout.take(Some(2), &[4, 5]);
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
    playout.take(Some(1), &[10, 11]);
    let pushed = playout.take(Some(4), &[40, 41]);
    assert_eq!((pushed.lost, playout.lost()), (2, 2));
    let pushed = playout.take(Some(3), &[30, 31]);
    assert!(pushed.reordered && pushed.accepted == 2 && pushed.lost == 0);
    assert_eq!(playout.lost(), 1);
    playout.take(Some(2), &[20, 21]);
    assert_eq!(playout.lost(), 0);
    assert_eq!(play(&mut playout), [10, 11, 20, 21, 30, 31, 40, 41]);
}

#[test]
fn the_first_to_come_need_not_be_the_first_in_order() {
    let mut playout = playout();
    playout.take(Some(8), &[8]);
    let pushed = playout.take(Some(7), &[7]);
    assert!(pushed.reordered && pushed.accepted == 1);
    assert_eq!(playout.lost(), 0);
    assert_eq!(play(&mut playout), [7, 8]);
}

#[test]
fn older_than_what_is_being_played_is_too_late() {
    let mut playout = playout();
    playout.take(Some(5), &[50, 51]);
    playout.take(Some(7), &[70, 71]);
    let mut out = vec![];
    assert_eq!(playout.pull(3, &mut out), 2, "up to the gap");
    assert_eq!(playout.missing(), 1);
    playout.give_up(1);
    playout.pull(1, &mut out);
    assert_eq!(out, [50, 51, 70]);
    let late = Pushed { discarded: 3, reordered: true, ..Pushed::default() };
    assert_eq!(playout.take(Some(6), &[1; 3]), late);
    assert_eq!(playout.take(Some(4), &[1; 3]), late);
    assert_eq!(play(&mut playout), [71]);
}

#[test]
fn duplicates_are_dropped_buffered_or_played() {
    let mut playout = playout();
    playout.take(Some(1), &[1]);
    playout.take(Some(2), &[2]);
    assert_eq!(playout.take(Some(1), &[1]), DUPLICATE);
    assert_eq!(playout.take(Some(2), &[2]), DUPLICATE);
    assert_eq!(play(&mut playout), [1, 2]);
    assert_eq!(playout.take(Some(2), &[2]), DUPLICATE);
    assert_eq!(playout.buffered(), 0);
    assert_eq!(playout.lost(), 0);
}

#[test]
fn duplicates_far_behind_are_dropped_while_buffered() {
    let mut playout = playout();
    for number in 0..400 {
        playout.take(Some(number), &[number as i16]);
    }
    for number in 0..400 {
        assert_eq!(playout.take(Some(number), &[number as i16]), DUPLICATE, "{number}");
    }
    assert_eq!(play(&mut playout), (0..400).collect::<Vec<i16>>());
}

#[test]
fn without_numbers_the_order_is_that_of_arrival() {
    let mut playout = playout();
    for value in [3, 1, 2] {
        assert_eq!(playout.take(None, &[value]), accepted(1));
    }
    assert_eq!(play(&mut playout), [3, 1, 2]);
}

#[test]
fn the_bound_holds_at_the_limit_and_one_past_it() {
    let mut playout = playout();
    for number in 0..500 {
        assert_eq!(playout.take(Some(number), &[1; 160]), accepted(160));
    }
    assert_eq!(playout.buffered_duration(), Duration::from_secs(10));
    let one_too_many = Pushed { discarded: 1, overflow: 1, ..Pushed::default() };
    assert_eq!(playout.take(Some(500), &[2]), one_too_many);
    let mut out = vec![];
    playout.pull(100, &mut out);
    let partly = playout.take(Some(501), &[[3; 100].as_slice(), &[4; 60]].concat());
    assert_eq!((partly.accepted, partly.discarded), (100, 60));
    assert_eq!(playout.buffered(), 80_000);
    let rest = play(&mut playout);
    assert_eq!(rest[79_900..], [3; 100]);
    assert_eq!(playout.take(Some(502), &[5]), accepted(1));

    let mut tiny = Playout::new(8000, Duration::ZERO);
    assert_eq!(tiny.take(None, &[1]), one_too_many);
    let mut endless = Playout::new(48_000, Duration::MAX);
    assert_eq!(endless.take(None, &[1]), accepted(1));
}

#[test]
fn clear_drops_all_and_what_comes_late_from_before_it() {
    let mut playout = playout();
    playout.take(Some(1), &[1; 160]);
    playout.take(Some(3), &[3; 160]);
    assert_eq!(playout.clear(), 320);
    assert_eq!(playout.clear(), 0);
    assert_eq!(playout.take(Some(2), &[2; 160]).accepted, 0);
    assert_eq!(playout.take(Some(4), &[4]), accepted(1));
    assert_eq!(play(&mut playout), [4]);
}

#[test]
fn after_a_rest_numbers_may_begin_anew() {
    let mut playout = playout();
    playout.take(Some(100), &[1]);
    playout.rest();
    assert!(playout.take(Some(98), &[9]).reordered, "not while buffered");
    play(&mut playout);
    playout.rest();
    assert_eq!(playout.take(Some(1), &[2]), accepted(1));
    assert_eq!(playout.take(Some(2), &[3]), accepted(1));
    assert_eq!(play(&mut playout), [2, 3]);
    playout.rest();
    assert_eq!(playout.take(Some(5), &[6]).lost, 2, "a gap is still a gap");
}

#[test]
fn wild_numbers_do_no_harm() {
    let mut playout = playout();
    playout.take(Some(0), &[1]);
    assert_eq!(playout.take(Some(u64::MAX), &[2]).lost, u64::MAX - 1);
    playout.take(Some(1), &[3]);
    playout.take(Some(u64::MAX - 1), &[4]);
    playout.take(Some(u64::MAX), &[2]);
    assert_eq!(play(&mut playout), [1, 4, 2, 3], "1 is a new numbering, the others are late ones of the old");
    for number in [u64::MAX, 0, u64::MAX, 5, u64::MAX - 300] {
        playout.take(Some(number), &[number as i16 + 7]);
        playout.take(None, &[0]);
        assert!(playout.holes() < u64::MAX);
    }
    assert_eq!(play(&mut playout).len(), 10);
}

/// Pushes chunks of these numbers, the n-th with value n, and plays them all.
fn numbered(numbers: impl IntoIterator<Item = u64>) -> (Vec<i16>, Playout) {
    let mut playout = playout();
    for (value, number) in (0..).zip(numbers) {
        playout.take(Some(number), &[value]);
    }
    (play(&mut playout), playout)
}

#[test]
fn a_numbering_that_begins_anew_loses_nothing() {
    for first in [0, 1, 40_000] {
        for before in [2, 3, 50, 511, 512, 513, 700] {
            for anew in [0, 1, first] {
                let numbers = (first..first + before).chain(anew..anew + 5);
                let (mut played, playout) = numbered(numbers);
                if anew < first && before < 4 {
                    played.sort_unstable(); // At the very beginning it may be a late one, and goes in front.
                }
                let all: Vec<i16> = (0..before as i16 + 5).collect();
                // One that goes on where the old one was is no new one; a step forward is a gap.
                let expected = if anew > first + before { before } else { 0 };
                assert_eq!(playout.lost(), expected, "{before} from {first}, then from {anew}");
                assert_eq!(played, all, "{before} from {first}, then from {anew}");
            }
        }
    }
}

#[test]
fn the_same_prompt_again_is_played_again() {
    let prompt = |playout: &mut Playout, length: u64| {
        (1..=length).map(|number| playout.take(Some(number), &[number as i16; 160]).accepted).sum::<usize>()
    };
    for (length, rest, expected) in [(60, false, 58 * 160), (60, true, 60 * 160), (5, true, 5 * 160), (5, false, 0)] {
        let mut playout = playout();
        prompt(&mut playout, length);
        play(&mut playout);
        if rest {
            playout.rest();
        }
        assert_eq!(prompt(&mut playout, length), expected, "{length} chunks, rest {rest}");
    }
}

#[test]
fn numbers_wrap_and_late_ones_of_the_old_round_find_their_place() {
    let (played, playout) = numbered([65_533, 65_535, 0, 65_534, 1, 2]);
    assert_eq!((played, playout.lost()), (vec![0, 3, 1, 2, 4, 5], 0));
}

#[test]
fn the_same_audio_under_the_same_number_is_a_duplicate_other_audio_is_not() {
    let mut playout = playout();
    for number in 1..=20 {
        playout.take(Some(number), &[number as i16; 160]);
    }
    play(&mut playout);
    assert_eq!(playout.take(Some(1), &[1; 160]), DUPLICATE);
    assert_eq!(playout.take(Some(1), &[99; 160]), accepted(160));
    assert_eq!(playout.take(Some(1), &[99; 160]), DUPLICATE);
    assert_eq!(playout.take(Some(20), &[20; 160]), DUPLICATE, "of the old numbering");
    assert_eq!(playout.take(Some(2), &[2; 160]), accepted(160));
}

#[test]
fn what_is_missing_is_known_before_it_is_played() {
    let mut playout = playout();
    for number in [1, 2, 5, 7] {
        playout.take(Some(number), &[number as i16; 2]);
    }
    assert_eq!((playout.missing(), playout.holes()), (0, 3));
    let mut out = vec![];
    assert_eq!(playout.pull(9, &mut out), 4);
    assert_eq!((playout.missing(), playout.holes()), (2, 3));
    assert_eq!(playout.pull(9, &mut out), 0);
    playout.give_up(1);
    assert_eq!(playout.take(Some(3), &[3, 3]).accepted, 0, "something else was played for it");
    assert_eq!(playout.take(Some(4), &[4, 4]).accepted, 2, "not yet for this one");
    assert_eq!((playout.missing(), playout.holes()), (0, 1));
    playout.pull(9, &mut out);
    playout.give_up(u64::MAX);
    playout.pull(9, &mut out);
    assert_eq!(out, [1, 1, 2, 2, 4, 4, 5, 5, 7, 7]);
}

#[test]
fn what_did_not_fit_and_what_was_empty_is_no_gap() {
    let mut playout = Playout::new(8000, Duration::from_millis(1));
    playout.take(Some(1), &[1; 8]);
    for number in 2..50 {
        assert_eq!(playout.take(Some(number), &[2; 8]).overflow, 8);
    }
    assert_eq!(playout.pull(4, &mut vec![]), 4);
    playout.take(Some(50), &[50; 4]);
    assert_eq!(playout.pull(9, &mut vec![]), 8, "one after the other");
    playout.take(Some(51), &[]);
    playout.take(Some(52), &[52]);
    assert_eq!(playout.pull(9, &mut vec![]), 1);
}

#[test]
fn memory_that_a_burst_took_is_given_back_while_audio_goes_on() {
    let mut playout = playout();
    for number in 0..400 {
        playout.take(Some(number), &[number as i16; 160]);
    }
    let much = playout.memory();
    for number in 400..800 {
        playout.take(Some(number), &[number as i16; 160]);
        assert_eq!(playout.pull(320, &mut vec![]), 320, "at {number}");
        if playout.buffered() < 320 {
            break;
        }
    }
    let (least, samples) = (playout.memory(), 2 * playout.buffered());
    assert!(much > 128_000 && least <= 4 * samples + 20_000, "{much}, then {least} bytes for {samples}");
}

proptest! {
    #[test]
    fn what_is_played_is_in_order_and_accounted_for(
        steps in proptest::collection::vec((0u64..40, 0usize..40), 1..200),
    ) {
        let mut playout = Playout::new(8000, Duration::from_millis(50));
        let (mut given, mut played) = (0, vec![]);
        for (number, pull) in std::iter::once((0, 0)).chain(steps) {
            let samples = (number * 7 % 30) as usize; // the same number, the same audio
            let pushed = playout.take(Some(number), &vec![number as i16; samples]);
            prop_assert!(playout.buffered() <= 400);
            prop_assert!(!(pushed.duplicate && pushed.reordered));
            prop_assert_eq!(
                pushed.accepted + pushed.discarded,
                if pushed.duplicate { 0 } else { samples }
            );
            given += pushed.accepted;
            playout.pull(pull, &mut played);
            if pull % 3 == 0 {
                playout.give_up(1);
            }
        }
        played.extend(play(&mut playout));
        prop_assert_eq!(played.len(), given);
        prop_assert!(played.is_sorted(), "numbers never go back: {:?}", played);
    }
}
