//! The load generator of the bridge cases: one thread plays all callers and all agents.
//!
//! Callers send µ-law at 8 kHz and agents PCM at 16 kHz, a frame every 20 ms each, made beforehand; the legs are spread over
//! the 20 ms, on a grid of 1 ms. Arrival times are the kernel's (`SO_TIMESTAMPNS`): they do not depend on when this process
//! gets to read. What it costs and how late it sends is reported, so that a figure it spoiled can be told.
//!
//! Job: `calls`, `count` (frames a leg), `skip` (intervals at the start that do not count), `copied` (what arrives is what the
//! other side sent, not converted), `alone` (callers only, who talk to each other: what they get is not what they sent). Says its `port`, hears the bridge's, then says `streaming`, `sent`, the result.

use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use serde_json::{Value, json};
use voxwire_benches::audio::{Format, Listener};
use voxwire_benches::harness;
use voxwire_benches::websocket::{self, CLOSE, Head, PING, PONG, TEXT};

const PERIOD: i64 = 20_000_000;
const SLOTS: usize = 20;
const TICK: Duration = Duration::from_millis(1);
/// Between the last call's set-up and the first frame.
const SETTLE: Duration = Duration::from_millis(500);
/// For what is still under way after the last frame.
const PATIENCE: Duration = Duration::from_secs(3);
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Calls whose audio is listened to.
const PROBES: usize = 5;
const LATE: i64 = 100_000_000;
/// Frames of silence that a conference sends at least after the last word.
const AFTERWARDS: usize = 45;
/// Start and stop are shorter, every media message is longer.
const SHORTEST_MEDIA: usize = 260;
const READ: usize = 64 * 1024;
const MASK: [u8; 4] = [0x5A, 0xC3, 0x17, 0x9E];

/// One side of a call.
struct Leg {
    socket: TcpStream,
    /// What it sends, an index of the streams; also whether it is a client.
    side: usize,
    /// What did not fit into the socket.
    pending: Vec<u8>,
    /// The beginning of a frame whose rest has not come.
    rest: Vec<u8>,
    closed: bool,
    media: usize,
    sent_at: Vec<i64>,
    arrivals: Vec<i64>,
    probe: Option<Listener>,
}

struct Load {
    legs: Vec<Leg>,
    /// The frames of callers and of agents.
    streams: [Vec<Vec<u8>>; 2],
    /// What callers and agents get.
    formats: [Format; 2],
    count: usize,
    /// Frames that each leg should get at least.
    expected: usize,
    poll: Epoll,
    room: Vec<u8>,
    control: Vec<u8>,
    late: Vec<i64>,
}

fn main() -> io::Result<()> {
    let job = harness::job()?;
    let calls = harness::number(&job, "calls")? as usize;
    let count = harness::number(&job, "count")? as usize;
    let skip = harness::number(&job, "skip")? as usize;
    let copied = job["copied"] == true;
    let alone = job["alone"] == true;
    harness::many_files()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    harness::say(&json!({"port": listener.local_addr()?.port()}));
    let mut load = Load {
        legs: Vec::with_capacity(calls * 2),
        streams: [Format::Ulaw.stream(count, Some(MASK)), Format::Pcm16.stream(count, None)],
        formats: if copied { [Format::Pcm16, Format::Ulaw] } else { [Format::Ulaw, Format::Pcm16] },
        count,
        expected: if alone { count + AFTERWARDS } else { count },
        poll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
        room: vec![0; READ],
        control: nix::cmsg_space!(TimeSpec),
        late: Vec::with_capacity(calls * 2 * count),
    };
    let Some(bridge) = harness::hear()? else { return Ok(()) };
    let port = harness::number(&bridge, "port")? as u16;
    for call in 0..calls {
        if alone {
            load.join(port)?;
        } else {
            load.connect(&listener, port, call < PROBES)?;
        }
    }
    load.listen(SETTLE)?;
    harness::say(&json!({"streaming": true}));
    let (began, used) = (Instant::now(), harness::cpu_seconds()?);
    load.talk()?;
    let share = (harness::cpu_seconds()? - used) / began.elapsed().as_secs_f64();
    harness::say(&json!({"sent": true, "received": load.legs.iter().map(|leg| leg.media).sum::<usize>()}));
    load.listen(PATIENCE)?;
    let mut result = load.result(skip);
    result["own_cpu"] = json!(share);
    harness::say(&result);
    // The bridge is told to end before the connections do.
    while harness::hear()?.is_some() {}
    Ok(())
}

/// Wall clock, as the kernel's time stamps.
fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

impl Load {
    /// Sets a call up: caller to bridge, bridge to agent.
    fn connect(&mut self, listener: &TcpListener, port: u16, probe: bool) -> io::Result<()> {
        let caller = TcpStream::connect(("127.0.0.1", port))?;
        caller.set_read_timeout(Some(HANDSHAKE))?;
        websocket::request(&caller, port)?;
        let (agent, _) = listener.accept()?;
        agent.set_read_timeout(Some(HANDSHAKE))?;
        let request = websocket::read_request(&agent)?;
        websocket::answer(&agent, &request)?;
        websocket::finish(&caller)?;
        self.add(caller, 0, probe)?;
        self.add(agent, 1, probe)
    }

    /// A caller without an agent.
    fn join(&mut self, port: u16) -> io::Result<()> {
        let caller = TcpStream::connect(("127.0.0.1", port))?;
        caller.set_read_timeout(Some(HANDSHAKE))?;
        websocket::request(&caller, port)?;
        websocket::finish(&caller)?;
        self.add(caller, 0, false)
    }

    fn add(&mut self, socket: TcpStream, side: usize, probe: bool) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let events = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        self.poll.add(&socket, EpollEvent::new(events, self.legs.len() as u64))?;
        self.legs.push(Leg {
            socket,
            side,
            pending: Vec::new(),
            rest: Vec::new(),
            closed: false,
            media: 0,
            sent_at: Vec::with_capacity(self.count),
            arrivals: Vec::with_capacity(self.expected),
            probe: probe.then(Listener::default),
        });
        Ok(())
    }

    /// Only receives for a while; ends early when all that was sent is back.
    fn listen(&mut self, time: Duration) -> io::Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.legs.iter().all(|leg| leg.media >= self.expected) {
            self.receive(10)?;
            for leg in &mut self.legs {
                leg.send(&[]);
            }
        }
        Ok(())
    }

    /// Sends everything, each frame at its time, and receives meanwhile.
    ///
    /// It wakes once a millisecond: the arrival times are the kernel's, so nothing is gained by waking for each frame.
    fn talk(&mut self) -> io::Result<()> {
        let began = Instant::now() + TICK;
        for tick in 0..SLOTS * (self.count + 2) {
            let due = began + TICK * tick as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let number = tick / SLOTS;
            let audible = (1..=self.count).contains(&number);
            for leg in self.legs.iter_mut().skip(tick % SLOTS).step_by(SLOTS) {
                if audible {
                    self.late.push(due.elapsed().as_nanos() as i64);
                    leg.sent_at.push(now());
                }
                leg.send(&self.streams[leg.side][number]);
            }
            self.receive(0)?;
        }
        Ok(())
    }

    /// Reads what some sockets have.
    fn receive(&mut self, timeout_ms: u8) -> io::Result<()> {
        let mut events = [EpollEvent::empty(); 1024];
        let count = match self.poll.wait(&mut events, EpollTimeout::from(timeout_ms)) {
            Err(Errno::EINTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            let leg = &mut self.legs[event.data() as usize];
            // Once more when the peer has ended the stream: what came before it is read first.
            let over = event.events().intersects(EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLHUP);
            loop {
                let mut into = [IoSliceMut::new(&mut self.room)];
                let flags = MsgFlags::MSG_DONTWAIT;
                let (size, at) = match recvmsg::<()>(leg.socket.as_raw_fd(), &mut into, Some(&mut self.control), flags)
                {
                    Ok(message) => (message.bytes, arrival(message.cmsgs())),
                    Err(Errno::EAGAIN) => break,
                    Err(_) => (0, 0),
                };
                if size == 0 {
                    leg.closed = true;
                    break;
                }
                leg.take(&self.room[..size], at, self.formats[leg.side]);
                if size < READ && !over {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What came out of the bridge. The first `skip` intervals of each leg are not looked at.
    fn result(&mut self, skip: usize) -> Value {
        let (mut deviations, mut transits, mut late) = (Vec::new(), Vec::new(), 0);
        for leg in &self.legs {
            let intervals = leg.arrivals.windows(2).skip(skip);
            deviations.extend(intervals.map(|pair| (pair[1] - pair[0] - PERIOD).abs()));
            let transit: Vec<i64> = leg.arrivals.iter().zip(&leg.sent_at).map(|(at, sent)| at - sent).collect();
            let least = transit.iter().copied().min().unwrap_or_default();
            late += transit.iter().filter(|&&transit| transit > least + LATE).count();
            transits.extend(transit);
        }
        for values in [&mut deviations, &mut transits, &mut self.late] {
            values.sort_unstable();
        }
        let sum = |of: &dyn Fn(&Leg) -> usize| self.legs.iter().map(of).sum::<usize>();
        let probes = || self.legs.iter().filter_map(|leg| leg.probe.as_ref());
        json!({
            "sent": self.legs.len() * self.count,
            "received": sum(&|leg| leg.media),
            "lost": sum(&|leg| self.expected.saturating_sub(leg.media)),
            "extra": sum(&|leg| leg.media.saturating_sub(self.expected)),
            "late": late,
            "closed": sum(&|leg| usize::from(leg.closed)),
            "deviation": percentiles(&deviations),
            "delay": percentiles(&transits),
            "probed": probes().map(|probe| probe.probed).sum::<u64>(),
            "wrong": probes().map(|probe| probe.wrong).sum::<u64>(),
            "own_lateness": percentiles(&self.late),
        })
    }
}

impl Leg {
    /// Sends, after what the socket did not take before; keeps what it does not take now.
    fn send(&mut self, data: &[u8]) {
        let waits = !self.pending.is_empty();
        if waits {
            self.pending.extend_from_slice(data);
        }
        let bytes = if waits { &self.pending } else { data };
        if bytes.is_empty() || self.closed {
            return;
        }
        let taken = match (&self.socket).write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.closed = true;
                return;
            }
        };
        if waits {
            self.pending.drain(..taken);
        } else {
            self.pending.extend_from_slice(&data[taken..]);
        }
    }

    /// Takes what was read, which arrived at `at`.
    fn take(&mut self, data: &[u8], at: i64, format: Format) {
        if !self.rest.is_empty() {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(data);
            return self.take(&all, at, format);
        }
        let mut data = data;
        while let Some(head) = Head::parse(data).filter(|head| head.total() <= data.len()) {
            let (frame, after) = data.split_at(head.total());
            match head.opcode() {
                TEXT if head.payload > SHORTEST_MEDIA => {
                    self.media += 1;
                    self.arrivals.push(at);
                    if let Some(probe) = &mut self.probe {
                        probe.take(format, &websocket::payload(frame));
                    }
                }
                PING => {
                    let key = (self.side == 0).then_some(MASK);
                    self.send(&websocket::build(PONG, &websocket::payload(frame), key));
                }
                CLOSE => self.closed = true,
                _ => {}
            }
            data = after;
        }
        self.rest.extend_from_slice(data);
    }
}

/// The kernel's time stamp.
fn arrival(messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>) -> i64 {
    messages
        .ok()
        .and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(time) => Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec()),
                _ => None,
            })
        })
        .unwrap_or_else(now)
}

/// Seconds; null when there is nothing. `values` are sorted nanoseconds.
fn percentiles(values: &[i64]) -> Value {
    let at = |percent: usize| {
        let index = (values.len() * percent / 100).min(values.len().saturating_sub(1));
        values.get(index).map(|&value| value as f64 / 1e9)
    };
    json!({"p50": at(50), "p99": at(99), "max": at(100)})
}
