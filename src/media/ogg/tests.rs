//! Streams written and read back: whole, in pieces, damaged, cut off, chained, and by the opus-tools.

use std::fs;
use std::process::Command;

use proptest::prelude::*;

use super::page::{Found, NO_GRANULE, Page, find};
use super::*;
use crate::media::opus::{Application, Channels, Decoder, Encoder, EncoderConfig, FrameDuration, RATE};

/// What a reader finds, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Start(Head),
    Tags(Tags),
    Packet(Vec<u8>, usize, usize),
    Gap(Option<u64>),
    End,
    Refused(HeadError),
}

fn owned(event: Event<'_>) -> Owned {
    match event {
        Event::Start(head) => Owned::Start(head),
        Event::Tags(tags) => Owned::Tags(tags),
        Event::Packet { data, skip, samples } => Owned::Packet(data.to_vec(), skip, samples),
        Event::Gap { samples } => Owned::Gap(samples),
        Event::End => Owned::End,
        Event::Refused(error) => Owned::Refused(error),
    }
}

fn read(reader: &mut Reader, bytes: &[u8], found: &mut Vec<Owned>) {
    reader.push(bytes, |event| found.push(owned(event)));
}

fn read_all(bytes: &[u8]) -> (Vec<Owned>, Statistics) {
    let (mut reader, mut found) = (Reader::new(), vec![]);
    read(&mut reader, bytes, &mut found);
    reader.finish(|event| found.push(owned(event)));
    (found, reader.statistics())
}

fn packets_of(found: &[Owned]) -> Vec<Vec<u8>> {
    let packets = found.iter().filter_map(|one| if let Owned::Packet(data, ..) = one { Some(data) } else { None });
    packets.cloned().collect()
}

/// Compares without printing kilobytes.
fn same(got: &[Vec<u8>], expected: &[Vec<u8>]) {
    let differs = got.iter().zip(expected).position(|(got, expected)| got != expected);
    let lengths = (got.len(), expected.len());
    assert!(got == expected, "packets (got, expected): {lengths:?}; the first that differs: {differs:?}");
}

/// Samples to be played.
fn played(found: &[Owned]) -> usize {
    found.iter().map(|one| if let Owned::Packet(_, _, samples) = one { *samples } else { 0 }).sum()
}

fn tone(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (9000.0 * (n as f32 * 0.05).sin() + 3000.0 * (n as f32 * 0.31).sin()) as i16).collect()
}

fn packets(count: usize, frame: FrameDuration) -> Vec<Vec<u8>> {
    let config =
        EncoderConfig { frame, bitrate: Some(40_000), application: Application::Audio, ..EncoderConfig::default() };
    let mut encoder = Encoder::new(config).expect("an encoder");
    let pcm = tone(encoder.frame_length() * count);
    let frames = pcm.chunks_exact(encoder.frame_length());
    frames
        .map(|frame| {
            let mut packet = vec![];
            encoder.encode_into(frame, &mut packet).expect("a packet");
            packet
        })
        .collect()
}

fn written(config: &WriterConfig, packets: &[Vec<u8>], samples: Option<u64>) -> Vec<u8> {
    let mut out = vec![];
    let mut writer = Writer::new(config, &mut out);
    for packet in packets {
        writer.packet_into(packet, &mut out).expect("a packet");
    }
    writer.finish_into(samples, &mut out);
    out
}

/// The bytes of each page.
fn pages(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pages = vec![];
    while !bytes.is_empty() {
        let Found::Page(_, length) = find(bytes) else { panic!("not a page") };
        let (page, rest) = bytes.split_at(length);
        pages.push(page);
        bytes = rest;
    }
    pages
}

fn parsed(bytes: &[u8]) -> Page<'_> {
    let Found::Page(page, _) = find(bytes) else { panic!("not a page") };
    page
}

fn config() -> WriterConfig {
    let comments = vec!["TITLE=A call".into(), "ARTIST=µ-law".into()];
    let tags = Tags { vendor: "voxwire".into(), comments };
    WriterConfig { serial: 0xCAFE, input_rate: 8000, tags, ..WriterConfig::default() }
}

#[test]
fn a_stream_reads_back() {
    let given = packets(130, FrameDuration::Ms20);
    let bytes = written(&config(), &given, None);
    let (found, statistics) = read_all(&bytes);
    assert_eq!(statistics, Statistics::default());
    let head = Head { channels: Channels::Mono, pre_skip: 312, input_rate: 8000, output_gain: 0 };
    assert_eq!(found[0], Owned::Start(head));
    assert_eq!(found[1], Owned::Tags(config().tags));
    assert_eq!(found[found.len() - 1], Owned::End);
    same(&packets_of(&found), &given);
    assert_eq!(found[2], Owned::Packet(given[0].clone(), 312, 960 - 312));
    assert_eq!(played(&found), 130 * 960 - 312);

    let pages = pages(&bytes);
    assert_eq!(pages.len(), 2 + 3, "a page a second");
    let flags: Vec<_> = pages.iter().map(|page| (parsed(page).first, parsed(page).last)).collect();
    assert_eq!(flags, [(true, false), (false, false), (false, false), (false, false), (false, true)]);
    let granules: Vec<u64> = pages.iter().map(|page| parsed(page).granule).collect();
    assert_eq!(granules, [0, 0, 48_000, 96_000, 130 * 960]);
}

#[test]
fn the_end_is_trimmed() {
    let given = packets(55, FrameDuration::Ms20);
    for wanted in [55 * 960 - 312 - 1, 55 * 960 - 312 - 960, 55 * 960 - 312 - 2000, 48_000] {
        let (found, _) = read_all(&written(&config(), &given, Some(wanted)));
        assert_eq!(played(&found) as u64, wanted);
        same(&packets_of(&found), &given);
    }
    // No further than the last page; no longer than the packets.
    let (found, _) = read_all(&written(&config(), &given, Some(0)));
    assert_eq!(played(&found), 48_000 - 312);
    let (found, _) = read_all(&written(&config(), &given, Some(u64::MAX)));
    assert_eq!(played(&found), 55 * 960 - 312);
    // All on one page, shorter than the pre-skip, and nothing at all.
    let short = packets(1, FrameDuration::Ms2_5);
    let (found, _) = read_all(&written(&config(), &short, None));
    assert_eq!((packets_of(&found), played(&found)), (short, 0));
    let (found, _) = read_all(&written(&config(), &[], None));
    assert_eq!((found.len(), &found[2]), (3, &Owned::End));
}

#[test]
fn every_frame_duration_and_long_packets() {
    for frame in FrameDuration::ALL {
        let given = packets(300, frame);
        let bytes = written(&config(), &given, None);
        let (found, statistics) = read_all(&bytes);
        assert_eq!((packets_of(&found), statistics), (given, Statistics::default()));
        assert_eq!(played(&found), 300 * frame.samples(RATE) - 312);
    }
    // Code 3 with one frame of 20 ms: RFC 6716 section 3.2.5. Only its first bytes matter here.
    for length in [254, 255, 256, 510, 4000, 61_440] {
        let mut packet = vec![0x4B, 0x01];
        packet.resize(length, 0);
        let given = vec![packet; 5];
        let (found, statistics) = read_all(&written(&config(), &given, None));
        assert_eq!((packets_of(&found) == given, statistics), (true, Statistics::default()), "{length}");
    }
}

#[test]
fn comments_longer_than_a_page() {
    for length in [1, 200, 60_000, 255 * 255 - 100, 255 * 255, 200_000] {
        let comments = vec!["A=1".into(), format!("PICTURE={}", "x".repeat(length)), "B=2".into()];
        let config = WriterConfig { tags: Tags { vendor: "v".into(), comments }, ..config() };
        let given = packets(3, FrameDuration::Ms20);
        let bytes = written(&config, &given, None);
        let (found, statistics) = read_all(&bytes);
        assert_eq!((packets_of(&found), statistics), (given, Statistics::default()));
        let Owned::Tags(tags) = &found[1] else { panic!("{:?}", found[1]) };
        if length < 65_000 {
            assert_eq!(*tags, config.tags);
        } else {
            assert!(tags.comments == ["A=1"], "what is longer than any packet is cut off");
        }
    }
}

/// The same stream, its packets cut over pages of at most `segments` segments.
fn repaged(bytes: &[u8], segments: usize) -> Vec<u8> {
    let (mut out, mut sequence) = (vec![], 0);
    for (number, page) in pages(bytes).into_iter().map(parsed).enumerate() {
        if number < 2 {
            page.write_into(&mut out);
            sequence += 1;
            continue;
        }
        let (mut body, mut continued, count) = (page.body, false, page.lacing.chunks(segments).count());
        for (index, lacing) in page.lacing.chunks(segments).enumerate() {
            let length = lacing.iter().map(|&lace| usize::from(lace)).sum();
            let (part, rest) = body.split_at(length);
            body = rest;
            let end = index + 1 == count;
            let granule = if end { page.granule } else { NO_GRANULE };
            let part = Page { continued, granule, last: page.last && end, sequence, lacing, body: part, ..page };
            part.write_into(&mut out);
            sequence += 1;
            continued = lacing.last() == Some(&255);
        }
    }
    out
}

#[test]
fn packets_over_several_pages() {
    let mut encoder = Encoder::new(EncoderConfig {
        bitrate: Some(510_000),
        application: Application::Audio,
        frame: FrameDuration::Ms60,
        ..EncoderConfig::default()
    })
    .expect("an encoder");
    let mut noise = 1u32;
    let pcm: Vec<i16> = (0..encoder.frame_length() * 20)
        .map(|_| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 16) as i16
        })
        .collect();
    let mut given = vec![];
    for frame in pcm.chunks_exact(encoder.frame_length()) {
        let mut packet = vec![];
        encoder.encode_into(frame, &mut packet).expect("a packet");
        given.push(packet);
    }
    assert!(given.iter().all(|packet| packet.len() > 1000));
    let bytes = written(&config(), &given, None);
    for segments in [1, 2, 3, 7] {
        let cut = repaged(&bytes, segments);
        let (found, statistics) = read_all(&cut);
        assert_eq!((packets_of(&found), statistics), (given.clone(), Statistics::default()));
        assert_eq!(played(&found), 20 * 2880 - 312);

        // Without one of the pages that hold the middle of a packet, that packet is gone and all others are there.
        let pages = pages(&cut);
        let lost = 2 + given[0].len() / 255 / segments / 2;
        let rest: Vec<u8> =
            pages.iter().enumerate().filter(|(at, _)| *at != lost).flat_map(|(_, page)| page.to_vec()).collect();
        let (found, statistics) = read_all(&rest);
        assert_eq!(statistics.gaps, 1);
        same(&packets_of(&found), &given[1..]);
    }
}

#[test]
fn a_lost_page_is_a_gap_of_known_length() {
    let given = packets(250, FrameDuration::Ms20);
    let bytes = written(&config(), &given, None);
    let pages = pages(&bytes);
    for lost in 2..pages.len() - 1 {
        let rest: Vec<u8> =
            pages.iter().enumerate().filter(|(at, _)| *at != lost).flat_map(|(_, page)| page.to_vec()).collect();
        let (found, statistics) = read_all(&rest);
        let gap = found.iter().find_map(|one| if let Owned::Gap(samples) = one { Some(*samples) } else { None });
        // Before the first page with audio there is nothing to count from.
        assert_eq!(gap, Some(if lost == 2 { None } else { Some(48_000) }));
        assert_eq!((packets_of(&found).len(), statistics.gaps), (200, 1));
        assert_eq!(found.last(), Some(&Owned::End));
    }
}

#[test]
fn damage_costs_the_page_and_no_more() {
    let given = packets(250, FrameDuration::Ms20);
    let bytes = written(&config(), &given, None);
    let pages = pages(&bytes);
    let starts: Vec<usize> = pages.iter().scan(0, |at, page| Some(std::mem::replace(at, *at + page.len()))).collect();
    for (number, offset) in [(3, 0), (3, 5), (3, 20), (3, 26), (3, 30), (4, 200), (5, 3)] {
        let mut bytes = bytes.clone();
        bytes[starts[number] + offset] ^= 0x10;
        let (found, statistics) = read_all(&bytes);
        assert_eq!(packets_of(&found).len(), 200, "page {number}, byte {offset}");
        assert_eq!(statistics.gaps, 1);
        assert_eq!(statistics.skipped_bytes, pages[number].len() as u64);
    }
    // Rubbish before, between and behind.
    let rubbish = b"OggOggS\0\x07OOOgg HTTP/1.1 OggS".repeat(20);
    let noisy: Vec<u8> =
        pages.iter().flat_map(|page| [rubbish.as_slice(), page].concat()).chain(rubbish.clone()).collect();
    let (found, statistics) = read_all(&noisy);
    same(&packets_of(&found), &given);
    assert!(statistics.skipped_bytes > 1000 && statistics.gaps == 0);
}

#[test]
fn a_file_cut_off_anywhere_has_all_its_whole_pages() {
    let given = packets(120, FrameDuration::Ms20);
    let mut out = vec![];
    let mut writer = Writer::new(&config(), &mut out);
    for (number, packet) in given.iter().enumerate() {
        writer.packet_into(packet, &mut out).expect("a packet");
        // Killed now: at most a page of a second is missing.
        let (found, statistics) = read_all(&out);
        let there = packets_of(&found);
        assert!(there.len() + 50 > number, "{} of {number}", there.len());
        assert_eq!(there, given[..there.len()]);
        assert_eq!(statistics, Statistics::default());
    }
    assert_eq!(writer.samples(), 120 * 960 - 312);
    writer.flush_into(&mut out);
    assert_eq!(packets_of(&read_all(&out).0), given);
    writer.flush_into(&mut out);
    writer.finish_into(None, &mut out);
    let (found, _) = read_all(&out);
    assert_eq!((packets_of(&found), found.last()), (given.clone(), Some(&Owned::End)));
    for cut in (0..out.len()).step_by(11) {
        let (found, _) = read_all(&out[..cut]);
        let there = packets_of(&found);
        assert_eq!(there, given[..there.len()]);
    }
}

#[test]
fn chained_and_multiplexed_streams() {
    let (first, second) = (packets(60, FrameDuration::Ms20), packets(30, FrameDuration::Ms40));
    let other = WriterConfig { serial: 2, pre_skip: 100, ..config() };
    let (one, two) = (written(&config(), &first, None), written(&other, &second, None));
    let (found, statistics) = read_all(&[one.clone(), two.clone()].concat());
    assert_eq!(statistics, Statistics::default());
    same(&packets_of(&found), &[first.clone(), second.clone()].concat());
    assert_eq!(found.iter().filter(|one| matches!(one, Owned::Start(_))).count(), 2);
    assert_eq!(played(&found), 60 * 960 - 312 + 30 * 1920 - 100);

    // The first without its end: the beginning of the second ends it.
    let (pages_one, pages_two) = (pages(&one), pages(&two));
    let cut = pages_one[..pages_one.len() - 1].concat();
    let (found, _) = read_all(&[cut, two.clone()].concat());
    same(&packets_of(&found), &[&first[..50], &second].concat());

    // Side by side: the first of them is read.
    let mut mixed = [pages_one[0], pages_two[0], pages_one[1], pages_two[1]].concat();
    let mut skeleton = vec![];
    let page = Page { body: b"fishead\0", lacing: &[8], serial: 77, ..parsed(pages_one[0]) };
    page.write_into(&mut skeleton);
    mixed.splice(0..0, skeleton);
    for (one, two) in pages_one[2..].iter().zip(&pages_two[2..]) {
        mixed.extend_from_slice(two);
        mixed.extend_from_slice(one);
    }
    let (found, statistics) = read_all(&mixed);
    assert_eq!((packets_of(&found), statistics), (first, Statistics::default()));

    // Joined in the middle: nothing until the next stream begins.
    let (found, _) = read_all(&[pages_one[2..].concat(), two].concat());
    same(&packets_of(&found), &second);
}

#[test]
fn a_stream_that_begins_anywhere() {
    // As a radio sends it: the first page with audio has a position of hours.
    let given = packets(100, FrameDuration::Ms20);
    let bytes = written(&config(), &given, Some(99 * 960));
    let mut moved = vec![];
    for (number, page) in pages(&bytes).into_iter().map(parsed).enumerate() {
        let granule = if number < 2 { 0 } else { page.granule + 1_000_000_000 };
        Page { granule, ..page }.write_into(&mut moved);
    }
    let (found, _) = read_all(&moved);
    assert_eq!((packets_of(&found), played(&found)), (given, 99 * 960));
}

#[test]
fn heads_that_cannot_be_decoded_are_refused_and_the_next_stream_is_read() {
    let given = packets(3, FrameDuration::Ms20);
    let good = written(&config(), &given, None);
    let head = parsed(pages(&good)[0]).body.to_vec();
    let with = |at: usize, value: u8| {
        let mut body = head.clone();
        body[at] = value;
        let mut out = vec![];
        Page { body: &body, ..parsed(pages(&good)[0]) }.write_into(&mut out);
        [out, good[pages(&good)[0].len()..].to_vec(), good.clone()].concat()
    };
    for (at, value, field) in [
        (8, 16, "version"),
        (9, 0, "number of channels"),
        (9, 3, "number of channels"),
        (18, 2, "channel mapping family"),
        (18, 255, "channel mapping family"),
    ] {
        let (found, _) = read_all(&with(at, value));
        let Owned::Refused(error @ HeadError::Field { field: got, value: was, .. }) = &found[0] else {
            panic!("{:?}", found[0])
        };
        assert_eq!((*got, *was), (field, value));
        assert!(error.to_string().contains(&format!("{field} is {value}")));
        same(&packets_of(&found), &given);
    }
    let (found, _) = read_all(&with(8, 2));
    assert_eq!(packets_of(&found).len(), 6, "a minor version is taken");
    assert_eq!(Head::parse(b"OpusHead\x01"), Err(HeadError::Short { bytes: 9 }));
    for length in 0..40 {
        let _ = Tags::parse(&config().tags.to_packet()[..length]);
    }
    assert_eq!(Tags::parse(b"OpusTags\xFF\xFF\xFF\xFF"), Tags::default());
}

#[test]
fn what_cannot_be_written_is_named() {
    let mut out = vec![];
    let mut writer = Writer::new(&config(), &mut out);
    let before = out.clone();
    assert_eq!(writer.packet_into(&[], &mut out), Err(WriteError::Packet { bytes: 0 }));
    assert_eq!(writer.packet_into(&[3, 0], &mut out), Err(WriteError::Packet { bytes: 2 }));
    let long = vec![0; MAX_PACKET + 1];
    assert_eq!(writer.packet_into(&long, &mut out), Err(WriteError::TooLong { bytes: MAX_PACKET + 1 }));
    assert_eq!(out, before);
}

#[test]
fn no_buffer_grows() {
    // Headers of pages that are never whole, and rubbish.
    let mut reader = Reader::new();
    let mut found = vec![];
    let header = [b"OggS\0\0".as_slice(), &[0; 20], &[255], &[255; 255]].concat();
    for piece in [header.repeat(300), vec![b'O'; 100_000], b"OggS".repeat(50_000)] {
        for part in piece.chunks(1400) {
            read(&mut reader, part, &mut found);
            assert!(reader.held() <= super::page::MAX_PAGE, "{}", reader.held());
        }
    }
    // A packet that never ends.
    let good = written(&config(), &[], None);
    let start = pages(&good)[..2].concat();
    read(&mut reader, &start, &mut found);
    for sequence in 2..200 {
        let mut out = vec![];
        let body = vec![1; 255 * 255];
        let page = Page {
            continued: sequence > 2,
            first: false,
            last: false,
            granule: NO_GRANULE,
            serial: 0xCAFE,
            sequence,
            lacing: &[255; 255],
            body: &body,
        };
        page.write_into(&mut out);
        read(&mut reader, &out, &mut found);
        assert!(reader.held() <= super::page::MAX_PAGE + MAX_PACKET + 1, "{}", reader.held());
    }
}

#[test]
fn headers_inside_of_headers_cost_no_more_than_their_length() {
    // Each of them claims 255 segments, most of them 255 bytes long, and holds the next one.
    let mut header = [b"OggS\0\0".as_slice(), &[0; 20], &[255]].concat();
    header.resize(40, 255);
    let piece = header.repeat(25_000);
    let (mut reader, mut found) = (Reader::new(), vec![]);
    for part in piece.chunks(4000) {
        read(&mut reader, part, &mut found);
    }
    let limit = 16 * piece.len() + (1 << 20) + super::page::MAX_PAGE;
    assert!(reader.checked() <= limit as u64, "{} bytes checked for {}", reader.checked(), piece.len());
    assert!(reader.checked() > 15 * piece.len() as u64, "the attack is one");
    // And what comes next is read.
    let given = packets(60, FrameDuration::Ms20);
    read(&mut reader, &vec![0; super::page::MAX_PAGE], &mut found);
    read(&mut reader, &written(&config(), &given, None), &mut found);
    same(&packets_of(&found), &given);
}

/// True when the program is there; else it says that a test is left out.
fn there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("left out: {program} is not installed (Debian: opus-tools)");
    }
    there
}

#[test]
fn opusinfo_and_opusdec_take_what_is_written() {
    if !there("opusinfo") || !there("opusdec") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("voxwire-ogg-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let given = packets(250, FrameDuration::Ms20);
    let (file, wav) = (folder.join("a.opus"), folder.join("a.wav"));
    let wanted = 249 * 960;
    fs::write(&file, written(&config(), &given, Some(wanted))).expect("a file");
    let info = Command::new("opusinfo").arg(&file).output().expect("opusinfo");
    let text = String::from_utf8_lossy(&info.stdout).into_owned() + &String::from_utf8_lossy(&info.stderr);
    assert!(info.status.success() && !text.to_lowercase().contains("warning"), "{text}");
    assert!(text.contains("TITLE=A call") && text.contains("Pre-skip: 312"), "{text}");
    let done =
        Command::new("opusdec").args(["--quiet", "--rate", "48000", "--no-dither"]).arg(&file).arg(&wav).output();
    assert!(done.expect("opusdec").status.success());
    let decoded = crate::media::wav::parse(&fs::read(&wav).expect("a file")).expect("WAV");
    assert_eq!(decoded.samples.len() as u64, wanted, "pre-skip and end trimming as opusdec understands them");
    fs::remove_dir_all(&folder).expect("gone");
}

#[test]
fn what_opusenc_writes_is_read() {
    if !there("opusenc") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("voxwire-opusenc-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (wav, file) = (folder.join("b.wav"), folder.join("b.opus"));
    let pcm = tone(48_000 * 3 + 123);
    let mut bytes = crate::media::wav::header(48_000, 1, 2 * pcm.len() as u32).to_vec();
    crate::media::pcm::to_le_bytes_into(&pcm, &mut bytes);
    fs::write(&wav, bytes).expect("a file");
    let done = Command::new("opusenc").args(["--quiet", "--bitrate", "64"]).arg(&wav).arg(&file).output();
    assert!(done.expect("opusenc").status.success());
    let bytes = fs::read(&file).expect("a file");
    let (found, statistics) = read_all(&bytes);
    assert_eq!(statistics, Statistics::default());
    assert_eq!(played(&found), pcm.len());
    let mut decoder = Decoder::new(RATE, Channels::Mono).expect("a decoder");
    let (mut out, mut all) = (vec![], vec![]);
    for one in &found {
        if let Owned::Packet(data, skip, samples) = one {
            out.clear();
            decoder.decode_into(data, &mut out).expect("audio");
            all.extend_from_slice(&out[*skip..skip + samples]);
        }
    }
    let error: f64 = pcm.iter().zip(&all).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    let energy: f64 = pcm.iter().map(|&a| f64::from(a).powi(2)).sum();
    assert!(energy / error > 100.0, "20 dB at the least, so it is in time: {}", energy / error);
    fs::remove_dir_all(&folder).expect("gone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_gives_the_same(
        cuts in proptest::collection::vec(prop_oneof![Just(0usize), Just(1), 2..60usize, 60..3000usize], 1..400),
        segments in 1..40usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let given = packets(110, FrameDuration::Ms20);
        let mut bytes = repaged(&written(&config(), &given, Some(100_000)), segments);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let (whole, statistics) = read_all(&bytes);
        let (mut reader, mut found, mut rest) = (Reader::new(), vec![], bytes.as_slice());
        for cut in cuts {
            let (part, after) = rest.split_at(cut.min(rest.len()));
            read(&mut reader, part, &mut found);
            rest = after;
        }
        read(&mut reader, rest, &mut found);
        reader.finish(|event| found.push(owned(event)));
        prop_assert!(found == whole);
        prop_assert_eq!(reader.statistics(), statistics);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut reader = Reader::new();
        let mut found = vec![];
        read(&mut reader, &bytes, &mut found);
        // Also behind a good beginning, as pages that are right.
        let good = written(&config(), &[], None);
        read(&mut reader, &pages(&good)[..2].concat(), &mut found);
        let lacing: Vec<u8> = bytes.iter().copied().take(20).collect();
        let length: usize = lacing.iter().map(|&lace| usize::from(lace)).sum();
        let body: Vec<u8> = bytes.iter().copied().cycle().take(if bytes.is_empty() { 0 } else { length }).collect();
        for flags in 0..4u8 {
            let mut out = vec![];
            let page = Page {
                continued: flags & 1 != 0,
                first: false,
                last: flags & 2 != 0,
                granule: u64::from(bytes.first().copied().unwrap_or(0)) << (8 * u32::from(flags)),
                serial: 0xCAFE,
                sequence: 2 + u32::from(flags),
                lacing: &lacing,
                body: &body,
            };
            page.write_into(&mut out);
            read(&mut reader, &out, &mut found);
        }
    }
}
