"""Counters as Prometheus' text exposition format 0.0.4. Only the writing: what the numbers mean is in `statistics`.

https://prometheus.io/docs/instrumenting/exposition_formats/ . Names end in their unit, and counters in `_total`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING

from .checks import refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .statistics import ProcessStatistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of an answer in this format."""
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OURS = ("code", "cause", "le")


@dataclass(frozen=True, slots=True)
class _Family:
    """One metric: the name without `voxwire_`, its type, what it is, and its samples as (suffix, labels, value)."""

    name: str
    kind: str
    about: str
    samples: tuple[tuple[str, Mapping[str, str], float], ...]


def exposition(statistics: ProcessStatistics, labels: Mapping[str, str]) -> str:
    """Write the counters, each sample with these labels. Raises InvalidParameter for a label that cannot be one."""
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name) or name in _OURS:
            refuse("labels", name, f"a label name of Prometheus, none of {', '.join(_OURS)}")
        if not isinstance(value, str):
            refuse("labels", value, f"a str as the value of {name}")
    lines = []
    for family in _families(statistics):
        name = f"voxwire_{family.name}"
        lines += [f"# HELP {name} {family.about}", f"# TYPE {name} {family.kind}"]
        lines += [
            f"{name}{suffix}{_labels({**labels, **own})} {_number(value)}" for suffix, own, value in family.samples
        ]
    return "\n".join([*lines, ""])


def _families(s: ProcessStatistics) -> Iterator[_Family]:
    def gauge(name: str, about: str, value: float) -> _Family:
        return _Family(name, "gauge", about, (("", {}, value),))

    def counter(name: str, about: str, value: float) -> _Family:
        return _Family(f"{name}_total", "counter", about, (("", {}, value),))

    yield gauge("connections_connecting", "Outgoing connections on their way.", s.connections_connecting)
    yield gauge("connections_open", "Connections open now.", s.connections_open)
    yield counter("connections_opened", "Connections that were ever open.", s.connections_opened)
    yield counter("connections_failed", "Outgoing connections that never were open.", s.connections_failed)
    closed = tuple(("", {"code": code}, number) for code, number in s.connections_closed.items())
    yield _Family("connections_closed_total", "counter", "Connections that ended, by close code.", closed)
    yield counter("connections_refused", "Connections refused by servers: too many.", s.connections_refused)
    yield counter("reconnects", "Connections that took the place of a lost one.", s.reconnects)
    yield counter("messages_sent", "Messages sent.", s.messages_sent)
    yield counter("messages_received", "Messages received.", s.messages_received)
    yield counter("sent_bytes", "Payload of messages sent.", s.bytes_sent)
    yield counter("received_bytes", "Payload of messages received.", s.bytes_received)
    yield counter("wire_sent_bytes", "Sent with frame headers and control frames.", s.wire_bytes_sent)
    yield counter("wire_received_bytes", "Received with frame headers and control frames.", s.wire_bytes_received)
    yield counter("pings_sent", "Pings sent.", s.pings_sent)
    yield counter("pongs_received", "Pongs received.", s.pongs_received)
    yield _latency(s)
    yield gauge("ping_latency_max_seconds", "The longest round trip of a keepalive ping.", s.latency_max)
    yield counter("media_frames_sent", "Audio frames sent.", s.media_frames_sent)
    yield counter("media_frames_received", "Audio chunks received.", s.media_frames_received)
    chunks = (("", {"cause": "lost"}, s.media_lost), ("", {"cause": "duplicate"}, s.media_duplicates))
    yield _Family("media_chunks_unusable_total", "counter", "Audio chunks that never came, or twice.", chunks)
    dropped = (
        ("", {"cause": "discarded"}, s.media_discarded_ms / 1000),
        ("", {"cause": "slow_peer"}, s.media_dropped_ms / 1000),
    )
    yield _Family(
        "media_dropped_seconds_total",
        "counter",
        "Audio received and not played (buffer full, too late, cleared), and not sent to a slow peer.",
        dropped,
    )
    concealed = s.media_concealed_ms / 1000
    yield counter("media_concealed_seconds", "Audio made up for chunks that were lost.", concealed)
    yield counter("media_concealed_gaps", "Gaps in audio that were concealed.", s.media_concealed_gaps)
    recovered = s.media_recovered_ms / 1000
    yield counter(
        "media_recovered_seconds", "Audio of lost chunks that those after them gave back (Opus FEC).", recovered
    )
    adjusted = s.media_adjusted_ms / 1000
    yield counter("media_adjusted_seconds", "Audio left out or repeated to correct the delay.", adjusted)
    yield counter("media_streams_refused", "Streams refused for `max_streams`.", s.media_streams_refused)
    yield gauge("unhandled_bytes", "Messages received and not handled yet.", s.unhandled_bytes)
    yield gauge("buffered_bytes", "Payload of messages that wait to be sent.", s.buffered_bytes)


def _latency(s: ProcessStatistics) -> _Family:
    buckets = s.latency_buckets or ((inf, 0),)
    counts = list(accumulate(count for _, count in buckets))
    bounds = [_number(bound) for bound, _ in buckets]
    samples: list[tuple[str, Mapping[str, str], float]] = [
        ("_bucket", {"le": bound}, count) for bound, count in zip(bounds, counts, strict=True)
    ]
    samples += [("_sum", {}, s.latency_sum), ("_count", {}, counts[-1])]
    return _Family("ping_latency_seconds", "histogram", "Round trips of keepalive pings.", tuple(samples))


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return "+Inf" if value == inf else str(value)
