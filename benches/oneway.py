"""Messages in one direction: floods received, a flood sent. Text; the time runs until the last message is there."""

from __future__ import annotations

import asyncio
import time

import websockets

from voxwire import MessageEvent, WebSocket

from . import child, frames
from .child import Child
from .clients import Work, clients, ratio
from .figures import Table, count, spread
from .machine import two_cores
from .options import Options

BASE = "websockets, asyncio"
UNSENT = 1 << 20
_clock = time.perf_counter


def run(options: Options) -> list[Table]:
    """Interleaved rounds; medians of the rates."""
    client_core, peer_core = two_cores(options.pin)
    messages, rounds = (3_000, 2) if options.quick else (60_000, 5)
    flows = [("flood", 160), ("flood", 640), ("sink", 160)]
    tables = []
    with Child("benches.peer", core=peer_core) as peer:
        port = peer.hear()["port"]
        for what, size in flows:
            job = {"port": port, "what": what, "size": size, "messages": messages, "rounds": rounds}
            with Child("benches.oneway", job, core=client_core) as measured:
                results = measured.hear(120)
            table = Table(
                f"{'Received' if what == 'flood' else 'Sent'}, {size} B", ["client", "messages/s", "× websockets"]
            )
            for label, rates in results.items():
                table.add([label, spread(rates), ratio(rates, results[BASE])], client=label, size=size, rates=rates)
            tables.append(table)
    tables[-1].notes.append(
        f"{rounds} interleaved rounds of {count(messages)} messages; median (lowest–highest). {options.pinned}"
    )
    return tables


async def receive_by_callback(url: str, _text: str, messages: int) -> float:
    """voxwire, `onmessage`."""
    received = 0
    async with WebSocket(url) as ws:
        done = asyncio.get_running_loop().create_future()

        def on_message(_event: MessageEvent) -> None:
            nonlocal received
            received += 1
            if received == messages:
                done.set_result(None)

        ws.onmessage = on_message
        began = _clock()
        ws.send("go")
        await done
        return _clock() - began


async def receive_by_recv(url: str, _text: str, messages: int) -> float:
    """voxwire, `recv`."""
    async with WebSocket(url) as ws:
        began = _clock()
        ws.send("go")
        for _ in range(messages):
            await ws.recv()
        return _clock() - began


async def receive_by_websockets(url: str, _text: str, messages: int) -> float:
    """The same with `websockets`."""
    async with websockets.connect(url) as ws:
        began = _clock()
        await ws.send("go")
        for _ in range(messages):
            await ws.recv()
        return _clock() - began


async def send_by_voxwire(url: str, text: str, messages: int) -> float:
    """voxwire: `send`, with a `drain` when 1 MiB waits."""
    async with WebSocket(url) as ws:
        began = _clock()
        for i in range(messages):
            ws.send(text)
            if i % 64 == 0 and ws.bufferedAmount > UNSENT:
                await ws.drain()
        await ws.recv()
        return _clock() - began


async def send_by_websockets(url: str, text: str, messages: int) -> float:
    """The same with `websockets`."""
    async with websockets.connect(url) as ws:
        began = _clock()
        for _ in range(messages):
            await ws.send(text)
        await ws.recv()
        return _clock() - began


def main() -> None:
    """The measured process."""
    job = child.argument()
    size, messages = job["size"], job["messages"]
    url = f"ws://127.0.0.1:{job['port']}/{job['what']}/{size}/{messages}"
    receive: dict[str, Work] = {
        "voxwire callback": receive_by_callback,
        "voxwire recv": receive_by_recv,
        "websockets": receive_by_websockets,
    }
    send: dict[str, Work] = {"voxwire": send_by_voxwire, "websockets": send_by_websockets}
    everyone = clients(receive if job["what"] == "flood" else send)
    text = frames.message(size)
    rates: dict[str, list[float]] = {}
    for _ in range(job["rounds"]):
        for client in everyone:
            rates.setdefault(client.label, []).append(messages / client.run(url, text, messages))
    child.say(**rates)


if __name__ == "__main__":
    main()
