"""The floods: what is sent to the subject, and how much memory that may take at most. To add one, write a function with
`@flood`: it gets a field and a scale, and answers a note for the table.
"""

from __future__ import annotations

import resource
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support import media
from support.frames import BINARY, CONTINUATION, PING, PONG, TEXT, build
from support.http import upgrade

from .field import Cost, Field, Side

MIB = 1 << 20
SLACK = 24 * MIB
"""For what Python, the allocator and a busy moment take besides."""
BOTH: tuple[Side, ...] = ("server", "client")


@dataclass(frozen=True)
class Scale:
    connections: int
    seconds: float
    crowd: int  # of half-open handshakes
    streams: int


QUICK = Scale(connections=10, seconds=0.4, crowd=1500, streams=300)
FULL = Scale(connections=100, seconds=5.0, crowd=10_000, streams=10_000)


@dataclass(frozen=True)
class Flood:
    name: str
    run: Callable[[Field, Scale], str]
    bound: Callable[[Scale], int]  # bytes beyond the slack
    sides: tuple[Side, ...]
    parameters: dict[str, Any] = field(default_factory=dict)

    def limit(self, scale: Scale) -> int:
        return self.bound(scale) + SLACK


FLOODS: dict[str, Flood] = {}


def flood(
    bound: Callable[[Scale], int], *, sides: tuple[Side, ...] = BOTH, **parameters: Any
) -> Callable[[Callable[[Field, Scale], str]], Callable[[Field, Scale], str]]:
    def add(run: Callable[[Field, Scale], str]) -> Callable[[Field, Scale], str]:
        name = run.__name__
        FLOODS[name] = Flood(name, run, bound, sides, parameters)
        return run

    return add


def of_each(size: int) -> Callable[[Scale], int]:
    return lambda scale: scale.connections * size


def poured(sent: int) -> str:
    return f"{sent / MIB:.0f} MiB sent"


@flood(of_each(2 * MIB), send_buffer=MIB)
def slow_reader(field: Field, scale: Scale) -> str:
    """The application sends all it can, the peers read nothing: `send_buffer` for each, and what growing it takes."""
    peers = [field.connect("pour") for _ in range(scale.connections)]
    time.sleep(scale.seconds)
    return f"{len(peers)} × send_buffer 1 MiB"


@flood(of_each(10 * MIB), send_buffer=MIB)
def slow_reader_of_tiny_messages(field: Field, scale: Scale) -> str:
    """One-byte messages: the book-keeping of `bufferedAmount` is counted, too."""
    for _ in range(scale.connections):
        field.connect("pour_tiny")
    time.sleep(scale.seconds * 2)
    return "messages of 1 byte"


@flood(of_each(2 * MIB))
def slow_application(field: Field, scale: Scale) -> str:
    """Nobody takes the messages: `receive_buffer` for each."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(BINARY, bytes(60_000), mask=peers[0].masks), scale.seconds))


@flood(of_each(5 * MIB))
def slow_application_and_tiny_messages(field: Field, scale: Scale) -> str:
    """A message of one byte is counted with 128 bytes; as an object of Python it takes some more."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(BINARY, b"x", mask=peers[0].masks) * 5000, scale.seconds))


@flood(of_each(2 * MIB))
def slow_handler(field: Field, scale: Scale) -> str:
    """Messages in tasks that take their time count until they are done."""
    peers = [field.connect("slow") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(BINARY, bytes(10_000), mask=peers[0].masks), scale.seconds))


@flood(of_each(MIB // 4))
def pings_unread(field: Field, scale: Scale) -> str:
    """Nobody reads the pongs: 64 KiB of them wait for each, then only the last ping is remembered."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(PING, bytes(125), mask=peers[0].masks) * 500, scale.seconds))


@flood(of_each(2 * MIB))
def pongs_unasked(field: Field, scale: Scale) -> str:
    """They count as messages until the loop has seen them."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(PONG, b"x", mask=peers[0].masks) * 5000, scale.seconds))


@flood(of_each(6 * MIB), send_buffer=MIB)
def echoes_unread(field: Field, scale: Scale) -> str:
    """An echo server whose peers send and never read."""
    peers = [field.connect("echo") for _ in range(scale.connections)]
    return poured(field.pour(peers, build(TEXT, b"x" * 1000, mask=peers[0].masks) * 50, scale.seconds))


@flood(of_each(MIB // 4))
def empty_fragments(field: Field, scale: Scale) -> str:
    """A message that never ends, in frames without payload: 1009 after `max_fragments`, and the next one."""
    start = time.monotonic()
    sent = 0
    while time.monotonic() - start < scale.seconds:
        peers = [field.connect("idle") for _ in range(2)]
        mask = peers[0].masks
        first, empty = build(BINARY, b"", fin=False, mask=mask), build(CONTINUATION, b"", fin=False, mask=mask)
        field.pour(peers, first, 0.01, at_most=len(first))
        sent += field.pour(peers, empty * 5000, 0.5, at_most=4 * len(empty) * 5000)
        time.sleep(0.01)  # for a while a failed connection keeps its place
    return f"{sent // 6:,} fragments"


@flood(of_each(2 * MIB), max_message_size=MIB)
def tiny_fragments(field: Field, scale: Scale) -> str:
    """Messages in 4000 fragments of one byte, never finished."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    mask = peers[0].masks
    block = build(BINARY, b"x", fin=False, mask=mask) + build(CONTINUATION, b"x", fin=False, mask=mask) * 4000
    for peer in peers:
        peer.write(block)
    time.sleep(scale.seconds / 4)
    return f"{scale.connections * 4000:,} fragments"


@flood(of_each(2 * MIB + MIB // 2), max_message_size=MIB)
def unfinished_messages(field: Field, scale: Scale) -> str:
    """All but the last byte of the longest message allowed."""
    peers = [field.connect("idle") for _ in range(scale.connections)]
    block = build(BINARY, bytes(MIB - 1), fin=False, mask=peers[0].masks)
    for peer in peers:
        peer.write(block)
    time.sleep(scale.seconds / 4)
    return "max_message_size 1 MiB"


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@flood(of_each(2 * MIB + MIB // 2), max_message_size=MIB)
def deflate_bombs(field: Field, scale: Scale) -> str:
    """64 MiB of zeros in 64 KiB: 1009 at the limit."""
    bomb = deflated(bytes(64 * MIB))
    peers = [field.connect("idle", deflate=True) for _ in range(scale.connections)]
    block = build(BINARY, bomb, reserved=4, mask=peers[0].masks)
    field.pour(peers, block, scale.seconds, at_most=len(block) * len(peers))
    return f"{len(bomb) // 1024} KiB become 64 MiB"


@flood(of_each(4 * MIB), max_message_size=MIB)
def deflated_messages_in_one_read(field: Field, scale: Scale) -> str:
    """Many messages at the limit that come in one read: reading stops between them, too."""
    small = deflated(bytes(MIB))
    peers = [field.connect("idle", deflate=True) for _ in range(scale.connections)]
    block = build(BINARY, small, reserved=4, mask=peers[0].masks) * 50
    field.pour(peers, block, scale.seconds, at_most=len(block) * len(peers))
    return f"messages of 1 MiB in {len(small)} bytes, 50 at once"


@flood(lambda scale: scale.connections * 3 * 70_000, sides=("server",))
def headers_without_end(field: Field, scale: Scale) -> str:
    """Requests of just below the limit of 64 KiB whose last line does not come."""
    peers = [socket.create_connection(field.address()) for _ in range(scale.connections * 3)]
    head = upgrade()[:-2] + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 8000) for n in range(7)) + b"X: " + b"x" * 6000
    for sock in peers:
        sock.sendall(head)
    time.sleep(scale.seconds / 2)
    for sock in peers:
        sock.close()
    return f"{len(peers)} × {len(head) // 1024} KiB"


@flood(lambda _scale: 40 * MIB, sides=("server",))
def half_open_handshakes(field: Field, scale: Scale) -> str:
    """Nothing but a TCP connection, or half a request. 1000 take the places, 100 are told 503, the others are dropped."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, scale.crowd + 500)), hard))
    crowd = min(scale.crowd, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 400)
    half = upgrade()[:40]
    socks = []
    for number in range(crowd):
        sock = socket.create_connection(field.address(), timeout=10)
        if number % 2:
            try:
                sock.sendall(half)
            except OSError:
                pass
        socks.append(sock)
    time.sleep(scale.seconds / 2)
    most = field.descriptors()
    for sock in socks:
        sock.close()
    return f"{crowd:,} connections; {most:,} descriptors"


def chunks(tag: str, count: int, first: int, mask: bool) -> bytes:
    payload = media.tone(1000)[: 16000 // 2]  # 8000 bytes of µ-law: a second
    return b"".join(
        build(TEXT, media.media(first + n, payload, samples=8000, tag=tag).encode(), mask=mask) for n in range(count)
    )


@flood(of_each(32 * 2 * 160_000))
def audio_faster_than_real_time(field: Field, scale: Scale) -> str:
    """32 streams for each, a second of audio a message: `playout_buffer` (10 s) of PCM for each, the rest is discarded."""
    peers = [field.connect("audio") for _ in range(scale.connections)]
    mask = peers[0].masks
    for number in range(32):
        tag = f"stream {number}"
        block = build(TEXT, media.start(tag=tag).encode(), mask=mask) + chunks(tag, 12, 0, mask)
        field.pour(peers, block, 5.0, at_most=len(block) * len(peers))
    time.sleep(scale.seconds / 4)
    return f"{len(peers)} × 32 streams × 12 s at once"


@flood(of_each(4 * MIB))
def starts_for_many_tags(field: Field, scale: Scale) -> str:
    """`max_streams` (32) of them are streams, the others errors: and messages, which count."""
    peers = [field.connect("audio") for _ in range(scale.connections)]
    mask = peers[0].masks
    block = b"".join(build(TEXT, media.start(tag=f"tag {n}").encode(), mask=mask) for n in range(scale.streams))
    field.pour(peers, block, 10.0, at_most=len(block) * len(peers))
    time.sleep(scale.seconds / 4)
    return f"{len(peers)} × {scale.streams:,} tags"


@flood(of_each(8 * MIB))
def starts_with_long_tags(field: Field, scale: Scale) -> str:
    """A tag of 500 KiB, custom parameters as long: refused, they are not kept."""
    peers = [field.connect("audio") for _ in range(scale.connections)]
    mask = peers[0].masks
    block = b""
    for number in range(32):
        block += build(TEXT, media.start(tag=f"{number}" + "x" * 500_000).encode(), mask=mask)
        block += build(TEXT, media.start(tag=f"{number}", custom="x" * 500_000).encode(), mask=mask)
    sent = field.pour(peers, block, scale.seconds * 2, at_most=len(block) * len(peers))
    return poured(sent)


def run(name: str, side: Side, loop_name: str, scale: Scale) -> Cost:
    it = FLOODS[name]
    with Field(side, loop_name, **it.parameters) as field:
        note = it.run(field, scale)
        return field.cost(note)
