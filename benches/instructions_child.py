"""What `benches.instructions` counts: each case warms up, waits until it is watched, and handles its messages.

The peers of the cases are other processes, which are not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from voxwire import MessageEvent, WebSocket, audio

from . import child, frames

_WARM = 200
"""Messages before anything is counted: caches are filled, buffers have their size."""


@contextlib.contextmanager
def watched(messages: int) -> Iterator[None]:
    """What happens inside is counted, and is the work of so many messages."""
    child.say(messages=messages)
    child.hear()
    yield
    child.say(done=True)
    child.hear()


async def callback_round_trips(url: str, size: int, count: int) -> None:
    """`onmessage` sends the next message."""
    text = frames.message(size)
    async with _talking(f"{url}/answer") as ws:
        done = asyncio.Event()
        left = 0

        def on_message(_event: MessageEvent) -> None:
            nonlocal left
            left -= 1
            if left:
                ws.send(text)
            else:
                done.set()

        async def go(messages: int) -> None:
            nonlocal left
            left = messages
            done.clear()
            ws.send(text)
            await done.wait()

        ws.onmessage = on_message
        await go(_WARM)
        with watched(count):
            await go(count)


async def recv_round_trips(url: str, size: int, count: int) -> None:
    """`send`, then `await recv()`."""
    text = frames.message(size)
    async with _talking(f"{url}/answer") as ws:
        for _ in range(_WARM):
            ws.send(text)
            await ws.recv()
        with watched(count):
            for _ in range(count):
                ws.send(text)
                await ws.recv()


async def receive(url: str, size: int, count: int) -> None:
    """A flood into `onmessage`. The second half is counted: it waits in the socket when counting begins."""
    async with _talking(f"{url}/flood/{size}/{2 * count}") as ws:
        half, end = asyncio.Event(), asyncio.Event()
        seen = 0

        def on_message(_event: MessageEvent) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                half.set()
            elif seen == 2 * count:
                end.set()

        ws.onmessage = on_message
        ws.send("go")
        await half.wait()
        with watched(2 * count - seen):
            await end.wait()


async def send(url: str, size: int, count: int) -> None:
    """Sends, of which the peer reads each."""
    text = frames.message(size)
    async with _talking(f"{url}/sink/{size}/{count + _WARM}") as ws:
        for _ in range(_WARM):
            ws.send(text)
        await ws.drain()
        with watched(count):
            for _ in range(count):
                ws.send(text)
            await ws.drain()


async def leg(_url: str, _size: int, count: int) -> None:
    """A media message read, decoded, resampled, encoded and written, by the functions of `voxwire.audio`."""
    up, down = audio.Resampler(8000, 16000), audio.Resampler(16000, 8000)
    message = audio.write_media(b"\x31" * 160, chunk=1, timestamp=160)

    def frame() -> None:
        media = audio.parse_media(message)
        assert isinstance(media, audio.MediaMessage)
        wide = up.process(audio.ulaw_decode(media.payload))
        payload = audio.ulaw_encode(down.process(wide))
        audio.write_media(payload, chunk=2, timestamp=320)

    for _ in range(_WARM):
        frame()
    with watched(count):
        for _ in range(count):
            frame()


@contextlib.asynccontextmanager
async def _talking(url: str) -> AsyncIterator[WebSocket]:
    async with WebSocket(url, ping_interval=None) as ws:
        yield ws


CASES: dict[str, Callable[[str, int, int], Coroutine[Any, Any, None]]] = {
    "round trip, callback": callback_round_trips,
    "round trip, recv": recv_round_trips,
    "receive, callback": receive,
    "send": send,
    "leg of voxwire.audio": leg,
}


def main() -> None:
    """The measured process."""
    job = child.argument()
    for name in job["cases"]:
        asyncio.run(CASES[name](job["url"], job["size"], job["count"]))


if __name__ == "__main__":
    main()
