"""`VoxEngine.statistics()`: the sums of all connections of the process, and their Prometheus text."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import frames, media
from support.log import Log
from support.pair import pair, serving
from support.raw import RawClient, RawPeer, RawServer

import voxwire
from voxwire import AudioUnit, Engine, ProcessStatistics, VoxEngine, WebSocket
from voxwire import WebSocketEvents as E
from voxwire.prometheus import CONTENT_TYPE


def grown(before: ProcessStatistics) -> dict[str, float]:
    """What has been added since."""
    now, then = (dataclasses.asdict(statistics) for statistics in (VoxEngine.statistics(), before))
    numbers = {name: value for name, value in now.items() if isinstance(value, int | float)}
    changed = {name: value - then[name] for name, value in numbers.items()}
    closed = before.connections_closed
    for code, count in now["connections_closed"].items():
        changed[f"closed {code}"] = count - closed.get(code, 0)
    return {name: value for name, value in changed.items() if value}


async def settled(statistics: ProcessStatistics, **expected: float) -> dict[str, float]:
    """What has been added, once these are so: the core counts in its own threads."""
    while not all(grown(statistics).get(name, 0) == value for name, value in expected.items()):
        await asyncio.sleep(0.005)
    return grown(statistics)


async def test_ended_and_open_connections_are_summed() -> None:
    before = VoxEngine.statistics()
    async with pair() as (first, other):
        first.send("hello")
        assert await other.recv() == "hello"
    async with pair() as (second, other):
        second.send("again!")
        assert await other.recv() == "again!"
        await settled(before, connections_open=2, connections_opened=4)
        changed = grown(before)
        assert (changed["messages_sent"], changed["messages_received"]) == (2, 2)
        assert (changed["bytes_sent"], changed["bytes_received"]) == (11, 11)
        assert (changed["closed 1000"]) == 2
    changed = await settled(before, connections_opened=4, **{"closed 1000": 4})
    assert "connections_open" not in changed
    assert (changed["messages_sent"], changed["bytes_received"]) == (2, 11)
    assert changed["wire_bytes_sent"] == changed["wire_bytes_received"] > 11


async def test_sums_never_fall_while_connections_end() -> None:
    seen: list[int] = []
    done = False

    async def watch() -> None:
        while not done:
            seen.append(VoxEngine.statistics().messages_sent)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    for _ in range(15):
        async with pair() as (one, other):
            one.send("x")
            await other.recv()
    done = True
    await watching
    assert seen == sorted(seen)
    assert seen[-1] - seen[0] >= 14


async def test_failures_refusals_and_reconnects() -> None:
    before = VoxEngine.statistics()
    scripts = [lambda peer: (peer.read_head(), peer.hang_up()), lambda peer: (peer.accept(), peer.answer_close())]
    with RawServer(lambda peer: scripts.pop(0)(peer)) as server:
        async with WebSocket(server.url, reconnect=lambda _loss: 0.01) as ws:
            assert ws.statistics().reconnects == 1
    changed = await settled(before, connections_opened=1, **{"closed 1000": 1})
    assert (changed["connections_failed"], changed["reconnects"]) == (1, 1)
    async with serving(lambda _ws: None, max_connections=1) as listener, WebSocket(listener.url):
        with pytest.raises(voxwire.HandshakeError):
            await WebSocket(listener.url).wait_open()
        await settled(before, connections_refused=1, connections_failed=2)


async def test_close_codes_are_counted_in_classes() -> None:
    before = VoxEngine.statistics()
    codes = iter((1012, 3001, 4000, 4999))

    def script(peer: RawPeer) -> None:
        peer.accept()
        peer.finish(next(codes))

    with RawServer(script) as server:
        for _ in range(4):
            await WebSocket(server.url).wait_closed()
    changed = grown(before)
    assert {name: value for name, value in changed.items() if name.startswith("closed")} == {
        "closed 1012": 1,
        "closed 3xxx": 1,
        "closed 4xxx": 2,
    }


async def test_latency_is_a_histogram() -> None:
    before = VoxEngine.statistics()
    async with pair(client={"ping_interval": 0.02}) as (one, _):
        while one.statistics().pongs_received < 3:
            await asyncio.sleep(0.01)
    now = VoxEngine.statistics()
    counts = [b[1] - a[1] for a, b in zip(before.latency_buckets, now.latency_buckets, strict=True)]
    assert sum(counts) >= 3
    assert now.latency_sum > before.latency_sum
    assert 0 < now.latency_max
    bounds = [bound for bound, _ in now.latency_buckets]
    assert bounds == sorted(bounds)
    assert bounds[-1] == float("inf")


async def test_queues_are_those_of_now() -> None:
    before = VoxEngine.statistics()
    async with pair() as (one, other):
        one.send("x" * 100)
        await settled(before, unhandled_bytes=228)
        assert other.statistics().unhandled_bytes == 228
        await other.recv()
        assert other.statistics().unhandled_bytes == 0
        assert "unhandled_bytes" not in grown(before)

    async with serving(lambda _ws: None) as server:
        # Somebody who does not read.
        raw = RawClient(server.url).open()
        raw.sock.close()

    def deaf(peer: RawPeer) -> None:
        peer.accept()
        release.wait(10)
        peer.until(frames.CLOSE)
        peer.hang_up()

    import threading

    release = threading.Event()
    with RawServer(deaf) as quiet:
        async with WebSocket(quiet.url) as ws:
            ws.send(bytes(8_000_000))
            assert ws.statistics().buffered_bytes == ws.bufferedAmount > 0
            assert grown(before)["buffered_bytes"] == 8_000_000
            release.set()


async def test_audio_is_counted() -> None:
    before = VoxEngine.statistics()
    async with pair() as (one, other), AudioUnit(8000) as unit:
        log = Log(other)
        unit.sendMediaTo(one)
        unit.write(media.tone(200))
        unit.end()
        await log.until(E.MEDIA_ENDED)
    changed = grown(before)
    assert changed["media_frames_sent"] == changed["media_frames_received"] == 10


FULL = ProcessStatistics(
    connections_connecting=1,
    connections_open=2,
    connections_opened=30,
    connections_failed=4,
    connections_closed={"1000": 20, "1006": 7, "4xxx": 1},
    connections_refused=5,
    reconnects=6,
    messages_sent=7,
    messages_received=8,
    bytes_sent=9,
    bytes_received=10,
    wire_bytes_sent=11,
    wire_bytes_received=12,
    pings_sent=13,
    pongs_received=14,
    latency_buckets=((0.001, 1), (0.5, 2), (float("inf"), 3)),
    latency_sum=12.5,
    latency_max=11.25,
    media_frames_sent=15,
    media_frames_received=16,
    media_lost=17,
    media_duplicates=18,
    media_discarded_ms=1900.0,
    media_dropped_ms=2050.0,
    media_concealed_ms=2300.0,
    media_concealed_gaps=24,
    media_recovered_ms=2600.0,
    media_adjusted_ms=2500.0,
    media_streams_refused=25,
    unhandled_bytes=21,
    buffered_bytes=22,
)


def samples(text: str) -> dict[str, float]:
    """What Prometheus' own parser reads, by name and labels."""
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_text_is_what_prometheus_reads() -> None:
    assert samples(FULL.to_prometheus()) == {
        "voxwire_connections_connecting": 1,
        "voxwire_connections_open": 2,
        "voxwire_connections_opened_total": 30,
        "voxwire_connections_failed_total": 4,
        "voxwire_connections_closed_total code=1000": 20,
        "voxwire_connections_closed_total code=1006": 7,
        "voxwire_connections_closed_total code=4xxx": 1,
        "voxwire_connections_refused_total": 5,
        "voxwire_reconnects_total": 6,
        "voxwire_messages_sent_total": 7,
        "voxwire_messages_received_total": 8,
        "voxwire_sent_bytes_total": 9,
        "voxwire_received_bytes_total": 10,
        "voxwire_wire_sent_bytes_total": 11,
        "voxwire_wire_received_bytes_total": 12,
        "voxwire_pings_sent_total": 13,
        "voxwire_pongs_received_total": 14,
        "voxwire_ping_latency_seconds_bucket le=0.001": 1,
        "voxwire_ping_latency_seconds_bucket le=0.5": 3,
        "voxwire_ping_latency_seconds_bucket le=+Inf": 6,
        "voxwire_ping_latency_seconds_sum": 12.5,
        "voxwire_ping_latency_seconds_count": 6,
        "voxwire_ping_latency_max_seconds": 11.25,
        "voxwire_media_frames_sent_total": 15,
        "voxwire_media_frames_received_total": 16,
        "voxwire_media_chunks_unusable_total cause=lost": 17,
        "voxwire_media_chunks_unusable_total cause=duplicate": 18,
        "voxwire_media_dropped_seconds_total cause=discarded": 1.9,
        "voxwire_media_dropped_seconds_total cause=slow_peer": 2.05,
        "voxwire_media_concealed_seconds_total": 2.3,
        "voxwire_media_concealed_gaps_total": 24,
        "voxwire_media_recovered_seconds_total": 2.6,
        "voxwire_media_adjusted_seconds_total": 2.5,
        "voxwire_media_streams_refused_total": 25,
        "voxwire_unhandled_bytes": 21,
        "voxwire_buffered_bytes": 22,
    }


def test_the_text_names_and_explains_each_metric_once() -> None:
    text = FULL.to_prometheus()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    lines = text.splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(names) == len(set(names)) == len(families)
    assert names == [line.split()[2] for line in lines if line.startswith("# HELP ")]
    assert text.endswith("\n")
    assert "version=0.0.4" in CONTENT_TYPE
    # Every field is in it: a counter that is added later must not be forgotten.
    values = {value for name, value in samples(text).items() if "_bucket" not in name}
    for name, value in dataclasses.asdict(FULL).items():
        if isinstance(value, int | float):
            assert (value / 1000 if name.endswith("_ms") else value) in values, name


def test_labels_are_escaped() -> None:
    value = 'a "quoted" \\ back\nslash µ'
    text = FULL.to_prometheus({"node": value, "zone": "1"})
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert (sample.labels["node"], sample.labels["zone"]) == (value, "1")
    for wrong in ({"le": "1"}, {"1st": "x"}, {"__name__": "x"}, {"a-b": "x"}, {"ok": 1}, {"a\n": "x"}):
        with pytest.raises(voxwire.InvalidParameter, match="labels"):
            FULL.to_prometheus(wrong)  # type: ignore[arg-type]


def test_before_anything_has_run_all_is_zero() -> None:
    code = """if True:
        import os, voxwire
        statistics = voxwire.VoxEngine.statistics()
        assert statistics == voxwire.ProcessStatistics(), statistics
        print(statistics.to_prometheus(), end="")
    """
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=20, env=dict(os.environ)
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert set(samples(result.stdout).values()) == {0.0}


async def test_every_engine_answers_for_the_process() -> None:
    async with pair():
        first, second = Engine().statistics(), VoxEngine.statistics()
        assert first.connections_opened == second.connections_opened > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.reconnects = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(first)) == first


def test_the_fields_of_a_connection_are_among_those_of_the_process() -> None:
    process = {field.name for field in dataclasses.fields(ProcessStatistics)}
    connection: Any = {field.name for field in dataclasses.fields(voxwire.WebSocketStatistics)} - {"latency"}
    assert connection <= process
