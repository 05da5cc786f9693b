"""The two drivers of a connection, beside picows, whose sockets the event loop reads as well: callback API all of them.

Round trips of 256 B, floods of 160 B received and sent, sends that are made together. Interleaved rounds, CPU time of the
client's process beside the rates: on a machine that does other things too it says more than they do.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

import picows

from voxwire import MessageEvent, WebSocket
from voxwire.loops import DRIVER

from . import child, frames
from .child import Child
from .clients import LOOPS
from .figures import Table, spread
from .machine import two_cores
from .options import Options

Rounds = Callable[[str, str, int], Coroutine[Any, Any, None]]
CASES = {"answer": 256, "flood": 160, "sink": 160}
TITLES = {"answer": "Round trips, 256 B", "flood": "Received, 160 B", "sink": "Sent, 160 B"}
UNSENT = 1 << 20


def run(options: Options) -> list[Table]:
    """Interleaved rounds; medians."""
    client_core, peer_core = two_cores(options.pin)
    rounds = 2 if options.quick else 7
    counts = {"answer": 20_000, "flood": 300_000, "sink": 60_000}
    tables = []
    with Child("benches.peer", core=peer_core) as peer:
        port = peer.hear()["port"]
        for case, size in CASES.items():
            count = counts[case] // (50 if options.quick else 1)
            job = {"port": port, "case": case, "size": size, "count": count, "rounds": rounds}
            with Child("benches.drivers", job, core=client_core) as measured:
                results = measured.hear(300)
            table = Table(TITLES[case], ["client", "per second", "CPU ns each"])
            for label, found in results.items():
                table.add([label, spread(found["rates"]), spread(found["cpu"])], client=label, **found)
            tables.append(table)
    tables[-1].notes.append(f"{rounds} interleaved rounds; median (lowest-highest). {options.pinned}")
    return tables


async def answer_voxwire(url: str, text: str, count: int) -> None:
    """Sends the next one when the answer is there."""
    async with WebSocket(url) as ws:
        done = asyncio.get_running_loop().create_future()
        left = count

        def on_message(event: MessageEvent) -> None:
            nonlocal left
            left -= len(event.data) > 0
            if left:
                ws.send(text)
            else:
                done.set_result(None)

        ws.onmessage = on_message
        ws.send(text)
        await done


async def flood_voxwire(url: str, _text: str, count: int) -> None:
    """Counts what comes."""
    async with WebSocket(url) as ws:
        done = asyncio.get_running_loop().create_future()
        left = count

        def on_message(event: MessageEvent) -> None:
            nonlocal left
            left -= len(event.data) > 0
            if not left:
                done.set_result(None)

        ws.onmessage = on_message
        ws.send("go")
        await done


async def sink_voxwire(url: str, text: str, count: int) -> None:
    """Sends, and waits when 1 MiB waits."""
    async with WebSocket(url) as ws:
        for i in range(count):
            ws.send(text)
            if i % 64 == 0 and ws.bufferedAmount > UNSENT:
                await ws.drain()
        await ws.recv()


class _Picows(picows.WSListener):  # type: ignore[misc]
    def __init__(self, loop: asyncio.AbstractEventLoop, answer: bytes | None, count: int) -> None:
        self.done = loop.create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self.answer, self.left = answer, count

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.TEXT:
            return
        self.left -= len(frame.get_payload_as_utf8_text()) > 0
        if not self.left:
            self.done.set_result(None)
        elif self.answer is not None:
            transport.send(picows.WSMsgType.TEXT, self.answer)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()


async def _picows(url: str, answer: bytes | None, first: bytes, count: int) -> None:
    loop = asyncio.get_running_loop()
    transport, listener = await picows.ws_connect(lambda: _Picows(loop, answer, count), url)
    transport.send(picows.WSMsgType.TEXT, first)
    await listener.done
    transport.send_close(picows.WSCloseCode.OK)
    transport.disconnect()
    await transport.wait_disconnected()


async def answer_picows(url: str, text: str, count: int) -> None:
    """The same."""
    await _picows(url, text.encode(), text.encode(), count)


async def flood_picows(url: str, _text: str, count: int) -> None:
    """The same."""
    await _picows(url, None, b"go", count)


async def sink_picows(url: str, text: str, count: int) -> None:
    """The same."""
    data = text.encode()
    loop = asyncio.get_running_loop()
    transport, listener = await picows.ws_connect(lambda: _Picows(loop, None, 1), url)
    for _ in range(count):
        transport.send(picows.WSMsgType.TEXT, data)
        if not listener.writable.is_set():
            await listener.writable.wait()
    await listener.done
    transport.disconnect()
    await transport.wait_disconnected()


WORKS: dict[str, tuple[Rounds, Rounds]] = {
    "answer": (answer_voxwire, answer_picows),
    "flood": (flood_voxwire, flood_picows),
    "sink": (sink_voxwire, sink_picows),
}


def main() -> None:
    """The measured process."""
    job = child.argument()
    case, size, count = job["case"], job["size"], job["count"]
    path = "answer" if case == "answer" else f"{case}/{size}/{count}"
    url = f"ws://127.0.0.1:{job['port']}/{path}"
    text = frames.message(size)
    ours, theirs = WORKS[case]
    everyone = [
        ("voxwire, loop driver", ours, "loop"),
        ("voxwire, tokio driver", ours, "tokio"),
        ("picows", theirs, ""),
    ]
    results: dict[str, Any] = {}
    for _ in range(job["rounds"]):
        for loop_name, factory in LOOPS.items():
            for name, work, driver in everyone:
                os.environ[DRIVER] = driver
                with asyncio.Runner(loop_factory=factory) as runner:
                    wall, cpu = time.perf_counter(), time.process_time()
                    runner.run(work(url, text, count))
                    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                found = results.setdefault(f"{name}, {loop_name}", {"rates": [], "cpu": []})
                found["rates"].append(count / wall)
                found["cpu"].append(cpu / count * 1e9)
    child.say(**results)


if __name__ == "__main__":
    main()
