"""Hundreds of connects and receives that are cancelled: nothing is left of them, and nothing is lost."""

import asyncio
import os
from typing import Any

import pytest
from support.facing import SIDES, Side, facing
from support.pair import serving
from support.process import descriptors
from support.raw import RawPeer

from voxwire import WebSocket

ON_DRIVERS = ["loop", "tokio"]
COUNT = 300


async def test_hundreds_of_connects_that_are_cancelled() -> None:
    """At any moment, against a server that answers: no descriptor, no task and no connection of the server is left."""
    async with serving(lambda _ws: None) as server:
        async with WebSocket(server.url):
            pass
        before, tasks = descriptors(os.getpid()), len(asyncio.all_tasks())
        opened = 0

        async def connect() -> None:
            nonlocal opened
            async with WebSocket(server.url, close_timeout=0.2):
                opened += 1

        for turn in range(COUNT):
            task = asyncio.create_task(connect())
            for _ in range(turn % 5):
                await asyncio.sleep(0)
            if turn % 2:
                await asyncio.sleep(0.0002 * (turn % 11))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        while server.connections or descriptors(os.getpid()) > before:
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == tasks


@pytest.mark.parametrize("side", SIDES)
async def test_hundreds_of_receives_that_are_cancelled(side: Side) -> None:
    """At any moment: no message is lost, doubled or out of order."""
    count = 600

    def send(peer: RawPeer) -> None:
        for number in range(count):
            peer.text(str(number))
        peer.answer_close()

    got: list[Any] = []
    async with facing(side, send) as ws:
        turn = 0
        while len(got) < count:
            turn += 1
            receiving = asyncio.create_task(ws.recv())
            for _ in range(turn % 4):
                await asyncio.sleep(0)
            if turn % 3 == 0:
                await asyncio.sleep(0.0001)
            receiving.cancel()
            try:
                got.append(await receiving)
            except asyncio.CancelledError:
                pass
        ws.close()
        await ws.wait_closed()
    assert got == [str(number) for number in range(count)]
