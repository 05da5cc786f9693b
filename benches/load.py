"""The load generator of the bridge cases: one process plays all callers and all agents, on raw sockets.

Callers send µ-law at 8 kHz and agents PCM at 16 kHz, a frame every 20 ms each, made beforehand; the legs are spread over
the 20 ms, on a grid of 1 ms. Arrival times are the kernel's (SO_TIMESTAMPNS): they do not depend on when this process gets
to read. What it costs and how late it sends is reported, so that a figure it spoiled can be told.
"""

from __future__ import annotations

import gc
import resource
import select
import socket
import struct
import time
from array import array
from typing import Any

from . import audio, child, frames
from .figures import percentile

PERIOD = 20_000_000  # ns
SLOTS = 20
TICK = PERIOD // SLOTS
SETTLE = 0.5
PATIENCE = 3.0
PROBES = 5
LATE = 100_000_000
_SCM = 35  # SO_TIMESTAMPNS and its control message, <asm-generic/socket.h>
_SHORTEST_MEDIA = 260  # bytes; start and stop are shorter, every media message is longer
_clock = time.monotonic_ns


class Leg:
    """One side of a call."""

    __slots__ = (
        "arrivals",
        "closed",
        "encoding",
        "fd",
        "frames",
        "kept",
        "media",
        "pending",
        "probe",
        "rest",
        "sent_at",
        "sock",
    )

    def __init__(self, sock: socket.socket, encoding: str, stream: list[bytes], *, probe: bool) -> None:
        self.sock = sock
        self.encoding = encoding
        self.fd = sock.fileno()
        self.frames = stream
        self.probe = probe
        self.pending = b""
        self.rest = b""
        self.closed = False
        self.media = 0
        self.sent_at = array("q")
        self.arrivals = array("q")
        self.kept: list[bytes] = []
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, _SCM, 1)

    def send(self, data: bytes) -> None:
        """Sends, or keeps what the socket does not take for the next time."""
        if self.pending:
            data = self.pending + data
        try:
            taken = self.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self.closed = True
            return
        self.pending = data[taken:]


class Load:
    """All the calls of a run."""

    def __init__(self, calls: int, count: int) -> None:
        self.calls = calls
        self.count = count
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.settimeout(20)
        self.legs: list[Leg] = []
        self.by_fd: dict[int, Leg] = {}
        self.poll = select.epoll()
        self.room = bytearray(1 << 16)
        self.late = array("q")
        # The kernel's time stamps are of the wall clock.
        self.offset = min(time.time_ns() - _clock() for _ in range(100))

    def connect(self, port: int) -> None:
        """Sets the calls up one after the other: caller to bridge, bridge to agent."""
        caller_stream = audio.stream("ULAW", self.count, mask=True)
        agent_stream = audio.stream("PCM16", self.count, mask=False)
        for number in range(self.calls):
            caller = frames.connect(port)
            agent, _ = self.listener.accept()
            agent.settimeout(20)
            frames.accept(agent)
            frames.finish_connect(caller)
            for sock, encoding, stream in ((caller, "ULAW", caller_stream), (agent, "PCM16", agent_stream)):
                leg = Leg(sock, encoding, stream, probe=number < PROBES)
                self.legs.append(leg)
                self.by_fd[leg.fd] = leg
                self.poll.register(leg.fd, select.EPOLLIN)

    def listen(self, seconds: float) -> None:
        """Only receives for a while; ends early when all that was sent is back."""
        until = _clock() + int(seconds * 1e9)
        while _clock() < until:
            self.receive(0.01)
            if all(leg.media >= self.count for leg in self.legs):
                return

    def talk(self) -> None:
        """Sends everything, each frame at its time, and receives meanwhile.

        It wakes once a millisecond: the arrival times are the kernel's, so nothing is gained by waking for each frame.
        """
        slots = [self.legs[i::SLOTS] for i in range(SLOTS)]
        began = _clock() + TICK
        late = self.late
        for tick in range(SLOTS * (self.count + 2)):
            due = began + tick * TICK
            if (left := due - _clock()) > 0:
                time.sleep(left / 1e9)
            number = tick // SLOTS
            audible = 0 < number <= self.count
            for leg in slots[tick % SLOTS]:
                if audible:
                    now = _clock()
                    leg.sent_at.append(now)
                    late.append(now - due)
                leg.send(leg.frames[number])
            self.receive(0)

    def receive(self, timeout: float) -> None:
        """Reads what some sockets have."""
        by_fd, room, offset = self.by_fd, self.room, self.offset
        for fd, _ in self.poll.poll(timeout, 4096):
            leg = by_fd[fd]
            try:
                size, control, _, _ = leg.sock.recvmsg_into((room,), 64)
            except BlockingIOError:
                continue
            except OSError:
                size, control = 0, []
            if not size:
                leg.closed = True
                self.poll.unregister(fd)
                continue
            seconds, nanos = struct.unpack("qq", control[0][2]) if control else divmod(time.time_ns(), 10**9)
            at = seconds * 1_000_000_000 + nanos - offset
            data: bytes | bytearray = room
            if leg.rest:
                data = leg.rest + room[:size]
                size = len(data)
            start = 0
            while start < size:
                known = frames.head(data[start : start + 14], size - start)
                if known is None or start + known[1] + known[2] > size:
                    break
                opcode, length, payload = known
                end = start + length + payload
                if opcode == frames.TEXT:
                    if payload > _SHORTEST_MEDIA:
                        leg.media += 1
                        leg.arrivals.append(at)
                        if leg.probe:
                            leg.kept.append(bytes(data[start:end]))
                elif opcode == frames.PING:
                    leg.send(frames.build(frames.PONG, text(data[start:end]), mask=leg.frames[0][1] > 0x7F))
                elif opcode == frames.CLOSE:
                    leg.closed = True
                start = end
            leg.rest = bytes(data[start:size])

    def result(self, skip: int) -> dict[str, Any]:
        """What came out of the bridge. The first `skip` intervals of each leg are not looked at."""
        deviations: list[int] = []
        transits: list[int] = []
        late = 0
        for leg in self.legs:
            at = leg.arrivals
            deviations += [abs(b - a - PERIOD) for a, b in zip(at[skip:], at[skip + 1 :], strict=False)]
            transit = [b - a for a, b in zip(leg.sent_at, at, strict=False)]
            least = min(transit, default=0)
            late += sum(value > least + LATE for value in transit)
            transits += transit
        deviations.sort()
        transits.sort()
        self.late = array("q", sorted(self.late))
        sent = len(self.legs) * self.count
        probes = [leg for leg in self.legs if leg.probe]
        levels = [[audio.heard(leg.encoding, text(kept)) for kept in leg.kept] for leg in probes]
        return {
            "sent": sent,
            "received": sum(leg.media for leg in self.legs),
            "lost": sum(max(0, self.count - leg.media) for leg in self.legs),
            "extra": sum(max(0, leg.media - self.count) for leg in self.legs),
            "late": late,
            "closed": sum(leg.closed for leg in self.legs),
            "deviation": {"p50": _at(deviations, 50), "p99": _at(deviations, 99), "max": _at(deviations, 100)},
            "delay": {"p50": _at(transits, 50), "p99": _at(transits, 99), "max": _at(transits, 100)},
            "probed": sum(map(len, levels)),
            "wrong": sum(map(audio.wrong, levels)),
            "own_lateness": {"p99": _at(self.late, 99), "max": _at(self.late, 100)},
        }


def _at(ordered: Any, percent: float) -> float | None:
    """A percentile in seconds; None (which JSON knows) when there is nothing."""
    return percentile(ordered, percent) / 1e9 if ordered else None


def text(frame: bytes | bytearray) -> bytes:
    """The payload of a whole frame."""
    known = frames.head(frame, len(frame))
    assert known is not None
    _, length, _ = known
    return frames.masked(frame[length:], frame[length - 4 : length]) if frame[1] & 0x80 else bytes(frame[length:])


def main() -> None:
    """Says its port, hears the bridge's, runs the calls: `streaming`, `sent`, then the result."""
    job = child.argument()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(job["calls"], job["count"])
    child.say(port=load.listener.getsockname()[1])
    load.connect(child.hear()["port"])
    load.listen(SETTLE)
    gc.collect()
    gc.disable()
    child.say(streaming=True)
    began, used = time.monotonic(), time.process_time()
    load.talk()
    share = (time.process_time() - used) / (time.monotonic() - began)
    child.say(sent=True, received=sum(leg.media for leg in load.legs))
    load.listen(PATIENCE)
    child.say(**load.result(job["skip"]), own_cpu=share)


if __name__ == "__main__":
    main()
