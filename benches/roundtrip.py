"""Round trips of text messages: one client, one message at a time, from `send` to the handler or the end of `recv`.

The peer answers with a message of the same size (see `peer`). The first row is a blocking socket with frames made
beforehand: what peer and kernel cost at least.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import websockets

from voxwire import MessageEvent, WebSocket

from . import child, frames
from .child import Child
from .clients import Client, clients, ratio
from .figures import Table, percentile, spread
from .machine import two_cores
from .options import Options

SIZES = {32: "32 B", 256: "256 B", 8192: "8 KiB", 102400: "100 KiB"}
BASE = "websockets, asyncio"
_clock = time.perf_counter_ns


def run(options: Options) -> list[Table]:
    """Interleaved rounds; medians of the rates, percentiles over all round trips."""
    client_core, peer_core = two_cores(options.pin)
    sizes, rounds, seconds = ([256], 2, 0.1) if options.quick else (list(SIZES), 5, 0.35)
    with Child("benches.peer", core=peer_core) as peer:
        port = peer.hear()["port"]
        job = {"port": port, "sizes": sizes, "rounds": rounds, "seconds": seconds}
        with Child("benches.roundtrip", job, core=client_core) as measured:
            found = [measured.hear() for _ in sizes]
    tables = []
    for size, results in zip(sizes, found, strict=True):
        table = Table(f"Round trips, {SIZES[size]}", ["client", "per second", "× websockets", "p50 µs", "p99 µs"])
        for label, result in results.items():
            table.add(
                [
                    label,
                    spread(result["rates"]),
                    ratio(result["rates"], results[BASE]["rates"]),
                    f"{result['p50'] / 1e3:.1f}",
                    f"{result['p99'] / 1e3:.1f}",
                ],
                client=label,
                size=size,
                **result,
            )
        tables.append(table)
    tables[-1].notes.append(
        f"{rounds} interleaved rounds of {seconds} s each; median (lowest–highest). {options.pinned}"
    )
    return tables


async def by_callback(url: str, text: str, seconds: float) -> list[int]:
    """voxwire, `onmessage`."""
    took: list[int] = []
    async with WebSocket(url) as ws:
        done = asyncio.get_running_loop().create_future()
        until = _clock() + int(seconds * 1e9)
        began = 0

        def on_message(_event: MessageEvent) -> None:
            nonlocal began
            now = _clock()
            took.append(now - began)
            if now >= until:
                done.set_result(None)
                return
            began = _clock()
            ws.send(text)

        ws.onmessage = on_message
        began = _clock()
        ws.send(text)
        await done
    return took


async def by_recv(url: str, text: str, seconds: float) -> list[int]:
    """voxwire, `recv`."""
    took: list[int] = []
    async with WebSocket(url) as ws:
        until = _clock() + int(seconds * 1e9)
        while (began := _clock()) < until:
            ws.send(text)
            await ws.recv()
            took.append(_clock() - began)
    return took


async def by_websockets(url: str, text: str, seconds: float) -> list[int]:
    """The same with `websockets`."""
    took: list[int] = []
    async with websockets.connect(url) as ws:
        until = _clock() + int(seconds * 1e9)
        while (began := _clock()) < until:
            await ws.send(text)
            await ws.recv()
            took.append(_clock() - began)
    return took


async def _floor(port: int, text: str, seconds: float) -> list[int]:
    took: list[int] = []
    frame = frames.build(frames.TEXT, text.encode(), mask=True)
    answer = len(frames.build(frames.TEXT, text.encode()))
    room = memoryview(bytearray(answer))
    with frames.connect(port, "/answer") as sock:
        frames.finish_connect(sock)
        sock.settimeout(None)
        until = _clock() + int(seconds * 1e9)
        while (began := _clock()) < until:
            sock.sendall(frame)
            left = answer
            while left:
                left -= sock.recv_into(room[:left])
            took.append(_clock() - began)
    return took


def main() -> None:
    """The measured process."""
    job = child.argument()
    url = f"ws://127.0.0.1:{job['port']}/answer"
    works = {"voxwire callback": by_callback, "voxwire recv": by_recv, "websockets": by_websockets}
    floor = Client("blocking socket", "asyncio", _floor)
    everyone = clients(works)
    for size in job["sizes"]:
        text = frames.message(size)
        results: dict[str, Any] = {}
        times: dict[str, list[int]] = {}
        for _ in range(job["rounds"]):
            for client in (floor, *everyone):
                label = "blocking socket (floor)" if client is floor else client.label
                took = client.run(job["port"] if client is floor else url, text, job["seconds"])
                took = took[len(took) // 10 :]  # the first are warm-up
                results.setdefault(label, {"rates": []})["rates"].append(len(took) / sum(took) * 1e9)
                times.setdefault(label, []).extend(took)
        for label, result in results.items():
            ordered = sorted(times[label])
            result |= {"p50": percentile(ordered, 50), "p99": percentile(ordered, 99)}
        child.say(**results)


if __name__ == "__main__":
    main()
