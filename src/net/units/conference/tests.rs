use super::*;
use crate::net::core;
use crate::net::route::{RouteParams, Sink};

struct Nobody;

impl Mailbox for Nobody {
    fn post(&self, _id: u64, notices: &mut Vec<Notice>) {
        notices.clear();
    }
}

/// Hears everything.
struct Ear {
    id: u64,
    heard: Mutex<Vec<Vec<i16>>>,
}

impl MediaSink for Ear {
    fn id(&self) -> u64 {
        self.id
    }

    fn rate(&self) -> u32 {
        8000
    }

    fn is_closed(&self) -> bool {
        false
    }

    fn frame(&self, _from: u64, _now: Instant, pcm: &[i16]) -> bool {
        lock(&self.heard).push(pcm.to_vec());
        true
    }
}

/// A conference with so many ears, on a clock of its own: the pacer's is an hour behind.
fn conference(ears: usize) -> (Arc<Conference>, Vec<Arc<Ear>>, Instant) {
    let core = core().expect("a core");
    let conference = Conference::new(core.clone(), Arc::new(Nobody), 8000).expect("a rate");
    let ears: Vec<_> = (0..ears).map(|_| Arc::new(Ear { id: core.next_id(), heard: Mutex::default() })).collect();
    for ear in &ears {
        conference.route(Sink::Unit(ear.clone()), RouteParams::default()).expect("a route");
    }
    (conference, ears, Instant::now() + Duration::from_hours(1))
}

/// Ticks up to this time.
fn until(conference: &Conference, time: Instant) {
    let mut next = lock(&conference.hall).next.map(|next| next + GRACE);
    while let Some(at) = next.filter(|at| *at <= time) {
        next = conference.tick(at);
    }
}

#[test]
fn everybody_hears_all_others_to_the_sample_and_a_listener_hears_all() {
    let (conference, ears, start) = conference(4);
    let frame = |who: i16, n: i16| vec![1000 * who + n; 160];
    for n in 0..50 {
        // Three speak, each at another time of the 20 ms; the fourth listens.
        for who in [1, 2, 3] {
            let now = start + FRAME * n as u32 + Duration::from_millis(who as u64);
            until(&conference, now);
            conference.frame(ears[who as usize - 1].id, now, &frame(who, n));
        }
    }
    until(&conference, start + FRAME * 52);
    // The clock is that of the first. The others came after the time of the first mix, so they are one frame later.
    for (index, ear) in ears.iter().enumerate() {
        let heard = lock(&ear.heard);
        for n in 1..50 {
            let all = [(1, n), (2, n - 1), (3, n - 1)];
            let others = all.iter().filter(|(who, _)| *who != index as i16 + 1);
            let expected: i16 = others.map(|(who, n)| 1000 * who + n).sum();
            assert_eq!(heard[n as usize], [expected; 160], "ear {index}, frame {n}");
        }
    }
}

#[test]
fn loud_members_saturate_once_and_only_for_those_who_hear_them() {
    let (conference, ears, start) = conference(3);
    for n in 0..5 {
        for (ear, level) in ears.iter().zip([30_000, 30_000, -30_000]) {
            until(&conference, start + FRAME * n);
            conference.frame(ear.id, start + FRAME * n, &[level; 160]);
        }
    }
    until(&conference, start + FRAME * 6);
    for (ear, level) in ears.iter().zip([0, 0, i16::MAX]) {
        assert_eq!(lock(&ear.heard)[2], [level; 160]);
    }
}

#[test]
fn who_speaks_alone_hears_silence_and_all_streams_end_a_second_after_the_last_word() {
    let (conference, ears, start) = conference(2);
    for n in 0..10 {
        until(&conference, start + FRAME * n);
        conference.frame(ears[0].id, start + FRAME * n, &[7; 160]);
    }
    until(&conference, start + Duration::from_secs(10));
    assert!(lock(&conference.hall).next.is_none() && lock(&conference.hall).speakers.is_empty());
    for (ear, level) in ears.iter().zip([0, 7]) {
        let heard = lock(&ear.heard);
        assert_eq!(heard[..10], vec![vec![level; 160]; 10]);
        assert!(heard[10..].iter().all(|frame| *frame == [0; 160]));
        assert!((55..65).contains(&heard.len()), "{}", heard.len());
    }
    // And begin anew.
    conference.frame(ears[1].id, start + Duration::from_secs(20), &[9; 160]);
    until(&conference, start + Duration::from_secs(21));
    assert!(lock(&ears[0].heard).contains(&vec![9; 160]));
}

#[test]
fn conferences_may_send_to_each_other_and_nobody_hears_an_echo() {
    let (one, ears, start) = conference(1);
    let (two, others, _) = conference(1);
    one.route(Sink::Unit(two.clone()), RouteParams::default()).expect("a route");
    two.route(Sink::Unit(one.clone()), RouteParams::default()).expect("a route");
    for n in 0..50 {
        let now = start + FRAME * n;
        until(&one, now);
        until(&two, now);
        one.frame(ears[0].id, now, &[1; 160]);
        two.frame(others[0].id, now, &[100; 160]);
    }
    for (ear, level) in [(&ears[0], 100), (&others[0], 1)] {
        let heard = lock(&ear.heard);
        assert!(heard[..5].contains(&vec![level; 160]), "{heard:?}");
        assert_eq!(heard[10..40], vec![vec![level; 160]; 30]);
    }
}

#[test]
fn a_closed_one_takes_nothing_and_lets_go_of_everything() {
    let (conference, ears, start) = conference(2);
    assert!(conference.frame(ears[0].id, start, &[1; 160]));
    conference.close();
    assert!(!conference.frame(ears[0].id, start, &[1; 160]));
    assert_eq!(conference.tick(start + FRAME), None);
    let ear = Arc::downgrade(&ears[0]);
    drop(ears);
    assert_eq!(ear.strong_count(), 0);
}
