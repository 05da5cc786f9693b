"""The cases on an API that is awaited. The loops are those that a user of the library writes."""

from __future__ import annotations

import asyncio
import contextlib

from .contract import EVERY, QUESTION, Awaited, Flow, OpenAwaited, Trips, clock


async def trips(open_connection: OpenAwaited, url: str, trips: Trips) -> None:
    """One message there and one back at a time."""
    connection = await open_connection(url, False)
    send, recv, content, message, took = (
        connection.send,
        connection.recv,
        connection.content,
        trips.message,
        trips.took,
    )
    began = trips.begin()
    until = trips.until
    if not connection.awaits and content is None:
        while began < until:
            send(message)
            await recv()
            now = clock()
            took.append(now - began)
            began = now
    elif not connection.awaits:
        while began < until:
            send(message)
            content(await recv())  # type: ignore[misc]
            now = clock()
            took.append(now - began)
            began = now
    elif content is None:
        while began < until:
            await send(message)
            await recv()
            now = clock()
            took.append(now - began)
            began = now
    else:
        while began < until:
            await send(message)
            content(await recv())
            now = clock()
            took.append(now - began)
            began = now


async def receive(open_connection: OpenAwaited, url: str, flow: Flow) -> None:
    """Counts what the server floods with."""
    connection = await open_connection(url, False)
    recv, content = connection.recv, connection.content
    count, until = 0, flow.begin()
    await _send(connection, flow.message)
    if content is None:
        while True:
            await recv()
            count += 1
            if not count & EVERY and clock() >= until:
                break
    else:
        while True:
            content(await recv())
            count += 1
            if not count & EVERY and clock() >= until:
                break
    flow.end(count)


async def send(open_connection: OpenAwaited, url: str, flow: Flow) -> None:
    """Sends as fast as the server takes it; the time ends when everything has arrived."""
    connection = await open_connection(url, False)
    send, message, full, drain = connection.send, flow.message, connection.full, connection.drain
    count, until = 0, flow.begin()
    if connection.awaits:
        while count & EVERY or clock() < until:
            await send(message)
            count += 1
    else:
        while count & EVERY or clock() < until:
            send(message)
            count += 1
            if not count & EVERY and full() and drain is not None:
                await drain()
    await _send(connection, QUESTION)
    answer = await connection.recv()
    arrived = int(answer if connection.content is None else connection.content(answer))
    assert arrived == count, (arrived, count)
    flow.end(arrived)


async def reflect(open_connection: OpenAwaited, url: str) -> tuple[Awaited, asyncio.Task[None]]:
    """A connection whose task sends back what comes."""
    connection = await open_connection(url, False)
    send, recv, content = connection.send, connection.recv, connection.content

    async def talk() -> None:
        if not connection.awaits and content is None:
            while True:
                send(await recv())
        elif not connection.awaits:
            while True:
                send(content(await recv()))  # type: ignore[misc]
        elif content is None:
            while True:
                await send(await recv())
        else:
            while True:
                await send(content(await recv()))

    return connection, asyncio.ensure_future(talk())


async def close(connection: Awaited) -> None:
    """Closes it, as the library does it."""
    with contextlib.suppress(ConnectionError):
        if (waiting := connection.close()) is not None:
            await waiting


async def _send(connection: Awaited, message: str | bytes) -> None:
    waiting = connection.send(message)
    if connection.awaits:
        await waiting
