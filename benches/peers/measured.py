"""The measured process: one client, one case, one round. It says a result for each size, or an error, and ends at once."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from typing import Any

from benches import child
from benches.machine import many_files, rss_bytes

from . import awaiting, blocking
from .clients import AWAIT, BLOCKING, CALLBACK, Client, find
from .contract import Flow, Trips, cpu, payload

AT_ONCE = 50
MOST_CONNECTS = 1500
SLOW = 300
"""Milliseconds that the server takes to answer a close, to see who waits for it."""
BUSY = 0.005
"""Of ten milliseconds, in which the busy loop does something else."""


def main() -> None:
    """Does what the job says."""
    many_files()
    job = child.argument()
    client = find(job["client"], job["api"])
    try:
        if client.api == BLOCKING:
            _blocking(client, job)
        else:
            with asyncio.Runner(loop_factory=_loop(job["loop"])) as runner:
                runner.run(_on_loop(client, job))
                _leave()  # the loop is not asked to wait for what nobody needs any more
    except Exception as error:  # noqa: BLE001  # whatever it is, the others go on
        child.say(error=f"{type(error).__name__}: {error}"[:300])
    _leave()


def _leave() -> None:
    os._exit(0)


def _loop(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def _url(job: dict[str, Any], path: str) -> str:
    return f"{job['server']}/{path}"


def _flow(job: dict[str, Any], size: int) -> tuple[Flow, str]:
    """What is sent or received, and how long the server floods: the client stops counting before."""
    milliseconds = int(job["seconds"] * 1000) + 50
    return Flow(payload(size, job["binary"]), job["seconds"]), _url(job, f"flood/{size}/{milliseconds}")


async def _on_loop(client: Client, job: dict[str, Any]) -> None:
    adapter, case = client.load(), job["case"]
    callback = client.api == CALLBACK
    if case == "busy":
        task = asyncio.ensure_future(_keep_busy())
        await asyncio.sleep(0.02)
        assert not task.done()
    for size in job["sizes"]:
        message = payload(size, job["binary"])
        trips, (flow, flood) = Trips(message, job["seconds"]), _flow(job, size)
        if case in ("roundtrip", "busy"):
            url = _url(job, "echo")
            await (adapter.trips(url, trips) if callback else awaiting.trips(adapter, url, trips))
            child.say(size=size, **trips.result())
        elif case == "receive":
            await (adapter.receive(flood, flow) if callback else awaiting.receive(adapter, flood, flow))
            child.say(size=size, **flow.result())
        elif case == "send":
            url = _url(job, "sink")
            await (adapter.send(url, flow) if callback else awaiting.send(adapter, url, flow))
            child.say(size=size, **flow.result())
    if case == "media":
        await _media(client, adapter, job)
    elif case == "connects":
        await _connects(client, adapter, job)
    elif case == "memory":
        await _memory(client, adapter, job)


async def _keep_busy() -> None:
    while True:
        until = time.perf_counter() + BUSY
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(BUSY)


async def _media(client: Client, adapter: Any, job: dict[str, Any]) -> None:
    """Opens connections that send back what comes; the CPU time between two words of the harness."""
    url = _url(job, "media")

    async def one() -> Any:
        return await (adapter.reflect(url) if client.api == CALLBACK else awaiting.reflect(adapter, url))

    kept: list[Any] = []
    while len(kept) < job["connections"]:
        kept += await asyncio.gather(*(one() for _ in range(min(AT_ONCE, job["connections"] - len(kept)))))
    loop = asyncio.get_running_loop()
    child.say(ready=True)
    await loop.run_in_executor(None, child.hear)
    used = cpu()
    child.say(begun=True)
    await loop.run_in_executor(None, child.hear)
    used = cpu() - used
    if client.api == AWAIT:
        for _, task in kept:
            if task.done():
                task.result()  # what went wrong
    child.say(cpu=used)


async def _hold(client: Client, adapter: Any, url: str, compressed: bool) -> Any:
    return await (adapter.hold(url, compressed) if client.api == CALLBACK else adapter(url, compressed))


async def _connects(client: Client, adapter: Any, job: dict[str, Any]) -> None:
    """Connects and closes, one after the other."""

    async def close(connection: Any) -> None:
        await (adapter.close(connection) if client.api == CALLBACK else awaiting.close(connection))

    connection = await _hold(client, adapter, _url(job, f"slow/{SLOW}"), False)
    began = time.perf_counter()
    await close(connection)
    waits = time.perf_counter() - began > SLOW / 1000 * 0.8
    url, count, used, began = _url(job, "idle"), 0, cpu(), time.perf_counter()
    until = began + job["seconds"]
    while count < MOST_CONNECTS and time.perf_counter() < until:
        await close(await _hold(client, adapter, url, False))
        count += 1
    child.say(size=0, rate=count / (time.perf_counter() - began), cpu=(cpu() - used) / count, waits=waits)


async def _memory(client: Client, adapter: Any, job: dict[str, Any]) -> None:
    url, count, compressed = _url(job, "idle"), job["connections"], job["compressed"]

    async def one() -> Any:
        return await _hold(client, adapter, url, compressed)

    kept = [await one()]  # what the first connection sets up is not counted
    gc.collect()
    before = rss_bytes()
    while len(kept) <= count:
        kept += await asyncio.gather(*(one() for _ in range(min(AT_ONCE, count + 1 - len(kept)))))
    await asyncio.sleep(0.3)
    gc.collect()
    child.say(size=int(compressed), bytes=(rss_bytes() - before) / count)


def _blocking(client: Client, job: dict[str, Any]) -> None:
    open_connection, case = client.load(), job["case"]
    for size in job["sizes"]:
        trips, (flow, flood) = Trips(payload(size, job["binary"]), job["seconds"]), _flow(job, size)
        if case == "roundtrip":
            blocking.trips(open_connection, _url(job, "echo"), trips)
            child.say(size=size, **trips.result())
        elif case == "receive":
            blocking.receive(open_connection, flood, flow)
            child.say(size=size, **flow.result())
        elif case == "send":
            blocking.send(open_connection, _url(job, "sink"), flow)
            child.say(size=size, **flow.result())
    if case == "connects":
        connection = open_connection(_url(job, f"slow/{SLOW}"), False)
        began = time.perf_counter()
        connection.close()
        waits = time.perf_counter() - began > SLOW / 1000 * 0.8
        url, count, used, began = _url(job, "idle"), 0, cpu(), time.perf_counter()
        until = began + job["seconds"]
        while count < MOST_CONNECTS and time.perf_counter() < until:
            open_connection(url, False).close()
            count += 1
        child.say(size=0, rate=count / (time.perf_counter() - began), cpu=(cpu() - used) / count, waits=waits)
    elif case == "memory":
        url, kept = _url(job, "idle"), []
        kept.append(open_connection(url, job["compressed"]))
        gc.collect()
        before = rss_bytes()
        kept += [open_connection(url, job["compressed"]) for _ in range(job["connections"])]
        time.sleep(0.3)
        gc.collect()
        child.say(size=int(job["compressed"]), bytes=(rss_bytes() - before) / job["connections"])


if __name__ == "__main__":
    main()
