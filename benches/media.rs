//! Times of the media layer: G.711, resampler, media events, playout.
//!
//! `cargo bench --no-default-features --bench media`

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxwire::media::codec::{Decoder, Encoder};
use voxwire::media::conceal::Concealer;
use voxwire::media::dtmf;
use voxwire::media::encoding::Encoding;
use voxwire::media::event::{self, MediaEvent, Parsed};
use voxwire::media::level::{Meter, Window};
use voxwire::media::mixer::Mixer;
use voxwire::media::opus;
use voxwire::media::pcm::channels;
use voxwire::media::pcm::format::SampleFormat;
use voxwire::media::resample::Resampler;
use voxwire::media::stream::{Stream, StreamConfig};
use voxwire::media::voice::{Voice, VoiceConfig};
use voxwire::media::{g711, g722, ogg};

/// A loud sine: every segment of G.711 and no denormal zeros.
fn audio(samples: usize) -> Vec<i16> {
    (0..samples).map(|n| (20_000.0 * (n as f32 * 0.3).sin()) as i16).collect()
}

fn g711_laws(criterion: &mut Criterion) {
    type Encode = fn(&[i16], &mut Vec<u8>);
    type Decode = fn(&[u8], &mut Vec<i16>);
    let laws: [(&str, Encode, Decode); 2] = [
        ("ulaw", g711::ulaw_encode_into, g711::ulaw_decode_into),
        ("alaw", g711::alaw_encode_into, g711::alaw_decode_into),
    ];
    let mut group = criterion.benchmark_group("g711");
    for (size, samples) in [("20ms", 160), ("1MiB", 1 << 20)] {
        group.throughput(Throughput::Elements(samples as u64));
        for (law, encode, decode) in laws {
            let pcm = audio(samples);
            let (mut codes, mut decoded) = (vec![], vec![]);
            encode(&pcm, &mut codes);
            let input = codes.clone();
            group.bench_function(format!("{law}_encode/{size}"), |bencher| {
                bencher.iter(|| {
                    codes.clear();
                    encode(black_box(&pcm), &mut codes);
                    black_box(codes.as_slice());
                });
            });
            group.bench_function(format!("{law}_decode/{size}"), |bencher| {
                bencher.iter(|| {
                    decoded.clear();
                    decode(black_box(&input), &mut decoded);
                    black_box(decoded.as_slice());
                });
            });
        }
    }
}

fn resample(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample_20ms");
    for (from, to) in [(8000, 16_000), (16_000, 8000), (8000, 48_000), (24_000, 8000), (44_100, 8000)] {
        let frame = audio(from as usize / 50);
        let mut resampler = Resampler::new(from, to).expect("a known pair");
        let mut out = vec![];
        group.bench_function(format!("{from}_to_{to}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                resampler.process_into(black_box(&frame), &mut out);
                black_box(out.as_slice());
            });
        });
    }
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("event");
    for (name, payload) in [("ulaw", vec![0x55; 160]), ("pcm16", vec![0x55; 640])] {
        let mut message = vec![];
        group.bench_function(format!("write_media/{name}"), |bencher| {
            bencher.iter(|| {
                message.clear();
                event::write_media(&mut message, black_box(1234), "call-1", 1234, 197_440, black_box(&payload));
                black_box(message.as_slice());
            });
        });
        message.clear();
        event::write_media(&mut message, 1234, "call-1", 1234, 197_440, &payload);
        let text = String::from_utf8(message.clone()).expect("text");
        let mut bytes = vec![];
        group.bench_function(format!("parse_and_decode/{name}"), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                if let Parsed::Event(MediaEvent::Media(media)) = event::parse(black_box(&text)) {
                    let decoded = event::decode_payload(&media.payload, &mut bytes);
                    black_box(decoded).expect("base64");
                }
                black_box(bytes.as_slice());
            });
        });
    }
    let ordinary = format!(r#"{{"type":"note","text":"{}"}}"#, "word ".repeat(50));
    group.bench_function("parse/ordinary_270_bytes", |bencher| {
        bencher.iter(|| black_box(event::parse(black_box(&ordinary))));
    });
}

/// What a bridge does with a frame between two sockets, but for the playout: a media message in, another one out.
fn legs(criterion: &mut Criterion) {
    const PCM8: Encoding = Encoding::pcm16(8000);
    const PCM16: Encoding = Encoding::pcm16(16_000);
    let mut group = criterion.benchmark_group("leg_20ms");
    let legs = [
        ("ulaw_to_pcm", Some(Encoding::Ulaw), PCM8, true, false),
        ("pcm_to_ulaw", None, Encoding::Ulaw, false, true),
        ("ulaw_to_alaw", Some(Encoding::Ulaw), Encoding::Alaw, true, true),
        ("ulaw_to_pcm16_16khz", Some(Encoding::Ulaw), PCM16, true, true),
        ("pcm16_16khz_to_ulaw", Some(PCM16), Encoding::Ulaw, true, true),
    ];
    for (name, from, to, reads, writes) in legs {
        let source_rate = from.map_or(8000, Encoding::sample_rate);
        let pcm = audio(source_rate as usize / 50);
        let mut resampler = Resampler::new(source_rate, to.sample_rate()).expect("a known pair");
        resampler.prime();
        let mut message = vec![];
        let mut encoder = Encoder::new(from.unwrap_or(PCM8), opus::EncoderConfig::default()).expect("an encoder");
        let mut bytes = vec![];
        let encoded = encoder.encode(&pcm, &mut bytes, |payload, _| {
            event::write_media(&mut message, 1234, "call-1", 1234, 197_440, payload);
        });
        encoded.expect("a chunk");
        let text = String::from_utf8(message.clone()).expect("text");
        let mut decoder = Decoder::new(from.unwrap_or(PCM8));
        let mut encoder = Encoder::new(to, opus::EncoderConfig::default()).expect("an encoder");
        let (mut payload, mut samples, mut converted) = (vec![], pcm.clone(), vec![]);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                if reads {
                    payload.clear();
                    samples.clear();
                    if let Parsed::Event(MediaEvent::Media(media)) = event::parse(black_box(&text)) {
                        event::decode_payload(&media.payload, &mut payload).expect("base64");
                        let decoded = decoder.decode_into(&payload, usize::MAX, &mut samples);
                        black_box(decoded).expect("audio");
                    }
                }
                if writes {
                    converted.clear();
                    resampler.process_into(black_box(&samples), &mut converted);
                    message.clear();
                    let written = encoder.encode(&converted, &mut bytes, |payload, _| {
                        event::write_media(&mut message, 1234, "call-1", 1234, 197_440, payload);
                    });
                    written.expect("a chunk");
                }
                black_box((samples.as_slice(), message.as_slice()));
            });
        });
    }
}

fn opus_packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("opus_20ms");
    for (rate, bitrate) in [(16_000, 24_000), (48_000, 32_000), (48_000, 64_000)] {
        let config = opus::EncoderConfig { rate, bitrate: Some(bitrate), ..opus::EncoderConfig::default() };
        let mut encoder = opus::Encoder::new(config).expect("parameters");
        let mut decoder = opus::Decoder::new(rate, opus::Channels::Mono).expect("a rate");
        // A second of a gliding tone with noise, so that the encoder has something to do.
        let pcm: Vec<i16> = (0..rate)
            .map(|n| {
                let t = n as f32 / rate as f32;
                let noise = f32::from((n.wrapping_mul(2_654_435_761) >> 20) as i16 - 2048);
                ((t * (900.0 + 400.0 * t)).sin().mul_add(9000.0, noise * 0.3)) as i16
            })
            .collect();
        let mut frames = pcm.chunks_exact(encoder.frame_length()).cycle();
        let mut packet = vec![];
        group.bench_function(format!("encode/{rate}/{bitrate}"), |bencher| {
            bencher.iter(|| {
                packet.clear();
                let frame = frames.next().unwrap_or_default();
                black_box(encoder.encode_into(black_box(frame), &mut packet)).expect("a packet");
            });
        });
        let packets: Vec<Vec<u8>> = pcm
            .chunks_exact(encoder.frame_length())
            .map(|frame| {
                let mut packet = vec![];
                encoder.encode_into(frame, &mut packet).expect("a packet");
                packet
            })
            .collect();
        let (mut packets, mut out) = (packets.iter().cycle(), vec![]);
        group.bench_function(format!("decode/{rate}/{bitrate}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                let packet = packets.next().map_or(&[][..], Vec::as_slice);
                black_box(decoder.decode_into(black_box(packet), &mut out)).expect("audio");
            });
        });
    }
}

fn ogg_pages(criterion: &mut Criterion) {
    // Four seconds at 32 kbit/s: packets of one frame (configuration 15: hybrid, 20 ms).
    let packets = vec![[[0x78].as_slice(), &[0x5A; 79]].concat(); 200];
    let write = |out: &mut Vec<u8>| {
        let mut writer = ogg::Writer::new(&ogg::WriterConfig::default(), out);
        for packet in &packets {
            writer.packet_into(packet, out).expect("a packet");
        }
        writer.finish_into(None, out);
    };
    let (mut bytes, mut out) = (vec![], vec![]);
    write(&mut bytes);
    let mut group = criterion.benchmark_group("ogg_200_packets");
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            write(&mut out);
            black_box(out.as_slice());
        });
    });
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            let (mut reader, mut count) = (ogg::Reader::new(), 0);
            for part in black_box(&bytes).chunks(1000) {
                reader.push(part, |event| count += usize::from(matches!(event, ogg::Event::Packet { .. })));
            }
            assert_eq!(black_box(count), 200);
        });
    });
}

fn g722_band(criterion: &mut Criterion) {
    let pcm = audio(320);
    let (mut encoder, mut decoder) = (g722::Encoder::new(), g722::Decoder::new());
    let (mut codes, mut out) = (vec![], vec![]);
    let mut group = criterion.benchmark_group("g722_20ms");
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            codes.clear();
            encoder.encode_into(black_box(&pcm), &mut codes);
            black_box(codes.as_slice());
        });
    });
    let codes = codes.clone();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            out.clear();
            decoder.decode_into(black_box(&codes), &mut out);
            black_box(out.as_slice());
        });
    });
}

fn formats(criterion: &mut Criterion) {
    let pcm = audio(960);
    let (mut bytes, mut out, mut other) = (vec![], vec![], vec![]);
    let mut group = criterion.benchmark_group("pcm_960_samples");
    for format in SampleFormat::ALL {
        group.bench_function(format!("encode/{}", format.name()), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                format.encode_into(black_box(&pcm), &mut bytes);
                black_box(bytes.as_slice());
            });
        });
        group.bench_function(format!("decode/{}", format.name()), |bencher| {
            bencher.iter(|| {
                out.clear();
                format.decode_into(black_box(&bytes), &mut out).expect("whole samples");
                black_box(out.as_slice());
            });
        });
    }
    group.bench_function("split", |bencher| {
        bencher.iter(|| {
            out.clear();
            other.clear();
            channels::split_into(black_box(&pcm), &mut out, &mut other);
            black_box((out.as_slice(), other.as_slice()));
        });
    });
    group.bench_function("stereo_to_mono", |bencher| {
        bencher.iter(|| {
            out.clear();
            channels::stereo_to_mono_into(black_box(&pcm), &mut out);
            black_box(out.as_slice());
        });
    });
}

fn listeners(criterion: &mut Criterion) {
    let pcm = audio(160);
    let (mut meter, mut detector) = (Meter::new(), dtmf::Detector::new(8000));
    criterion.bench_function("level/push_20ms", |bencher| bencher.iter(|| meter.push(black_box(&pcm))));
    let (mut window, mut end) = (Window::default(), Instant::now());
    criterion.bench_function("level/window_push_20ms", |bencher| {
        bencher.iter(|| {
            end += Duration::from_millis(20);
            window.push(end, black_box(&pcm));
        });
    });
    criterion.bench_function("level/window_level", |bencher| bencher.iter(|| black_box(window.level(black_box(end)))));
    criterion.bench_function("dtmf/detect_20ms", |bencher| {
        bencher.iter(|| detector.push(black_box(&pcm), |found| _ = black_box(found)));
    });
}

/// Nothing but speech has the detector change its mind; what it costs does not depend on what it hears.
fn voices(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("voice");
    for rate in [8000, 16_000, 48_000] {
        let pcm = audio(rate as usize / 50);
        let mut voice = Voice::new(rate, VoiceConfig::default()).expect("a known rate");
        group.bench_function(format!("push_20ms/{rate}"), |bencher| {
            bencher.iter(|| {
                voice.push(black_box(&pcm));
                while let Some(found) = voice.take() {
                    black_box(found);
                }
            });
        });
    }
}

fn playout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    for (name, encoding, bytes) in [("ulaw", Encoding::Ulaw, 160), ("pcm16", Encoding::pcm16(16_000), 640)] {
        let plain = StreamConfig { playout_delay_max: None, conceal: false, ..StreamConfig::default() };
        for (how, config) in [("", StreamConfig::default()), ("/plain", plain)] {
            let mut stream = Stream::new(String::new(), encoding, None, config);
            let payload = vec![0x31; bytes];
            let (mut now, mut chunk, mut frame) = (Instant::now(), 1, vec![]);
            stream.push(now, Some(1), None, &payload).expect("whole samples");
            group.bench_function(format!("push_and_tick/{name}{how}"), |bencher| {
                bencher.iter(|| {
                    chunk += 1;
                    let pushed = stream.push(now, Some(chunk), None, black_box(&payload));
                    black_box(pushed).expect("whole samples");
                    let tick = stream.tick(now, &mut frame);
                    now += Duration::from_millis(20);
                    black_box((tick, frame.as_slice()));
                });
            });
        }
    }
}

/// A frame is lost, and the next one is not.
fn conceal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conceal");
    for rate in [8000, 16_000, 48_000] {
        let frame = audio(rate as usize / 50);
        let mut concealer = Concealer::new(rate);
        let (mut made, mut played) = (vec![], frame.clone());
        group.bench_function(format!("real_frame/{rate}"), |bencher| {
            bencher.iter(|| concealer.played(black_box(&mut played)));
        });
        group.bench_function(format!("lost_frame_and_merge/{rate}"), |bencher| {
            bencher.iter(|| {
                made.clear();
                concealer.conceal(frame.len(), &mut made);
                played.copy_from_slice(black_box(&frame));
                concealer.played(&mut played);
                black_box(made.as_slice());
            });
        });
    }
}

fn mix(criterion: &mut Criterion) {
    let frame = audio(160);
    let (mut mixer, mut out) = (Mixer::new(), vec![]);
    criterion.bench_function("mixer/3_sources_20ms", |bencher| {
        bencher.iter(|| {
            out.clear();
            for _ in 0..3 {
                mixer.add(black_box(&frame));
            }
            mixer.take_into(&mut out);
            black_box(out.as_slice());
        });
    });
}

criterion_group! {
    name = media;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = g711_laws, resample, opus_packets, ogg_pages, g722_band, formats, listeners, voices, events, legs, playout, conceal, mix
}
criterion_main!(media);
